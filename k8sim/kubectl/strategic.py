"""Strategic merge: lists of the built-in kinds are merged by key where their Go types say so.

Two uses: `strategic_merge` applies a patch (kubectl patch, set, ...), `three_way_merge` is what kubectl apply does with
the configuration that it applied last, the new one, and the live object. Both return a new mapping.

Source: apimachinery/pkg/util/strategicpatch/patch.go; the patchMergeKey tags in k8s.io/api/{core,apps,policy}.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from k8sim.kubectl.patch import Json, PatchError

MERGE_KEYS: Mapping[str, str] = {
    "containers": "name", "initContainers": "name", "ephemeralContainers": "name", "volumes": "name",
    "imagePullSecrets": "name", "resourceClaims": "name", "schedulingGates": "name", "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey", "env": "name", "volumeMounts": "mountPath",
    "volumeDevices": "devicePath", "ports": "containerPort", "ownerReferences": "uid", "conditions": "type",
    "podIPs": "ip", "hostIPs": "ip", "addresses": "type",
}  # fmt: skip
"""Lists that merge, and the key of their items. All other lists are atomic: tolerations, taints, args, ..."""
PRIMITIVE_SETS = ("finalizers", "podCIDRs")
"""Lists of plain values that merge."""
RETAIN_KEYS = {"Deployment": ("strategy",)}
"""Mappings of which apply keeps only the keys that it sends (patchStrategy retainKeys)."""
KIND_MERGE_KEYS: Mapping[tuple[str, str], str] = {
    ("Service", "ports"): "port", ("ServiceAccount", "secrets"): "name", ("CSINode", "drivers"): "name",
}  # fmt: skip
_ATOMIC_IN: Mapping[str, tuple[str, ...]] = {"EndpointSlice": ("ports", "addresses", "conditions")}


def merge_key(kind: str, field: str) -> str | None:
    """Return the key by which a list of a kind merges, or None for an atomic list."""
    if field in _ATOMIC_IN.get(kind, ()):
        return None
    return KIND_MERGE_KEYS.get((kind, field)) or MERGE_KEYS.get(field)


# ---- patch ------------------------------------------------------------------------------------------------------


def strategic_merge(original: Mapping[str, Any], patch: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the object with a strategic merge patch applied.

    Raises
    ------
    PatchError
        An item of a merged list lacks the key, or a directive is not known.
    """
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"Unknown patch type: {directive} in map")
    result = dict(original)
    if "$retainKeys" in patch:
        result = {k: v for k, v in result.items() if k in patch["$retainKeys"]}
    for key, values in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [v for v in result.get(field, []) if v not in values]
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            old = result.get(key)
            result[key] = strategic_merge(old if isinstance(old, Mapping) else {}, value, kind)
        elif isinstance(value, list) and isinstance(result.get(key), list):
            order = patch.get(f"$setElementOrder/{key}")
            result[key] = _merge_list(result[key], value, kind, key, order)
        else:
            result[key] = _without_directives(value, kind)
    return result


def _without_directives(value: Json, kind: str) -> Json:
    """Return a value that is new in the object: directives and nulls inside it mean nothing."""
    if isinstance(value, Mapping):
        return strategic_merge({}, value, kind)
    if isinstance(value, list):
        kept = (v for v in value if not (isinstance(v, Mapping) and v.get("$patch") in ("delete", "replace")))
        return [_without_directives(v, kind) for v in kept]
    return value


def _merge_list(original: list[Any], patch: list[Any], kind: str, field: str, order: list[Any] | None) -> list[Any]:
    key = merge_key(kind, field)
    if key is None:
        if field not in PRIMITIVE_SETS:
            return copy.deepcopy(patch)
        return [*original, *(v for v in patch if v not in original)]
    plain: list[Mapping[str, Any]] = []
    doomed = []
    for item in patch:
        if not isinstance(item, Mapping):
            raise PatchError(f"expected a list of mappings in {field}")
        directive = item.get("$patch")
        if directive == "replace":
            return [_without_directives(v, kind) for v in patch if v.get("$patch") != "replace"]
        if key not in item:
            raise PatchError(f"map: {dict(item)} does not contain declared merge key: {key}")
        if directive == "delete":
            doomed.append(item[key])
        else:
            plain.append(item)
    merged = {item[key]: item for item in original if item.get(key) not in doomed}
    for item in plain:
        merged[item[key]] = strategic_merge(merged.get(item[key], {}), item, kind)
    sent = [item[key] for item in plain] if order is None else [o[key] for o in order]
    return _ordered(list(merged.values()), sent, [item.get(key) for item in original], key)


def _ordered(items: Sequence[Any], sent: Sequence[Any], original: Sequence[Any], key: str) -> list[Any]:
    """Put the items in the order of the patch, among those of which only the server knows.

    An item of the server stays in front of an item of the patch only where both were there in that order; so a
    container that a patch adds comes first (strategicpatch normalizeElementOrder).
    """
    position = {value: i for i, value in enumerate(original)}
    rank = {value: i for i, value in enumerate(sent)}
    mine = sorted((i for i in items if i[key] in rank), key=lambda i: rank[i[key]])
    servers = sorted((i for i in items if i[key] not in rank), key=lambda i: position.get(i[key], len(position)))
    result = []
    while mine or servers:
        if servers and mine:
            ours, theirs = position.get(mine[0][key]), position.get(servers[0][key])
            server_first = ours is not None and theirs is not None and theirs < ours
        else:
            server_first = not mine
        result.append(servers.pop(0) if server_first else mine.pop(0))
    return result


# ---- apply ------------------------------------------------------------------------------------------------------


def three_way_merge(
    last: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any], kind: str
) -> dict[str, Any]:
    """Return the live object with what is wanted, without what was applied last and is wanted no more.

    Fields that others have set stay. ``last`` is empty when the object was not made by apply.
    """
    result = {k: v for k, v in live.items() if k in wanted or k not in last}
    for key, value in wanted.items():
        if value is None:
            result.pop(key, None)
            continue
        result[key] = _three_way_value(last.get(key), value, live.get(key), kind, key)
    return result


def _three_way_value(last: Json, wanted: Json, live: Json, kind: str, field: str) -> Json:
    if isinstance(wanted, Mapping):
        merged = three_way_merge(
            last if isinstance(last, Mapping) else {}, wanted, live if isinstance(live, Mapping) else {}, kind
        )
        if field in RETAIN_KEYS.get(kind, ()):
            merged = {k: v for k, v in merged.items() if k in wanted}
        return merged
    if isinstance(wanted, list) and isinstance(live, list):
        was = last if isinstance(last, list) else []
        if field in PRIMITIVE_SETS:
            gone = [v for v in was if v not in wanted]
            return [v for v in live if v not in gone] + [v for v in wanted if v not in live]
        key = merge_key(kind, field)
        if key is not None:
            return _three_way_list(was, wanted, live, kind, field, key)
    return copy.deepcopy(wanted)


def _three_way_list(last: list[Any], wanted: list[Any], live: list[Any], kind: str, field: str, key: str) -> list[Any]:
    keyed = _keyed(key)
    lasts, wants, lives = keyed(last), keyed(wanted), keyed(live)
    items = {k: v for k, v in lives.items() if k in wants or k not in lasts}
    for k, v in wants.items():
        merged = three_way_merge(lasts.get(k, {}), v, lives.get(k, {}), kind)
        # A volume is of one type: what the new configuration does not name is dropped (retainKeys).
        items[k] = {name: merged[name] for name in merged if name in v} if field == "volumes" else merged
    return _ordered(list(items.values()), list(wants), list(lives), key)


def _keyed(key: str) -> Callable[[Iterable[Any]], dict[Any, Any]]:
    def read(items: Iterable[Any]) -> dict[Any, Any]:
        result = {}
        for item in items:
            if not isinstance(item, Mapping) or key not in item:
                raise PatchError(f"map: {item} does not contain declared merge key: {key}")
            result[item[key]] = item
        return result

    return read
