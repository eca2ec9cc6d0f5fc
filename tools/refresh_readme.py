#!/usr/bin/env python3
"""Run the README's commands and put their output into it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ENVIRONMENT = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}


def refreshed(block: re.Match[str]) -> str:
    """Return a console block with today's output."""
    lines = []
    for command in re.findall(r"^\$ (.*)$", block[0], re.MULTILINE):
        real = re.sub(r"\bk8sim(?= )", f"{sys.executable} -m k8sim", command, count=1)
        shell = ["bash", "-c", real]
        done = subprocess.run(shell, check=False, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
        output = [line.rstrip() for line in done.stdout.rstrip().splitlines()]
        lines += [*([""] if lines else []), f"$ {command}", *output]
    return "```console\n" + "\n".join(lines) + "\n```"


def main() -> None:
    """Rewrite the README."""
    text = README.read_text("utf-8")
    README.write_text(re.sub(r"^```console\n.*?^```$", refreshed, text, flags=re.MULTILINE | re.DOTALL), "utf-8")


if __name__ == "__main__":
    main()
