"""How many trees at once: more while a batch has places left, fewer while sequences wait."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError

from rstar_math.cli.compose import compose
from rstar_math.cluster import flow as looking
from rstar_math.cluster.actors import Counted, SearchActor
from rstar_math.cluster.engines import _Engine
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.flow import LEAST, MOST, Flow, fullest
from rstar_math.config import GradingConfig, SandboxConfig


def test_room_grows_while_the_batch_has_places_and_the_room_is_used() -> None:
    flow = Flow(room=32)
    assert flow.hear(filled=0.5, running=32) == 41
    assert flow.hear(filled=0.5, running=20) == 41  # problems are running out: more room would change nothing
    assert flow.hear(filled=1.1, running=41) == 41  # full, and few wait


def test_room_shrinks_while_sequences_wait() -> None:
    flow = Flow(room=100)
    assert flow.hear(filled=2.0, running=100) == 80


def test_room_shrinks_no_further_before_what_it_held_has_ended() -> None:
    """It went on shrinking every second while the trees beyond it were still under way, and ended far too small."""
    flow = Flow(room=100)
    assert [flow.hear(filled=2.0, running=running) for running in (100, 98, 90, 80)] == [80, 80, 80, 64]


def test_room_settles_where_the_batch_is_full() -> None:
    flow, fills = Flow(), []
    for _ in range(60):
        fills.append(flow.room * 6 / 1024)  # each tree keeps six sequences under way
        flow.hear(filled=fills[-1], running=flow.room)
    assert all(0.9 <= fill <= 1.3 for fill in fills[-20:])


def test_room_stays_within_its_bounds_and_a_fixed_one_where_it_is() -> None:
    flow = Flow()
    for _ in range(50):
        flow.hear(filled=0.0, running=flow.room)
    assert flow.room == MOST
    for _ in range(50):
        flow.hear(filled=9.0, running=flow.room)
    assert flow.room == LEAST
    assert Flow(7, measured=False).pause is None
    assert not Flow(7, measured=False).is_due()


def actor(filled: float | BaseException | None) -> SimpleNamespace:
    """Stands where an engine's or a worker's actor does, and says how full it is; None: it is silent."""

    async def say() -> float:
        if filled is None:
            await asyncio.sleep(3600)
        if isinstance(filled, BaseException):
            raise filled
        return filled

    return SimpleNamespace(filled=SimpleNamespace(remote=say))


@pytest.mark.parametrize(
    ("policy", "ppm", "worker"),
    [([1.5], [0.1], [0.2]), ([0.1], [1.5, 1.5], [0.2]), ([0.1], [], [2.5, 0.5]), ([1.0, 2.0], [], [])],
)
async def test_the_fullest_of_engines_and_workers_decides(policy, ppm, worker) -> None:
    """Only the policy engines' batches were looked at, so room grew without end where all waited for the PPM or a sandbox."""
    assert await fullest([list(map(actor, filled)) for filled in (policy, ppm, worker)]) == 1.5


async def test_who_is_dead_or_silent_does_not_count_and_where_nobody_says_room_stays(monkeypatch) -> None:
    """A policy engine that hung kept the whole search from going on, and from finding out."""
    monkeypatch.setattr(looking, "_ANSWER_SECONDS", 0.05)
    gone, silent = actor(ActorDiedError()), actor(None)
    async with asyncio.timeout(10):
        assert await fullest([[actor(0.2), gone, silent], [actor(0.5)]]) == 0.5
        assert await fullest([[gone, silent], [actor(0.5)]]) == 1.0
    flow = Flow(room=32)
    assert flow.hear(filled=1.0, running=32) == 32


class Slow:
    """A sandbox and a judge that answer when they may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    async def run(self, programs):
        await self.may_answer.wait()
        return []

    async def grade(self, prediction, gold, tolerance=0.0):
        await self.may_answer.wait()


async def test_a_worker_is_as_full_as_its_sandbox_or_its_judge() -> None:
    slow = Slow()
    counted = Counted(slow, slow, runners=32, graders=1)
    asking = [asyncio.create_task(counted.run([("x = 1",)] * 8)) for _ in range(24)]
    asking += [asyncio.create_task(counted.grade("1", "2")) for _ in range(16)]
    await asyncio.sleep(0)
    assert counted.filled == 24 * 8 / 128  # four for each of 32 processes
    asking += [asyncio.create_task(counted.grade("1", "2")) for _ in range(112)]
    await asyncio.sleep(0)
    assert counted.filled == 128 / 64
    slow.may_answer.set()
    await asyncio.gather(*asking)
    assert counted.filled == 0


async def test_a_search_worker_says_how_full_its_own_sandbox_is() -> None:
    worker = SearchActor(SandboxConfig(workers=1), GradingConfig())
    await worker.open([], [])
    assert worker._doors is not None
    before = await worker.filled()
    running = asyncio.create_task(worker._doors.sandbox.run([(f"n = {n}\n",) for n in range(32)]))
    await asyncio.sleep(0)
    under_way = await worker.filled()
    await running
    await worker.close()
    assert (before, under_way) == (0, 32 / 64)


async def test_workers_that_wait_for_a_place_do_not_keep_room_from_growing() -> None:
    """Trees under way were shared out among all workers asked for, so with one in four there room never grew."""
    config = compose(["cluster.trees_in_flight=auto"])
    fleet = Fleet(replace(config, cluster=replace(config.cluster, search_workers=4)))
    fleet._engines.served, fleet._engines._all = {"policy": "p"}, {"policy": [_Engine(actor(0.1), "p")]}
    fleet._crew.workers = [actor(0.1)] * 4
    fleet._crew._opening = dict.fromkeys((1, 2, 3), asyncio.get_running_loop().create_future())
    flow = Flow(room=32)
    flow._heard -= 3600
    assert await fleet._room(flow, 32, Models("p")) == 41
