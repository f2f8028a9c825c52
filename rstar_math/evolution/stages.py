"""What does each stage do?

One function a stage: it fills the folder it is given, from its knobs and inputs, and returns its numbers. They hold no state
and know no order; `evolve` calls them, `store` sees to it that each happens once.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from rstar_math.cluster.fleet import Models
from rstar_math.cluster.growth import Order, grow_into
from rstar_math.cluster.joining import connect_to
from rstar_math.config import (
    HarvestConfig,
    PolicyConfig,
    PPMConfig,
    ProblemsConfig,
    SearchConfig,
    TrainingConfig,
)
from rstar_math.disk import write_json
from rstar_math.errors import ConfigError, InputError
from rstar_math.evolution.golds import gradable
from rstar_math.evolution.room import Watch, check_room
from rstar_math.evolution.run import Desk
from rstar_math.evolution.store import read_manifest
from rstar_math.evolution.tally import Tally, note_sandbox, say_poisoned
from rstar_math.harvest.crop import gather, write_examples
from rstar_math.problems import ProblemSets, problem_sets
from rstar_math.problems.benchmarks import benchmarks_of, read_benchmark
from rstar_math.problems.contamination import decontaminate
from rstar_math.problems.reading import read_problems
from rstar_math.problems.sets import read_set, write_set
from rstar_math.records import Problem
from rstar_math.seedling import solved_problems
from rstar_math.training.job import TrainingJob

if TYPE_CHECKING:
    from rstar_math.training.callbacks import Progress

Metrics = Mapping[str, Any]
#: Fewer solutions or pairs than this, and the person should hear of it.
_FEW = 50


def gather_problems(desk: Desk, folder: Path, *, problems: ProblemsConfig) -> Metrics:
    """Reads all problems once, and fixes which are trained on, held out, and kept for measuring the PPM. Those that nobody
    could grade are set aside."""
    sets = problem_sets(problems, desk.config.seed)
    for note in sets.notes:
        desk.progress.say(note)
    if problems.path or problems.dataset:  # the embedded ones are made by rules, and are alike by design
        _say_rewordings(sets, desk)
    named = dict(sets.named()) | {"train": _uncontaminated(sets.train, problems, folder, desk)}
    kept = gradable(named, folder, desk.config.grading, desk.progress.say)
    for name, chosen in kept.items():
        write_set(folder / f"{name}.jsonl", chosen)
    return {name: len(chosen) for name, chosen in kept.items()}


def _say_rewordings(sets: ProblemSets, desk: Desk) -> None:
    """Says how many training problems are like those that are measured on; a random split takes rewordings apart."""
    _, matches = decontaminate(sets.train, {"held-out": sets.held_out, "validation": sets.validation})
    if matches:
        one, name, like, why = matches[0]
        desk.progress.say(
            f"{len(matches)} of {len(sets.train)} training problems are like a held-out or validation problem: {one.id} and "
            f"the {name} problem {like.id} share {why}. They are trained on, so part of what is measured is memory. "
            "problems.held_out_path=FILE names other problems, problems.decontaminate=[FILE] leaves out what is like those."
        )


def _uncontaminated(train: Sequence[Problem], problems: ProblemsConfig, folder: Path, desk: Desk) -> Sequence[Problem]:
    if not problems.decontaminate:
        return train
    measured = {name: read_benchmark(source, desk.config.seed, []) for name, source in benchmarks_of(problems).items()}
    kept, matches = decontaminate(train, measured)
    with (folder / "contaminated.jsonl").open("w", encoding="utf-8") as file:
        for problem, benchmark, like, why in matches:
            row = {"id": problem.id, "benchmark": benchmark, "like": like.id, "why": why}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    desk.progress.say(
        f"{len(matches)} of {len(train)} training problems match a benchmark's and are left out: contaminated.jsonl"
    )
    if not kept:
        raise InputError("every training problem matches a benchmark's; there is nothing left to train on")
    return kept


def gather_benchmark(desk: Desk, folder: Path, *, problems: ProblemsConfig) -> Metrics:
    """All problems as held-out ones: an evaluation by itself trains on none. Nothing named: the embedded held-out set. A
    benchmark is taken as it is: a question that stands in it twice counts twice."""
    repeats: list[str] = []
    chosen = read_benchmark(problems, desk.config.seed, repeats)
    _say_repeats(repeats, desk)
    kept = gradable({"held_out": chosen}, folder, desk.config.grading, desk.progress.say)["held_out"]
    write_set(folder / "held_out.jsonl", kept)
    return {"held_out": len(kept)}


def _say_repeats(repeats: Sequence[str], desk: Desk) -> None:
    if repeats:
        desk.progress.say(f"{len(repeats)} rows repeat one before them and count once more, such as {repeats[0]}")


def gather_questions(desk: Desk, folder: Path, *, problems: ProblemsConfig) -> Metrics:
    """Questions that nobody has answered yet, as held-out problems without a ground truth."""
    repeats: list[str] = []
    questions = read_problems(problems, repeats, answered=False)
    _say_repeats(repeats, desk)
    write_set(folder / "held_out.jsonl", questions)
    return {"held_out": len(questions)}


def grow(
    desk: Desk,
    folder: Path,
    *,
    search: SearchConfig,
    problems: Path,
    policy: str | Path | PolicyConfig,
    ppm: Path | None,
) -> Metrics:
    """Policy MCTS rollouts over the training problems and, apart from them, the PPM's validation problems (paper §3.2)."""
    generator = policy if isinstance(policy, PolicyConfig) else str(policy)
    if search.annotation == "ppm" and ppm is None:
        raise ConfigError("search.annotation=ppm needs a PPM; name one with ppm=FOLDER, or take annotation=terminal")
    scorer = str(ppm) if search.annotation == "ppm" else None
    order = Order(Models(generator, scorer), search, desk.seed, graded=True)
    sets = {name: read_set(problems / f"{name}.jsonl") for name in ("train", "validation")}
    with desk.bar(sum(map(len, sets.values())), "problems") as bar:
        tally = Tally(bar, True, partial(desk.soon, "policy"), Watch(folder, desk.progress.say))

        async def work() -> None:
            await grow_into({folder / name: chosen for name, chosen in sets.items()}, desk.fleet, order, tally.hear)
            await desk.fleet.stage_over()

        asyncio.run(work())
    tally.say_what_is_wrong(desk.progress.say)
    for name in sets:
        note_sandbox(desk, folder / name)
    return tally.metrics() | {"poisoned": sum(say_poisoned(desk, folder / name) for name in sets)}


def harvest(desk: Desk, folder: Path, *, harvest: HarvestConfig, trees: Path) -> Metrics:
    """What is worth learning from: the best trajectories for the policy, step preferences for the PPM (paper §3.3)."""
    with desk.bar(1, "folder of trees") as bar:
        metrics = gather(trees / "train", trees / "validation", folder, harvest)
        bar.advance(1)
        bar.finish(
            f"{metrics['policy_examples']:.0f} examples, {metrics['pairs']:.0f} pairs, coverage {metrics['coverage']:.1%}"
        )
    for lack in lacks(metrics):
        desk.progress.say(lack)
    write_json(folder / "metrics.json", metrics)
    return metrics


def lacks(metrics: Metrics) -> list[str]:
    """What a harvest has too little of, in words, with the way to more."""
    found = []
    for what, count, learner in (
        ("solution", metrics["policy_examples"], "policy"),
        ("pair", metrics["pairs"], "PPM"),
    ):
        if 0 < count < _FEW:  # none at all is said where it is trained
            found.append(
                f"Only {count:.0f} {what}{'s' if count > 1 else ''} to train the {learner} on, from "
                f"{metrics['problems']:.0f} problems: expect little of it. More or easier problems, more rollouts or a "
                "stronger first policy bring more."
            )
    if metrics["pairs"] and not metrics["validation_pairs"]:
        found.append(
            "No validation problem gave a pair, so how well the PPM ranks pairs is not measured in this round."
        )
    return found


def train_policy(desk: Desk, folder: Path, *, training: TrainingConfig, base: str, crop: Path) -> Metrics:
    """The base model fine-tuned on the round's best trajectories: from the base again, not from the last round's (§3.4)."""
    data = crop / "policy.parquet" if crop.is_dir() else crop
    if data.suffix != ".parquet" or pq.read_metadata(data).num_rows:
        job = TrainingJob("policy", Path(base), (data,), folder, training, desk.seed)
        return _train(desk, job, begun=partial(desk.soon, "ppm"))
    desk.progress.say(
        "No problem was solved, so there is nothing to train the policy on: this round's policy is the base."
    )
    _copy_model(Path(base), folder)
    return {"steps": 0, "rows": 0}


def _copy_model(base: Path, folder: Path) -> None:
    """File by file: of a disk that fills, `copytree` gathers what each of them said into an error that is no disk's."""
    for file in (path for path in base.rglob("*") if path.is_file()):
        copy = folder / file.relative_to(base)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def train_ppm(desk: Desk, folder: Path, *, training: PPMConfig, policy: Path | str, crop: Path) -> Metrics:
    """The PPM (or the reward model that `objective` names), started from the policy just trained (paper §3.3)."""
    data = crop / "pairs.parquet" if crop.is_dir() else crop
    held_out = crop / "validation_pairs.parquet" if crop.is_dir() else None
    job = TrainingJob("ppm", Path(policy), (data,), folder, training, desk.seed, held_out, training.objective)
    if data.suffix != ".parquet" or pq.read_metadata(data).num_rows:
        return _train(desk, job)
    desk.progress.say(
        "No problem had right and wrong trajectories, so there are no pairs: this round's PPM is untrained."
    )
    from rstar_math.training.untrained import leave_untrained

    connect_to(desk.config.cluster.address, needs_gpus=desk.config.cluster.needs_gpus)
    return leave_untrained(job, desk.config.cluster.training_silence_seconds)


def train_control(desk: Desk, folder: Path, *, training: TrainingConfig, base: str, like: Path) -> Metrics:
    """The base trained on its own solved problems for as many steps as the policy in `like`."""
    data = folder / "solved.parquet"
    write_examples(data, ((found.problem, found.solution) for found in solved_problems()))
    steps = max(int(read_manifest(like)["metrics"]["steps"]), 1)
    as_long = replace(training, max_steps=steps, epochs=float(steps))
    return _train(desk, TrainingJob("policy", Path(base), (data,), folder, as_long, desk.seed))


def _train(desk: Desk, job: TrainingJob, begun: Callable[[], None] = lambda: None) -> Metrics:
    check_room(job.out, job.base, job.config)
    connect_to(desk.config.cluster.address, needs_gpus=desk.config.cluster.needs_gpus)
    with desk.bar(None, "steps") as bar:

        def hear(progress: Progress) -> None:
            begun()
            bar.reach(progress.done, progress.total, loss=progress.loss)
            desk.log(progress.done, loss=progress.loss, steps_per_second=progress.steps_per_second)

        metrics = desk.trainings.train(job, hear)
        bar.reach(metrics["steps"], metrics["steps"], loss=metrics["loss_last"])
        accuracy = (metrics.get("pair_accuracy") or {}).get("accuracy")
        bar.finish(f"{metrics['rows']} rows" + (f", held-out pairs ranked right: {accuracy:.1%}" if accuracy else ""))
    return {name: value for name, value in metrics.items() if name != "loss_curve"}
