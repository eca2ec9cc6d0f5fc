"""Every testable statement of node.md 0 to 6, 8, 10 and 11, and of static pods: which test makes it, or why none does.

`test_statement_index.py` checks that the list is complete and that its tests exist. A test is named by its file below
`tests/`, without `test_`, and its function.
"""

from __future__ import annotations

from tests.statementindex import Statement

SECTIONS = {
    "0": ("timers and gates", "pkg/features/kube_features.go, pkg/kubelet/apis/config/v1beta1/defaults.go", 6),
    "1.13": ("pod workers, status, restarts, images", "pkg/kubelet/{pod_workers,kubelet,kubelet_pods}.go", 20),
    "2.9": ("probes", "pkg/kubelet/prober/{worker,prober_manager}.go", 16),
    "3.4": ("hooks", "pkg/kubelet/lifecycle/handlers.go, kuberuntime/kuberuntime_container.go", 14),
    "4.12": ("termination", "pkg/kubelet/{pod_workers,kubelet}.go, pkg/registry/core/pod/strategy.go", 19),
    "5.6": ("restart, reboot, loss of nodes", "pkg/controller/{nodelifecycle,tainteviction,podgc}", 16),
    "6.4": ("volumes and the start of pods", "pkg/kubelet/volumemanager, pkg/controller/volume/attachdetach", 10),
    "8": ("quality of service and resources", "pkg/kubelet/{qos,eviction}, pkg/apis/core/v1/helper/qos/qos.go", 11),
    "10": ("timelines from end to end", "sections 1 to 9 together", 7),
    "11": ("the three views, and what cannot be interrupted", "sections 1 to 9 together", 10),
    "static": ("static pods and their mirrors", "pkg/kubelet/config/common.go, pkg/kubelet/pod/mirror_client.go", 12),
}
"""Of each section: its subject, the source in the Kubernetes tree, and how many statements it has."""

S = Statement
STATEMENTS: dict[str, Statement] = {
    # ---- 0 --------------------------------------------------------------------------------------------------------
    "0.1": S(
        "gates have the defaults of 1.36",
        ("kubelet/statements::test_0_1_gates_have_the_defaults_of_1_36",),
    ),
    "0.2": S(
        "settings have the defaults of KubeletConfiguration",
        ("scenario/cluster_settings::test_names_and_defaults_are_kubernetes",),
    ),
    "0.3": S("a retry waits for the next 1 s tick", ("kubelet/restarts::test_intervals_of_a_crash_loop",)),
    "0.4": S(
        "what ends is seen with the next relist, 1 s after the last",
        ("kubelet/probes::test_a_container_that_has_exited_is_not_ready_within_a_second",),
    ),
    "0.5": S("pulls beyond QPS and burst fail at once", ("kubelet/start::test_pull_rate_limit_fails_pulls_at_once",)),
    "0.6": S(
        "pulls are serial unless told otherwise",
        (
            "kubelet/start::test_pulls_of_a_node_are_serial",
            "kubelet/start::test_parallel_pulls_are_parallel_between_pods",
        ),
    ),
    # ---- 1.13 -----------------------------------------------------------------------------------------------------
    "1.13.1": S(
        "without probes Ready and Running come in one write",
        ("kubelet/start::test_without_probes_running_and_ready_come_together",),
    ),
    "1.13.2": S(
        "postStart holds back the next container and the status",
        ("kubelet/start::test_post_start_holds_back_the_next_container_and_all_status",),
    ),
    "1.13.3": S(
        "with an init container all wait as PodInitializing for a volume, without an address",
        (
            (
                "kubelet/statements::"
                "test_1_13_3_with_an_init_container_everything_is_pod_initializing_while_a_volume_is_awaited"
            ),
        ),
    ),
    "1.13.4": S(
        "during a long pull there is a sandbox and no address",
        ("kubelet/start::test_long_pull_shows_a_sandbox_but_no_address",),
    ),
    "1.13.5": S(
        "the first restart is immediate, the phase stays Running",
        (
            "kubelet/restarts::test_intervals_of_a_crash_loop",
            "kubelet/restarts::test_phase_stays_running_in_a_crash_loop",
        ),
    ),
    "1.13.6": S(
        "then 10-16, 20-31, 40-61, 80-91, 160-181, 300-331 s", ("kubelet/restarts::test_intervals_of_a_crash_loop",)
    ),
    "1.13.7": S(
        "after 11 min of running the back-off begins anew",
        (
            "kubelet/restarts::test_back_off_resets_after_ten_minutes_of_running",
            "kubelet/rules::test_back_off_resets_after_twice_the_maximum",
        ),
    ),
    "1.13.8": S(
        "a kubelet restart forgets the back-off", ("kubelet/restarts::test_kubelet_restart_clears_the_back_off",)
    ),
    "1.13.9": S(
        "exit code 0 under Always backs off the same",
        (
            "kubelet/restarts::test_intervals_of_a_crash_loop",
            "kubelet/statements::test_1_13_9_a_container_that_succeeds_under_always_is_shown_completed_then_in_back_off",
        ),
    ),
    "1.13.10": S(
        "one container without image keeps the pod Pending, the other runs",
        ("kubelet/start::test_one_container_without_image_keeps_the_pod_pending",),
    ),
    "1.13.11": S(
        "Always and a registry outage: no restart, phase Running",
        ("kubelet/start::test_registry_outage_hits_policy_always_only",),
    ),
    "1.13.12": S(
        "IfNotPresent restarts without a registry", ("kubelet/start::test_registry_outage_hits_policy_always_only",)
    ),
    "1.13.13": S("three pulls of 20 s end at 20, 40, 60 s", ("kubelet/start::test_pulls_of_a_node_are_serial",)),
    "1.13.14": S(
        "a status is sent at once",
        ("kubelet/statements::test_1_13_14_a_status_is_sent_at_once_and_not_on_the_ten_seconds",),
    ),
    "1.13.15": S(
        "Ready is said again within 10 s of a heal",
        ("kubelet/node_failures::test_ready_is_reasserted_within_ten_seconds_of_the_heal",),
    ),
    "1.13.16": S(
        "a sidecar's startup probe gates the next init container",
        ("kubelet/start::test_sidecar_gates_the_next_init_container_by_its_startup_probe",),
    ),
    "1.13.17": S(
        "a sidecar restarts under policy Never", ("kubelet/start::test_sidecar_restarts_whatever_the_pod_policy_says",)
    ),
    "1.13.18": S(
        "a failing init container fails a pod that never restarts",
        ("kubelet/start::test_failing_init_container_fails_a_pod_that_never_restarts",),
    ),
    "1.13.19": S("a deletion waits for the pull", ("kubelet/termination::test_deletion_waits_for_a_pull",)),
    "1.13.20": S(
        "a changed image restarts that container alone",
        ("kubelet/start::test_changed_image_restarts_that_container_alone",),
    ),
    # ---- 2.9 ------------------------------------------------------------------------------------------------------
    "2.9.1": S(
        "the first readiness probe is triggered",
        ("kubelet/start::test_ready_probe_uses_the_first_status_that_shows_the_container",),
    ),
    "2.9.2": S(
        "initialDelay counts whole seconds from the start, on the ticks",
        ("kubelet/probes::test_initial_delay_is_counted_from_the_start_in_whole_seconds",),
    ),
    "2.9.3": S(
        "Ready comes a period after the last trigger",
        ("kubelet/probes::test_ready_at_the_first_tick_after_the_last_trigger",),
    ),
    "2.9.4": S("liveness kills after 20 to 32 s", ("kubelet/probes::test_liveness_kills_after_threshold_ticks",)),
    "2.9.5": S(
        "a hung process lives through its grace",
        ("kubelet/statements::test_2_9_5_a_hung_process_lives_through_its_whole_grace_whatever_probes_say",),
    ),
    "2.9.6": S(
        "the probe's grace is for the probe's kill only",
        ("kubelet/restarts::test_probe_level_grace_is_used_for_the_probe_kill_only",),
    ),
    "2.9.7": S(
        "the startup probe gates the others, and kills",
        (
            "kubelet/probes::test_startup_probe_gates_the_others_and_readiness_runs_at_once_after_it",
            "kubelet/probes::test_startup_failure_restarts_the_container",
        ),
    ),
    "2.9.8": S(
        "after it readiness runs at once, liveness at its tick",
        (
            "kubelet/probes::test_startup_probe_gates_the_others_and_readiness_runs_at_once_after_it",
            "kubelet/statements::test_2_9_8_after_the_startup_probe_liveness_waits_for_its_own_tick",
        ),
    ),
    "2.9.9": S(
        "successThreshold counts in a row", ("kubelet/probes::test_success_threshold_counts_consecutive_successes",)
    ),
    "2.9.10": S(
        "one failure changes nothing", ("kubelet/probes::test_one_failure_below_the_threshold_changes_nothing",)
    ),
    "2.9.11": S(
        "an exec that cannot be executed counts for nothing",
        (
            "kubelet/prober_oracle::test_the_computed_probe_is_the_ticking_one",
            "kubelet/runtime_outage::test_an_exec_probe_counts_for_nothing_and_an_http_probe_as_ever",
        ),
    ),
    "2.9.12": S(
        "Ready stays while the process answers in its termination",
        ("kubelet/termination::test_ready_stays_true_while_the_process_answers",),
    ),
    "2.9.13": S(
        "a failing liveness probe fails a pod that never restarts",
        ("kubelet/statements::test_2_9_13_a_pod_that_never_restarts_fails_when_its_liveness_probe_does",),
    ),
    "2.9.14": S(
        "a kubelet restart makes nothing unready",
        ("kubelet/node_failures::test_kubelet_restart_changes_nothing_for_healthy_pods",),
    ),
    "2.9.15": S(
        "liveness goes on in a partition",
        ("kubelet/statements::test_2_9_15_liveness_goes_on_in_a_partition_and_its_restarts_are_reported_afterwards",),
    ),
    "2.9.16": S(
        "Ready goes after three failures, and one more probe follows",
        ("kubelet/statements::test_2_9_16_ready_goes_after_three_failures_and_one_more_probe_follows_at_once",),
    ),
    # ---- 3.4 ------------------------------------------------------------------------------------------------------
    "3.4.1": S(
        "postStart hides the container, no probe runs",
        (
            "kubelet/start::test_post_start_holds_back_the_next_container_and_all_status",
            "kubelet/statements::test_3_4_1_no_probe_runs_before_post_start_has_ended",
        ),
    ),
    "3.4.2": S(
        "a failed postStart counts as a crash",
        (
            "kubelet/start::test_post_start_failure_counts_as_a_crash",
            "kubelet/statements::test_3_4_2_a_failed_post_start_leaves_its_events_in_order",
        ),
    ),
    "3.4.3": S(
        "a postStart that never returns holds up the deletion",
        ("kubelet/statements::test_3_4_3_a_post_start_that_never_returns_holds_up_the_deletion",),
    ),
    "3.4.4": S(
        "the next process begins after postStart",
        ("kubelet/start::test_post_start_holds_back_the_next_container_and_all_status",),
    ),
    "3.4.5": S(
        "any HTTP answer is a success",
        ("kubelet/statements::test_3_4_5_any_answer_to_an_http_hook_is_a_success",),
    ),
    "3.4.6": S(
        "SIGTERM after the hook, SIGKILL at the end of the grace",
        ("kubelet/statements::test_3_4_6_to_8_what_a_hook_leaves_of_the_grace",),
    ),
    "3.4.7": S(
        "a hook that outlasts the grace: 2 s more",
        ("kubelet/statements::test_3_4_6_to_8_what_a_hook_leaves_of_the_grace",),
    ),
    "3.4.8": S(
        "used grace counts in whole seconds",
        (
            "kubelet/statements::test_3_4_6_to_8_what_a_hook_leaves_of_the_grace",
            "kubelet/termination::test_failed_pre_stop_leads_to_sigterm_at_once",
        ),
    ),
    "3.4.9": S("no hook on a crash", ("kubelet/statements::test_3_4_9_a_process_that_crashes_runs_no_hook",)),
    "3.4.10": S(
        "no hook and no SIGTERM on an OOM kill",
        ("kubelet/restarts::test_oom_kill_runs_no_hook_and_keeps_the_address",),
    ),
    "3.4.11": S(
        "a liveness kill runs the hook within the probe's grace",
        ("kubelet/statements::test_3_4_11_a_liveness_kill_runs_the_hook_within_the_grace_of_the_probe",),
    ),
    "3.4.12": S(
        "a hard eviction leaves the hook 1 s",
        ("kubelet/statements::test_3_4_12_an_eviction_leaves_a_hook_one_second",),
    ),
    "3.4.13": S(
        "force deletion on a live node runs the hook and the whole grace",
        ("kubelet/termination::test_force_deletion_leaves_the_process_its_full_grace",),
    ),
    "3.4.14": S(
        "a kubelet restart begins the termination anew",
        ("kubelet/node_failures::test_termination_begins_anew_after_a_kubelet_restart",),
    ),
    # ---- 4.12 -----------------------------------------------------------------------------------------------------
    "4.12.1": S(
        "a graceful exit is Succeeded and gone in 1 to 3 s",
        ("kubelet/termination::test_graceful_exit_ends_as_succeeded_and_is_removed_soon",),
    ),
    "4.12.2": S(
        "a process that ignores SIGTERM gets SIGKILL: 137, Failed",
        ("kubelet/termination::test_process_that_ignores_sigterm_is_killed_at_the_end_of_grace",),
    ),
    "4.12.3": S(
        "code 143 is Failed before the removal",
        ("kubelet/statements::test_4_12_3_code_143_makes_the_pod_failed_before_it_is_gone",),
    ),
    "4.12.4": S(
        "an unscheduled pod goes at once",
        ("apiserver/server::test_2_an_unscheduled_pod_goes_at_once_whatever_grace_was_asked",),
    ),
    "4.12.5": S("a Failed pod goes at once", ("apiserver/server::test_3_a_failed_pod_goes_at_once",)),
    "4.12.6": S(
        "a shorter second delete moves the timestamp, not the kill",
        (
            "kubelet/statements::test_4_12_6_a_shorter_second_delete_moves_the_timestamp_and_not_the_kill",
            "kubelet/termination::test_a_second_shorter_delete_changes_only_the_object",
        ),
    ),
    "4.12.7": S(
        "a longer second delete changes nothing",
        ("kubelet/statements::test_4_12_7_a_longer_second_delete_changes_nothing",),
    ),
    "4.12.8": S(
        "a finalizer keeps the object, not the containers",
        ("kubelet/termination::test_finalizer_keeps_the_object_but_not_the_containers",),
    ),
    "4.12.9": S(
        "after a force deletion the process goes on for its grace",
        ("kubelet/termination::test_force_deletion_leaves_the_process_its_full_grace",),
    ),
    "4.12.10": S(
        "in a StatefulSet both instances overlap",
        ("kubelet/timelines::test_4_12_10_a_forced_set_pod_overlaps_with_its_successor",),
    ),
    "4.12.11": S(
        "sidecars stop after the main container, the last first",
        ("kubelet/termination::test_sidecars_stop_after_the_others_and_in_reverse_order",),
    ),
    "4.12.12": S(
        "a hanging main container leaves sidecars 2 s",
        ("kubelet/termination::test_hanging_main_container_takes_all_grace_and_sidecars_get_two_seconds",),
    ),
    "4.12.13": S(
        "one eviction in 10 s, dead within 3 s",
        ("kubelet/pressure::test_eviction_takes_one_pod_in_ten_seconds_and_leaves_its_object_failed",),
    ),
    "4.12.14": S(
        "an evicted set pod is replaced by another",
        (
            "kubelet/timelines::test_4_12_14_an_evicted_set_pod_is_replaced_by_another",
            "kubelet/timelines::test_a_set_fights_a_kubelet_under_disk_pressure_until_the_node_is_tainted",
            "kubelet/timelines::test_the_rate_limit_of_a_real_controller_manager_slows_that_fight_down",
        ),
    ),
    "4.12.15": S(
        "an OOM kill keeps address, UID and node",
        ("kubelet/restarts::test_oom_kill_runs_no_hook_and_keeps_the_address",),
    ),
    "4.12.16": S(
        "no restart of a pod that is deleted in back-off",
        ("kubelet/termination::test_no_restart_of_a_pod_deleted_in_crash_back_off",),
    ),
    "4.12.17": S(
        "no restart of a container that crashes in preStop",
        ("kubelet/statements::test_4_12_17_a_container_that_crashes_during_pre_stop_is_not_restarted",),
    ),
    "4.12.18": S(
        "without its kubelet a terminating pod stays",
        ("kubelet/statements::test_4_12_18_without_its_kubelet_a_terminating_pod_stays_for_ever",),
    ),
    "4.12.19": S(
        "by default a shutdown is a loss of power",
        ("kubelet/pressure::test_shutdown_without_grace_is_a_power_loss",),
    ),
    # ---- 5.6 ------------------------------------------------------------------------------------------------------
    "5.6.1": S(
        "a kubelet restart of 20 s is not noticed",
        ("kubelet/timelines::test_5_6_1_a_kubelet_restart_of_20_s_is_not_noticed",),
    ),
    "5.6.2": S(
        "a kubelet outage of 70 s costs readiness and no restart",
        ("kubelet/timelines::test_5_6_2_a_kubelet_that_is_away_for_70_s_costs_readiness_and_no_restart",),
    ),
    "5.6.3": S(
        "pods of a crashed node are deleted after 340 to 370 s",
        ("kubelet/timelines::test_10_4_and_5_6_3_and_4_a_dead_node_leaves_its_set_pod_terminating_for_ever",),
    ),
    "5.6.4": S(
        "and stay Terminating",
        ("kubelet/timelines::test_10_4_and_5_6_3_and_4_a_dead_node_leaves_its_set_pod_terminating_for_ever",),
    ),
    "5.6.5": S(
        "pods of a deleted node go after 40 to 80 s",
        ("controllers/podgc/podgc::test_pods_of_a_deleted_node_go_40_to_80_s_later_and_are_failed_first",),
    ),
    "5.6.6": S(
        "out-of-service takes terminating pods within 20 s",
        (
            (
                "controllers/podgc/podgc::"
                "test_out_of_service_takes_terminating_pods_within_a_period_if_the_node_is_not_ready"
            ),
        ),
    ),
    "5.6.7": S(
        "after a reboot: same UID, new address, one restart more, emptyDir kept",
        ("kubelet/node_failures::test_reboot_restarts_pods_in_place", "storage/loss_paths::test_near_miss"),
    ),
    "5.6.8": S(
        "after a partition: same address, no restart",
        ("kubelet/timelines::test_10_6_and_5_6_8_a_partition_of_two_minutes_restarts_nothing",),
    ),
    "5.6.9": S(
        "after a long partition terminating pods get their grace",
        ("kubelet/node_failures::test_partition_kills_deleted_pods_gracefully_afterwards",),
    ),
    "5.6.10": S(
        "the second node's NoExecute taint comes 10 s after the first's",
        (
            (
                "controllers/nodelifecycle/controller::"
                "test_in_a_healthy_zone_the_second_taint_comes_ten_seconds_after_the_first"
            ),
        ),
    ),
    "5.6.11": S(
        "with all nodes lost nothing is evicted",
        ("controllers/nodelifecycle/controller::test_with_all_nodes_lost_there_is_no_no_execute_taint",),
    ),
    "5.6.12": S(
        "with most of a small zone lost, neither",
        ("controllers/nodelifecycle/controller::test_most_of_a_small_zone_lost_stops_tainting_there",),
    ),
    "5.6.13": S(
        "init containers run again after a reboot",
        ("kubelet/node_failures::test_init_containers_run_again_after_a_reboot",),
    ),
    "5.6.14": S(
        "a pod that never restarts fails after a reboot",
        ("kubelet/node_failures::test_a_pod_that_never_restarts_fails_after_a_reboot",),
    ),
    "5.6.15": S(
        "without toleration the deletion follows the taint at once",
        ("controllers/tainteviction/tainteviction::test_a_taint_that_is_not_tolerated_deletes_at_once",),
    ),
    "5.6.16": S(
        "a forced pod's volume follows after six minutes",
        ("csi/moves::test_5_after_a_force_delete_it_takes_six_minutes",),
    ),
    # ---- 6.4 ------------------------------------------------------------------------------------------------------
    "6.4.1": S(
        "what cannot be mounted is told by each attempt, and not by the wait that times out",
        ("kubelet/statements::test_6_4_1_a_volume_that_cannot_be_mounted_is_told_by_its_own_attempts",),
    ),
    "6.4.2": S(
        "a config map that comes later lets the pod start",
        ("kubelet/start::test_pod_waits_for_what_its_volumes_name",),
    ),
    "6.4.3": S(
        "an attached volume waits for the node's next status",
        ("csi/moves::test_11_the_first_start_waits_for_the_node_status",),
    ),
    "6.4.4": S(
        "a pod made again on its node finds its volume attached",
        ("csi/moves::test_3_8_a_node_that_returns_before_the_detach_gives_the_volume_back_itself",),
    ),
    "6.4.5": S(
        "a pod that moves waits for unmount, report and detach",
        ("csi/moves::test_3_8_a_pod_on_healthy_nodes_moves_in_less_than_a_minute",),
    ),
    "6.4.6": S(
        "a deletion ends the wait for volumes",
        ("kubelet/statements::test_6_4_6_a_deletion_ends_the_wait_for_a_volume_at_once",),
    ),
    "6.4.7": S(
        "an emptyDir survives restarts of containers, not the pod",
        ("storage/loss_paths::test_path", "storage/loss_paths::test_near_miss"),
    ),
    "6.4.8": S(
        "pulls of one pod are sequential",
        ("kubelet/start::test_containers_of_one_pod_pull_one_after_the_other_all_the_same",),
    ),
    "6.4.9": S(
        "volumes are mounted in parallel",
        ("kubelet/statements::test_6_4_9_three_volumes_take_as_long_as_the_slowest",),
    ),
    "6.4.10": S(
        "a CNI plug-in that is down holds pods back",
        ("kubelet/network_plugin_outage::test_6_4_10_pods_wait_for_the_network_and_try_every_second",),
    ),
    # ---- 8 --------------------------------------------------------------------------------------------------------
    "8.1": S("an init container without limits makes a pod Burstable", ("api/resources::test_qos_class",)),
    "8.2": S("the largest init container counts", ("api/resources::test_effective_request",)),
    "8.3": S("sidecars before it count with it", ("api/resources::test_effective_request",)),
    "8.4": S(
        "4 GiB of memory leave 4 GiB - 100 MiB",
        ("kubelet/allocatable::test_a_node_gives_what_reservations_and_thresholds_leave",),
    ),
    "8.5": S(
        "the 111th pod does not fit; forced, it is OutOfpods",
        (
            "scheduler/statements::test_8_5_the_111th_pod_does_not_fit",
            "kubelet/rules::test_rejected_pod_is_failed_and_stays_so",
        ),
    ),
    "8.6": S(
        "use above the request does not hinder scheduling",
        ("storage/volume_types::test_use_above_the_request_does_not_hinder_scheduling",),
    ),
    "8.7": S("ended pods hold no resources", ("scheduler/statements::test_8_7_ended_pods_hold_no_resources",)),
    "8.8": S(
        "the memory-pressure taint keeps all ordinary pods away, kubelet admission only BestEffort ones",
        (
            "kubelet/pressure::test_admission_under_pressure",
            "controllers/nodelifecycle/control::test_no_schedule_taints_mirror_conditions",
        ),
    ),
    "8.9": S(
        "the pod furthest over its request goes first",
        ("kubelet/pressure::test_memory_rank_is_excess_then_priority_then_size",),
    ),
    "8.10": S(
        "a restart changes neither requests nor class",
        ("kubelet/statements::test_8_10_a_restart_changes_neither_requests_nor_class",),
    ),
    "8.11": S("the BestEffort process dies first", ("kubelet/pressure::test_best_effort_dies_first",)),
    # ---- 10 -------------------------------------------------------------------------------------------------------
    "10.1": S(
        "a set pod that is deleted is back in 3 to 8 s",
        ("kubelet/timelines::test_10_1_a_set_pod_deleted_on_a_healthy_node_is_back_in_3_to_8_s",),
    ),
    "10.2": S(
        "30 s later if it ignores SIGTERM",
        ("kubelet/timelines::test_10_2_an_application_that_ignores_sigterm_takes_thirty_seconds_more",),
    ),
    "10.3": S("a crash loop", ("kubelet/timelines::test_10_3_a_crash_loop_flaps_and_waits_longer_each_time",)),
    "10.4": S(
        "power loss of a node",
        (
            "kubelet/timelines::test_10_4_and_5_6_3_and_4_a_dead_node_leaves_its_set_pod_terminating_for_ever",
            "kubelet/timelines::test_10_4_a_node_that_boots_lets_its_terminating_pod_go_and_its_successor_come",
        ),
    ),
    "10.5": S(
        "and a force deletion",
        (
            "csi/moves::test_5_after_a_force_delete_it_takes_six_minutes",
            "csi/moves::test_7_an_out_of_service_taint_takes_about_half_a_minute",
        ),
    ),
    "10.6": S(
        "a partition of 120 s",
        ("kubelet/timelines::test_10_6_and_5_6_8_a_partition_of_two_minutes_restarts_nothing",),
    ),
    "10.7": S(
        "an update with a pull of 20 s",
        ("kubelet/timelines::test_10_7_an_update_that_pulls_for_twenty_seconds_keeps_its_pod_away_for_some_more",),
    ),
    # ---- 11 -------------------------------------------------------------------------------------------------------
    "11.1": S(
        "one busy worker, one slot; statuses are published at the start of a sync",
        ("kubelet/restarts::test_crash_loop_reason_shows_one_sync_late",),
    ),
    "11.2": S(
        "runtime, cache and API are three views",
        ("kubelet/statements::test_11_2_the_runtime_the_cache_and_the_api_are_three_views",),
    ),
    "11.3": S("all chance has a seed", ("determinism::test_twenty_runs_in_four_processes_are_the_same_byte_for_byte",)),
    "11.4": S(
        "times of the API are whole seconds, the kubelet's own are exact",
        ("kubelet/status::test_transition_times_move_only_with_the_status",),
    ),
    "11.5": S(
        "two instances of one name may run at the same time",
        ("kubelet/termination::test_force_deletion_leaves_the_process_its_full_grace",),
    ),
    "11.6": S(
        "termination goes by deletionTimestamp, not by Ready",
        ("kubelet/timelines::test_10_1_a_set_pod_deleted_on_a_healthy_node_is_back_in_3_to_8_s",),
    ),
    "11.7": S(
        "kills, pulls and starts are not interrupted, the volume wait is",
        (
            "kubelet/termination::test_deletion_waits_for_a_pull",
            "kubelet/termination::test_a_second_shorter_delete_changes_only_the_object",
            "kubelet/statements::test_6_4_6_a_deletion_ends_the_wait_for_a_volume_at_once",
        ),
    ),
    "11.8": S(
        "the node controller's Ready=False is overwritten within 10 s",
        ("kubelet/statements::test_11_8_not_ready_of_the_node_controller_is_overwritten",),
    ),
    "11.9": S(
        "faults of registry, volumes, API server, kubelet, container runtime",
        (
            "kubelet/start::test_registry_outage_hits_policy_always_only",
            "kubelet/runtime_outage::test_what_exits_is_seen_and_restarted_afterwards",
            (
                "kubelet/statements::"
                "test_11_9_with_the_api_server_away_containers_restart_and_the_latest_status_is_sent_later"
            ),
        ),
    ),
    "11.10": S(
        "without the API server nothing is evicted",
        ("kubelet/timelines::test_11_10_without_the_api_server_nothing_is_evicted_although_leases_lapse",),
    ),
    # ---- static pods: what sections 1.2, 1.3, 1.8, 4.7 and 4.10 say of them, and Kubernetes' documentation -----------
    "static.1": S(
        "a manifest becomes a pod of the node, with the node's name, a hash as UID and a toleration of all NoExecute",
        (
            "kubelet/static_pods::test_a_manifest_becomes_a_pod_of_its_node",
            "kubelet/static_pods::test_its_uid_is_a_hash_of_manifest_and_node",
        ),
    ),
    "static.2": S(
        "the API shows it by a mirror that its node owns",
        (
            "kubelet/static_pods::test_a_mirror_is_owned_by_its_node_and_says_what_it_shows",
            "kubelet/static_pods::test_the_mirror_shows_the_status",
        ),
    ),
    "static.3": S(
        "a deleted mirror is made again, the containers run on",
        ("kubelet/static_pods::test_a_deleted_mirror_is_made_again_while_the_containers_run_on",),
    ),
    "static.4": S(
        "without a node there is no mirror; a node that joins again has one",
        (
            "kubelet/static_pods::test_a_mirror_is_made_as_soon_as_there_is_a_node_again",
            "scenario/static_pods::test_what_a_cluster_does_with_them",
        ),
    ),
    "static.5": S(
        "a mirror of nothing is removed",
        ("kubelet/static_pods::test_an_object_that_claims_to_be_a_mirror_is_removed",),
    ),
    "static.6": S(
        "it refers to no other object",
        ("scenario/static_pods::test_they_may_not_refer_to_what_only_the_api_server_has",),
    ),
    "static.7": S(
        "it is critical: neither evicted nor refused under pressure, and it makes room for itself",
        (
            "kubelet/static_pods::test_they_are_critical_never_evicted_and_may_displace_others",
            "kubelet/static_pods::test_they_make_room_for_themselves",
            "kubelet/static_pods::test_they_count_against_the_node",
        ),
    ),
    "static.8": S(
        "it bears NoExecute taints, and a drain passes it over",
        (
            "kubelet/static_pods::test_they_bear_a_node_that_evicts_all_others",
            "scenario/static_pods::test_what_a_cluster_does_with_them",
        ),
    ),
    "static.9": S(
        "a new kubelet, and a machine that boots, run it without the API server",
        (
            "kubelet/static_pods::test_a_new_kubelet_takes_them_over_before_it_has_an_answer",
            "kubelet/static_pods::test_a_machine_that_boots_into_a_partition_runs_them_and_nothing_else",
        ),
    ),
    "static.10": S(
        "its phase is not terminal because it has been stopped; after the boot it runs again",
        (
            "kubelet/static_pods::test_stopping_for_good_does_not_end_their_phase",
            "kubelet/static_pods::test_a_graceful_shutdown_ends_them_last_and_the_boot_starts_them_again",
        ),
    ),
    "static.11": S(
        "readiness does not survive a kubelet restart: the manifest has no status",
        ("kubelet/static_pods::test_after_a_kubelet_restart_their_readiness_has_to_be_seen_anew",),
    ),
    "static.12": S(
        "versions of one name follow each other; housekeeping removes the mirror of what has ended",
        (
            "kubelet/static_pods::test_a_changed_manifest_starts_when_the_former_pod_has_ended",
            "kubelet/static_pods::test_a_manifest_that_is_taken_away_takes_pod_and_mirror_along",
        ),
    ),
}
