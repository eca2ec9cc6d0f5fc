"""Where each testable statement of the storage specification (sections 1 to 8) is tested.

Section 9 has its own table: `tests.storage.test_loss_paths`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BINDING = "controllers/persistentvolume/test_binding.py"
RECLAIM = "controllers/persistentvolume/test_reclaim.py"
PROVISIONER = "csi/test_provisioner.py"
SCHEDULER = "scheduler/test_volumes.py"
ATTACH = "controllers/attachdetach/test_attachdetach.py"
MOVES = "csi/test_moves.py"
GROWTH = "csi/test_growth.py"
TYPES = "storage/test_volume_types.py"
FATES = "csi/test_fates.py"
SNAPSHOTS = "controllers/snapshot/test_snapshots.py"
SETS = "storage/test_set_claims.py"
QUOTA = "storage/test_quota.py"
RECORDED = "conformance/cases"

TESTED: Final[Mapping[str, tuple[str, ...]]] = {
    # 1.12 binding and reclaim
    "1.12.1": (f"{BINDING}::test_1_",),
    "1.12.2": (f"{BINDING}::test_2_",),
    "1.12.3": (f"{BINDING}::test_3_",),
    "1.12.4": (f"{BINDING}::test_4_", f"{BINDING}::test_4b_", f"{RECORDED}/pv-default-class.yaml"),
    "1.12.5": (f"{BINDING}::test_5_", f"{BINDING}::test_5b_", f"{RECORDED}/pv-two-default-classes.yaml"),
    "1.12.6": (f"{RECLAIM}::test_6_",),
    "1.12.7": (f"{RECLAIM}::test_7_", f"{RECLAIM}::test_7b_", f"{RECORDED}/pv-reclaim-retain-reuse.yaml"),
    "1.12.8": (f"{RECLAIM}::test_8_", f"{RECLAIM}::test_8b_"),
    "1.12.9": (f"{PROVISIONER}::test_1_12_9_",),
    "1.12.10": (f"{RECLAIM}::test_10_", f"{RECORDED}/pv-claim-protection.yaml"),
    "1.12.11": (f"{RECLAIM}::test_11_",),
    "1.12.12": (f"{RECLAIM}::test_12_", f"{SCHEDULER}::test_17_"),
    "1.12.13": (f"{RECLAIM}::test_13_", f"{ATTACH}::test_14_", f"{RECORDED}/pv-volume-protection.yaml"),
    "1.12.14": (f"{BINDING}::test_14_",),
    "1.12.15": (f"{BINDING}::test_15_",),
    "1.12.16": (f"{BINDING}::test_16_",),
    "1.12.17": (f"{BINDING}::test_17_",),
    "1.12.18": (f"{BINDING}::test_18_",),
    "1.12.19": (f"{RECLAIM}::test_19_", f"{FATES}::test_34_"),
    # 2.9 scheduler
    **{f"2.9.{n}": (f"{SCHEDULER}::test_{n}_",) for n in range(1, 19)},
    # 3.10 attach, mount, detach
    **{f"3.10.{n}": (f"{ATTACH}::test_{n}_",) for n in (1, 2, 3, 4, 6, 8, 12, 13, 14, 15, 19)},
    "3.10.5": (f"{ATTACH}::test_5_", f"{ATTACH}::test_5b_", f"{MOVES}::test_5_"),
    "3.10.7": (f"{ATTACH}::test_7_", f"{MOVES}::test_7_"),
    "3.10.9": (f"{ATTACH}::test_9_", f"{MOVES}::test_9_"),
    "3.10.10": (f"{MOVES}::test_10_",),
    "3.10.11": (f"{MOVES}::test_11_", f"{MOVES}::test_11b_"),
    "3.10.16": (f"{MOVES}::test_16_",),
    "3.10.17": (f"{MOVES}::test_17_",),
    "3.10.18": (f"{MOVES}::test_18_",),
    "3.10.20": (f"{ATTACH}::test_20_", f"{MOVES}::test_20_"),
    # 4.6 expansion
    "4.6.1": (f"{RECLAIM}::test_a_claim_can_grow_only_if", f"{RECORDED}/pv-no-expansion.yaml"),
    "4.6.2": (f"{RECLAIM}::test_a_claim_can_grow_only_if",),
    **{f"4.6.{n}": (f"{GROWTH}::test_{n}_",) for n in (3, 4, 5, 6, 7, 14, 15)},
    "4.6.8": (f"{GROWTH}::test_8_and_9_",),
    "4.6.9": (f"{GROWTH}::test_8_and_9_",),
    "4.6.10": (f"{GROWTH}::test_10_and_11_",),
    "4.6.11": (f"{GROWTH}::test_10_and_11_",),
    "4.6.12": (f"{QUOTA}::test_6_",),
    "4.6.13": (f"{QUOTA}::test_8_",),
    # 5.7 classes, modes, types
    "5.7.1": ("api/test_validation.py::test_updates",),
    "5.7.2": ("scenario/bad/class-recycle.yaml",),
    **{f"5.7.{n}": (f"{TYPES}::test_{n}_",) for n in (3, 4, 5, 6, 8, 9, 10, 16)},
    "5.7.7": ("storage/test_loss_paths.py::test_near_miss", f"{TYPES}::test_9_"),
    "5.7.11": ("storage/test_loss_paths.py::test_path",),
    "5.7.12": ("storage/test_loss_paths.py::test_path",),
    "5.7.13": (f"{TYPES}::test_13_",),
    "5.7.14": ("storage/test_loss_paths.py::test_path",),
    "5.7.15": ("controllers/ephemeral/test_ephemeral.py::test_15_",),
    # 6.9 snapshots and clones
    **{f"6.9.{n}": (f"{SNAPSHOTS}::test_{n}_",) for n in range(1, 19)},
    "6.9.19": (f"{FATES}::test_7_with_retained",),
    # 7.4 StatefulSets
    "7.4.1": ("controllers/statefulset/test_statements.py::test_ordered_with_no_pods",),
    "7.4.2": (f"{RECORDED}/sts-pvc-default-kept.yaml",),
    "7.4.3": (f"{RECORDED}/sts-pvc-retention-scaled.yaml",),
    "7.4.4": (f"{SETS}::test_4_",),
    "7.4.5": (f"{SETS}::test_5_", f"{RECORDED}/sts-pvc-retention-deleted.yaml"),
    "7.4.6": (f"{SETS}::test_6_",),
    "7.4.7": (f"{SETS}::test_7_15_", "workload/test_application.py::test_a_claim_made_from_a_snapshot"),
    "7.4.8": (f"{FATES}::test_16_", "scenarios/test_storage_verdicts.py::test_a_claim_that_goes_under"),
    "7.4.9": (f"{SETS}::test_9_",),
    "7.4.10": (f"{SETS}::test_10_14_",),
    "7.4.11": (f"{SETS}::test_11_",),
    "7.4.12": (f"{MOVES}::test_3_8_without_an_operator",),
    "7.4.13": (f"{SETS}::test_13_",),
    "7.4.14": (f"{SETS}::test_14_",),
    "7.4.15": (f"{SETS}::test_7_15_",),
    "7.4.16": (f"{SETS}::test_16_",),
    # 8.1 quota
    **{f"8.1.{n}": (f"{QUOTA}::test_{n}_",) for n in (1, 2, 4, 5, 6, 8, 9, 11)},
    "8.1.3": (f"{QUOTA}::test_3_7_",),
    "8.1.7": (f"{QUOTA}::test_3_7_",),
    "8.1.10": (f"{SETS}::test_9_8_1_10_",),
    # statements outside the numbered lists
    "0.2 back-off": ("csi/test_attach_limits.py::test_attempts_to_attach_", f"{MOVES}::test_18_"),
    "1.2 migrated": ("csi/test_migration.py::test_",),
    "2.2 capacity": ("csi/test_capacity.py::test_",),
    "2.4 inline disks": (f"{SCHEDULER}::test_2_4_",),
    "3.1 legacy volumes": (f"{ATTACH}::test_3_1_",),
    "3.5 populator": (f"{TYPES}::test_6_the_kubelet_says",),
    "3.6 attach limits": ("csi/test_attach_limits.py::test_3_6_",),
    "3.7 fsGroup": (f"{MOVES}::test_3_7_", f"{MOVES}::test_17_"),
    "6.3 pre-provisioned": (f"{SNAPSHOTS}::test_6_3_", f"{SNAPSHOTS}::test_5_"),
    "6.7 schedules": ("csi/test_schedules.py::test_",),
    "6.8 attributes classes": ("csi/test_attributes.py::test_",),
    "8 kubectl": ("storage/test_kubectl.py::test_",),
}
"""Tests by statement: files, or files with the beginning of a test's name."""

COUNTS: Final[Mapping[str, int]] = {
    "1.12": 19, "2.9": 18, "3.10": 20, "4.6": 15, "5.7": 16, "6.9": 19, "7.4": 16, "8.1": 11,
}  # fmt: skip
"""How many statements each section has."""
