"""How good is it, on which benchmarks, by which ways of answering?

Every benchmark, seed and search is a stage of its own below `out`: asked for more, the same command does only what is new.
The table and the plot are drawn from what all of them left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rstar_math.cli.alone import round_of
from rstar_math.cli.compose import compose_benchmark
from rstar_math.cli.launch import open_run
from rstar_math.config import EvaluationConfig, ProblemsConfig, RunConfig
from rstar_math.errors import ConfigError
from rstar_math.evaluation.pooled import pool
from rstar_math.evaluation.strategies import Strategy, all_readings, strategies
from rstar_math.evolution import stages
from rstar_math.evolution.models import resolve
from rstar_math.evolution.run import Run
from rstar_math.evolution.store import Place, write_json
from rstar_math.report.evaluation import show_evaluation, write_evaluation
from rstar_math.report.scaling import plot_scaling


@dataclass(frozen=True)
class _Asked:
    """What to measure."""

    out: Path
    policy: str
    ppm: Path | None
    number: int
    evaluation: EvaluationConfig
    benchmarks: Mapping[str, ProblemsConfig]
    searches: Mapping[str, list[Strategy]]
    seeds: int


def evaluate(config: RunConfig, given: Mapping[str, str]) -> None:
    """Scores into OUT/BENCHMARK/seed-N/SEARCH, all of them together into OUT/metrics.json, report.md and scaling.svg.

    Raises:
        ConfigError: a benchmark, strategy or number is none.
    """
    asked = _asked(config, given)
    with open_run(config, asked.out) as run:
        folders = {name: _measure(run, asked, name, problems) for name, problems in asked.benchmarks.items()}
    rows = [row for name, own in folders.items() for row in pool(name, own, asked.evaluation.bootstrap, config.seed)]
    write_json(asked.out / "metrics.json", rows)
    write_evaluation(asked.out / "report.md", rows)
    show_evaluation(rows)
    plotted = plot_scaling(asked.out / "scaling.svg", folders)
    run.progress.say(
        f"Everything is in {asked.out}; the table is report.md" + (", the plot scaling.svg." if plotted else ".")
    )


def _asked(config: RunConfig, given: Mapping[str, str]) -> _Asked:
    number = round_of(config, given, default="r4")
    evaluation = config.plan(number).evaluation
    ppm = Path(resolve(given["ppm"], "ppm")) if "ppm" in given else None
    names = given.get("strategy", "greedy,mcts" if ppm else "greedy").split(",")
    searches: dict[str, list[Strategy]] = {}
    for strategy in strategies(all_readings(names, guided=ppm is not None), evaluation, guided=ppm is not None):
        searches.setdefault(strategy.search, []).append(strategy)
    seeds = given.get("seeds", "1")
    if not seeds.isdecimal() or int(seeds) < 1:
        raise ConfigError(f"seeds={seeds}: write a number, 1 or more")
    benchmarks = _benchmarks(config, given)
    return _Asked(
        Path(given["out"]), resolve(given["policy"]), ppm, number, evaluation, benchmarks, searches, int(seeds)
    )


def _benchmarks(config: RunConfig, given: Mapping[str, str]) -> dict[str, ProblemsConfig]:
    """The problems by the benchmark's name; without one, those that `problems.*` names, else the embedded held-out set."""
    own = config.problems
    if "limit" in given:
        if not given["limit"].isdecimal() or int(given["limit"]) < 1:
            raise ConfigError(f"limit={given['limit']}: write a number of problems, 1 or more")
        own = replace(own, limit=int(given["limit"]))
    folder = Path(given["benchmarks"]) if "benchmarks" in given else None
    if folder and not folder.is_dir():
        raise ConfigError(f"benchmarks={folder}: there is no such folder")
    if "benchmark" not in given:
        source = own.path or own.dataset
        return {Path(source).stem if source else "held-out": own}
    names = given["benchmark"].split(",")
    return {name: compose_benchmark(name).problems(name, folder, own) for name in dict.fromkeys(names)}


def _measure(run: Run, asked: _Asked, name: str, problems: ProblemsConfig) -> list[Path]:
    """One benchmark with every seed and search: the folders of their scores."""
    root, place = asked.out / name, Place.of(asked.number, "scores")
    gathered = run.alone(Place.of(0, "problems"), root / "problems", stages.gather_benchmark, problems=problems)
    folders = []
    for seed in range(run.config.seed, run.config.seed + asked.seeds):
        label = f"{name}, seed {seed}:" if asked.seeds > 1 else f"{name}:"
        seeded = replace(run, config=replace(run.config, seed=seed), label=label)
        for search, (first, *others) in asked.searches.items():
            names = tuple(strategy.name for strategy in (first, *others))
            folders.append(
                seeded.alone(
                    place,
                    root / f"seed-{seed}" / search,
                    stages.score,
                    evaluation=replace(asked.evaluation, strategies=names),
                    problems=gathered,
                    policy=asked.policy,
                    ppm=asked.ppm if first.guided else None,
                )
            )
    return folders
