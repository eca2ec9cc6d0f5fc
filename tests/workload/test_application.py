"""Applications and clients in whole clusters: what the glue makes of pods, machines and volumes."""

from __future__ import annotations

import pytest

from tests.workload.small_cluster import EMPTY_DIR, HOME_FIRST, SINGLE, losses, of, run


def test_an_emptydir_is_lost_with_its_pod_and_not_with_its_container() -> None:
    timeline = (
        "  timeline:\n    - {at: 2m, fault: container-exit, pod: db-0}\n    - {at: 3m, kubectl: delete pod db-0}\n"
    )
    _, metrics = run(SINGLE + timeline, volume=EMPTY_DIR)
    ((writes, cause, path),) = losses(metrics)
    assert (cause, path) == ("ephemeral-volume", "L4")
    assert 100 * 115 < writes < 100 * 122


def test_another_sub_path_is_another_place_until_it_is_taken_back() -> None:
    """A mistake in a rollout: the pod finds an empty directory, while the data is in the one beside it."""
    mounts = "{name: data, mountPath: /data, subPath: PATH}"
    patch = f"{{spec: {{template: {{spec: {{containers: [{{name: db, volumeMounts: [{mounts}]}}]}}}}}}}}"
    wrong, right = (patch.replace("PATH", path) for path in ("v2", "''"))
    timeline = "".join(f"    - {{at: {t}m, kubectl: \"patch sts db -p '{p}'\"}}\n" for t, p in ((3, wrong), (5, right)))
    rows, metrics = run(SINGLE + f"  timeline:\n{timeline}")
    assert losses(metrics)[0][1:] == ("empty-primary", "")
    ((_, _, _, found),) = of(rows, "Application", "Found")
    assert found["writes"] == pytest.approx(12000, rel=0.05)
    assert [d["path"] for *_, d in of(rows, "Volume", "Inaccessible", "Accessible")] == ["L42", "L42"]


def test_a_claim_keeps_everything_over_a_deletion() -> None:
    _, metrics = run(SINGLE + "  timeline: [{at: 3m, kubectl: delete pod db-0}]\n")
    assert losses(metrics) == []
    assert metrics.outages[metrics.outages.start_s > 60].duration_s.max() < 60


def test_a_lost_disk_under_a_database_is_all_it_had() -> None:
    _, metrics = run(SINGLE + "  timeline: [{at: 3m, fault: disk-loss, claim: data-db-0}]\n")
    ((writes, cause, path),) = losses(metrics)
    assert writes == pytest.approx(12000)
    assert (cause, path) == ("volume-gone", "disk-loss")


def test_two_writers_when_a_pod_is_forced_away_from_a_node_that_lives() -> None:
    """A shared file system has no attachment that would stop it: both write until the kubelet can be told."""
    timeline = (
        "  timeline:\n    - {at: 90s, kubectl: taint nodes other-0 later-}\n"
        "    - {at: 3m, fault: node-partition, node: home-0, for: 5m}\n"
        "    - {at: 3m, kubectl: cordon home-0}\n"
        "    - {at: 4m, kubectl: delete pod db-0 --force --grace-period=0}\n"
    )
    rows, metrics = run(SINGLE + timeline, provisioner="nfs.csi.k8s.io", nodes=HOME_FIRST)
    ((begin, *_, detail),) = of(rows, "Member", "TwoProcesses")
    assert sorted(detail["nodes"]) == ["home-0", "other-0"]
    ((end, *_),) = of(rows, "Member", "OneProcess")
    assert 240 < begin < 250
    assert 480 < end < 520
    ((writes, cause, path),) = losses(metrics)
    assert (cause, path) == ("two-writers", "L27")
    assert writes == pytest.approx(50 * (end - begin), rel=0.02)
    (doubled,) = metrics.two_writers.to_dict("records")
    assert (doubled["start_s"], doubled["end_s"]) == (pytest.approx(begin), pytest.approx(end))


def test_a_disk_that_must_be_attached_has_one_writer_only() -> None:
    timeline = (
        "  timeline:\n    - {at: 90s, kubectl: taint nodes other-0 later-}\n"
        "    - {at: 3m, fault: node-partition, node: home-0, for: 3m}\n"
        "    - {at: 3m, kubectl: cordon home-0}\n"
        "    - {at: 4m, kubectl: delete pod db-0 --force --grace-period=0}\n"
    )
    rows, metrics = run(SINGLE + timeline, nodes=HOME_FIRST)
    assert of(rows, "Member", "TwoProcesses") == []
    assert losses(metrics) == []


HOOK = "lifecycle: {preStop: {exec: {command: [sleep, '20']}}}"
RAFT = "preset: raft, writes: 100/s, start: 60s"


def test_a_member_that_leaves_and_cleans_up_is_added_anew() -> None:
    spec = (
        f"  applications: [{{name: db, statefulSet: db, {RAFT}, membership: {{join: start, leave: preStop}}}}]\n"
        "  timeline: [{at: 3m, kubectl: delete pod db-2}]\n"
    )
    rows, metrics = run(spec, replicas=3, hook=HOOK)
    assert [(name, event) for _, name, event, _ in of(rows, "Member", "Removed", "Added", "Refused")] == [
        ("db-2", "Removed"), ("db-2", "Added"),
    ]  # fmt: skip
    assert losses(metrics) == []


def test_a_member_whose_hook_is_cut_off_between_leaving_and_cleaning_crashes_for_ever() -> None:
    """The trap: removed from the membership, but the grace period ends before its data is."""
    spec = (
        f"  applications: [{{name: db, statefulSet: db, {RAFT}, membership: {{join: start, leave: preStop, "
        "leaveAfter: 5s, cleanAfter: 60s}}]\n"
        "  timeline: [{at: 3m, kubectl: delete pod db-2}]\n"
    )
    rows, _ = run(spec, replicas=3, hook=HOOK)
    refused = of(rows, "Member", "Refused")
    assert len(refused) > 3
    assert {name for _, name, *_ in refused} == {"db-2"}
    assert not of(rows, "Member", "Added")


def test_clients_that_keep_an_address_call_nobody_after_the_pod_has_moved() -> None:
    traffic = (
        "  traffic:\n"
        "    - {name: kept, to: db-0.db, rate: 10/s, start: 30s, client: {keep: forever}}\n"
        "    - {name: asks, to: db-0.db, rate: 10/s, start: 30s, client: {keep: 0s}}\n"
        "  timeline: [{at: 3m, kubectl: delete pod db-0}]\n"
    )
    _, metrics = run(traffic)
    last = metrics.requests.groupby("stream").last()
    assert last.loc["kept", "stale-address"] == pytest.approx(10 * (1200 - 181), rel=0.01)
    assert last.loc["asks", "stale-address"] < 5
    assert last.loc["asks", "no-endpoint"] > 10
    total = last[["served", "refused", "no-endpoint", "stale-address", "unanswered", "cut", "in-flight"]].sum(axis=1)
    assert list(total) == pytest.approx([10 * 1170] * 2)


def test_a_lost_disk_costs_what_was_written_since_the_last_backup_and_the_time_to_bring_it_back() -> None:
    application = SINGLE.replace("start: 60s", "start: 60s, backup: {every: 1m, keep: 3, restore: 20s}")
    rows, metrics = run(application + "  timeline: [{at: 200s, fault: disk-loss, claim: data-db-0}]\n")
    ((writes, cause, _),) = losses(metrics)
    assert (writes, cause) == (pytest.approx(100 * 20), "volume-gone")
    ((restoring, *_),) = of(rows, "Application", "Restoring")
    outage = metrics.outages[(metrics.outages.what == "writes") & (metrics.outages.start_s > 60)].iloc[0]
    assert outage.duration_s == pytest.approx(20, abs=0.1)
    assert outage.start_s == pytest.approx(restoring)
    assert outage.chain.startswith("Step disk-loss Begins")


def test_near_miss_another_member_has_everything_and_no_backup_is_needed() -> None:
    application = f"  applications: [{{name: db, statefulSet: db, {RAFT}, backup: {{every: 1m, restore: 20s}}}}]\n"
    rows, metrics = run(application + "  timeline: [{at: 200s, fault: disk-loss, claim: data-db-1}]\n", replicas=3)
    assert losses(metrics) == []
    assert of(rows, "Application", "Restoring") == []


SNAPSHOT = """
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata: {name: snaps, annotations: {snapshot.storage.kubernetes.io/is-default-class: "true"}}
driver: ebs.csi.aws.com
deletionPolicy: Delete
"""


def test_a_claim_made_from_a_snapshot_has_what_was_on_disk_when_it_was_cut() -> None:
    """Snapshot at 2 min; at 4 min the set is scaled away, its claim made anew from the snapshot, and scaled back."""
    steps = """\
  timeline:
    - {at: 2m, apply: {apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot, metadata: {name: snap},
                       spec: {source: {persistentVolumeClaimName: data-db-0}}}}
    - {at: 4m, kubectl: scale statefulset/db --replicas=0}
    - {at: 5m, kubectl: delete pvc data-db-0}
    - {at: 6m, apply: {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-db-0, labels: {app: db}},
                       spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}},
                              dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: snap}}}}
    - {at: 7m, kubectl: scale statefulset/db --replicas=1}
"""
    rows, metrics = run(SINGLE + steps, more=SNAPSHOT)
    (gone, back) = losses(metrics)
    assert gone == (pytest.approx(100 * (241 - 60), rel=0.01), "volume-gone", "L10")
    assert back[:2] == (pytest.approx(-100 * (120.6 - 60), rel=0.02), "found again")
    assert of(rows, "Application", "Counts")[-1][3]["lost"] == pytest.approx(gone[0] + back[0])
