"""The commands.

Each takes `key=value` overrides of the configuration (`rstar-math plan` shows what they resolve to). The exit code is 0
only when the work was done.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from rstar_math.cli.compose import compose
from rstar_math.errors import ConfigError, Interrupted, RstarError
from rstar_math.report.errors import show_error

_P = ParamSpec("_P")
_OVERRIDES = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")


def _spoken(command: Callable[_P, None]) -> Callable[_P, None]:
    """Errors made on purpose end the command with their message and exit code, not with a traceback."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RstarError as error:
            show_error(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            stopped = Interrupted(
                f"Everything finished is kept. Go on with: {shlex.join(['rstar-math', *sys.argv[1:]])}"
            )
            show_error(stopped)
            sys.stdout.flush()
            os._exit(stopped.exit_code)  # an engine's threads may outlive the request to end

    return run


def take(overrides: Sequence[str], *names: str) -> tuple[dict[str, str], list[str]]:
    """Splits off what belongs to this start alone (`from=`, `until=`, `out=`), not to the run's configuration."""
    taken = {key: value for key, _, value in (item.partition("=") for item in overrides) if key in names and value}
    return taken, [item for item in overrides if item.partition("=")[0] not in names]


def needed(taken: dict[str, str], command: str, *names: str) -> list[str]:
    """The values of inputs that a command cannot do without.

    Raises:
        ConfigError: one is missing.
    """
    missing = [name for name in names if name not in taken]
    if missing:
        raise ConfigError(f"{command} needs {' '.join(f'{name}=PATH' for name in missing)}")
    return [taken[name] for name in names]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="rstar-math")
def main() -> None:
    """Self-evolving System-2 math reasoning for small language models (rStar-Math)."""


@main.command()
@_OVERRIDES
@_spoken
def evolve(overrides: tuple[str, ...]) -> None:
    """Run all rounds of self-evolution, or go on with a run that was stopped.

    \b
    from=round-3[.STAGE]   do this stage and all later ones again (what they replace is kept)
    until=round-2[.STAGE]  stop after this stage
    problems.path=FILE     your own problems (JSONL, JSON, CSV, Parquet);  base=MODEL  your own model
    name=NAME              the run's folder below runs/
    """
    from rstar_math.cli.launch import open_run
    from rstar_math.evolution.evolve import evolve as run_all
    from rstar_math.evolution.summary import show_summary

    start, rest = take(overrides, "from", "until")
    config = compose(rest)
    root = Path(config.runs) / config.name
    with open_run(config, root, until=start.get("until")) as run:
        if "from" in start:
            moved = run.store.start_over(start["from"])
            run.progress.say(
                "\n".join(f"kept as {path}" for path in moved) or f"nothing more to set aside from {start['from']}"
            )
        run_all(run)
        run.store.forget_start()
    show_summary(config, root, shlex.join(["rstar-math", "evolve", *rest]))


@main.command()
@_OVERRIDES
@_spoken
def plan(overrides: tuple[str, ...]) -> None:
    """Print the resolved plan of all rounds; nothing is started."""
    from rstar_math.report.plan import show_plan

    show_plan(compose(overrides))


@main.command()
@_OVERRIDES
@_spoken
def grow(overrides: tuple[str, ...]) -> None:
    """Grow trees: out=FOLDER [plan=r1] [policy=MODEL] [ppm=MODEL] [problems.path=FILE]."""
    from rstar_math.cli.alone import grow_alone

    grow_alone(*_alone(overrides, "grow", ("out",), ("plan", "ppm")))


@main.command()
@_OVERRIDES
@_spoken
def harvest(overrides: tuple[str, ...]) -> None:
    """Choose training data from trees: trees=FOLDER out=FOLDER [plan=r1]."""
    from rstar_math.cli.alone import harvest_alone

    harvest_alone(*_alone(overrides, "harvest", ("trees", "out"), ("plan",)))


@main.command("train-policy")
@_OVERRIDES
@_spoken
def train_policy(overrides: tuple[str, ...]) -> None:
    """Fine-tune the base on trajectories: data=HARVEST|FILE out=FOLDER [base=MODEL] [plan=r1]."""
    from rstar_math.cli.alone import train_policy_alone

    train_policy_alone(*_alone(overrides, "train-policy", ("data", "out"), ("plan",)))


@main.command("train-ppm")
@_OVERRIDES
@_spoken
def train_ppm(overrides: tuple[str, ...]) -> None:
    """Train a PPM on preference pairs, from a policy: policy=MODEL data=HARVEST|FILE out=FOLDER [plan=r1]."""
    from rstar_math.cli.alone import train_ppm_alone

    train_ppm_alone(*_alone(overrides, "train-ppm", ("policy", "data", "out"), ("plan",)))


@main.command()
@_OVERRIDES
@_spoken
def evaluate(overrides: tuple[str, ...]) -> None:
    """Score ways of answering on benchmarks: policy=MODEL out=FOLDER [ppm=MODEL] [strategy=…] [benchmark=…].

    \b
    strategy=greedy,majority@8,best-of-n@8,weighted-majority@8,beam@4,mcts@16   (greedy, and mcts where there is a PPM)
    benchmark=gsm8k,math500,…   files of conf/benchmark, or your own problems.path=FILE; none: the embedded held-out set
    benchmarks=FOLDER           their files, for benchmarks that should not come from the hub
    limit=N  seeds=N  plan=r4   the first N problems; N seeds; the round whose evaluation.* holds
    """
    from rstar_math.cli.evaluate import evaluate

    evaluate(
        *_alone(
            overrides,
            "evaluate",
            ("policy", "out"),
            ("plan", "ppm", "strategy", "benchmark", "benchmarks", "limit", "seeds"),
        )
    )


@main.command()
@_OVERRIDES
@_spoken
def compare(overrides: tuple[str, ...]) -> None:
    """Train ORM, PQM and PPM on one harvest and compare them: policy=MODEL data=HARVEST out=FOLDER [benchmark=…].

    benchmark=, benchmarks=, limit=, seeds= and plan= as for evaluate.
    """
    from rstar_math.cli.compare import compare

    may = ("plan", "benchmark", "benchmarks", "limit", "seeds")
    compare(*_alone(overrides, "compare", ("policy", "data", "out"), may))


@main.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the readable path.")
@_OVERRIDES
@_spoken
def solve(question: str, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Answer one QUESTION with System 2: [policy=MODEL [ppm=MODEL]]; default: the last round of the run."""
    from rstar_math.cli.solve import solve_one

    taken, rest = take(overrides, "policy", "ppm")
    solve_one(question, compose(rest), taken, as_json=as_json)


@main.command()
@click.argument("file", type=click.File("r"), default="-")
@_spoken
def grade(file: Any) -> None:
    """Grade answers: JSONL {prediction, answer} in (a FILE or standard input), JSONL {verdict, reason} out."""
    from rstar_math.cli.rows import grade_rows

    grade_rows(file)


@main.command("run-code")
@click.argument("file", type=click.File("r"), default="-")
@_OVERRIDES
@_spoken
def run_code(file: Any, overrides: tuple[str, ...]) -> None:
    """Run programs in the sandbox: JSONL {id, steps: [code, ...]} in, JSONL {id, status, stdout, error} out."""
    from rstar_math.cli.rows import run_rows

    run_rows(file, compose(overrides).sandbox)


@main.command()
@_OVERRIDES
@_spoken
def seedling(overrides: tuple[str, ...]) -> None:
    """Make the embedded base model anew: out=FOLDER [seed=2, the shipped one's]."""
    from rstar_math.cli.alone import grow_seedling_alone
    from rstar_math.seedling import SEED

    taken, rest = take(overrides, "out")
    (out,) = needed(taken, "seedling", "out")
    grow_seedling_alone(Path(out), compose([f"seed={SEED}", *rest]).seed)


@main.command()
@_OVERRIDES
@_spoken
def doctor(overrides: tuple[str, ...]) -> None:
    """Say what this machine has, and what each part falls back to."""
    from rstar_math.cli.doctor import examine

    if not examine(compose(overrides)):
        sys.exit(1)


@main.group()
def bench() -> None:
    """Measure how fast a part is, against its baselines in the same run."""


@bench.command("sandbox")
@click.argument("limit", default="", metavar="[limit=quick]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@_spoken
def bench_sandbox(limit: str, as_json: bool) -> None:
    """What running one step costs, with and without snapshots and walls."""
    from rstar_math.cli.bench import bench_sandbox

    if limit not in ("", "limit=quick"):
        raise ConfigError(f"{limit!r}: a benchmark takes limit=quick, or nothing")
    bench_sandbox(quick=bool(limit), as_json=as_json)


@bench.command("search")
@_OVERRIDES
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@_spoken
def bench_search(overrides: tuple[str, ...], as_json: bool) -> None:
    """Whether search runs at the engine's own speed: [limit=quick] [policy=MODEL] [record=FILE].

    Its own cost, the cost of waiting, how busy the engine is, and how many problems a driver feeds. record=FILE writes the
    times of a real search instead, the trace that the cost of waiting is worked out from.
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
@_spoken
def bench_grading(file: Path | None, as_json: bool, alone: bool) -> None:
    """How often the grader errs and how long it takes, beside math-verify: on JSONL {pred, gold, equal}, or its own pairs."""
    from rstar_math.cli.bench import bench_grading

    bench_grading(file, as_json=as_json, alone=alone)


def _alone(
    overrides: Sequence[str], command: str, must: Sequence[str], may: Sequence[str]
) -> tuple[Any, dict[str, str]]:
    """The configuration and the inputs of a stage that is done by itself."""
    taken, rest = take(overrides, *must, *may)
    needed(taken, command, *must)
    return compose(rest), taken


if __name__ == "__main__":
    main()
