"""Which benchmark runs, and how is it shown?"""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import click

from rstar_math.bench import grading
from rstar_math.bench.sandbox import measure
from rstar_math.report.bench import show_ratios, show_table


def bench_sandbox(*, quick: bool, as_json: bool) -> None:
    """Prints one JSON object, or tables."""
    report = measure(quick=quick)
    if as_json:
        click.echo(report.as_json())
        return
    measured = [
        (row.kind, row.depth, "yes" if row.snapshots else "no", " ".join(row.without), *row.figures())
        for row in report.rows
    ]
    show_table(("step", "depth", "snapshots", "without", "CPU ms", "a second", "p50 ms of 8", "p99 ms of 8"), measured)
    kinds = list(report.cold)
    baselines = {"cold process": report.cold, "bare fork": report.fork, "exec in the search": report.execute}
    show_table(("CPU ms", *kinds), [(name, *costs.values()) for name, costs in baselines.items()])
    show_table(
        (f"{report.growth_programs} programs", "before", "after"),
        [(name, before, after) for name, (before, after) in report.growth.items()],
    )
    show_ratios(report.ratios())


def bench_grading(file: Path | None, *, as_json: bool, alone: bool) -> None:
    """Prints one JSON object, or a table."""
    report = grading.measure(grading.read_pairs(file or grading.PAIRS), baseline=not alone)
    if as_json:
        click.echo(report.as_json())
        return
    title = ("grader", "pairs", "false accepts", "false rejects", "equal, called wrong", "hung", "median ms", "p99 ms")
    show_table(title, [["" if cell is None else cell for cell in astuple(row)] for row in report.rows])
