"""What a parsed command is: plain frozen data, checked before the run so that mistakes have a file and a line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple


class KubectlSyntaxError(ValueError):
    """The user's mistake in a kubectl command."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem if hint is None else f"{problem} ({hint})")
        self.problem = problem
        self.hint = hint


class Target(NamedTuple):
    """One named object."""

    kind: str
    name: str


class ImageChange(NamedTuple):
    """``container=image`` of `kubectl set image`; container "*" is every container."""

    container: str
    image: str


class KeyChange(NamedTuple):
    """``key=value`` or ``key-`` (value None) of label, annotate and set env."""

    key: str
    value: str | None


class TaintChange(NamedTuple):
    """A taint to add, or (``remove``) to take away; an empty effect removes all effects of the key."""

    key: str
    value: str
    effect: str
    remove: bool


def option(
    default: Any,
    meaning: str,
    *,
    flag: str | None = None,
    short: str = "",
    choices: tuple[str, ...] = (),
    bare: str | None = None,
    duration: bool = False,
) -> Any:
    """Return a dataclass field that is a flag of a command.

    Parameters
    ----------
    flag
        The flag's name when it is not the field's.
    short
        Its one-letter form.
    choices
        Allowed values.
    bare
        The value of the flag without ``=value`` (pflag's NoOptDefVal); such a flag never takes the next word.
    duration
        The value is a duration in Go's notation, kept in ns.
    """
    metadata = {
        "meaning": meaning, "flag": flag, "short": short, "choices": choices, "bare": bare, "duration": duration,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Flags that every command has."""

    namespace: str = option("", "namespace of the objects (default: the scenario's)", short="n")


@dataclass(frozen=True)
class Command:
    """One kubectl command.

    Parameters
    ----------
    text
        As written, without the word kubectl.
    verb
        "delete", "rollout undo", "set image", ...
    options
        The verb's own dataclass of flags.
    targets
        The objects that are named, in order.
    kinds
        The kinds that a selector, ``--all`` or a plain `get` speaks of, when no names are given.
    arguments
        What follows the objects, typed: `ImageChange`, `KeyChange`, `TaintChange`; the document of a patch.
    """

    text: str
    verb: str
    options: Any
    targets: tuple[Target, ...] = ()
    kinds: tuple[str, ...] = ()
    arguments: tuple[Any, ...] = ()
