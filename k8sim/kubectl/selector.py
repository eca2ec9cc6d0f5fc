"""Label selectors in text: ``app=web,tier in (a,b),!old`` (apimachinery/pkg/labels/selector.go)."""

from __future__ import annotations

import re

from k8sim.api.meta import LabelSelector, LabelSelectorRequirement

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_TERM = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<gone>{_KEY})"
    rf"|(?P<set>{_KEY})\s+(?P<in>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<key>{_KEY})\s*(?P<sign>==|=|!=)\s*(?P<value>{_VALUE})"
    rf"|(?P<present>{_KEY}))\s*(?:,|$)"
)


def parse_selector(text: str) -> LabelSelector:
    """Return a selector; an empty text selects everything.

    Raises
    ------
    ValueError
        The text is no selector.
    """
    terms: list[LabelSelectorRequirement] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise ValueError(f"unable to parse the selector {text!r} at {text[position:]!r}")
        terms.append(_requirement(match))
        position = match.end()
    if text.rstrip().endswith(","):
        raise ValueError(f"the selector {text!r} ends with a comma")
    return LabelSelector(match_expressions=tuple(terms))


def _requirement(match: re.Match[str]) -> LabelSelectorRequirement:
    if match["absent"]:
        return LabelSelectorRequirement(key=match["gone"], operator="DoesNotExist")
    if match["in"]:
        values = tuple(value.strip() for value in match["values"].split(","))
        return LabelSelectorRequirement(
            key=match["set"], operator="In" if match["in"] == "in" else "NotIn", values=values
        )
    if match["sign"]:
        operator = "NotIn" if match["sign"] == "!=" else "In"
        return LabelSelectorRequirement(key=match["key"], operator=operator, values=(match["value"],))
    return LabelSelectorRequirement(key=match["present"], operator="Exists")
