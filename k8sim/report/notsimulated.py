"""What a scenario says without effect, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from k8sim.scenario.model import NotSimulated


def not_simulated_table(items: Iterable[NotSimulated]) -> Table:
    """Return a table of what was accepted without effect, grouped as it stands in the files."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    table.add_column("not simulated, or assumed", overflow="fold")
    table.add_column("why", overflow="fold")
    table.add_column("where", overflow="fold", style="dim")
    for item in items:
        table.add_row(Text(item.what), Text(item.why), Text(str(item.source)))
    return table
