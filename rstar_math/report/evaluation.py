"""What did each way of answering get, and at what cost?

rows of an evaluation -> one table, on a console and in Markdown. It computes no metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from rstar_math.report.console import open_console
from rstar_math.report.quantities import percent

Row = Mapping[str, Any]
_HEADINGS = ("benchmark", "strategy", "of", "accuracy", "oracle", "undec.", "tokens", "PPM", "code", "s")
_LEGEND = (
    "In percent of so many problems, ± half the 95% interval. oracle: some solution was right, chosen or not.\n"
    "undec.: answers that nobody could grade. The rest is what one problem cost: tokens generated, steps scored by\n"
    "the PPM, programs run, and seconds, which ran beside those of other problems."
)


def show_evaluation(rows: Sequence[Row], console: Console | None = None) -> None:
    """Prints a line a strategy."""
    out = console or open_console()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    out.print()
    out.print(table)
    out.print(_LEGEND + "\n", style="dim", soft_wrap=True)


def write_evaluation(path: Path, rows: Sequence[Row]) -> None:
    """Writes the same table in Markdown."""
    lines = [_HEADINGS, ("---", "---", *("---:" for _ in _HEADINGS[2:])), *map(_cells, rows)]
    path.write_text("\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{_LEGEND}\n", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    costs = (f"{row[name]:.0f}" for name in ("tokens_a_problem", "ppm_calls_a_problem", "executions_a_problem"))
    return (
        row["benchmark"],
        row["strategy"],
        str(row["problems"]),
        f"{percent(row['value'])} ± {percent((row['high'] - row['low']) / 2)}",
        percent(row["oracle"]),
        f"{row['undecided']:g}",
        *costs,
        f"{row['seconds_a_problem']:.1f}",
    )
