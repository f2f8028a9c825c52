"""How good is it, on which benchmarks, by which ways of answering?

Every benchmark, seed and search is a stage of its own below `out`: asked for more of them, the same command does only what is
new. Another `limit` is another set of problems, and refused there.
The table and the plot show what this command asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rstar_math.cli.alone import round_of
from rstar_math.cli.launch import open_run
from rstar_math.config import EvaluationConfig, MutualConfig, PolicyConfig, ProblemsConfig, RunConfig
from rstar_math.errors import ConfigError
from rstar_math.evaluation.pooled import pool
from rstar_math.evaluation.strategies import Strategy, all_readings, strategies
from rstar_math.evolution import stages
from rstar_math.evolution.models import resolve
from rstar_math.evolution.run import Run
from rstar_math.evolution.scoring import reason, score
from rstar_math.evolution.store import Place, write_json
from rstar_math.mutual.tasks import read_task, task_folder
from rstar_math.mutual.ways import is_way, ways
from rstar_math.problems.benchmarks import benchmark_names, compose_benchmark
from rstar_math.report.evaluation import show_evaluation, write_evaluation
from rstar_math.report.scaling import plot_scaling
from rstar_math.search.task import Task

Row = dict[str, Any]


@dataclass(frozen=True)
class Measuring:
    """What to measure with which models, and below which folder. `label` stands before a benchmark's name in progress."""

    out: Path
    policy: str | PolicyConfig
    ppm: Path | None
    number: int
    evaluation: EvaluationConfig
    benchmarks: Mapping[str, ProblemsConfig]
    ways: Sequence[Strategy]
    seeds: int
    label: str = ""
    #: The second model of rStar, and what it and the ways in plain words go by.
    discriminator: str | PolicyConfig | None = None
    mutual: MutualConfig = field(default_factory=MutualConfig)

    def searches(self) -> dict[str, list[Strategy]]:
        """The strategies by the trees that they read."""
        found: dict[str, list[Strategy]] = {}
        for strategy in self.ways:
            found.setdefault(strategy.search, []).append(strategy)
        return found


def evaluate(config: RunConfig, given: Mapping[str, str]) -> None:
    """Scores into OUT/BENCHMARK/seed-N/SEARCH, all of them together into OUT/metrics.json, report.md and scaling.svg.

    Raises:
        ConfigError: a benchmark, strategy or number is none.
    """
    number = round_of(config, given, default="r4")
    evaluation = config.plan(number).evaluation
    ppm = Path(resolve(given["ppm"], "ppm")) if "ppm" in given else None
    names = given.get("strategy", "greedy,mcts" if ppm else "greedy").split(",")
    plain = tuple(name for name in names if is_way(name))
    mutual = replace(config.mutual, strategies=plain)
    second = _model("discriminator", given["discriminator"], config.discriminator) if "discriminator" in given else None
    coded = strategies([name for name in names if name not in plain], evaluation, guided=ppm is not None)
    found = all_readings(coded, evaluation)
    if plain:
        found += ways(mutual, Task("any"), second=second is not None)
    generator = _model("policy", given["policy"], config.policy)
    benchmarks, seeds, out = benchmarks_of(config, given), count_of(given, "seeds"), Path(given["out"])
    asked = Measuring(out, generator, ppm, number, evaluation, benchmarks, found, seeds, "", second, mutual)
    for name in benchmarks if plain else ():
        read_task(task_folder(_task(asked, name)))  # one that cannot be read is refused before any work
    with open_run(config, out) as run:
        folders = measure(run, asked)
    rows = pooled(asked, folders, config.seed)
    write_json(out / "metrics.json", rows)
    write_evaluation(out / "report.md", rows)
    show_evaluation(rows)
    plotted = plot_scaling(out / "scaling.svg", folders)
    run.progress.say(
        f"Everything is in {out}; the table is report.md" + (", the plot scaling.svg." if plotted else ".")
    )


def _model(name: str, given: str, server: PolicyConfig) -> str | PolicyConfig:
    """A model folder or name, or the server that `NAME=endpoint NAME.url=… NAME.model=…` describes."""
    if given != "endpoint":
        return resolve(given)
    try:
        return replace(server, kind="endpoint")
    except ValidationError:
        raise ConfigError(f"{name}=endpoint needs {name}.url=http://HOST:PORT/v1 and {name}.model=NAME") from None


def benchmarks_of(config: RunConfig, given: Mapping[str, str]) -> dict[str, ProblemsConfig]:
    """The problems by the benchmark's name; without one, those that `problems.*` names, else the embedded held-out set.

    Raises:
        ConfigError: there is no such benchmark, or its problems are not there.
    """
    own = replace(config.problems, limit=count_of(given, "limit")) if "limit" in given else config.problems
    folder = Path(given["benchmarks"]) if "benchmarks" in given else None
    if folder and not folder.is_dir():
        raise ConfigError(f"benchmarks={folder}: there is no such folder")
    if "benchmark" not in given:
        source = own.path or own.dataset
        return {Path(source).stem if source else "held-out": own}
    names = given["benchmark"].split(",")
    return {name: compose_benchmark(name).problems(name, folder, own) for name in dict.fromkeys(names)}


def count_of(given: Mapping[str, str], name: str) -> int:
    """A number of at least 1 that was given, 1 by default.

    Raises:
        ConfigError: it is none.
    """
    written = given.get(name, "1")
    if not written.isdecimal() or int(written) < 1:
        raise ConfigError(f"{name}={written}: write a number, 1 or more")
    return int(written)


def measure(run: Run, asked: Measuring) -> dict[str, list[Path]]:
    """Does what is not done yet; the folders of the scores of each benchmark."""
    return {name: _measure(run, asked, name, problems) for name, problems in asked.benchmarks.items()}


def pooled(asked: Measuring, folders: Mapping[str, Sequence[Path]], seed: int) -> list[Row]:
    """A row for each benchmark and strategy, over all seeds."""
    return [row for name, own in folders.items() for row in pool(name, own, asked.evaluation.bootstrap, seed)]


def _measure(run: Run, asked: Measuring, name: str, problems: ProblemsConfig) -> list[Path]:
    """One benchmark with every seed and search: the folders of their scores."""
    root, place = asked.out / name, Place.of(asked.number, "scores")
    gathered = run.alone(Place.of(0, "problems"), root / "problems", stages.gather_benchmark, problems=problems)
    folders = []
    for seed in range(run.config.seed, run.config.seed + asked.seeds):
        label = f"{asked.label}{name}, seed {seed}:" if asked.seeds > 1 else f"{asked.label}{name}:"
        for search, readings in asked.searches().items():
            seeded = replace(run, config=replace(run.config, seed=seed), label=f"{label} {search}")
            stage, own = _stage(asked, name, readings)
            folders.append(seeded.alone(place, root / f"seed-{seed}" / search, stage, problems=gathered, **own))
    return folders


def _stage(
    asked: Measuring, benchmark: str, readings: Sequence[Strategy]
) -> tuple[Callable[..., Mapping[str, Any]], dict[str, Any]]:
    """What scores strategies of one search, and what it is given besides the problems."""
    names, policy = tuple(strategy.name for strategy in readings), asked.policy
    if is_way(names[0]):
        second = asked.discriminator if readings[0].search == "mutual" else None
        return reason, {
            "mutual": replace(asked.mutual, strategies=names, task=_task(asked, benchmark)),
            "policy": policy,
            "discriminator": second,
        }
    if isinstance(policy, PolicyConfig):  # it has never seen the text format
        policy = replace(policy, few_shot=policy.few_shot or "bootstrap")
    ppm = asked.ppm if readings[0].guided else None
    return score, {"evaluation": replace(asked.evaluation, strategies=names), "policy": policy, "ppm": ppm}


def _task(asked: Measuring, benchmark: str) -> str:
    """The kind of question: as told, else what the benchmark names; a file of one's own holds word problems."""
    if asked.mutual.task is not None:
        return asked.mutual.task
    return compose_benchmark(benchmark if benchmark in benchmark_names() else "gsm8k").task
