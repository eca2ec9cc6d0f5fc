"""Flags that kubectl v1.36 has and this one has not, each with why, or what to write instead.

Source: ``kubectl <command> --help`` and ``kubectl options``; staging/src/k8s.io/kubectl/pkg/cmd/*,
k8s.io/cli-runtime/pkg/genericclioptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ONE_CLUSTER: Final = "there is one cluster here, and one user"
_PRINTED: Final = "how kubectl prints changes nothing in the cluster"
_NAMED: Final = "name the objects, or use an `apply:` step, which holds them"
_NOTHING_SENT: Final = "it would change nothing: leave the step out"
_MANAGERS: Final = "who owns which field is not simulated"
_TYPED: Final = "nobody is there to type"
_TIMELINE: Final = "`k8sim get` and the trace show what changes"


def _all(hint: str, *flags: str) -> dict[str, str]:
    return dict.fromkeys(flags, hint)


_GLOBAL: Final = {
    **_all(
        _ONE_CLUSTER, "--as", "--as-group", "--as-uid", "--as-user-extra", "--certificate-authority",
        "--client-certificate", "--client-key", "--cluster", "--context", "--insecure-skip-tls-verify", "--kubeconfig",
        "--kuberc", "--match-server-version", "--password", "--server", "-s", "--tls-server-name", "--token", "--user",
        "--username",
    ),
    **_all("requests are simulated, not sent", "--cache-dir", "--disable-compression", "--request-timeout"),
    **_all(
        _PRINTED, "--log-flush-frequency", "--profile", "--profile-output", "--v", "-v", "--vmodule", "--help", "-h",
    ),
    **_all("warnings are printed, and end nothing", "--warnings-as-errors"),
}  # fmt: skip
_TEMPLATES: Final = _all(_PRINTED, "--template", "--allow-missing-template-keys", "--show-managed-fields")
_PRINTING: Final = {**_TEMPLATES, **_all(_PRINTED, "--output", "-o")}
_FILES: Final = _all(_NAMED, "--filename", "-f", "--kustomize", "-k", "--recursive", "-R")
_DRY_RUN: Final = _all(_NOTHING_SENT, "--dry-run")
_LOCAL: Final = _all(_NOTHING_SENT, "--local")
_LIST: Final = _all(_NOTHING_SENT, "--list")
_MANAGER: Final = _all(_MANAGERS, "--field-manager")
_RAW: Final = _all("write what the request is for as a command", "--raw")
_WRITING: Final = {**_PRINTING, **_FILES, **_DRY_RUN}
_KEYS: Final = {**_WRITING, **_MANAGER, **_LOCAL, **_LIST}
_SETTING: Final = {**_WRITING, **_MANAGER, **_LOCAL}
_FROM_ELSEWHERE: Final = "write the variables themselves: KEY=VALUE"

_OF_VERB: Final[Mapping[str, Mapping[str, str]]] = {
    "annotate": _KEYS,
    "delete": {**_PRINTING, **_FILES, **_RAW, **_all(_TYPED, "--interactive", "-i")},
    "get": {
        **_TEMPLATES, **_FILES, **_RAW,
        **_all(_TIMELINE, "--watch", "-w", "--watch-only", "--output-watch-events"),
        **_all(_PRINTED, "--label-columns", "-L", "--server-print", "--show-kind", "--sort-by", "--subresource"),
        **_all("a list comes in one piece here", "--chunk-size"),
    },
    "label": _KEYS,
    "patch": {**_SETTING, **_all("write the patch itself: -p", "--patch-file")},
    "rollout history": {**_PRINTING, **_FILES},
    "rollout pause": {**_PRINTING, **_FILES, **_MANAGER},
    "rollout restart": {**_PRINTING, **_FILES, **_MANAGER},
    "rollout resume": {**_PRINTING, **_FILES, **_MANAGER},
    "rollout status": _FILES,
    "rollout undo": _WRITING,
    "scale": _WRITING,
    "set env": {
        **_SETTING, **_LIST, **_all(_FROM_ELSEWHERE, "--env", "-e", "--from", "--keys", "--prefix", "--resolve"),
    },
    "set image": _SETTING,
    "set resources": _SETTING,
    "taint": {**_PRINTING, **_DRY_RUN, **_MANAGER, **_all("every command is validated", "--validate")},
    "wait": {**_PRINTING, **_FILES, **_LOCAL},
}  # fmt: skip


def why_refused(verb: str, flag: str) -> str:
    """Return why a flag that kubectl has is none here, "" if kubectl has none of that name either."""
    return _OF_VERB.get(verb, {}).get(flag) or _GLOBAL.get(flag, "")
