"""The core group, v1: pods, nodes, volumes, claims, services and their neighbours. Only simulated fields are declared.

Field defaults are Kubernetes' own unconditional defaults (pkg/apis/core/v1/defaults.go); conditional ones are in
`k8sim.api.defaults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from k8sim.api.meta import (
    Condition,
    LabelSelector,
    LabelSelectorRequirement,
    Object,
    ObjectMeta,
)
from k8sim.api.struct import IntOrString, Struct, Time

# ---- probes and hooks -------------------------------------------------------------------------------------------


class ExecAction(Struct, frozen=True):
    """Run a command in the container."""

    command: tuple[str, ...] = ()


class HTTPGetAction(Struct, frozen=True):
    """Ask an HTTP server in the container."""

    path: str = "/"
    port: IntOrString = 0
    host: str = ""
    scheme: str = "HTTP"


class TCPSocketAction(Struct, frozen=True):
    """Open a TCP connection to the container."""

    port: IntOrString = 0
    host: str = ""


class GRPCAction(Struct, frozen=True):
    """Ask the gRPC health service of the container."""

    port: int = 0
    service: str | None = None


class SleepAction(Struct, frozen=True):
    """Wait in the kubelet, independent of the container."""

    seconds: int = 0


class Probe(Struct, frozen=True):
    """A periodic question to a container."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(Struct, frozen=True):
    """What a hook does; exactly one is set."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Struct, frozen=True):
    """Hooks of a container."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None


# ---- pods -------------------------------------------------------------------------------------------------------


class ContainerPort(Struct, frozen=True):
    """A port that a container listens on."""

    name: str = ""
    container_port: int = 0
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"


class ResourceRequirements(Struct, frozen=True):
    """Requests and limits, as quantities in text."""

    requests: Mapping[str, str] = msgspec.field(default_factory=dict)
    limits: Mapping[str, str] = msgspec.field(default_factory=dict)


class VolumeMount(Struct, frozen=True):
    """Where a container sees a volume, or a directory of it; ``sub_path_expr`` may name variables of the container."""

    name: str = ""
    mount_path: str = ""
    read_only: bool = False
    sub_path: str = ""
    sub_path_expr: str = ""


class VolumeDevice(Struct, frozen=True):
    """Where a container sees a raw block volume."""

    name: str = ""
    device_path: str = ""


class ContainerRestartRuleOnExitCodes(Struct, frozen=True):
    """Exit codes a restart rule speaks of."""

    operator: str = ""
    values: tuple[int, ...] = ()


class ContainerRestartRule(Struct, frozen=True):
    """A container-level restart rule (gate ContainerRestartRules, on in 1.36)."""

    action: str = ""
    exit_codes: ContainerRestartRuleOnExitCodes | None = None


class Container(Struct, frozen=True):
    """One container of a pod, or an init container."""

    name: str = ""
    image: str = ""
    image_pull_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    startup_probe: Probe | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    restart_policy: str | None = None
    restart_policy_rules: tuple[ContainerRestartRule, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    volume_devices: tuple[VolumeDevice, ...] = ()
    env: tuple[Mapping[str, Any], ...] = ()
    env_from: tuple[Mapping[str, Any], ...] = ()


class PersistentVolumeClaimVolumeSource(Struct, frozen=True):
    """A volume that is a claim of the pod's namespace."""

    claim_name: str = ""
    read_only: bool = False


class EmptyDirVolumeSource(Struct, frozen=True):
    """A directory that lives as long as the pod does on its node."""

    medium: str = ""
    size_limit: str | None = None


class HostPathVolumeSource(Struct, frozen=True):
    """A directory of the node."""

    path: str = ""
    type: str = ""


class TypedLocalObjectReference(Struct, frozen=True):
    """An object of the same namespace, by group, kind and name."""

    api_group: str | None = None
    kind: str = ""
    name: str = ""
    namespace: str | None = None


class PersistentVolumeClaimSpec(Struct, frozen=True):
    """What a claim asks for. ``storage_class_name`` None is a placeholder, "" opts out of classes for ever."""

    access_modes: tuple[str, ...] = ()
    selector: LabelSelector | None = None
    resources: ResourceRequirements = ResourceRequirements()
    volume_name: str = ""
    storage_class_name: str | None = None
    volume_mode: str = "Filesystem"
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedLocalObjectReference | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeClaimTemplate(Struct, frozen=True):
    """A template of a generic ephemeral volume's claim."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()


class EphemeralVolumeSource(Struct, frozen=True):
    """A claim that is made for the pod and goes with it."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class Volume(Struct, frozen=True):
    """A volume of a pod. Of configMap, secret and projected only the objects and keys they name matter."""

    name: str = ""
    config_map: Mapping[str, Any] | None = None
    secret: Mapping[str, Any] | None = None
    projected: Mapping[str, Any] | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None


class NodeSelectorTerm(Struct, frozen=True):
    """ANDed requirements on a node's labels and fields."""

    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
    match_fields: tuple[LabelSelectorRequirement, ...] = ()


class NodeSelector(Struct, frozen=True):
    """ORed terms."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class PreferredSchedulingTerm(Struct, frozen=True):
    """A preferred node term with its weight."""

    weight: int = 0
    preference: NodeSelectorTerm = NodeSelectorTerm()


class NodeAffinity(Struct, frozen=True):
    """Required and preferred nodes."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()


class PodAffinityTerm(Struct, frozen=True):
    """Pods to be near to or far from, within a topology."""

    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    topology_key: str = ""
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(Struct, frozen=True):
    """A preferred term with its weight."""

    weight: int = 0
    pod_affinity_term: PodAffinityTerm = PodAffinityTerm()


class PodAffinity(Struct, frozen=True):
    """Required and preferred terms; the same shape serves anti-affinity."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


class Affinity(Struct, frozen=True):
    """All affinity rules of a pod."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(Struct, frozen=True):
    """A taint that a pod bears, for ever (``toleration_seconds`` None) or for a while."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class TopologySpreadConstraint(Struct, frozen=True):
    """How evenly pods must or should spread over a topology."""

    max_skew: int = 1
    topology_key: str = ""
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str = "Honor"
    node_taints_policy: str = "Ignore"
    match_label_keys: tuple[str, ...] = ()


class PodReadinessGate(Struct, frozen=True):
    """A condition that must be True, besides ContainersReady, before the pod is Ready."""

    condition_type: str = ""


class PodSchedulingGate(Struct, frozen=True):
    """A gate that keeps the scheduler away."""

    name: str = ""


class PodSecurityContext(Struct, frozen=True):
    """The part of a pod's security context that costs time: ownership of volumes."""

    fs_group: int | None = None
    fs_group_change_policy: str | None = None


class PodSpec(Struct, frozen=True):
    """What a pod is to be."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    node_name: str = ""
    node_selector: Mapping[str, str] = msgspec.field(default_factory=dict)
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    host_network: bool = False
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str = "PreemptLowerPriority"
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    overhead: Mapping[str, str] = msgspec.field(default_factory=dict)
    enable_service_links: bool = True
    security_context: PodSecurityContext = PodSecurityContext()
    scheduler_name: str = "default-scheduler"


class ContainerStateWaiting(Struct, frozen=True):
    """Not running yet or not again."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(Struct, frozen=True):
    """Running since."""

    started_at: Time | None = None


class ContainerStateTerminated(Struct, frozen=True):
    """Ended."""

    exit_code: int = 0
    reason: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    container_id: str = msgspec.field(default="", name="containerID")


class ContainerState(Struct, frozen=True):
    """At most one of the three is set."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Struct, frozen=True):
    """What the kubelet last said of a container."""

    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    container_id: str = msgspec.field(default="", name="containerID")


class PodIP(Struct, frozen=True):
    """An address of a pod."""

    ip: str = ""


class PodStatus(Struct, frozen=True):
    """What is known of a pod."""

    phase: str = "Pending"
    conditions: tuple[Condition, ...] = ()
    reason: str = ""
    message: str = ""
    nominated_node_name: str = ""
    host_ip: str = msgspec.field(default="", name="hostIP")
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    start_time: Time | None = None
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str = ""


class Pod(Object, frozen=True):
    """A pod."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Pod"
    plural: ClassVar[str] = "pods"

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PodTemplateSpec(Struct, frozen=True):
    """What a controller makes pods from."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


# ---- nodes ------------------------------------------------------------------------------------------------------


class Taint(Struct, frozen=True):
    """What keeps pods off a node."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: Time | None = None


class NodeSpec(Struct, frozen=True):
    """What a node is told."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    provider_id: str = msgspec.field(default="", name="providerID")


class AttachedVolume(Struct, frozen=True):
    """A volume that the attach/detach controller has attached to a node."""

    name: str = ""
    device_path: str = ""


class NodeSystemInfo(Struct, frozen=True):
    """Identity of the machine's boot."""

    boot_id: str = msgspec.field(default="", name="bootID")
    machine_id: str = msgspec.field(default="", name="machineID")


class ContainerImage(Struct, frozen=True):
    """An image on a node."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class NodeStatus(Struct, frozen=True):
    """What the kubelet and the controllers say of a node."""

    capacity: Mapping[str, str] = msgspec.field(default_factory=dict)
    allocatable: Mapping[str, str] = msgspec.field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    node_info: NodeSystemInfo = NodeSystemInfo()
    volumes_in_use: tuple[str, ...] = ()
    volumes_attached: tuple[AttachedVolume, ...] = ()
    images: tuple[ContainerImage, ...] = ()


class Node(Object, frozen=True):
    """A machine that runs pods."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Node"
    plural: ClassVar[str] = "nodes"
    namespaced: ClassVar[bool] = False

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


# ---- claims and volumes -----------------------------------------------------------------------------------------


class ModifyVolumeStatus(Struct, frozen=True):
    """How far the change to another attributes class is: Pending, InProgress or Infeasible."""

    target_volume_attributes_class_name: str = ""
    status: str = ""


class PersistentVolumeClaimStatus(Struct, frozen=True):
    """What a claim has got."""

    phase: str = "Pending"
    access_modes: tuple[str, ...] = ()
    capacity: Mapping[str, str] = msgspec.field(default_factory=dict)
    allocated_resources: Mapping[str, str] = msgspec.field(default_factory=dict)
    allocated_resource_statuses: Mapping[str, str] = msgspec.field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: ModifyVolumeStatus | None = None


class PersistentVolumeClaim(Object, frozen=True):
    """A request for storage."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "PersistentVolumeClaim"
    plural: ClassVar[str] = "persistentvolumeclaims"

    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class ObjectReference(Struct, frozen=True):
    """A reference to an object by kind, name and perhaps UID."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""


class VolumeNodeAffinity(Struct, frozen=True):
    """Nodes from which a volume can be reached."""

    required: NodeSelector | None = None


class CSIPersistentVolumeSource(Struct, frozen=True):
    """A volume of a CSI driver."""

    driver: str = ""
    volume_handle: str = ""
    fs_type: str = ""
    read_only: bool = False


class LocalVolumeSource(Struct, frozen=True):
    """A disk of one node."""

    path: str = ""
    fs_type: str | None = None


class NFSVolumeSource(Struct, frozen=True):
    """A share of an NFS server."""

    server: str = ""
    path: str = ""
    read_only: bool = False


class FlexPersistentVolumeSource(Struct, frozen=True):
    """A volume of a FlexVolume driver (legacy)."""

    driver: str = ""
    fs_type: str = ""
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


class PersistentVolumeSpec(Struct, frozen=True):
    """What a volume is. Volume sources that are not declared stay in ``extra``."""

    capacity: Mapping[str, str] = msgspec.field(default_factory=dict)
    access_modes: tuple[str, ...] = ()
    persistent_volume_reclaim_policy: str = "Retain"
    claim_ref: ObjectReference | None = None
    storage_class_name: str = ""
    volume_mode: str = "Filesystem"
    node_affinity: VolumeNodeAffinity | None = None
    volume_attributes_class_name: str | None = None
    csi: CSIPersistentVolumeSource | None = None
    local: LocalVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    flex_volume: FlexPersistentVolumeSource | None = None


class PersistentVolumeStatus(Struct, frozen=True):
    """The phase of a volume."""

    phase: str = "Pending"
    message: str = ""
    reason: str = ""
    last_phase_transition_time: Time | None = None


class PersistentVolume(Object, frozen=True):
    """A piece of storage."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "PersistentVolume"
    plural: ClassVar[str] = "persistentvolumes"
    namespaced: ClassVar[bool] = False

    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()


# ---- services, quotas, namespaces, events ----------------------------------------------------------------------


class ServicePort(Struct, frozen=True):
    """A port of a service."""

    name: str = ""
    port: int = 0
    target_port: IntOrString | None = None
    protocol: str = "TCP"
    node_port: int | None = None


class ServiceSpec(Struct, frozen=True):
    """What a service selects and how it is reached."""

    selector: Mapping[str, str] = msgspec.field(default_factory=dict)
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    external_name: str = ""
    ports: tuple[ServicePort, ...] = ()
    publish_not_ready_addresses: bool = False
    internal_traffic_policy: str = "Cluster"
    external_traffic_policy: str = ""
    session_affinity: str = "None"
    session_affinity_config: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Service(Object, frozen=True):
    """A name and perhaps an address for a set of pods."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Service"
    plural: ClassVar[str] = "services"

    spec: ServiceSpec = ServiceSpec()


class ScopedResourceSelectorRequirement(Struct, frozen=True):
    """One scope expression of a quota."""

    scope_name: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class ScopeSelector(Struct, frozen=True):
    """Scopes a quota is limited to."""

    match_expressions: tuple[ScopedResourceSelectorRequirement, ...] = ()


class ResourceQuotaSpec(Struct, frozen=True):
    """Limits of a namespace."""

    hard: Mapping[str, str] = msgspec.field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    scope_selector: ScopeSelector | None = None


class ResourceQuotaStatus(Struct, frozen=True):
    """Limits as last computed, and what is charged."""

    hard: Mapping[str, str] = msgspec.field(default_factory=dict)
    used: Mapping[str, str] = msgspec.field(default_factory=dict)


class ResourceQuota(Object, frozen=True):
    """A quota."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "ResourceQuota"
    plural: ClassVar[str] = "resourcequotas"

    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


class LimitRangeItem(Struct, frozen=True):
    """Limits and defaults for one type (Container, Pod, PersistentVolumeClaim)."""

    type: str = ""
    max: Mapping[str, str] = msgspec.field(default_factory=dict)
    min: Mapping[str, str] = msgspec.field(default_factory=dict)
    default: Mapping[str, str] = msgspec.field(default_factory=dict)
    default_request: Mapping[str, str] = msgspec.field(default_factory=dict)
    max_limit_request_ratio: Mapping[str, str] = msgspec.field(default_factory=dict)


class LimitRangeSpec(Struct, frozen=True):
    """The items of a limit range."""

    limits: tuple[LimitRangeItem, ...] = ()


class LimitRange(Object, frozen=True):
    """Defaults and bounds for resources in a namespace."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "LimitRange"
    plural: ClassVar[str] = "limitranges"

    spec: LimitRangeSpec = LimitRangeSpec()


class NamespaceStatus(Struct, frozen=True):
    """Active or Terminating."""

    phase: str = "Active"
    conditions: tuple[Condition, ...] = ()


class NamespaceSpec(Struct, frozen=True):
    """Finalizers of the namespace's content."""

    finalizers: tuple[str, ...] = ("kubernetes",)


class Namespace(Object, frozen=True):
    """A namespace."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Namespace"
    plural: ClassVar[str] = "namespaces"
    namespaced: ClassVar[bool] = False

    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ConfigMap(Object, frozen=True):
    """Pods name it and its keys; what is in it is not simulated."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "ConfigMap"
    plural: ClassVar[str] = "configmaps"

    data: Mapping[str, Any] = msgspec.field(default_factory=dict)
    binary_data: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Secret(Object, frozen=True):
    """Pods name it and its keys; what is in it is not simulated."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Secret"
    plural: ClassVar[str] = "secrets"

    data: Mapping[str, Any] = msgspec.field(default_factory=dict)
    string_data: Mapping[str, Any] = msgspec.field(default_factory=dict)
