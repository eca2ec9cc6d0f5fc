"""Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008), and what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BLACK: Final = "#1b1b1b"
GREY: Final = "#8c8c8c"
PALE: Final = "#d4d4d4"
ORANGE: Final = "#e69f00"
SKY: Final = "#56b4e9"
GREEN: Final = "#009e73"
YELLOW: Final = "#f0e442"
BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
PURPLE: Final = "#cc79a7"

STATES: Final[Mapping[str, str]] = {
    "pending": PALE, "starting": SKY, "ready": GREEN, "lost": BLACK, "unready": VERMILION, "terminating": PURPLE,
    "attaching": SKY, "attached": BLUE, "detaching": PURPLE,
    "away": VERMILION, "cordoned": YELLOW,
    "available": GREEN, "unavailable": VERMILION,
}  # fmt: skip
FAMILIES: Final[Mapping[str, str]] = {
    "notice": ORANGE, "stop": PURPLE, "place": GREY, "storage": BLUE, "start": SKY, "probe": GREEN, "crash": VERMILION,
}  # fmt: skip
SERIES: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""For lines and groups, in this order."""
HATCHES: Final[Mapping[str, str]] = {"unready": "///", "terminating": "...", "away": "///", "unavailable": "///"}
"""A second mark beside the colour, for print and for those who see none."""
