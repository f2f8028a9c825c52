"""Which benchmark runs, and how is it shown?"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import astuple
from pathlib import Path

import click

from rstar_math.bench import grading, search
from rstar_math.bench.sandbox import measure
from rstar_math.bench.scale import Scale
from rstar_math.cluster.joining import leave
from rstar_math.config import RunConfig
from rstar_math.report.bench import show_machine, show_ratios, show_table


def bench_sandbox(*, quick: bool, as_json: bool) -> None:
    """Prints one JSON object, or tables; what is being measured goes to standard error."""
    report = measure(quick=quick, say=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(report.as_json())
        return
    show_machine(report.machine)
    measured = [
        (row.kind, row.depth, "yes" if row.snapshots else "no", " ".join(row.without), *row.figures())
        for row in report.rows
    ]
    show_table(("step", "depth", "snapshots", "without", "CPU ms", "a second", "p50 ms of 8", "p99 ms of 8"), measured)
    show_table(("wall", "here"), list(report.walls.items()))
    kinds = list(report.cold)
    baselines = {"cold process": report.cold, "bare fork": report.fork, "exec in the search": report.execute}
    show_table(("CPU ms", *kinds), [(name, *costs.values()) for name, costs in baselines.items()])
    beside = [(what, *latencies) for what, latencies in report.beside.items()]
    show_table(("another call's 16 programs", "p50 ms of a trivial one", "p99 ms"), beside)
    show_table(
        (f"{report.growth_programs} programs", "before", "after"),
        [(name, before, after) for name, (before, after) in report.growth.items()],
    )
    show_table(("", "ratio", "half lie from", "to"), [(name, *ratio) for name, ratio in report.ratios.items()])


def bench_search(config: RunConfig, model: str, *, quick: bool, as_json: bool) -> None:
    """Prints one JSON object, or tables; what is being measured goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):  # Ray warns of many workers on standard output
        report = search.measure(config, model, quick=quick, say=lambda text: click.echo(text, err=True))
        leave()
    if as_json:
        click.echo(report.as_json())
        return
    show_machine(report.machine)
    show_table(("nodes", "µs of the search's own a node"), list(report.own_cost.items()))
    show_table(("recorded trace, problems", "s apart", "s in lock-step"), report.barrier)
    busy = report.saturation
    show_table(("tokens a second", ""), [("during search", busy.search), ("the same prompts in one batch", busy.batch)])
    title = (
        "workers",
        "problems",
        "problems/s",
        "nodes/s",
        "driver MB: start, half, end",
        "bytes a tree",
        "bytes a node",
    )
    cells = [
        (row.workers, row.problems, row.problems_a_second, row.nodes_a_second, *_sizes(row)) for row in report.scale
    ]
    show_table(title, cells)
    show_ratios(report.ratios())
    show_table(("round 2 of the paper, at most", ""), list(report.paper_round().items()))


def _sizes(row: Scale) -> tuple[str, float, float]:
    return ", ".join(f"{size:.0f}" for size in row.megabytes), row.bytes_a_tree, row.bytes_a_node


def bench_grading(file: Path | None, *, as_json: bool, alone: bool) -> None:
    """Prints one JSON object, or a table."""
    report = grading.measure(grading.read_pairs(file or grading.PAIRS), baseline=not alone)
    if as_json:
        click.echo(report.as_json())
        return
    title = ("grader", "pairs", "false accepts", "false rejects", "equal, called wrong", "hung", "median ms", "p99 ms")
    show_table(title, [["" if cell is None else cell for cell in astuple(row)] for row in report.rows])
