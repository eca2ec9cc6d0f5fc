"""What an admission plug-in looks at, so that the API server asks it about nothing else.

Source: staging/src/k8s.io/apiserver/pkg/admission/handler.go (NewHandler, Handles).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from k8sim.api.meta import Object

P = TypeVar("P", bound=Callable[..., Any])
Kinds = Collection[type[Object]] | None
"""Kinds of objects; None: all."""


@dataclass(frozen=True)
class Handled:
    """The kinds of objects about whose creation, and about whose update, a plug-in is asked."""

    create: Kinds = None
    update: Kinds = None


_EVERYTHING: Final = Handled()


def handles(*, create: Kinds = None, update: Kinds = None) -> Callable[[P], P]:
    """Say which requests a plug-in handles; one that says nothing is asked about all."""

    def declare(plugin: P) -> P:
        setattr(plugin, "handled", Handled(create, update))  # noqa: B010  mypy knows no such attribute of a function
        return plugin

    return declare


def handled_by(plugin: Callable[..., Any]) -> Handled:
    """Return what a plug-in handles."""
    handled: Handled = getattr(plugin, "handled", _EVERYTHING)
    return handled
