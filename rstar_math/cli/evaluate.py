"""How good is it, on which benchmarks, by which ways of answering?

Every benchmark, seed and search is a folder of its own below `out`, with a stage that grows the trees, one in which another
model looks at them, where there is one, and one that reads them. Asked for more, the same command does only what is new; read
in another way, trees are not grown again. Another `limit` is another set of problems, and refused there.
The table and the plot show what this command asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rstar_math.checkpoints import Kind
from rstar_math.cli.alone import round_of
from rstar_math.cli.launch import open_run
from rstar_math.cluster.holding import Demand
from rstar_math.config import EvaluationConfig, MutualConfig, PolicyConfig, ProblemsConfig, RunConfig
from rstar_math.disk import write_json
from rstar_math.errors import ConfigError
from rstar_math.evaluation.pooled import pool
from rstar_math.evaluation.strategies import Strategy, all_readings, strategies
from rstar_math.evolution import answering, scoring, stages
from rstar_math.evolution.models import examples_for, model_or_server, resolve
from rstar_math.evolution.places import Place
from rstar_math.evolution.run import Run
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
    #: Where what no PPM guides is grown, if not below `out`: several reward models then look at the same drawn solutions.
    drawn: Path | None = None
    #: The second model of rStar, and what it and the ways in plain words go by.
    discriminator: str | PolicyConfig | None = None
    mutual: MutualConfig = field(default_factory=MutualConfig)
    #: Whether anybody knows the answers.
    known: bool = True

    def demand(self) -> Demand:
        """What all of it asks of the cluster at once: a search that a PPM guides asks both kinds of engines."""
        engines: set[Kind] = {"policy"} if isinstance(self.policy, str) else set()
        return Demand(frozenset(engines | {"ppm"}), True) if any(way.guided for way in self.ways) else Demand()

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
    named = given.get("discriminator")
    second = model_or_server("discriminator", named, config.discriminator) if named else None
    wanted = strategies([name for name in names if name not in plain], evaluation, guided=ppm is not None)
    found = all_readings(wanted, evaluation)
    if plain:
        wanted += (read_in_words := ways(mutual, Task("any"), second=second is not None))
        found += read_in_words
    generator = model_or_server("policy", given["policy"], config.policy)
    benchmarks, seeds, out = benchmarks_of(config, given), count_of(given, "seeds"), Path(given["out"])
    asked = Measuring(out, generator, ppm, number, evaluation, benchmarks, found, seeds, "", None, second, mutual)
    for name in benchmarks if plain else ():
        read_task(task_folder(_task(asked, name)))  # one that cannot be read is refused before any work
    # Nothing is trained here, so engines need not make room between two searches.
    with open_run(replace(config, cluster=replace(config.cluster, keep_engines=True)), out) as run:
        run.fleet.to_come = asked.demand()
        folders = measure(run, asked)
        rows = pooled(asked, folders, config.seed, wanted)
        write_json(out / "metrics.json", rows)
        write_evaluation(out / "report.md", rows)
        plotted = plot_scaling(out / "scaling.svg", folders)
    show_evaluation(rows)
    run.progress.say(
        f"Everything is in {out}; the table is report.md" + (", the plot scaling.svg." if plotted else ".")
    )


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


def pooled(asked: Measuring, folders: Mapping[str, Sequence[Path]], seed: int, wanted: Sequence[Strategy]) -> list[Row]:
    """A row for each benchmark and wanted strategy, over all seeds."""
    names = {strategy.name for strategy in wanted}
    rows = (row for name, own in folders.items() for row in pool(name, own, asked.evaluation.bootstrap, seed))
    return [row for row in rows if row["strategy"] in names]


def _measure(run: Run, asked: Measuring, name: str, problems: ProblemsConfig) -> list[Path]:
    """One benchmark with every seed and search: the folders of their scores."""
    root = asked.drawn or asked.out
    place = Place.of(0, "problems").part("benchmark")
    gather = stages.gather_benchmark if asked.known else stages.gather_questions
    gathered = run.alone(place, root / name / "problems", gather, problems=problems)
    folders = []
    for seed in range(run.config.seed, run.config.seed + asked.seeds):
        label = f"{asked.label}{name}, seed {seed}:" if asked.seeds > 1 else f"{asked.label}{name}:"
        for search, readings in asked.searches().items():
            if readings[0].plan.temperature == 0 and seed != run.config.seed:
                continue  # nothing is drawn, so every seed is the first
            seeded = replace(run, config=replace(run.config, seed=seed), label=f"{label} {search}")
            measured = _Measured(seeded, asked, name, gathered, Path(name) / f"seed-{seed}" / search)
            folders.append(measured.in_words(readings) if is_way(readings[0].name) else measured.in_code(readings))
    return folders


@dataclass(frozen=True)
class _Measured:
    """One search of one benchmark and seed. `below`: its folder below `asked.out`."""

    run: Run
    asked: Measuring
    benchmark: str
    problems: Path
    below: Path

    @property
    def _place(self) -> Place:
        return Place.of(self.asked.number, "scores")

    def in_code(self, readings: Sequence[Strategy]) -> Path:
        """Code-augmented steps: the folder of their scores."""
        asked, out = self.asked, self.asked.out / self.below
        strategy = readings[0]
        root = (asked.drawn or asked.out) / self.below if not strategy.guided else out
        trees = self.run.alone(
            self._place.part("answers"),
            root / "trees",
            answering.draw,
            evaluation=replace(strategy.plan, few_shot=examples_for(asked.policy, self.run.config.policy)),
            policy=asked.policy,
            ppm=asked.ppm if strategy.guided else None,
            problems=self.problems,
        )
        worths = None
        if strategy.scored and not strategy.guided:
            worths = self.run.alone(
                self._place.part("worths"), out / "worths", answering.weigh, trees=trees, ppm=asked.ppm
            )
        evaluation = replace(asked.evaluation, strategies=tuple(each.name for each in readings))
        return self._read(scoring.read, evaluation=evaluation, trees=trees, worths=worths)

    def in_words(self, readings: Sequence[Strategy]) -> Path:
        """Plain words, and a second model if one is to look at them: the folder of their scores."""
        asked, out = self.asked, self.asked.out / self.below
        names = tuple(each.name for each in readings)
        mutual = replace(asked.mutual, strategies=names, task=_task(asked, self.benchmark))
        task, place = read_task(task_folder(mutual.task)), self._place
        (strategy, *_) = ways(mutual, task, second="mutual" in names)
        trees = self.run.alone(
            place.part("reasoning"),
            out / "trees",
            answering.reason,
            mutual=strategy.plan,
            policy=asked.policy,
            problems=self.problems,
        )
        judged = None
        if "mutual" in names:
            judged = self.run.alone(
                place.part("judged"),
                out / "judged",
                answering.judge,
                mutual=mutual.masking,
                task=task,
                trees=trees,
                discriminator=asked.discriminator,
            )
        return self._read(scoring.read_words, mutual=mutual, trees=trees, judged=judged)

    def _read(self, work: Callable[..., Mapping[str, Any]], **given: Any) -> Path:
        place, folder = self._place.part("read"), self.asked.out / self.below / "scores"
        return self.run.anew(place, folder, work, problems=self.problems, **given)


def _task(asked: Measuring, benchmark: str) -> str:
    """The kind of question: as told, else what the benchmark names; a file of one's own holds word problems."""
    if asked.mutual.task is not None:
        return asked.mutual.task
    return compose_benchmark(benchmark if benchmark in benchmark_names() else "gsm8k").task
