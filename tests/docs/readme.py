"""What the README tells people to type."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it starts in."""

    language: str
    text: str
    line: int


def blocks(path: Path = README) -> list[Block]:
    """Return all fenced blocks."""
    text = path.read_text("utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(text)]


def commands(block: Block) -> list[str]:
    """Return the commands of a console block: what follows ``$``."""
    return [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
