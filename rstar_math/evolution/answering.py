"""What does it answer?

The stages that grow answers to held-out problems, and those in which another model looks at what was grown. None of them is
told the ground truth, and none chooses an answer: `scoring` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.growth import Order, grow_into
from rstar_math.config import MaskingConfig, PolicyConfig, SearchConfig
from rstar_math.evaluation.worths import weigh_all
from rstar_math.evolution.room import Watch
from rstar_math.evolution.run import Desk
from rstar_math.evolution.stages import Metrics
from rstar_math.evolution.tally import Tally, note_sandbox, say_poisoned
from rstar_math.grading import ProcessJudge
from rstar_math.mutual.discriminator import Discriminator
from rstar_math.mutual.judged import judge_all
from rstar_math.ports import Policy
from rstar_math.problems.sets import read_set
from rstar_math.records import Problem
from rstar_math.sandbox import ProcessSandbox
from rstar_math.search.actions import Reasoning
from rstar_math.search.storage import count_trees, read_trees
from rstar_math.search.task import Task

#: What a reward model says solutions are worth, and what a second model made of trajectories, in the folders of their stages.
WORTHS, JUDGED = "worths.jsonl", "judged.jsonl"


async def answer(
    desk: Desk,
    folder: Path,
    problems: Sequence[Problem],
    order: Order,
    what: str = "",
    near_the_end: Callable[[], None] | None = None,
) -> None:
    """Grows a tree for each of the problems into `folder`; `what` names the search in progress."""
    with desk.bar(len(problems), "problems", what) as bar:
        tally = Tally(bar, False, near_the_end, Watch(folder, desk.progress.say))
        await grow_into({folder: problems}, desk.fleet, order, tally.hear)
    tally.say_what_is_wrong(desk.progress.say)
    say_poisoned(desk, folder)
    note_sandbox(desk, folder)


async def weigh_into(desk: Desk, file: Path, trees: Path, ppm: Path) -> None:
    """Has the reward model say what each solution of the trees is worth."""
    scorer = await desk.fleet.scorer(str(ppm))
    with desk.bar(count_trees(trees), "problems", "PPM") as bar:
        await weigh_all(file, read_trees(trees), scorer, bar.advance)


def draw(
    desk: Desk,
    folder: Path,
    *,
    evaluation: SearchConfig,
    problems: Path,
    policy: str | Path | PolicyConfig,
    ppm: Path | None,
) -> Metrics:
    """The trees of one search. `evaluation`: its plan, which has the evaluation's own knobs; `ppm`: what guides it."""
    models = Models(policy if isinstance(policy, PolicyConfig) else str(policy), None if ppm is None else str(ppm))
    held_out = read_set(problems / "held_out.jsonl")

    async def work() -> None:
        await answer(desk, folder, held_out, Order(models, evaluation, desk.seed, graded=False))
        await desk.fleet.stage_over()

    asyncio.run(work())
    return {"held_out": len(held_out)}


def reason(desk: Desk, folder: Path, *, mutual: Reasoning, problems: Path, policy: str | PolicyConfig) -> Metrics:
    """The same in plain words, without any training (rStar)."""
    return draw(desk, folder, evaluation=mutual, problems=problems, policy=policy, ppm=None)


def weigh(desk: Desk, folder: Path, *, trees: Path, ppm: Path) -> Metrics:
    """What a reward model says each drawn solution is worth."""

    async def work() -> None:
        await weigh_into(desk, folder / WORTHS, trees, ppm)
        await desk.fleet.stage_over()

    asyncio.run(work())
    return {"trees": count_trees(trees)}


def judge(
    desk: Desk,
    folder: Path,
    *,
    mutual: MaskingConfig,
    task: Task,
    trees: Path,
    discriminator: str | PolicyConfig,
) -> Metrics:
    """What a second model makes of the trajectories once they are all there."""

    async def work() -> None:
        async with (
            ProcessJudge(desk.config.grading) as comparing,
            second_model(desk.fleet, discriminator, desk.seed) as second,
            ProcessSandbox(desk.config.sandbox) if task.code else nullcontext() as sandbox,
        ):
            looking = Discriminator(second, comparing, task, mutual, desk.seed, sandbox)
            with desk.bar(count_trees(trees), "problems", "second model") as bar:
                await judge_all(folder / JUDGED, read_trees(trees), looking, bar.advance)
        await desk.fleet.stage_over()

    asyncio.run(work())
    return {"trees": count_trees(trees)}


@asynccontextmanager
async def second_model(fleet: Fleet, model: str | PolicyConfig, seed: int) -> AsyncIterator[Policy]:
    """rStar's discriminator, behind the door that any policy stands behind: an engine of the fleet, or a server."""
    if isinstance(model, PolicyConfig):
        from rstar_math.engines.endpoint import EndpointPolicy

        async with EndpointPolicy(model, "discriminator") as server:
            yield server
    else:
        yield await fleet.policy(model, seed)
