"""How good is it at each level of the held-out problems?

The rows of the closing table -> a second one, a line a way of answering, a column a level. It computes no metric. A row's
`levels` is `{"greedy": {LEVEL: score, …}, "system2": …}` with scores as in `table`; where none was measured there is no line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from rstar_math.report.console import open_console
from rstar_math.report.quantities import NOTHING, percent

_WAYS = {"greedy": "greedy", "system2": "System 2"}
_LEGEND = "Held-out problems by level (how many): percent answered right, ± half the 95% interval."


def in_order(levels: Iterable[str]) -> list[str]:
    """Each level once, numbers in their order before names."""
    return sorted(set(levels), key=lambda level: (0, int(level), "") if level.isdecimal() else (1, 0, level))


def label(level: str) -> str:
    """How a level stands in a heading: L1 for a number."""
    return f"L{level}" if level.isdecimal() else level or "other"


def show_levels(rows: Sequence[Mapping[str, Any]], console: Console | None = None) -> None:
    """Prints the table of the base, the last round and the control, if it fits and there are levels."""
    out = console or open_console()
    rounds = [row["name"] for row in rows if row["name"].startswith("round ")]
    lines = _lines([row for row in rows if row["name"] not in rounds[:-1]])
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, heading in enumerate(lines[0]):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*line)
    if len(lines) > 1 and out.measure(table, options=out.options.update(max_width=1000)).maximum <= out.width:
        out.print(table)
        out.print(_LEGEND + "\n", style="dim", soft_wrap=True)


def levels_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of all rounds in Markdown; nothing where there are no levels."""
    heading, *lines = _lines(rows)
    if not lines:
        return ""
    rule = ("---", *("---:" for _ in heading[1:]))
    listed = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in (heading, rule, *lines))
    return f"{listed}\n\n{_LEGEND}\n"


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The headings, then a line for each row and way of answering that was measured by level."""
    measured = [
        (f"{row['name']}, {words}", by_level)
        for row in rows
        for way, words in _WAYS.items()
        if (by_level := (row.get("levels") or {}).get(way))
    ]
    counts = {level: score["count"] for _, by_level in measured for level, score in by_level.items()}
    levels = in_order(counts)
    lines = [["", *(f"{label(level)} ({counts[level]:g})" for level in levels)]]
    return lines + [[name, *(_cell(by_level.get(level)) for level in levels)] for name, by_level in measured]


def _cell(score: Mapping[str, float] | None) -> str:
    if score is None:
        return NOTHING
    return f"{percent(score['value'], 0)}±{percent((score['high'] - score['low']) / 2, 0)}"
