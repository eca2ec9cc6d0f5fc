"""Every testable statement of workloads.md 2 to 6 and node.md 7: which tests show it.

A test is named by its file below `tests/`, without `test_`, and its function.
"""

from __future__ import annotations

from tests.statementindex import Statement

SECTIONS = {
    "2.5": ("Deployment, ReplicaSet", "pkg/controller/{deployment,replicaset}", 10),
    "3.5": ("budgets, eviction, drain", "pkg/controller/disruption, pkg/registry/core/pod/storage/eviction.go", 15),
    "4.13": ("node loss, taints, shutdown", "pkg/controller/{nodelifecycle,tainteviction,podgc}", 16),
    "5.5": (
        "deletion and garbage collection",
        "pkg/registry/core/pod/strategy.go, pkg/controller/garbagecollector",
        12,
    ),
    "6.5": ("quota and limits", "plugin/pkg/admission/{resourcequota,limitranger}, pkg/controller/resourcequota", 11),
    "7.10": ("scheduler", "pkg/scheduler", 17),
}
"""Of each section: its subject, the source in the Kubernetes tree, and how many statements it has."""

S = Statement
STATEMENTS: dict[str, Statement] = {
    # ---- workloads.md 2.5 -----------------------------------------------------------------------------------------
    "2.5.1": S(
        "a ReplicaSet replaces a pod as soon as it is to be deleted",
        ("controllers/replicaset/replicaset::test_a_pod_with_a_deletion_timestamp_is_replaced_while_it_exists",),
    ),
    "2.5.2": S(
        "one replica, RollingUpdate: the old pod stays until the new one is available",
        (
            (
                "controllers/deployment/deployment"
                "::test_default_rollout_of_one_replica_keeps_the_old_pod_until_the_new_one_is_available"
            ),
        ),
    ),
    "2.5.3": S(
        "a new pod that never starts leaves the old one; Progressing is False after 600 s",
        (
            (
                "controllers/deployment/deployment"
                "::test_a_rollout_that_gets_stuck_keeps_the_old_pod_and_reports_it_after_the_deadline"
            ),
        ),
    ),
    "2.5.4": S(
        "even an unready old pod stays",
        ("controllers/deployment/deployment::test_a_stuck_rollout_keeps_even_an_unready_old_pod",),
    ),
    "2.5.5": S(
        "surge 0 does not wait for the end of the old pod",
        ("controllers/deployment/deployment::test_surge_0_does_not_wait_for_the_old_pod_to_terminate",),
    ),
    "2.5.6": S(
        "Recreate waits until old pods have ended",
        (
            "controllers/deployment/deployment::test_recreate_waits_for_old_pods_to_end",
            "controllers/deployment/deployment::test_recreate_goes_on_when_the_last_old_pod_is_gone",
        ),
    ),
    "2.5.7": S("25 % of 10: surge 3, unavailable 2", ("controllers/deployment/deployment::test_rounding",)),
    "2.5.8": S("0 and 10 % of 1: unavailable 1", ("controllers/deployment/deployment::test_rounding",)),
    "2.5.9": S(
        "a failed pod stays and is replaced once",
        ("controllers/replicaset/replicaset::test_a_failed_pod_stays_and_is_replaced_once",),
    ),
    "2.5.10": S(
        "after the loss of a node a Deployment's pod is replaced at the eviction, a StatefulSet's is not",
        ("scenarios/verdicts::test_a_node_dies_at_night",),
    ),
    # ---- workloads.md 3.5 -----------------------------------------------------------------------------------------
    "3.5.1": S(
        "of two evictions at once one is refused",
        ("apiserver/eviction::test_an_accepted_eviction_uses_the_budget_marks_the_pod_and_begins_a_graceful_delete",),
    ),
    "3.5.2": S(
        "minAvailable 2 of 3, one terminating: none", ("controllers/disruption/disruption::test_worked_values",)
    ),
    "3.5.3": S("34 % of 3 rounds up to 2", ("controllers/disruption/disruption::test_worked_values",)),
    "3.5.4": S(
        "a Pending pod is not protected",
        ("apiserver/eviction::test_budgets_do_not_protect_pods_that_do_not_run",),
    ),
    "3.5.5": S(
        "an unready pod goes while the budget is met",
        ("apiserver/eviction::test_an_unready_pod_needs_no_budget_while_the_budget_is_met",),
    ),
    "3.5.6": S(
        "with 0 desired an unready pod stays, unless AlwaysAllow",
        ("apiserver/eviction::test_with_nothing_desired_an_unready_pod_is_refused_unless_always_allowed",),
    ),
    "3.5.7": S("two budgets: 500", ("apiserver/eviction::test_two_budgets_are_an_error_even_if_both_allow_it",)),
    "3.5.8": S(
        "a budget that was just changed refuses for 10 s",
        ("apiserver/eviction::test_a_budget_that_was_just_changed_refuses_for_ten_seconds",),
    ),
    "3.5.9": S(
        "a pod that does not go counts again after two minutes",
        ("controllers/disruption/disruption::test_a_pod_that_does_not_go_counts_again_after_two_minutes",),
    ),
    "3.5.10": S(
        "a selector alone allows nothing",
        ("controllers/disruption/disruption::test_a_budget_of_only_a_selector_allows_nothing",),
    ),
    "3.5.11": S(
        "a percentage of a DaemonSet's pods fails safe",
        ("controllers/disruption/disruption::test_pods_whose_controller_has_no_scale_make_the_budget_fail_safe",),
    ),
    "3.5.12": S(
        "a change of replicas alone changes no status",
        ("controllers/disruption/disruption::test_a_change_of_replicas_is_noticed_at_the_next_pod_event",),
    ),
    "3.5.13": S(
        "drain without --force touches nothing if a pod is unmanaged",
        ("kubectl/drain::test_a_pod_that_may_not_be_touched_saves_all_others",),
    ),
    "3.5.14": S(
        "a refused eviction is tried again after 5 s",
        ("kubectl/drain::test_a_refused_eviction_is_tried_again_after_five_seconds",),
    ),
    "3.5.15": S(
        "a rolling update deletes pods whatever a budget says",
        ("controllers/statements::test_3_5_15_a_rolling_update_asks_no_budget",),
    ),
    # ---- workloads.md 4.13 ----------------------------------------------------------------------------------------
    "4.13.1": S(
        "Unknown at the first pass more than 50 s after the last heartbeat",
        (
            "controllers/nodelifecycle/control::test_a_node_is_silent_strictly_after_the_grace_period",
            "controllers/nodelifecycle/controller::test_the_verdict_comes_at_the_pass_at_which_a_real_loop_gives_it",
        ),
    ),
    "4.13.2": S(
        "a renewed lease is enough",
        ("controllers/nodelifecycle/controller::test_leases_alone_keep_a_node_ready_without_an_event",),
    ),
    "4.13.3": S(
        "True to Unknown makes the pods unready in the same pass, False to Unknown does not",
        (
            (
                "controllers/nodelifecycle/controller"
                "::test_a_lost_node_is_unknown_40_to_56_s_later_and_its_pods_are_not_ready_in_the_same_pass"
            ),
            (
                "controllers/nodelifecycle/controller"
                "::test_a_node_that_its_kubelet_has_called_not_ready_takes_no_pod_with_it"
            ),
        ),
    ),
    "4.13.4": S(
        "in a Normal zone the second taint comes 10 s after the first",
        (
            (
                "controllers/nodelifecycle/controller"
                "::test_in_a_healthy_zone_the_second_taint_comes_ten_seconds_after_the_first"
            ),
        ),
    ),
    "4.13.5": S(
        "with all nodes lost there are no NoExecute taints",
        ("controllers/nodelifecycle/controller::test_with_all_nodes_lost_there_is_no_no_execute_taint",),
    ),
    "4.13.6": S("rates of zones", ("controllers/nodelifecycle/control::test_zone_states_and_rates",)),
    "4.13.7": S(
        "300 s after the taint, with the pod's own grace",
        ("controllers/tainteviction/tainteviction::test_by_default_a_pod_stays_300_s_on_an_unreachable_node",),
    ),
    "4.13.8": S(
        "a taint that is not tolerated deletes at once",
        ("controllers/tainteviction/tainteviction::test_a_taint_that_is_not_tolerated_deletes_at_once",),
    ),
    "4.13.9": S(
        "a node that is back in time keeps its pods",
        (
            (
                "controllers/tainteviction/tainteviction"
                "::test_a_taint_removed_in_time_cancels_and_the_clock_starts_anew_with_the_next"
            ),
        ),
    ),
    "4.13.10": S(
        "a restart of the controller-manager begins countdowns anew",
        (
            (
                "controllers/nodelifecycle/controller"
                "::test_a_restart_of_the_controller_manager_takes_taints_off_and_countdowns_begin_anew"
            ),
        ),
    ),
    "4.13.11": S(
        "a set waits for the object of a pod on a dead node, a ReplicaSet does not",
        (
            "kubelet/timelines::test_10_4_and_5_6_3_and_4_a_dead_node_leaves_its_set_pod_terminating_for_ever",
            "controllers/replicaset/replicaset::test_a_pod_with_a_deletion_timestamp_is_replaced_while_it_exists",
        ),
    ),
    "4.13.12": S(
        "pods of a deleted node go 40 to 80 s later, Failed first",
        ("controllers/podgc/podgc::test_pods_of_a_deleted_node_go_40_to_80_s_later_and_are_failed_first",),
    ),
    "4.13.13": S(
        "out-of-service takes pods within 20 s, of a node that is not Ready",
        (
            "controllers/podgc/podgc::test_out_of_service_takes_terminating_pods_within_a_period_if_the_node_is_not_ready",
            "controllers/podgc/podgc::test_out_of_service_on_a_ready_node_means_nothing_here",
        ),
    ),
    "4.13.14": S(
        "a toleration of 0 s is none, one without a time is for ever",
        ("controllers/tainteviction/tainteviction::test_how_long_a_pod_may_stay",),
    ),
    "4.13.15": S(
        "a graceful shutdown fails the pods, and a set's pod comes back elsewhere at once",
        (
            "kubelet/pressure::test_graceful_shutdown_stops_ordinary_pods_before_critical_ones",
            "faults/outages::test_a_shutdown_in_order_lets_pods_go_elsewhere_at_once_if_kubelets_are_told_to",
        ),
    ),
    "4.13.16": S(
        "of 13 lost nodes the last is tainted 120 s after the first",
        (
            (
                "controllers/nodelifecycle/controller"
                "::test_of_thirteen_lost_nodes_the_last_is_tainted_120_s_after_the_first"
            ),
        ),
    ),
    # ---- workloads.md 5.5 -----------------------------------------------------------------------------------------
    "5.5.1": S(
        "a running pod is kept until its kubelet confirms",
        ("apiserver/server::test_1_a_scheduled_pod_is_kept_until_its_kubelet_confirms",),
    ),
    "5.5.2": S(
        "an unscheduled pod goes at once",
        ("apiserver/server::test_2_an_unscheduled_pod_goes_at_once_whatever_grace_was_asked",),
    ),
    "5.5.3": S("a failed pod goes at once", ("apiserver/server::test_3_a_failed_pod_goes_at_once",)),
    "5.5.4": S("a second delete can only shorten", ("apiserver/server::test_4_a_second_delete_can_only_shorten",)),
    "5.5.5": S(
        "a finalizer holds a pod back",
        ("apiserver/server::test_5_a_finalizer_holds_a_pod_back_until_it_is_removed",),
    ),
    "5.5.6": S(
        "the phase is terminal before the pod is gone",
        ("controllers/statements::test_5_5_6_a_pod_is_seen_to_have_ended_before_it_is_gone",),
    ),
    "5.5.7": S(
        "a container that ignores SIGTERM keeps its pod for 30 s",
        ("kubelet/timelines::test_10_2_an_application_that_ignores_sigterm_takes_thirty_seconds_more",),
    ),
    "5.5.8": S(
        "in the background all pods are deleted at once",
        ("controllers/garbagecollector/garbagecollector::test_background_all_pods_are_deleted_gracefully_and_at_once",),
    ),
    "5.5.9": S(
        "in the foreground the owner goes last",
        ("controllers/garbagecollector/garbagecollector::test_foreground_the_owner_goes_after_its_pods",),
    ),
    "5.5.10": S(
        "orphans keep their UID",
        ("controllers/garbagecollector/garbagecollector::test_orphan_pods_keep_their_uid_and_lose_the_reference",),
    ),
    "5.5.11": S(
        "a claim whose owning pod is gone is deleted",
        (
            (
                "controllers/garbagecollector/garbagecollector"
                "::test_a_reference_to_an_owner_that_is_already_gone_is_found_when_it_is_seen"
            ),
        ),
    ),
    "5.5.12": S(
        "with another owner left only the reference goes",
        ("controllers/garbagecollector/garbagecollector::test_with_another_owner_left_only_the_reference_goes",),
    ),
    # ---- workloads.md 6.5 -----------------------------------------------------------------------------------------
    "6.5.1": S("beyond the quota: 403", ("apiserver/quota::test_a_pod_beyond_the_quota_is_refused_and_not_charged",)),
    "6.5.2": S(
        "a container must say what the quota limits",
        ("apiserver/quota::test_a_container_must_say_what_the_quota_limits",),
    ),
    "6.5.3": S("a default is charged", ("apiserver/quota::test_a_limit_ranges_default_is_charged",)),
    "6.5.4": S(
        "a stuck pod counts for twice its grace, and the next recount",
        (
            "apiserver/quota::test_a_stuck_pod_counts_for_twice_its_grace_period",
            (
                "controllers/resourcequota/resourcequota"
                "::test_a_stuck_pod_is_noticed_at_the_next_recount_at_most_five_minutes_later"
            ),
        ),
    ),
    "6.5.5": S(
        "a failed pod counts no more",
        ("controllers/resourcequota/resourcequota::test_an_ended_pod_is_released_although_the_object_is_there",),
    ),
    "6.5.6": S(
        "a set that lacks quota for its last pod has its claim, and tries again in growing gaps",
        ("controllers/statements::test_6_5_6_and_7_a_set_without_quota_has_a_claim_and_tries_again_ever_more_seldom",),
    ),
    "6.5.7": S(
        "more quota is found at the next try",
        ("controllers/statements::test_6_5_6_and_7_a_set_without_quota_has_a_claim_and_tries_again_ever_more_seldom",),
    ),
    "6.5.8": S(
        "of two creates with room for one, one succeeds",
        ("apiserver/quota::test_of_two_creates_with_room_for_one_one_succeeds",),
    ),
    "6.5.9": S(
        "the default limit comes from the maximum", ("apiserver/quota::test_the_default_limit_comes_from_the_maximum",)
    ),
    "6.5.10": S("pods that are there are left alone", ("apiserver/quota::test_pods_that_are_there_are_left_alone",)),
    "6.5.11": S(
        "without quota for the claim there is no pod",
        ("controllers/statements::test_6_5_11_without_quota_for_its_claim_a_set_makes_no_pod",),
    ),
    # ---- node.md 7.10 ---------------------------------------------------------------------------------------------
    "7.10.1": S(
        "a set spreads over equal nodes", ("scheduler/statements::test_1_pods_of_a_set_spread_over_equal_nodes",)
    ),
    "7.10.2": S(
        "with anti-affinity the replacement waits for uncordon",
        ("scheduler/statements::test_2_replacement_with_anti_affinity_waits_for_uncordon",),
    ),
    "7.10.3": S(
        "a terminating pod keeps anti-affine ones away",
        ("scheduler/statements::test_3_terminating_pod_keeps_anti_affine_pods_away_until_it_is_gone_or_terminal",),
    ),
    "7.10.4": S(
        "a terminating pod does not count for spread",
        ("scheduler/statements::test_4_terminating_pod_does_not_count_for_topology_spread",),
    ),
    "7.10.5": S(
        "a dead node is bound to until it is tainted", ("scheduler/statements::test_5_node_conditions_do_not_matter",)
    ),
    "7.10.6": S(
        "an unrelated event makes no attempt",
        ("scheduler/statements::test_6_unrelated_event_makes_no_attempt_before_five_minutes",),
    ),
    "7.10.7": S(
        "a deletion that frees CPU does",
        ("scheduler/statements::test_7_deletion_that_frees_cpu_makes_an_attempt_at_once",),
    ),
    "7.10.8": S("higher priority first", ("scheduler/statements::test_8_higher_priority_goes_first",)),
    "7.10.9": S(
        "waiting for a volume takes whole seconds",
        ("scheduler/volumes::test_1_wait_for_provisioning_in_steps_of_a_second",),
    ),
    "7.10.10": S(
        "a pod whose local volume is on a lost node waits",
        ("controllers/statements::test_7_10_10_a_pod_waits_for_the_node_that_has_its_local_volume",),
    ),
    "7.10.11": S(
        "a terminating pod keeps its place",
        ("scheduler/statements::test_11_terminating_pod_keeps_its_place_among_the_nodes_pods",),
    ),
    "7.10.12": S("gates", ("scheduler/statements::test_12_gated_pod_is_tried_once_its_gates_are_gone",)),
    "7.10.13": S(
        "victims get their grace, then the preemptor starts",
        ("scheduler/statements::test_13_victims_get_their_grace_then_the_preemptor_starts",),
    ),
    "7.10.14": S(
        "preemption violates a budget if nothing else helps",
        (
            "scheduler/statements::test_14_preemption_violates_a_budget_if_nothing_else_helps",
            "scheduler/statements::test_14_preemption_spares_a_budget_if_it_can",
        ),
    ),
    "7.10.15": S("100 of 150 are enough", ("scheduler/statements::test_15_so_many_feasible_nodes_are_enough",)),
    "7.10.16": S("one feasible node is not scored", ("scheduler/statements::test_16_one_feasible_node_is_not_scored",)),
    "7.10.17": S(
        "a terminating pod keeps its ReadWriteOncePod claim",
        ("scheduler/volumes::test_10_a_terminating_pod_keeps_its_read_write_once_pod_claim",),
    ),
}
