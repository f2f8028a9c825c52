"""What came out of each round?

metrics by round -> the closing table on a console, and the same in Markdown. It computes no metric; what was not
measured shows as a dash.

A row is `{"name", "greedy", "system2", "coverage", "pair_accuracy", "seconds"}`; all but the name may be None. `greedy`
and `system2` are `{"value", "low", "high", "count"}`: a share of held-out problems with its 95% interval. `coverage` is
the share of training problems that search solved: `{"all": x, LEVEL: x, …}`. Shares are in [0, 1]. Held-out problems by
level have a table of their own, `levels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from rstar_math.report.console import open_console
from rstar_math.report.levels import in_order, label, levels_markdown
from rstar_math.report.quantities import NOTHING, duration, percent

Row = Mapping[str, Any]


def show_table(rows: Sequence[Row], console: Console | None = None) -> None:
    """Prints a line a round: in full, else with narrow gaps, else without levels, so that no value is cut off."""
    out = console or open_console()
    levels = _levels(rows)
    shapes = [_table(rows, shown, gap) for shown, gap in ((levels, 1), (levels, 0), ([], 1))]
    unbounded = out.options.update(max_width=1000)  # what is measured may be wider than the console
    widths = [out.measure(shape, options=unbounded).maximum for shape in shapes]
    table = next((shape for shape, width in zip(shapes, widths, strict=True) if width <= out.width), shapes[-1])
    out.print()
    out.print(table)
    out.print(_legend(rows, "± is half the width of the 95% interval") + "\n", style="dim", soft_wrap=True)


def markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown: every level there is, and both ends of each interval."""
    levels = _levels(rows)
    headings = [heading.replace("\n", " ").strip() for heading in _headings(levels)]
    lines = [headings, ("---", *("---:" for _ in headings[1:])), *(_cells(row, levels, exact=True) for row in rows)]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
    return f"{table}\n\n{_legend(rows, 'in brackets the 95% interval')}\n"


def write_report(run_dir: Path, name: str, rows: Sequence[Row], closing: Sequence[str]) -> Path:
    """Writes `report.md` into the run directory: the tables, their legends, the closing lines. Returns its path."""
    path = run_dir / "report.md"
    listed = "\n".join(f"- {line}" for line in closing)
    tables = "\n".join(filter(None, (markdown(rows), levels_markdown(rows))))
    path.write_text(f"# {name}\n\n{tables}\n{listed}\n", encoding="utf-8")
    return path


def closing(run_dir: Path, resume: str, own: str) -> tuple[str, str, str]:
    """The three lines a run ends with. `resume`, `own`: command lines: this run again, one's own model and problems."""
    return (
        f"Everything is in {run_dir}: trees, training data, models and scores of every round; the tables are report.md.",
        f"Resume, or add rounds, with: {resume}",
        f"Run it on your own model and problems with: {own}",
    )


def _table(rows: Sequence[Row], levels: Sequence[str], gap: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for heading in _headings(levels):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, levels, exact=False))
    return table


def _headings(levels: Sequence[str]) -> tuple[str, ...]:
    named = (f"\n{label(level)}" for level in levels)
    return ("", "greedy\npass@1", "\nSystem 2", "\nsolved", *named, "PPM\npairs", "\ntime")


def _cells(row: Row, levels: Sequence[str], *, exact: bool) -> list[str]:
    coverage = row.get("coverage") or {}
    pairs, seconds = row.get("pair_accuracy"), row.get("seconds")
    return [
        str(row["name"]),
        _score(row.get("greedy"), exact),
        _score(row.get("system2"), exact),
        percent(coverage.get("all")),
        *(percent(coverage.get(level), 0) for level in levels),
        percent(pairs),
        NOTHING if seconds is None else duration(seconds),
    ]


def _score(score: Mapping[str, float] | None, exact: bool) -> str:
    if score is None:
        return NOTHING
    value, low, high = (score[key] for key in ("value", "low", "high"))
    if exact:
        return f"{percent(value)} ({percent(low)}–{percent(high)})"
    return f"{percent(value)}±{percent((high - low) / 2)}"


def _levels(rows: Sequence[Row]) -> list[str]:
    """All levels that any row knows."""
    return in_order(level for row in rows for level in row.get("coverage") or {} if level != "all")


def _legend(rows: Sequence[Row], interval: str) -> str:
    counts = sorted({score["count"] for row in rows for key in ("greedy", "system2") if (score := row.get(key))})
    many = " to ".join(str(count) for count in (counts[:1] + counts[1:][-1:])) or "the"
    return (
        f"In percent of {many} held-out problems; {interval}.\n"
        "solved: of the training problems, by search, in all and by level.\n"
        "PPM pairs: of validation pairs, those that the PPM ranks right."
    )
