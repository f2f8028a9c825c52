"""The benchmarks as commands: `rstar-math bench sandbox | search | grading`."""

from __future__ import annotations

from pathlib import Path

import click

from rstar_math.cli.compose import compose
from rstar_math.cli.speaking import OVERRIDES, spoken, take
from rstar_math.errors import ConfigError


@click.group()
def bench() -> None:
    """Measure how fast a part is, against its baselines in the same run."""


@bench.command("sandbox")
@click.argument("limit", default="", metavar="[limit=quick]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@spoken
def bench_sandbox(limit: str, as_json: bool) -> None:
    """What running one step costs, with and without snapshots and walls: [limit=quick].

    Takes some nine minutes on two cores, two with limit=quick.
    """
    from rstar_math.cli.bench import bench_sandbox

    if limit not in ("", "limit=quick"):
        raise ConfigError(f"{limit!r}: a benchmark takes limit=quick, or nothing")
    bench_sandbox(quick=bool(limit), as_json=as_json)


@bench.command("search")
@OVERRIDES
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@spoken
def bench_search(overrides: tuple[str, ...], as_json: bool) -> None:
    """Whether search runs at the engine's own speed: [limit=quick] [policy=MODEL] [record=FILE].

    Its own cost, the cost of waiting, how busy the engine is, and how many problems a driver feeds. Takes over an hour on two
    cores, less than a minute with limit=quick. record=FILE writes the times of a real search instead, the trace that the
    cost of waiting is worked out from.
    """
    from rstar_math.bench.saturation import record_trace
    from rstar_math.cli.bench import bench_search
    from rstar_math.evolution.models import resolve

    taken, rest = take(overrides, "limit", "record")
    config = compose(rest)
    model = resolve(config.policy.path or config.base)
    if taken.get("limit", "quick") != "quick":
        raise ConfigError(f"limit={taken['limit']}: a benchmark takes limit=quick, or nothing")
    if "record" in taken:
        record_trace(config, model, 300, Path(taken["record"]))
    else:
        bench_search(config, model, quick="limit" in taken, as_json=as_json)


@bench.command("grading")
@click.argument("file", default=None, required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--alone", is_flag=True, help="Leave math-verify out.")
@spoken
def bench_grading(file: Path | None, as_json: bool, alone: bool) -> None:
    """How often the grader errs and how long it takes, beside math-verify: on JSONL {pred, gold, equal}, or its own pairs."""
    from rstar_math.cli.bench import bench_grading

    bench_grading(file, as_json=as_json, alone=alone)
