"""What kube-controller-manager sets of the volume controller."""

from __future__ import annotations

from dataclasses import dataclass

from k8sim.sim.units import SECOND


@dataclass(frozen=True)
class PersistentVolumeSettings:
    """Settings of the volume controller (kube-controller-manager's flags).

    ``enable_host_path_provisioner`` is off by default in Kubernetes and on in every one-machine cluster, the recorded
    one among them: here a class of kubernetes.io/host-path is taken to mean that it is on.
    """

    pv_claim_binder_sync_period_ns: int = 15 * SECOND
    enable_host_path_provisioner: bool = True
    enable_dynamic_provisioning: bool = True
