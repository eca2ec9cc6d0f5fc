"""What becomes of requests, given what their client sees and what meets a connection at each address: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from k8sim.network.hosts import Reception
from k8sim.workload.amounts import share_out

OUTCOMES: Final = ("served", "refused", "no-endpoint", "stale-address", "unanswered", "cut")
"""Every request ends in one of them (or is in flight): answered in full; the pod was there and nothing listened; the
service had no endpoint or the name did not resolve; nobody was at the address that the client used; the process hung;
its process was gone before the answer."""

_FAILURE: Final[dict[Reception, str]] = {"refuses": "refused", "hangs": "unanswered", "nobody": "stale-address"}


@dataclass(frozen=True)
class Split:
    """Shares of the requests, which add up to 1: those that addresses take in, and those that fail, by outcome."""

    taken: dict[str, Fraction] = field(default_factory=dict)
    failed: dict[str, Fraction] = field(default_factory=dict)

    @property
    def success(self) -> Fraction:
        """The share that is taken in."""
        return sum(self.taken.values(), Fraction(0))


def split(legs: Sequence[tuple[str, ...]], reception: Callable[[str], Reception], retries: int = 0) -> Split:
    """Return what becomes of requests.

    Parameters
    ----------
    legs
        What each of some equally busy clients sees: addresses, one of which it takes at random for every attempt.
    retries
        How often a failed attempt is repeated, each time with a new choice. The last attempt gives the outcome.
    """
    taken: dict[str, Fraction] = {}
    failed: dict[str, Fraction] = {}

    def add(where: dict[str, Fraction], key: str, share: Fraction) -> None:
        if share:
            where[key] = where.get(key, Fraction(0)) + share

    for addresses in legs:
        weight = Fraction(1, len(legs))
        if not addresses:
            add(failed, "no-endpoint", weight)
            continue
        met = [(a, reception(a)) for a in addresses]
        bad = sum(r != "answers" for _, r in met)
        good = len(met) - bad
        fails = Fraction(bad, len(met)) ** (retries + 1)
        for address, r in met:
            if r == "answers":
                add(taken, address, weight * (1 - fails) / good)
            else:
                add(failed, _FAILURE[r], weight * fails / bad)
    return Split(taken, failed)


def rates(rate: int, s: Split) -> tuple[dict[str, int], dict[str, int]]:
    """Return a split's rates: by address and by failure; they add up to the rate."""
    keys = [*s.taken, *s.failed]
    parts = share_out(rate, [*s.taken.values(), *s.failed.values()])
    by_key = dict(zip(keys, parts, strict=True))
    return {k: by_key[k] for k in s.taken}, dict(zip(s.failed, parts[len(s.taken) :], strict=True))
