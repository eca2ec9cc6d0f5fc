"""ConfigMaps and Secrets that a pod names: whether they are there decides whether its containers can be made.

Their contents are not simulated, only which keys they have. `lookup` is asked for an object by kind and name.

Source: pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), pkg/volume/{configmap,secret,projected}; node.md 6.2,
9.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from k8sim.api.core import ConfigMap, Container, Secret, Volume

Lookup = Callable[[str, str], ConfigMap | Secret | None]

CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"
CONFIG_KINDS: Final[Mapping[str, type[ConfigMap | Secret]]] = {CONFIG_MAP: ConfigMap, SECRET: Secret}
EVERYWHERE: Final = frozenset({(CONFIG_MAP, "kube-root-ca.crt")})
"""What a controller puts into every namespace (pkg/controller/certificates/rootcacertpublisher)."""


def missing_for_container(container: Container, lookup: Lookup) -> str | None:
    """Return what a container's environment lacks, or None: a container that lacks something is not made."""
    for source in container.env_from:
        for field, kind in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
            problem = _missing(kind, source.get(field), "name", lookup)
            if problem is not None:
                return problem
    for variable in container.env:
        source = variable.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", CONFIG_MAP), ("secretKeyRef", SECRET)):
            problem = _missing(kind, source.get(field), "name", lookup)
            if problem is not None:
                return problem
    return None


def missing_for_volume(volume: Volume, lookup: Lookup) -> str | None:
    """Return what a volume lacks, or None: a volume that lacks something is not mounted."""
    for kind, reference, field in _sources(volume):
        problem = _missing(kind, reference, field, lookup)
        if problem is not None:
            return problem
    return None


def _sources(volume: Volume) -> Iterator[tuple[str, Mapping[str, Any] | None, str]]:
    yield CONFIG_MAP, volume.config_map, "name"
    yield SECRET, volume.secret, "secretName"
    for source in (volume.projected or {}).get("sources") or ():
        yield CONFIG_MAP, source.get("configMap"), "name"
        yield SECRET, source.get("secret"), "name"


def _missing(kind: str, reference: Mapping[str, Any] | None, field: str, lookup: Lookup) -> str | None:
    if reference is None or reference.get("optional"):
        return None
    name = str(reference.get(field) or "")
    if (kind, name) in EVERYWHERE:
        return None
    found = lookup(kind, name)
    if found is None:
        return f'{kind.lower()} "{name}" not found'
    keys = [reference["key"]] if "key" in reference else [item.get("key") for item in reference.get("items") or ()]
    for key in keys:
        if key not in _keys(found):
            return f"couldn't find key {key} in {kind} {found.namespace}/{name}"
    return None


def _keys(obj: ConfigMap | Secret) -> set[str]:
    more = obj.binary_data if isinstance(obj, ConfigMap) else obj.string_data
    return {*obj.data, *more}
