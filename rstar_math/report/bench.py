"""What did the benchmark find?

A report -> tables: every measurement, then the ratios that matter. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from rstar_math.report.console import open_console


def show_table(title: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """One table; numbers with the digits that mean something."""
    table = Table(*title, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(_cell, row))
    open_console().print(table)


def show_machine(machine: Mapping[str, str]) -> None:
    """One line a part."""
    show_table(("measured on", ""), list(machine.items()))


def show_ratios(ratios: Mapping[str, float]) -> None:
    """One line a ratio."""
    show_table(("", "ratio"), list(ratios.items()))


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
