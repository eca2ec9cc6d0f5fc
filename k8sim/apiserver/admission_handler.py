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


def is_handled(plugin: Callable[..., Any], cls: type[Object], *, new: bool) -> bool:
    """Tell whether a plug-in handles the creation (``new``), or an update, of an object of a kind."""
    handled: Handled = getattr(plugin, "handled", _EVERYTHING)
    kinds = handled.create if new else handled.update
    return kinds is None or cls in kinds
