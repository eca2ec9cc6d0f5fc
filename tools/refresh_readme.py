#!/usr/bin/env python3
"""Run the README's commands and put their output into it; write its tables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from k8sim.api.scheme import KINDS
from k8sim.api.simulated import is_simulated
from k8sim.faults.catalogue import FAULTS
from k8sim.runner.names import CAMPAIGNS, NAMES
from k8sim.scenario import load

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BATCHES = ROOT / "docs" / "batches.md"
ENVIRONMENT = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}


def refreshed(block: re.Match[str]) -> str:
    """Return a console block with today's output."""
    lines = list[str]()
    for command in re.findall(r"^\$ (.*)$", block[0], re.MULTILINE):
        real = re.sub(r"\bk8sim(?= )", f"{sys.executable} -m k8sim", command, count=1)
        shell = ["bash", "-c", real]
        done = subprocess.run(shell, check=False, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{command}\n{done.stderr}")
        output = [line.rstrip() for line in done.stdout.rstrip().splitlines()]
        lines += [*([""] if lines else []), f"$ {command}", *output]
    return "```console\n" + "\n".join(lines) + "\n```"


def faults() -> str:
    """Return the table of faults."""
    lines = ["| fault | arguments | meaning |", "| --- | --- | --- |"]
    for name, shape in FAULTS.items():
        arguments = ", ".join(f"`{key}`" if a.required else f"[`{key}`]" for key, a in shape.arguments.items())
        meaning = shape.meaning.rstrip(".")
        lines.append(f"| `{name}` | {arguments} | {meaning[0].lower()}{meaning[1:]} |")
    return "\n".join(lines)


def scenarios() -> str:
    """Return the table of the scenarios that ship: the first sentence of what each is expected to show."""
    lines = ["| scenario | expected |", "| --- | --- |"]
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        text = " ".join(load(path).description.split()).rpartition("Expected: ")[2]
        sentence = re.split(r"(?<=[.?;])\s", text, maxsplit=1)[0].rstrip(".;").replace("|", "\\|")
        lines.append(f"| [`{path.stem}`](scenarios/{path.name}) | {sentence} |")
    return "\n".join(lines)


def kinds() -> str:
    """Return the sentence with the kinds that act."""
    names = [k.kind for k in KINDS if is_simulated(k.kind, k.api_version)]
    return textwrap.fill(f"Kinds that act: {', '.join(names)}.", 120)


def names() -> str:
    """Return the table of the names of metrics."""
    lines = ["| of | metric | unit | meaning |", "| --- | --- | --- | --- |"]
    for figure in NAMES:
        only = " (lock-step engine only)" if figure in CAMPAIGNS else ""
        lines.append(f"| {figure.of} | `{figure.name}` | {figure.unit} | {figure.meaning}{only} |")
    return "\n".join(lines)


def main() -> None:
    """Rewrite the README, and the table of names of metrics."""
    text = README.read_text("utf-8")
    text = re.sub(r"^```console\n.*?^```$", refreshed, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^\| fault \|.*?(?=\n\n)", lambda _: faults(), text, count=1, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^\| scenario \|.*?(?=\n\n)", lambda _: scenarios(), text, count=1, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^Kinds that act:.*?(?=\n\n)", lambda _: kinds(), text, count=1, flags=re.MULTILINE | re.DOTALL)
    README.write_text(text, "utf-8")
    batches = BATCHES.read_text("utf-8")
    between = re.compile(r"(?<=<!-- names: begin \(tools/refresh_readme.py\) -->\n).*?(?=<!-- names: end)", re.DOTALL)
    BATCHES.write_text(between.sub(lambda _: names() + "\n", batches), "utf-8")


if __name__ == "__main__":
    main()
