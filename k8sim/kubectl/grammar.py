"""The commands that exist: flags, kinds and arguments of each, as one table.

Source: staging/src/k8s.io/kubectl/pkg/cmd/*; flags that have no meaning in a simulation (output formats, servers,
credentials, files) are refused, see `k8sim.kubectl.refusals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from k8sim.kubectl.command import Options, option
from k8sim.sim.units import SECOND


@dataclass(frozen=True, kw_only=True)
class SelectingOptions(Options):
    """Flags of commands that may also find their objects."""

    selector: str = option("", "objects with these labels", short="l")
    all: bool = option(False, "all objects of the kinds in the namespace")


@dataclass(frozen=True, kw_only=True)
class FilteringOptions(SelectingOptions):
    """Flags of commands that may also find them by their fields, and in all namespaces."""

    field_selector: str = option("", "objects with these values of fields")
    all_namespaces: bool = option(False, "of all namespaces", short="A")


def dry_run_option() -> Any:
    """Return the flag of commands that may say what they would do."""
    return option("none", "say what would be done, and do nothing", choices=("none", "client", "server"), bare="")


@dataclass(frozen=True, kw_only=True)
class DeleteOptions(FilteringOptions):
    """kubectl delete."""

    dry_run: str = dry_run_option()
    cascade: str = option(
        "background",
        "what becomes of dependents",
        choices=("background", "foreground", "orphan", "true", "false"),
        bare="background",
    )
    grace_period: int = option(-1, "seconds to end gracefully; -1: the pod's own; 0 needs --force to be immediate")
    force: bool = option(False, "with --grace-period=0: remove the object at once")
    now: bool = option(False, "the same as --grace-period=1")
    wait: bool = option(True, "wait until the objects are gone")
    timeout: int = option(0, "how long to wait; 0: a week", duration=True)
    ignore_not_found: bool = option(False, "an object that does not exist is no error")


@dataclass(frozen=True, kw_only=True)
class ScaleOptions(SelectingOptions):
    """kubectl scale."""

    replicas: int = option(-1, "the new number of replicas (required)")
    current_replicas: int = option(-1, "scale only if there are that many now")
    resource_version: str = option("", "scale only this version")
    timeout: int = option(0, "how long to wait for the replicas; 0: not at all", duration=True)


@dataclass(frozen=True, kw_only=True)
class SetImageOptions(SelectingOptions):
    """kubectl set image."""


@dataclass(frozen=True, kw_only=True)
class SetEnvOptions(SelectingOptions):
    """kubectl set env."""

    containers: str = option("*", "which containers", short="c")
    overwrite: bool = option(True, "change variables that exist")


@dataclass(frozen=True, kw_only=True)
class SetResourcesOptions(SelectingOptions):
    """kubectl set resources."""

    containers: str = option("*", "which containers", short="c")
    requests: str = option("", "cpu=100m,memory=256Mi")
    limits: str = option("", "cpu=200m,memory=512Mi")


@dataclass(frozen=True, kw_only=True)
class PatchOptions(Options):
    """kubectl patch."""

    type: str = option("strategic", "how the patch is merged", choices=("strategic", "merge", "json"))
    patch: str = option("", "the patch, JSON or YAML (required)", short="p")
    subresource: str = option("", "patch this subresource", choices=("status", "scale"))


@dataclass(frozen=True, kw_only=True)
class RolloutOptions(Options):
    """kubectl rollout pause and resume, restart."""

    selector: str = option("", "objects with these labels", short="l")


@dataclass(frozen=True, kw_only=True)
class RolloutUndoOptions(RolloutOptions):
    """kubectl rollout undo."""

    to_revision: int = option(0, "the revision; 0: the one before the last")


@dataclass(frozen=True, kw_only=True)
class RolloutStatusOptions(RolloutOptions):
    """kubectl rollout status."""

    watch: bool = option(True, "wait for the end of the rollout", short="w")
    timeout: int = option(0, "how long to wait; 0: for ever", duration=True)
    revision: int = option(0, "end with an error when the Deployment has another revision; 0: the latest")


@dataclass(frozen=True, kw_only=True)
class RolloutHistoryOptions(RolloutOptions):
    """kubectl rollout history."""

    revision: int = option(0, "details of one revision")


@dataclass(frozen=True, kw_only=True)
class KeysOptions(FilteringOptions):
    """kubectl label and annotate."""

    overwrite: bool = option(False, "change keys that exist")
    resource_version: str = option("", "change only this version")


@dataclass(frozen=True, kw_only=True)
class TaintOptions(SelectingOptions):
    """kubectl taint."""

    overwrite: bool = option(False, "change taints that exist")


@dataclass(frozen=True, kw_only=True)
class CordonOptions(Options):
    """kubectl cordon and uncordon."""

    selector: str = option("", "nodes with these labels", short="l")
    dry_run: str = dry_run_option()


@dataclass(frozen=True, kw_only=True)
class DrainOptions(CordonOptions):
    """kubectl drain."""

    ignore_daemonsets: bool = option(False, "leave pods of DaemonSets alone instead of failing")
    delete_emptydir_data: bool = option(False, "go on although pods use emptyDir")
    force: bool = option(False, "delete pods that no controller makes again")
    disable_eviction: bool = option(False, "delete pods, past the disruption budgets")
    grace_period: int = option(-1, "seconds to end gracefully; -1: the pod's own")
    timeout: int = option(0, "when to give up; 0: never", duration=True)
    pod_selector: str = option("", "only pods with these labels")
    skip_wait_for_delete_timeout: int = option(0, "skip pods whose deletion is due for longer than that many seconds")
    chunk_size: int = option(500, "how many pods a list request returns; 0: all")


@dataclass(frozen=True, kw_only=True)
class GetOptions(Options):
    """kubectl get."""

    selector: str = option("", "objects with these labels", short="l")
    field_selector: str = option("", "objects with these values of fields")
    output: str = option("", "form of the output", short="o", choices=("wide", "yaml", "json", "name"))
    all_namespaces: bool = option(False, "of all namespaces", short="A")
    show_labels: bool = option(False, "a column with the labels")
    no_headers: bool = option(False, "no heading")
    ignore_not_found: bool = option(False, "an object that does not exist is no error")


@dataclass(frozen=True, kw_only=True)
class WaitOptions(FilteringOptions):
    """kubectl wait."""

    condition: str = option(
        "", "create, delete, condition=NAME[=VALUE] or jsonpath={PATH}=VALUE (required)", flag="for"
    )
    timeout: int = option(30 * SECOND, "how long to wait; 0: look once", duration=True)


Arguments = Literal["none", "images", "keys", "variables", "taints", "patch"]

SCALABLE: Final = ("StatefulSet", "Deployment", "ReplicaSet")
ROLLING: Final = ("StatefulSet", "Deployment", "DaemonSet")
WITH_TEMPLATE: Final = ("Pod", "StatefulSet", "Deployment", "ReplicaSet", "DaemonSet", "Job", "CronJob")


@dataclass(frozen=True)
class Verb:
    """How one command is written.

    Parameters
    ----------
    options
        Its dataclass of flags.
    usage
        An example, for hints.
    kinds
        The kinds it acts on; empty: all.
    arguments
        What follows the objects.
    nodes
        The words are names of nodes, without a type in front.
    whole_kinds
        A kind without names means all objects of it (get).
    """

    options: type[Options]
    usage: str
    kinds: tuple[str, ...] = ()
    arguments: Arguments = "none"
    nodes: bool = False
    whole_kinds: bool = False


VERBS: Final[Mapping[str, Verb]] = {
    "annotate": Verb(KeysOptions, "annotate pvc data key=value other-", arguments="keys"),
    "cordon": Verb(CordonOptions, "cordon node-0", ("Node",), nodes=True),
    "delete": Verb(DeleteOptions, "delete pod web-0 --grace-period=0 --force"),
    "drain": Verb(DrainOptions, "drain node-0 --ignore-daemonsets --timeout=5m", ("Node",), nodes=True),
    "get": Verb(GetOptions, "get pods -o wide", whole_kinds=True),
    "label": Verb(KeysOptions, "label node node-0 disk=ssd --overwrite", arguments="keys"),
    "patch": Verb(PatchOptions, """patch sts web -p '{"spec":{"replicas":3}}'""", arguments="patch"),
    "rollout history": Verb(RolloutHistoryOptions, "rollout history statefulset/web", ROLLING),
    "rollout pause": Verb(RolloutOptions, "rollout pause deployment/web", ROLLING),
    "rollout restart": Verb(RolloutOptions, "rollout restart statefulset/web", ROLLING),
    "rollout resume": Verb(RolloutOptions, "rollout resume deployment/web", ROLLING),
    "rollout status": Verb(RolloutStatusOptions, "rollout status statefulset/web --timeout=5m", ROLLING),
    "rollout undo": Verb(RolloutUndoOptions, "rollout undo statefulset/web", ROLLING),
    "scale": Verb(ScaleOptions, "scale statefulset/web --replicas=5", SCALABLE),
    "set env": Verb(SetEnvOptions, "set env statefulset/web KEY=value", WITH_TEMPLATE, "variables"),
    "set image": Verb(SetImageOptions, "set image statefulset/web app=app:v2", WITH_TEMPLATE, "images"),
    "set resources": Verb(
        SetResourcesOptions, "set resources statefulset/web -c app --limits=cpu=1,memory=2Gi", WITH_TEMPLATE
    ),
    "taint": Verb(TaintOptions, "taint nodes node-0 key=value:NoExecute", ("Node",), "taints"),
    "uncordon": Verb(CordonOptions, "uncordon node-0", ("Node",), nodes=True),
    "wait": Verb(WaitOptions, "wait pod/web-0 --for=condition=Ready --timeout=60s"),
}

INSTEAD: Final[Mapping[str, str]] = {
    "apply": "use an `apply:` step, which holds the objects themselves",
    "create": "use an `apply:` step, which holds the objects themselves",
    "replace": "use an `apply:` step, which holds the objects themselves",
    "run": "use an `apply:` step with a Pod",
    "edit": "use `kubectl: patch ...` or an `apply:` step",
    "expose": "use an `apply:` step with a Service",
    "autoscale": "the HorizontalPodAutoscaler is not simulated; use `kubectl: scale ...` steps",
    "exec": "use the faults container-exit, hang or unready for what happens inside a container",
    "logs": "containers write no logs here; see the trace",
    "describe": "see `k8sim get` and the trace",
}
"""Commands that people will try, and what to do instead."""

CATEGORY_ALL: Final = (
    "Pod", "Service", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob",
)  # fmt: skip
"""What the resource word "all" stands for."""
