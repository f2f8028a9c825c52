"""How good are the answers?

The stages that answer held-out problems and grade the answers: with code-augmented steps, and in plain words. The ground
truth is read after every choice is made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from rstar_math.cluster.fleet import Models
from rstar_math.cluster.growth import Order, grow_into
from rstar_math.config import EvaluationConfig, MutualConfig, PolicyConfig
from rstar_math.evaluation.scores import (
    Scored,
    answer_row,
    draw_metrics,
    every_problem,
    scaling_rows,
    score_metrics,
    score_trees,
)
from rstar_math.evaluation.strategies import Strategy, possible, strategies
from rstar_math.evolution.run import Desk
from rstar_math.evolution.stages import Metrics
from rstar_math.evolution.store import write_json
from rstar_math.evolution.tally import Tally, note_sandbox, say_poisoned
from rstar_math.grading import ProcessJudge
from rstar_math.mutual.discriminator import Discriminator, Judged
from rstar_math.mutual.judged import judge_all
from rstar_math.mutual.reading import read_ways
from rstar_math.mutual.tasks import read_task, task_folder
from rstar_math.mutual.ways import ways
from rstar_math.ports import Policy
from rstar_math.problems.sets import read_set
from rstar_math.sandbox import ProcessSandbox
from rstar_math.search.storage import read_trees


def score(
    desk: Desk,
    folder: Path,
    *,
    evaluation: EvaluationConfig,
    problems: Path,
    policy: str | Path | PolicyConfig,
    ppm: Path | None,
) -> Metrics:
    """Answers to held-out problems, graded: greedy pass@1 of the policy and, once there is a PPM, System 2, the search that
    it guides (§4), or what `evaluation.strategies` names. Those that differ in the reading alone share their trees."""
    held_out = read_set(problems / "held_out.jsonl")
    guided = ppm is not None
    if not guided:
        desk.soon_served("ppm")
    by_search: dict[str, list[Strategy]] = {}
    for strategy in strategies(possible(evaluation.strategies, guided=guided), evaluation, guided=guided):
        by_search.setdefault(strategy.search, []).append(strategy)
    last = next(reversed(by_search), None)
    generator = policy if isinstance(policy, PolicyConfig) else str(policy)

    async def work() -> dict[str, list[Scored]]:
        for search, (strategy, *_) in by_search.items():
            scorer = None if not strategy.guided else str(ppm)
            order = Order(Models(generator, scorer), strategy.plan, desk.seed, graded=False)
            with desk.bar(len(held_out), "problems", "" if desk.label else search) as bar:
                sets = {folder / "trees" / search: held_out}
                next_one = partial(desk.soon, "policy") if desk.control_follows and search == last else None
                tally = Tally(bar, graded=False, near_the_end=next_one)
                await grow_into(sets, desk.fleet, order, tally.hear)
            tally.say_speechless(desk.progress.say)
            say_poisoned(desk, folder / "trees" / search)
            note_sandbox(desk, folder / "trees" / search)
        await desk.fleet.stage_over()
        rows: dict[str, list[Scored]] = {}
        async with ProcessJudge(desk.config.grading) as judge:
            for search, readings in by_search.items():
                grown = every_problem(read_trees(folder / "trees" / search), held_out)
                rows |= await score_trees(grown, readings, judge)
        return rows

    rows = asyncio.run(work())
    return _write_scores(folder, rows, by_search, {"resamples": evaluation.bootstrap, "seed": desk.seed})


def reason(
    desk: Desk,
    folder: Path,
    *,
    mutual: MutualConfig,
    problems: Path,
    policy: str | PolicyConfig,
    discriminator: str | PolicyConfig | None,
) -> Metrics:
    """The same for answers in plain words, without any training (rStar): one search, read by all of
    `mutual.strategies`. The second model looks at its trajectories once they are all there."""
    held_out, described = read_set(problems / "held_out.jsonl"), read_task(task_folder(mutual.task))
    readings = ways(mutual, described, second=discriminator is not None)
    search, plan = readings[0].search, readings[0].plan
    trees = folder / "trees" / search

    async def work() -> dict[str, list[Scored]]:
        order = Order(Models(policy), plan, desk.seed, graded=False)
        with desk.bar(len(held_out), "problems") as bar:
            tally = Tally(bar, graded=False)
            await grow_into({trees: held_out}, desk.fleet, order, tally.hear)
        tally.say_speechless(desk.progress.say)
        say_poisoned(desk, trees)
        note_sandbox(desk, trees)
        async with ProcessJudge(desk.config.grading) as judge:
            judged: Mapping[str, Judged] = {}
            if discriminator is not None:
                async with (
                    _second_model(desk, discriminator) as second,
                    ProcessSandbox(desk.config.sandbox) if described.code else nullcontext() as sandbox,
                ):
                    looking = Discriminator(second, judge, described, mutual, desk.seed, sandbox)
                    with desk.bar(len(held_out), "problems", "second model") as bar:
                        judged = await judge_all(folder / "judged.jsonl", read_trees(trees), looking, bar.advance)
            await desk.fleet.stage_over()
            grown = every_problem(read_trees(trees), held_out)
            return await read_ways(grown, readings, judged, mutual.agreement, judge)

    rows = asyncio.run(work())
    evaluation = desk.config.plan(max(desk.place.round, 1)).evaluation
    drawing = {"resamples": evaluation.bootstrap, "seed": desk.seed}
    return _write_scores(folder, rows, {search: readings}, drawing)


@asynccontextmanager
async def _second_model(desk: Desk, model: str | PolicyConfig) -> AsyncIterator[Policy]:
    if isinstance(model, PolicyConfig):
        from rstar_math.engines.endpoint import EndpointPolicy

        async with EndpointPolicy(model, "discriminator") as server:
            yield server
    else:
        yield await desk.fleet.policy(model, desk.seed)


def _write_scores(
    folder: Path,
    rows: Mapping[str, Sequence[Scored]],
    by_search: Mapping[str, Sequence[Strategy]],
    drawing: Mapping[str, int],
) -> Metrics:
    """`answers.jsonl`, `scaling.json` and `metrics.json`; returns what stands in the last."""
    metrics: dict[str, float] = {}
    scaling: list[dict[str, Any]] = []
    with (folder / "answers.jsonl").open("w") as answers:
        for name, scored in rows.items():
            metrics |= score_metrics(name, scored, **drawing)
            answers.writelines(json.dumps(answer_row(name, row)) + "\n" for row in scored)
    for search, (strategy, *_) in by_search.items():
        scaling += scaling_rows(search, rows[strategy.name], **drawing)
        if strategy.drawn and (count := strategy.plan.rollouts) > 1:
            metrics |= draw_metrics(f"sample@{count}", rows[strategy.name], count)
    write_json(folder / "scaling.json", scaling)
    write_json(folder / "metrics.json", metrics)
    return metrics
