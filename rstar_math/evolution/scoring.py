"""How good are the answers?

The stages that choose among grown answers and grade them: those with code-augmented steps, and those in plain words. The
ground truth is read here alone, after every choice is made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rstar_math.cluster.fleet import Models
from rstar_math.cluster.growth import Order
from rstar_math.config import EvaluationConfig, MutualConfig, PolicyConfig
from rstar_math.disk import write_json
from rstar_math.evaluation.scores import (
    Scored,
    answer_row,
    draw_metrics,
    every_problem,
    gather_rows,
    read_tree,
    scaling_rows,
    score_metrics,
)
from rstar_math.evaluation.strategies import Strategy, by_search
from rstar_math.evaluation.worths import read_worths, with_worths
from rstar_math.evolution.answering import JUDGED, WORTHS, answer, weigh_into
from rstar_math.evolution.run import Desk
from rstar_math.evolution.stages import Metrics
from rstar_math.grading import ProcessJudge
from rstar_math.mutual.judged import read_judged
from rstar_math.mutual.reading import read_ways
from rstar_math.mutual.tasks import read_task, task_folder
from rstar_math.mutual.ways import ways
from rstar_math.ports import Judge
from rstar_math.problems.sets import read_set
from rstar_math.records import Tree
from rstar_math.search.storage import read_trees

#: How one tree is read.
_Reading = Callable[[Tree, Judge], Awaitable[Mapping[str, Scored]]]


def score(
    desk: Desk,
    folder: Path,
    *,
    evaluation: EvaluationConfig,
    problems: Path,
    policy: str | Path | PolicyConfig,
    ppm: Path | None,
) -> Metrics:
    """A round's scores, answers and all: greedy pass@1 of the policy and, once there is a PPM, System 2, the search that it
    guides (§4), or what `evaluation.strategies` names. Those that differ in the reading alone share their trees."""
    held_out = read_set(problems / "held_out.jsonl")
    if ppm is None:
        desk.soon_served("ppm")
    searches = by_search(evaluation, scored=ppm is not None)
    last = next(reversed(searches), None)
    generator = policy if isinstance(policy, PolicyConfig) else str(policy)

    async def work() -> dict[str, list[Scored]]:
        rows: dict[str, list[Scored]] = {}
        for search, (strategy, *_) in searches.items():
            models = Models(generator, str(ppm) if strategy.guided else None)
            next_one = partial(desk.soon, "policy") if desk.control_follows and search == last else None
            order, what = Order(models, strategy.plan, desk.seed, graded=False), "" if desk.label else search
            await answer(desk, folder / "trees" / search, held_out, order, what, next_one)
            if ppm is not None and strategy.scored and not strategy.guided:
                await weigh_into(desk, folder / f"{search}-{WORTHS}", folder / "trees" / search, ppm)
        await desk.fleet.stage_over()
        async with ProcessJudge(desk.config.grading) as judge:
            for search, readings in searches.items():
                weighed = read_worths(folder / f"{search}-{WORTHS}")
                grown = with_worths(read_trees(folder / "trees" / search), weighed)
                reading = partial(read_tree, readings=readings, judge=judge, weighed=weighed)
                rows |= await gather_rows(every_problem(grown, held_out), reading)
        return rows

    return _write_scores(desk, folder, asyncio.run(work()), searches, evaluation)


def read(
    desk: Desk,
    folder: Path,
    *,
    evaluation: EvaluationConfig,
    problems: Path,
    trees: Path,
    worths: Path | None,
) -> Metrics:
    """Scores of one search whose trees are there, by all of `evaluation.strategies`. `worths`: what a reward model said of
    its drawn solutions."""
    ((search, found),) = by_search(evaluation, scored=True).items()
    readings = [replace(strategy, scored=strategy.guided or worths is not None) for strategy in found]
    weighed = read_worths(worths / WORTHS) if worths else {}
    grown = with_worths(read_trees(trees), weighed)

    async def reading(tree: Tree, judge: Judge) -> Mapping[str, Scored]:
        return await read_tree(tree, readings, judge, weighed)

    rows = asyncio.run(_read(desk, problems, grown, reading))
    return _write_scores(desk, folder, rows, {search: readings}, evaluation)


def read_words(
    desk: Desk, folder: Path, *, mutual: MutualConfig, problems: Path, trees: Path, judged: Path | None
) -> Metrics:
    """The same for answers in plain words, by all of `mutual.strategies`."""
    readings = ways(mutual, read_task(task_folder(mutual.task)), second=judged is not None)
    verdicts = read_judged(judged / JUDGED) if judged else {}

    async def reading(tree: Tree, judge: Judge) -> Mapping[str, Scored]:
        return await read_ways(tree, readings, verdicts.get(tree.problem.id), mutual.agreement, judge)

    rows = asyncio.run(_read(desk, problems, read_trees(trees), reading))
    plan = desk.config.plan(max(desk.place.round, 1)).evaluation
    return _write_scores(desk, folder, rows, {readings[0].search: readings}, plan)


async def _read(desk: Desk, problems: Path, grown: Iterable[Tree], reading: _Reading) -> dict[str, list[Scored]]:
    held_out = read_set(problems / "held_out.jsonl")
    async with ProcessJudge(desk.config.grading) as judge:
        with desk.bar(len(held_out), "problems", "graded") as bar:
            return await gather_rows(every_problem(grown, held_out), lambda tree: reading(tree, judge), bar.advance)


def _write_scores(
    desk: Desk,
    folder: Path,
    rows: Mapping[str, Sequence[Scored]],
    searches: Mapping[str, Sequence[Strategy]],
    evaluation: EvaluationConfig,
) -> Metrics:
    """`answers.jsonl`, `scaling.json` and `metrics.json`; returns what stands in the last. Of questions whose answer nobody
    knows there is the first alone."""
    metrics: dict[str, float] = {}
    scaling: list[dict[str, Any]] = []
    drawing = {"resamples": evaluation.bootstrap, "seed": desk.seed}
    names = [strategy.name for readings in searches.values() for strategy in readings]
    with (folder / "answers.jsonl").open("w") as answers:
        for name in names:
            answers.writelines(json.dumps(answer_row(name, row)) + "\n" for row in rows.get(name, []))
    every = [row for scored in rows.values() for row in scored]
    if every and not any(row.problem.answer for row in every):
        return {"answered": sum(row.choice is not None for row in every)}
    for name in names:
        # Where nothing is held out every name still has its numbers.
        metrics |= score_metrics(name, rows.get(name, []), **drawing)
    for search, readings in searches.items():
        strategy = readings[0]
        scaling += scaling_rows(search, [rows.get(each.name, []) for each in readings], **drawing)
        if strategy.drawn and (count := strategy.plan.rollouts) > 1:
            metrics |= draw_metrics(f"sample@{count}", rows.get(strategy.name, []), count, **drawing)
    write_json(folder / "scaling.json", scaling)
    write_json(folder / "metrics.json", metrics)
    return metrics
