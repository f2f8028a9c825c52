"""Search on a real local Ray cluster, with real sandboxes and judges and scripted engines."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import ray
from ray.exceptions import ActorDiedError, ObjectLostError, OutOfMemoryError

from rstar_math.cli.compose import compose
from rstar_math.cluster import crew, watch
from rstar_math.cluster import fleet as fleet_module
from rstar_math.cluster.actors import PolicyActor, Replicas, SearchActor
from rstar_math.cluster.dispatch import Dispatch
from rstar_math.cluster.engines import Engines, _Engine
from rstar_math.cluster.errands import Errand, ended
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.growth import Order, grow_into
from rstar_math.cluster.holding import Demand
from rstar_math.cluster.joining import connect_to
from rstar_math.cluster.standing import Standing
from rstar_math.cluster.watch import Silence, hanging, in_time, one_of
from rstar_math.config import EngineConfig, GradingConfig, PolicyConfig, RunConfig, SandboxConfig, SearchConfig
from rstar_math.errors import (
    ConfigError,
    EngineError,
    EngineLost,
    GradingError,
    QuestionKills,
    RstarError,
    SandboxError,
)
from rstar_math.records import Problem, Sampling, Segment, Verdict
from rstar_math.scripted import ScriptedEngine
from rstar_math.search.storage import read_trees

PROBLEMS = [Problem(f"p{n}", f"What is {n} + 3?", str(n + 3)) for n in range(12)]
PLAN = SearchConfig(rollouts=4, candidates=6)
MODELS = Models("no-weights", None)


@pytest.fixture(scope="module")
def config() -> Iterator[RunConfig]:
    config = compose(["cluster.trees_per_part=5", "cluster.trees_in_flight=4"])
    yield config
    ray.shutdown()


@pytest.fixture(scope="class")
def fleet(config) -> Iterator[Fleet]:
    fleet = Fleet(config, ScriptedEngine, ScriptedEngine)
    yield fleet
    asyncio.run(fleet.release())


async def grow_all(fleet: Fleet, folder: Path, problems=PROBLEMS, models=MODELS, plan=PLAN) -> list[tuple[str, bool]]:
    heard: list[tuple[str, bool]] = []
    order = Order(models, plan, seed=1, graded=True)
    await grow_into(
        {folder: problems}, fleet, order, lambda trees, before, _: heard.append((trees[0].problem.id, before))
    )
    return heard


@pytest.mark.slow
class TestOneFleet:
    """What the actors of one fleet do one after the other, as a run's stages have them do it."""

    async def test_every_problem_is_grown_once_and_written_in_parts(self, fleet, tmp_path) -> None:
        heard = await grow_all(fleet, tmp_path)
        assert sorted(heard) == sorted((problem.id, False) for problem in PROBLEMS)
        trees = {tree.problem.id: tree for tree in read_trees(tmp_path)}
        assert set(trees) == {problem.id for problem in PROBLEMS}
        assert len(list(tmp_path.glob("part-*.parquet"))) == 3
        verdicts = {node.answer: node.verdict for node in trees["p2"].nodes if node.verdict}
        assert verdicts["5"] is Verdict.CORRECT

    async def test_a_stopped_growth_goes_on_with_what_is_left(self, fleet, tmp_path) -> None:
        await grow_all(fleet, tmp_path, PROBLEMS[:5])
        heard = await grow_all(fleet, tmp_path)
        assert sorted(name for name, before in heard if before) == sorted(problem.id for problem in PROBLEMS[:5])
        ids = [tree.problem.id for tree in read_trees(tmp_path)]
        assert sorted(ids) == sorted(problem.id for problem in PROBLEMS)

    async def test_two_sets_grow_side_by_side_each_into_its_own_folder(self, fleet, tmp_path) -> None:
        sets = {tmp_path / "train": PROBLEMS[:7], tmp_path / "validation": PROBLEMS[7:]}
        order = Order(MODELS, PLAN, seed=1, graded=True)
        await grow_into(sets, fleet, order, lambda *_: None)
        found = {folder: sorted(tree.problem.id for tree in read_trees(folder)) for folder in sets}
        assert found == {folder: sorted(problem.id for problem in chosen) for folder, chosen in sets.items()}

    async def test_a_cancelled_growth_keeps_the_trees_that_were_finished(self, fleet, tmp_path) -> None:
        grown = asyncio.Event()
        order = Order(MODELS, PLAN, seed=1, graded=True)
        growing = asyncio.create_task(grow_into({tmp_path: PROBLEMS}, fleet, order, lambda *_: grown.set()))
        await grown.wait()
        growing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await growing
        assert 1 <= len(list(read_trees(tmp_path))) < len(PROBLEMS)

    async def test_with_a_scripted_policy_two_growths_find_equal_trees(self, fleet, tmp_path) -> None:
        found = []
        for name in ("a", "b"):
            await grow_all(
                fleet, tmp_path / name, models=Models("no-weights", "ppm"), plan=replace(PLAN, annotation="ppm")
            )
            found.append({tree.problem.id: (tree.nodes, tree.rollouts) for tree in read_trees(tmp_path / name)})
        assert found[0] == found[1]

    async def test_a_search_workers_death_sends_its_problems_elsewhere(self, fleet, tmp_path) -> None:
        killed = False

        def kill_once(*_: object) -> None:
            nonlocal killed
            if not killed:
                killed = True
                ray.kill(fleet._crew.workers[0])

        order = Order(MODELS, PLAN, seed=1, graded=True)
        await grow_into({tmp_path: PROBLEMS}, fleet, order, kill_once)
        assert sorted(tree.problem.id for tree in read_trees(tmp_path)) == sorted(problem.id for problem in PROBLEMS)

    @pytest.mark.parametrize("kind", ["policy", "ppm"])
    async def test_an_engine_that_dies_while_it_is_asked_from_outside_a_search_is_replaced(self, fleet, kind) -> None:
        """The second model's completions ended with the death of one engine; only a search had others take its place."""
        ask = await stand(fleet, kind)
        (first,) = fleet._engines.serving(kind)
        ray.kill(first)
        assert all(await asyncio.gather(*(ask() for _ in range(40))))
        (second,) = fleet._engines.serving(kind)
        assert second is not first
        assert fleet._deaths == 1  # of all that had asked it the first mended for the others


@pytest.mark.slow
async def test_a_promise_that_the_workers_machine_cannot_keep_is_said_by_the_driver(config, tmp_path, caplog) -> None:
    """It was said in the worker's own log, which nobody reads."""
    thinner = replace(config, sandbox=replace(config.sandbox, without=("root",)))
    fleet = Fleet(thinner, ScriptedEngine, ScriptedEngine)
    for name in ("a", "b"):
        await grow_all(fleet, tmp_path / name, PROBLEMS[:1])
    assert fleet.promises["no name of others' files"] == ["not held (root none (left out))"]
    assert fleet.promises["no flood of output"] == ["limits"]
    said = [record.getMessage() for record in caplog.records if "promise" in record.getMessage()]
    assert said == [
        "a search worker's machine cannot keep every promise of the sandbox: "
        "no name of others' files: not held (root none (left out))"
    ]
    await fleet.release()


@pytest.mark.slow
async def test_an_engines_death_costs_no_problem(config, tmp_path) -> None:
    fleet = Fleet(replace(config, engine=replace(config.engine, cpus=0.1)), ScriptedEngine, ScriptedEngine)
    killed: dict[str, object] = {}
    heard: list[object] = []

    def kill_one_of_each(*told: object) -> None:
        heard.append(told)
        kind = {1: "policy", 5: "ppm"}.get(len(heard))
        if kind is not None:
            killed[kind] = fleet._engines.serving(kind)[0]
            ray.kill(killed[kind])

    order = Order(Models("no-weights", "no-weights"), replace(PLAN, annotation="ppm"), seed=1, graded=True)
    await grow_into({tmp_path: PROBLEMS}, fleet, order, kill_one_of_each)
    assert sorted(tree.problem.id for tree in read_trees(tmp_path)) == sorted(problem.id for problem in PROBLEMS)
    assert killed.keys() == {"policy", "ppm"}
    assert all(fleet._engines.serving(kind)[0] is not dead for kind, dead in killed.items())
    await fleet.release()


@pytest.mark.slow
async def test_an_engines_death_beside_another_costs_no_search_what_it_has_done(config, tmp_path, caplog) -> None:
    """Every search that had asked it was begun anew, from its root."""
    two = replace(config, engine=replace(config.engine, cpus=0.1, replicas=2))
    fleet = Fleet(two, slow_to_answer(), ScriptedEngine, noting(tmp_path / "begun"))
    killed: list[object] = []
    both: list[object] = []

    def kill_once(*_: object) -> None:
        both.extend([None] * (len(fleet._engines.serving("policy")) == 2))
        if len(both) == 5 and not killed:  # by now the worker knows of both
            killed.append(fleet._engines.serving("policy")[0])
            ray.kill(killed[0])

    many = [Problem(f"p{n}", f"What is {n} + 3?", str(n + 3)) for n in range(60)]
    order = Order(MODELS, PLAN, seed=1, graded=True)
    try:
        await grow_into({tmp_path / "trees": many}, fleet, order, kill_once)
    finally:
        await fleet.release()
    assert killed
    assert "a policy engine died" in caplog.text
    assert sorted(tree.problem.id for tree in read_trees(tmp_path / "trees")) == sorted(p.id for p in many)
    assert sorted((tmp_path / "begun").read_text().split()) == sorted(p.id for p in many)


def slow_to_answer() -> type:
    """An engine that always has questions under way."""

    class SlowToAnswer(ScriptedEngine):
        async def propose(self, transcript, count, sampling):
            await asyncio.sleep(0.05)
            return await super().propose(transcript, count, sampling)

    return SlowToAnswer


def noting(begun: Path) -> type:
    """A search worker that notes which problems it begins."""

    class Noting(SearchActor):
        async def grow(self, problem, *rest):
            with begun.open("a") as file:
                file.write(f"{problem.id}\n")
            return await super().grow(problem, *rest)

    return Noting


@pytest.mark.slow
async def test_an_engine_and_the_only_worker_that_die_at_once_cost_no_problem(config, tmp_path) -> None:
    fleet = Fleet(replace(config, engine=replace(config.engine, cpus=0.1)), ScriptedEngine, ScriptedEngine)
    heard: list[str] = []

    def kill_both_once(trees, *_):
        heard.append(trees[0].problem.id)
        if len(heard) == 3:
            ray.kill(fleet._crew.workers[0])
            ray.kill(fleet._engines.serving("policy")[0])

    await grow_into({tmp_path: PROBLEMS}, fleet, Order(MODELS, PLAN, seed=1, graded=True), kill_both_once)
    written = sorted(tree.problem.id for tree in read_trees(tmp_path))
    assert written == sorted(heard) == sorted(problem.id for problem in PROBLEMS)
    await fleet.release()


@pytest.mark.slow
async def test_the_last_worker_that_is_ready_may_die_while_others_still_start(config, tmp_path) -> None:
    two = replace(config, cluster=replace(config.cluster, search_workers=2, search_cpus=0.1))
    fleet = Fleet(two, ScriptedEngine, ScriptedEngine, all_but_one_late(tmp_path / "first"))
    ready: list[int] = []

    def kill_once(*_: object) -> None:
        if not ready:
            ready.extend(fleet._crew.ready)
            ray.kill(fleet._crew.workers[ready[0]])

    order = Order(MODELS, PLAN, seed=1, graded=True)
    await grow_into({tmp_path / "trees": PROBLEMS}, fleet, order, kill_once)
    written = sorted(tree.problem.id for tree in read_trees(tmp_path / "trees"))
    assert written == sorted(problem.id for problem in PROBLEMS)
    assert len(ready) == 1
    await fleet.release()


def all_but_one_late(marker: Path) -> type:
    """A search worker that takes its time to open where another one has before it."""

    class Late(SearchActor):
        async def open(self, policy, scorers):
            try:
                marker.touch(exist_ok=False)
            except FileExistsError:
                await asyncio.sleep(5)
            await super().open(policy, scorers)

    return Late


OUT_OF_MEMORY = OutOfMemoryError("1 worker(s) were killed: the node runs low on memory\nTop 10 memory users:\nAdvice")


@pytest.mark.parametrize("error", [OUT_OF_MEMORY, ObjectLostError("0" * 56, None, "")])
async def test_a_worker_that_ray_ended_for_want_of_memory_or_whose_machine_took_a_tree_along_is_a_dead_one(
    error,
) -> None:
    """Ray has other words for these than for a death; they ended the stage."""
    dispatch = Dispatch(iter(PROBLEMS), slots=1, room=1, deaths_per_problem=3)
    (problem,) = dispatch.due(0)
    assert ended({finished(error): Errand(problem, 0, 0)}, dispatch).dead == {0: error}


async def test_trees_that_finished_in_the_instant_of_a_fatal_error_are_kept() -> None:
    """They had been grown, and were dropped."""
    dispatch = Dispatch(iter(PROBLEMS), slots=1, room=3, deaths_per_problem=3)
    first, second, third = dispatch.due(0)
    tree, error = object(), ValueError("a bug")
    running = {
        finished(error): Errand(first, 0, 0),
        finished([tree]): Errand(second, 0, 0),
        asyncio.get_running_loop().create_future(): Errand(third, 0, 0),
    }
    found = ended(running, dispatch)
    assert found.trees == [[tree]]
    assert found.fatal == [error]
    assert [errand.problem for errand in running.values()] == [third]


def finished(said: object) -> asyncio.Future:
    """A call that has ended, with an error if that is what it said."""
    future = asyncio.get_running_loop().create_future()
    if isinstance(said, BaseException):
        future.set_exception(said)
    else:
        future.set_result(said)
    return future


@pytest.mark.slow
async def test_a_worker_that_is_cut_off_from_a_living_engine_gives_way_to_another(config, tmp_path, caplog) -> None:
    """It tried its problems again without end: no engine was dead, so nothing was replaced and nobody said a word. None of
    its problems is to blame, however many workers are cut off one after the other."""
    wary = replace(config, cluster=replace(config.cluster, deaths_per_problem=1, trees_in_flight=1))
    fleet = Fleet(wary, ScriptedEngine, ScriptedEngine, cut_off(tmp_path / "lives", 4))
    try:
        heard = await asyncio.wait_for(grow_all(fleet, tmp_path / "trees"), 120)
    finally:
        await fleet.release()
    assert sorted(name for name, _ in heard) == sorted(problem.id for problem in PROBLEMS)
    assert caplog.text.count("cannot reach an engine that lives") == 4
    assert "set aside" not in caplog.text


def cut_off(lives: Path, count: int) -> type:
    """A search worker that reaches no engine, the first few times that it lives."""

    class CutOff(SearchActor):
        async def open(self, policy, scorers):
            if not hasattr(self, "alone"):
                with lives.open("a+") as file:
                    file.write("x")
                    self.alone = file.tell() <= count
            await super().open(policy, scorers)

        async def grow(self, *asked):
            if self.alone:
                raise EngineLost("an engine cannot be reached")
            return await super().grow(*asked)

    return CutOff


async def test_an_engine_that_ray_ended_for_want_of_memory_is_a_dead_one_and_that_is_said_in_one_line() -> None:
    async def die(*_: object) -> None:
        raise OUT_OF_MEMORY

    door = Replicas([SimpleNamespace(propose=SimpleNamespace(remote=die))])
    with pytest.raises(EngineLost, match=r"^1 worker\(s\) were killed: the node runs low on memory$"):
        await door.propose((Segment("q", by_policy=False),), 1, Sampling())


@pytest.mark.slow
async def test_an_engine_that_breaks_inside_its_living_process_is_replaced_and_costs_no_problem(
    config, tmp_path, caplog
) -> None:
    """An error of the device left the process alive, and ended the stage."""
    marker = tmp_path / "broken"
    fleet = Fleet(config, breaking(marker), ScriptedEngine)
    await grow_all(fleet, tmp_path / "trees")
    assert sorted(tree.problem.id for tree in read_trees(tmp_path / "trees")) == sorted(p.id for p in PROBLEMS)
    assert marker.exists()
    assert "a policy engine died (CUDA error: out of memory); another one is started" in caplog.text
    await fleet.release()


def breaking(marker: Path) -> type:
    """An engine that breaks for good at its third question, the first time that it lives; its process goes on."""

    class Breaking(ScriptedEngine):
        asked = 0
        broken = False

        async def propose(self, transcript, count, sampling):
            self.asked += 1
            self.broken |= self.asked >= 3 and not marker.exists()
            if self.broken:
                marker.touch()
                raise EngineLost("CUDA error: out of memory")
            return await super().propose(transcript, count, sampling)

        async def is_broken(self):
            return self.broken

    return Breaking


@pytest.mark.slow
async def test_engines_that_die_again_and_again_stop_the_stage_with_the_reason(config, tmp_path) -> None:
    strict = replace(config, cluster=replace(config.cluster, deaths_per_stage=3))
    fleet = Fleet(strict, dying(), ScriptedEngine)
    with pytest.raises(EngineError, match=r"died 3 times in one stage, .*the last one, a policy engine"):
        await grow_all(fleet, tmp_path)
    await fleet.release()


@pytest.mark.slow
async def test_a_problem_that_kills_its_engines_is_set_aside_and_the_others_are_grown(config, tmp_path) -> None:
    """No engine's death counted against it: it was asked again until too many deaths stopped the stage."""
    fleet = Fleet(replace(config, cluster=replace(config.cluster, deaths_per_stage=6)), deadly("7"), ScriptedEngine)
    try:
        await grow_all(fleet, tmp_path)
    finally:
        await fleet.release()
    grown = sorted(tree.problem.id for tree in read_trees(tmp_path))
    assert grown == sorted(problem.id for problem in PROBLEMS if problem.id != "p7")
    (row,) = [json.loads(line) for line in (tmp_path / "poisoned.jsonl").read_text().splitlines()]
    assert (row["id"], row["deaths"]) == ("p7", 3)
    assert row["cause"].startswith("its policy engine died (")


def deadly(number: str) -> type:
    """An engine that one question does not leave alive."""

    class Deadly(ScriptedEngine):
        async def propose(self, transcript, count, sampling):
            if f"What is {number} + 3?" in "".join(segment.text for segment in transcript):
                os._exit(1)
            return await super().propose(transcript, count, sampling)

    return Deadly


async def test_a_question_that_killed_two_engines_is_not_handed_to_the_next() -> None:
    """It went through all that there were."""
    asked: list[str] = []
    door = Replicas([mortal_engine(asked) for _ in range(4)])
    with pytest.raises(EngineLost):
        await door.propose(QUESTION, 1, Sampling())
    assert asked == ["it dies"] * 2


async def test_an_engine_that_was_dead_before_is_none_that_a_question_killed() -> None:
    """Where a machine takes several engines along, what they were asked goes on to the one that is left."""
    asked: list[str] = []
    dead = [mortal_engine(asked, dead=True) for _ in range(3)]
    living = SimpleNamespace(
        propose=SimpleNamespace(remote=lambda *_: _said([])), is_broken=SimpleNamespace(remote=_whole)
    )
    assert await Replicas([*dead, living]).propose(QUESTION, 1, Sampling()) == ["said"]


def mortal_engine(asked: list[str], *, dead: bool = False) -> SimpleNamespace:
    """Stands where an engine's actor does, and dies of the first question, or is dead already."""

    async def die(*_: object) -> None:
        asked.append("it dies")
        raise ActorDiedError()

    return SimpleNamespace(
        propose=SimpleNamespace(remote=die), is_broken=SimpleNamespace(remote=die if dead else _whole)
    )


async def _whole() -> bool:
    return False


def dying() -> type:
    """An engine that no question leaves alive."""

    class Dying(ScriptedEngine):
        async def propose(self, transcript, count, sampling):
            os._exit(1)

    return Dying


#: Twice as many as there is room for at first.
ENOUGH = [Problem(f"q{n}", f"What is {n} + 3?", str(n + 3)) for n in range(64)]


@pytest.mark.slow
async def test_with_auto_room_grows_while_the_engines_are_not_full(config, tmp_path) -> None:
    flowing = replace(config, cluster=replace(config.cluster, trees_in_flight="auto"))
    fleet = Fleet(flowing, slow(), ScriptedEngine)
    heard = await grow_all(fleet, tmp_path, ENOUGH)
    assert len(heard) == len(ENOUGH)
    most = await fleet.ask_engine("policy", "most_at_once")
    assert 32 < most <= len(ENOUGH)
    await fleet.release()


@pytest.mark.slow
async def test_with_auto_room_does_not_grow_where_all_wait_for_the_workers_sandbox(config, tmp_path) -> None:
    """It did: only the policy engines were asked how full they are."""
    flowing = replace(config, cluster=replace(config.cluster, trees_in_flight="auto"))
    fleet = Fleet(flowing, slow(), ScriptedEngine, full_worker())
    await grow_all(fleet, tmp_path, ENOUGH)
    assert await fleet.ask_engine("policy", "most_at_once") <= 32
    await fleet.release()


def full_worker() -> type:
    """A search worker whose sandbox has as much to do as it can."""

    class Full(SearchActor):
        async def filled(self):
            return 1.0

    return Full


def slow() -> type:
    """An engine that takes its time and is never full; it counts how many ask at once."""

    class Slow(ScriptedEngine):
        at_once = most = 0

        async def propose(self, transcript, count, sampling):
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await asyncio.sleep(0.3)
            self.at_once -= 1
            return await super().propose(transcript, count, sampling)

        async def most_at_once(self):
            return self.most

    return Slow


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hangs", "room"),
    [("policy engine stuck", 4), ("policy engine not answering", "auto")],
)
async def test_an_engine_that_hangs_is_named_and_another_takes_its_place(config, tmp_path, caplog, hangs, room) -> None:
    """With `auto` nothing went on any more: it was asked how full it is, and waited for."""
    patient = replace(config, cluster=replace(config.cluster, silence_seconds=1.5, trees_in_flight=room))
    marker = tmp_path / "hung"
    fleet = Fleet(patient, stuck(marker, blocking="answering" in hangs), ScriptedEngine)
    await grow_all(fleet, tmp_path / "trees")
    assert sorted(tree.problem.id for tree in read_trees(tmp_path / "trees")) == sorted(p.id for p in PROBLEMS)
    assert marker.exists()
    assert hangs in caplog.text
    assert "no tree finished for 2 s" in caplog.text
    await fleet.release()


@pytest.mark.slow
async def test_a_worker_whose_sandbox_hangs_is_named_and_another_takes_its_place(config, tmp_path, caplog) -> None:
    """It answered, so nothing was done about it: its programs were waited for without end."""
    patient = replace(config, cluster=replace(config.cluster, silence_seconds=5.0))
    fleet = Fleet(patient, ScriptedEngine, ScriptedEngine)
    stopped: list[psutil.Process] = []

    def stop_once(*_: object) -> None:
        if not stopped:
            stopped.extend(sandboxes())
            for process in stopped:
                process.suspend()

    order = Order(MODELS, PLAN, seed=1, graded=True)
    try:
        async with asyncio.timeout(120):
            await grow_into({tmp_path: PROBLEMS}, fleet, order, stop_once)
    finally:
        await fleet.release()
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    assert stopped
    assert sorted(tree.problem.id for tree in read_trees(tmp_path)) == sorted(p.id for p in PROBLEMS)
    assert "1 x search worker stuck" in caplog.text


def sandboxes() -> list[psutil.Process]:
    """The processes of all sandboxes below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "rstar_math.sandbox" in " ".join(process.cmdline()):
                found.append(process)
    return found


async def test_a_search_on_a_cluster_that_is_gone_ends(monkeypatch) -> None:
    """With Ray's own process killed while an engine or a worker was being started anew, it waited for ever."""
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": False}])
    with pytest.raises(EngineError, match=r"Ray has ended on every machine .* start the same command again"):
        await hanging([], 600.0)


def stuck(marker: Path, *, blocking: bool) -> type:
    """An engine that hangs at its third question, the first time that it lives: with its whole process, or inside."""

    class Stuck(ScriptedEngine):
        asked = 0
        since: float | None = None

        async def propose(self, transcript, count, sampling):
            self.asked += 1
            if self.asked >= 3 and (self.since is not None or not marker.exists()):
                marker.touch()
                self.since = self.since or time.monotonic()
                if blocking:
                    time.sleep(3600)
                await asyncio.sleep(3600)
            return await super().propose(transcript, count, sampling)

        async def getting_nowhere_seconds(self):
            return time.monotonic() - self.since if self.since else 0.0

    return Stuck


def wary(config: RunConfig) -> RunConfig:
    """A problem that has killed two workers is set aside; by default it is three."""
    return replace(config, cluster=replace(config.cluster, deaths_per_problem=2))


def mortal() -> type:
    """A search worker that some problems kill; a local class, so that it travels to the worker whole."""

    class Mortal(SearchActor):
        async def grow(self, problem, plan, seed, graded):
            if problem.id in ("p3", "p8"):
                os._exit(1)
            return await super().grow(problem, plan, seed, graded)

    return Mortal


@pytest.mark.slow
async def test_a_problem_that_kills_its_workers_is_set_aside_and_the_others_are_grown(config, tmp_path) -> None:
    fleet = Fleet(wary(config), ScriptedEngine, ScriptedEngine, mortal())
    await grow_all(fleet, tmp_path)
    await fleet.release()
    grown = sorted(tree.problem.id for tree in read_trees(tmp_path))
    assert grown == sorted(problem.id for problem in PROBLEMS if problem.id not in ("p3", "p8"))
    listed = [json.loads(line) for line in (tmp_path / "poisoned.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in listed) == ["p3", "p8"]
    assert all(row["deaths"] >= 2 and "died" in row["cause"] for row in listed)


@pytest.mark.slow
async def test_a_sandbox_or_judge_that_breaks_for_good_counts_as_its_workers_death(config, tmp_path) -> None:
    """It ended the stage."""
    broken = {"p3": SandboxError("it died twice"), "p8": GradingError("it does not start any more")}
    fleet = Fleet(wary(config), ScriptedEngine, ScriptedEngine, at_odds_with(broken))
    await grow_all(fleet, tmp_path)
    await fleet.release()
    grown = sorted(tree.problem.id for tree in read_trees(tmp_path))
    assert grown == sorted(problem.id for problem in PROBLEMS if problem.id not in broken)
    listed = [json.loads(line) for line in (tmp_path / "poisoned.jsonl").read_text().splitlines()]
    assert {row["id"]: row["cause"] for row in listed} == {name: str(error) for name, error in broken.items()}


@pytest.mark.slow
async def test_an_error_that_no_other_worker_would_be_spared_ends_the_stage(config, tmp_path) -> None:
    fleet = Fleet(config, ScriptedEngine, ScriptedEngine, at_odds_with({"p3": RstarError("grading never starts here")}))
    with pytest.raises(RstarError, match="grading never starts here"):
        await grow_all(fleet, tmp_path)
    await fleet.release()


def at_odds_with(errors: dict[str, RstarError]) -> type:
    """A search worker that fails at some problems with errors of ours."""

    class AtOdds(SearchActor):
        async def grow(self, problem, plan, seed, graded):
            if problem.id in errors:
                raise errors[problem.id]
            return await super().grow(problem, plan, seed, graded)

    return AtOdds


@pytest.mark.slow
async def test_a_search_worker_that_dies_while_it_opens_is_started_again_once(config, tmp_path, caplog) -> None:
    """The first death ended the stage, where an engine had a second try."""
    fleet = Fleet(config, ScriptedEngine, ScriptedEngine, stillborn(tmp_path / "first", times=1))
    assert len(await grow_all(fleet, tmp_path / "trees")) == len(PROBLEMS)
    assert "a search worker died while it started" in caplog.text
    await fleet.release()
    fleet = Fleet(config, ScriptedEngine, ScriptedEngine, stillborn(tmp_path / "again", times=2))
    with pytest.raises(EngineError, match=r"(?s)a search worker did not start: .*look at its machine's memory"):
        await grow_all(fleet, tmp_path / "none")
    await fleet.release()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["policy engine", "search worker"])
async def test_what_hangs_as_it_starts_is_ended_and_started_again(config, tmp_path, monkeypatch, caplog, what) -> None:
    """It was named again and again, and waited for without end."""
    monkeypatch.setattr(watch, "_LEAST_SECONDS", 1.0)
    engine, worker = hanging_at_first(tmp_path / "hung", what)
    fleet = Fleet(replace(config, cluster=replace(config.cluster, silence_seconds=5.0)), engine, ScriptedEngine, worker)
    try:
        async with asyncio.timeout(120):
            await grow_all(fleet, tmp_path / "trees")
    finally:
        await fleet.release()
    assert sorted(tree.problem.id for tree in read_trees(tmp_path / "trees")) == sorted(p.id for p in PROBLEMS)
    assert f"a {what} died while it started" in caplog.text
    assert "it was not ready 15 s after it had found its place" in caplog.text


def hanging_at_first(marker: Path, what: str) -> tuple[type, type]:
    """Engines and workers, of one kind of which the first hangs as it starts, with its whole process."""

    def hang_once() -> None:
        if not marker.exists():
            marker.touch()
            time.sleep(3600)

    class Engine(ScriptedEngine):
        async def load(self, path):
            if what == "policy engine":
                hang_once()

    class Worker(SearchActor):
        async def open(self, policy, scorers):
            if what == "search worker":
                hang_once()
            await super().open(policy, scorers)

    return Engine, Worker


async def test_what_waits_for_a_place_in_the_cluster_does_not_hang() -> None:
    never = asyncio.get_running_loop().create_future()
    waiting = SimpleNamespace(__ray_ready__=SimpleNamespace(remote=lambda: never))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), in_time(waiting, 0.0):
            raise AssertionError("it has no place yet")


async def test_an_actors_own_timeout_is_none_of_its_start() -> None:
    placed = SimpleNamespace(__ray_ready__=SimpleNamespace(remote=_whole))
    with pytest.raises(TimeoutError, match="the server does not answer"):
        async with in_time(placed, 60.0):
            raise TimeoutError("the server does not answer")


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("what", ["policy engine", "search worker"])
async def test_one_that_dies_each_time_it_starts_does_not_end_a_search_that_others_carry_on(
    config, tmp_path, caplog, what, fails
) -> None:
    """Its second death ended the stage, as where nodes come and go faster than engines load; and its first failure, as on a
    node without the model or one whose sandbox does not keep its promises."""
    two = replace(config, engine=replace(config.engine, cpus=0.1, replicas=2))
    two = replace(two, cluster=replace(two.cluster, search_workers=2, search_cpus=0.1))
    engine, worker = one_that_lives(tmp_path / "lives", what, fails=fails)
    fleet = Fleet(two, engine, ScriptedEngine, worker)
    enough = asyncio.Event()

    async def until_it_died_twice() -> None:
        while f"a {what} died while it started" not in caplog.text or fleet._deaths == 0:
            await asyncio.sleep(0.1)
        enough.set()

    watching = asyncio.create_task(until_it_died_twice())
    problems = [Problem(f"q{n}", f"What is {n} + 3?", str(n + 3)) for n in range(400)]
    grown = fleet.grow(problems, MODELS, PLAN, seed=1, graded=True)
    async with asyncio.timeout(120), aclosing(grown):
        async for trees in grown:
            assert trees
            if enough.is_set():
                break
    assert enough.is_set()
    assert not fails or f"a {what} died while it started on the node {ray.util.get_node_ip_address()} (" in caplog.text
    watching.cancel()
    await fleet.release()


def one_that_lives(marker: Path, what: str, *, fails: bool) -> tuple[type, type]:
    """Engines and workers of one kind of which only the first survives its start; questions take their time.

    fails: the others say why they do not start, and do not die.
    """

    def only_one() -> None:
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            if fails:
                raise SandboxError("not on this node") from None
            os._exit(1)

    class Engine(ScriptedEngine):
        async def load(self, path):
            if what == "policy engine":
                only_one()

        async def propose(self, transcript, count, sampling):
            await asyncio.sleep(0.5)
            return await super().propose(transcript, count, sampling)

    class Worker(SearchActor):
        async def open(self, policy, scorers):
            if what == "search worker" and self._doors is None:
                only_one()
            await super().open(policy, scorers)

    return Engine, Worker


def stillborn(marker: Path, times: int) -> type:
    """A search worker that dies while it opens, the first so many times."""

    class Stillborn(SearchActor):
        async def open(self, policy, scorers):
            died = marker.stat().st_size if marker.exists() else 0
            if died < times:
                marker.write_bytes(bytes(died + 1))
                os._exit(1)
            await super().open(policy, scorers)

    return Stillborn


@pytest.mark.slow
async def test_too_many_deaths_stop_the_stage_with_the_reason_and_keep_what_was_grown(config, tmp_path) -> None:
    strict = replace(config, cluster=replace(config.cluster, deaths_per_stage=3, trees_per_part=1))
    fleet = Fleet(strict, ScriptedEngine, ScriptedEngine, mortal())
    with pytest.raises(EngineError, match=r"died 3 times in one stage.*cluster\.deaths_per_stage, now 3"):
        await grow_all(fleet, tmp_path)
    await fleet.release()
    assert list(read_trees(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("early", "said"),
    [(False, "cannot serve no-weights: no-weights holds no model"), (True, "did not start: .*no library")],
)
async def test_an_engine_that_cannot_start_is_named(config, tmp_path, early, said) -> None:
    fleet = Fleet(config, broken(early=early), ScriptedEngine)
    with pytest.raises(EngineError, match=f"(?s){said}"):
        await grow_all(fleet, tmp_path)
    await fleet.release()


async def test_an_engine_is_there_before_its_libraries_are_and_starts_once(monkeypatch) -> None:
    """One that hung while it loaded them was only named, for it had not been made; and asked twice meanwhile it
    would have started two engines."""
    ready, started = threading.Event(), []
    monkeypatch.setattr("rstar_math.engines.loop.load_libraries", lambda _: ready.wait(60))

    class Engine:
        async def load(self, path):
            started.append(f"takes {path}")

    class Actor(PolicyActor):
        def _start(self, path):
            started.append(f"starts with {path}")
            return Engine()

    engine = Actor(EngineConfig())
    loads = [asyncio.ensure_future(engine.load(path)) for path in ("one", "two")]
    await asyncio.sleep(0.1)
    assert not started and await engine.getting_nowhere_seconds() == 0
    ready.set()
    await asyncio.gather(*loads)
    assert started == ["starts with one", "takes two"]


async def test_an_engine_whose_libraries_are_missing_says_so(monkeypatch) -> None:
    def missing(_: object) -> None:
        raise ImportError("no libcudart.so")

    monkeypatch.setattr("rstar_math.engines.loop.load_libraries", missing)
    with pytest.raises(EngineError, match=r"its libraries cannot be loaded: no libcudart\.so"):
        await PolicyActor(EngineConfig()).load("weights")


def broken(*, early: bool) -> type:
    """An engine whose libraries or whose weights cannot be loaded."""

    class Broken:
        def __init__(self, config: object) -> None:
            if early:
                raise RuntimeError("no library")

        async def load(self, path: str) -> None:
            raise EngineError(f"{path} holds no model")

    return Broken


@pytest.mark.slow
async def test_more_than_the_cluster_can_ever_hold_is_refused_at_once(config, tmp_path) -> None:
    greedy = replace(config, cluster=replace(config.cluster, search_workers=10_000))
    with pytest.raises(ConfigError, match=r"asks for .* CPUs .* cluster\.search_workers"):
        await grow_all(Fleet(greedy, ScriptedEngine, ScriptedEngine), tmp_path)


@pytest.mark.slow
async def test_a_training_that_the_machine_can_never_hold_is_refused_before_the_search_for_it(config, tmp_path) -> None:
    """It was refused once the search was over."""
    large = compose(["round.r3.ppm.ranks=10000"])
    with pytest.raises(ConfigError, match=r"round\.r3\.ppm asks for \d+ CPUs .*lower round\.r3\.ppm\.ranks"):
        await grow_all(Fleet(large, ScriptedEngine, ScriptedEngine, to_come=Demand(trains=((3, "ppm"),))), tmp_path)
    fleet = Fleet(large, ScriptedEngine, ScriptedEngine)  # a search by itself has no training to wait for
    assert len(await grow_all(fleet, tmp_path, PROBLEMS[:1])) == 1
    await fleet.release()


def test_a_stage_that_goes_on_well_may_have_more_deaths(config) -> None:
    """Fifty deaths ended a stage of any length, weeks included."""
    fleet = Fleet(config)
    fleet._grown = 300
    for _ in range(52):
        fleet._count_death("a search worker", RuntimeError("it died"))
    with pytest.raises(EngineError, match="died 53 times in one stage, in which 300 problems were grown"):
        fleet._count_death("a search worker", RuntimeError("it died"))


def test_workers_share_a_servers_limits(config) -> None:
    """Each had the whole concurrency and the whole rate."""
    four = replace(config, cluster=replace(config.cluster, search_workers=4, trees_in_flight="auto"))
    limits = {"concurrency": 10, "requests_per_minute": 60}
    models = Models(PolicyConfig(kind="endpoint", url="http://127.0.0.1:1/v1", model="m", **limits))
    fleet = Fleet(four)
    each = fleet._asked(models).policy
    assert (each.concurrency, each.requests_per_minute, fleet._flow(models).room) == (2, 15, 2)
    many = Fleet(replace(config, cluster=replace(config.cluster, search_workers=100)))._asked(models).policy
    assert (many.concurrency, many.requests_per_minute) == (1, 1)


async def test_a_worker_asks_a_server_by_one_door_however_often_it_is_told_of_it() -> None:
    """Every new engine of the other kind gave it a new door, which knew nothing of the rate so far."""
    worker = SearchActor(SandboxConfig(), GradingConfig())
    one, other = (PolicyConfig(kind="endpoint", url="http://127.0.0.1:1/v1", model=name) for name in "ab")
    doors = [await worker._endpoint(config) for config in (one, other, replace(one))]
    assert doors[0] is doors[2] is not doors[1]
    await worker.close()


class Replica:
    """Stands where an engine's actor does; answers when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.propose = SimpleNamespace(remote=self._propose)

    async def _propose(self, transcript, *_):
        self.asked.append(transcript[0].text)
        await self.may_answer.wait()


async def ask(replicas: list[Replica], questions: list[str]) -> None:
    """All at once, through one door."""
    door = Replicas(replicas)
    paths = [(Segment(name, by_policy=False), Segment(str(n), by_policy=True)) for n, name in enumerate(questions)]
    asking = [asyncio.create_task(door.propose(path, 1, Sampling())) for path in paths]
    await asyncio.sleep(0)
    for replica in replicas:
        replica.may_answer.set()
    await asyncio.gather(*asking)


async def test_one_question_is_asked_of_one_replica_which_knows_its_steps_so_far() -> None:
    """Each request went to the least busy one, so every replica read the same steps anew."""
    replicas = [Replica() for _ in range(3)]
    await ask(replicas, [f"q{n % 20}" for n in range(200)])
    assert [len(set(replica.asked)) for replica in replicas] != [20, 20, 20]
    scattered = sum(len(set(replica.asked)) for replica in replicas) - 20
    assert scattered <= 6
    assert min(len(replica.asked) for replica in replicas) > 40


async def test_where_its_replica_is_clearly_busier_a_question_goes_elsewhere() -> None:
    replicas = [Replica() for _ in range(3)]
    await ask(replicas, ["q"] * 100)
    assert sorted(len(replica.asked) for replica in replicas) == [29, 30, 41]


@pytest.mark.slow
async def test_whoever_is_still_starting_is_named_while_nothing_finishes(config, tmp_path, caplog) -> None:
    """The message ended with a colon, and the start of an engine or a worker was waited for without a word."""
    patient = replace(config, cluster=replace(config.cluster, silence_seconds=0.4, search_workers=2))
    fleet = Fleet(patient, late(), ScriptedEngine, late_worker())
    await grow_all(fleet, tmp_path / "trees")
    await fleet.release()
    assert "no policy engine has become ready, of 1 that are starting" in caplog.text
    assert "no search worker has become ready, of 2 that are starting" in caplog.text


@pytest.mark.slow
async def test_an_engine_that_is_still_starting_is_named_beside_those_that_answer(config, tmp_path, caplog) -> None:
    two = replace(config, engine=replace(config.engine, cpus=0.1, replicas=2))
    fleet = Fleet(replace(two, cluster=replace(two.cluster, silence_seconds=0.4)), second_late(tmp_path / "first"))
    await grow_all(fleet, tmp_path / "trees", PROBLEMS[:2])
    await fleet.release()
    assert "1 x policy engine answering, 1 x search worker answering, 1 x policy engine still starting" in caplog.text


def second_late(marker: Path) -> type:
    """An engine that takes a second for a question, and far longer to load where it is not the first."""

    class SecondLate(ScriptedEngine):
        async def load(self, path):
            if marker.exists():
                await asyncio.sleep(60)
            marker.touch()

        async def propose(self, transcript, count, sampling):
            await asyncio.sleep(1)
            return await super().propose(transcript, count, sampling)

    return SecondLate


@pytest.mark.slow
async def test_an_engine_that_hangs_as_it_takes_other_weights_is_ended_and_another_started(config, tmp_path) -> None:
    """It was waited for without end, and without a word."""
    patient = replace(config, cluster=replace(config.cluster, silence_seconds=1.5))
    fleet = Fleet(patient, serves_once(tmp_path / "hung"), ScriptedEngine)
    await grow_all(fleet, tmp_path / "one", PROBLEMS[:2])
    async with asyncio.timeout(60):
        await grow_all(fleet, tmp_path / "two", PROBLEMS[:2], Models("other-weights"))
    assert (tmp_path / "hung").exists()
    assert len(list(read_trees(tmp_path / "two"))) == 2
    await fleet.release()


def serves_once(marker: Path) -> type:
    """An engine that hangs as it takes other weights than its first, the first time that one does."""

    class ServesOnce(ScriptedEngine):
        serves = False

        async def load(self, path):
            if self.serves and not marker.exists():
                marker.touch()
                await asyncio.sleep(3600)
            self.serves = True

    return ServesOnce


@pytest.mark.slow
async def test_a_worker_that_is_told_whom_to_ask_before_it_is_ready_has_one_sandbox() -> None:
    """Where a worker of the stage before still waited for a place, it was opened twice and had two sandboxes."""
    worker = SearchActor(SandboxConfig(), GradingConfig())
    await asyncio.gather(worker.open([], []), worker.open([], []))
    controllers = [child for child in psutil.Process().children() if "rstar_math.sandbox" in " ".join(child.cmdline())]
    await worker.close()
    assert len(controllers) == 1


async def test_a_worker_that_hangs_does_not_keep_the_others_from_hearing_whom_to_ask(config, monkeypatch) -> None:
    """An engine's death while a worker hung stopped the search for ever: it was told of the new engine, and waited for."""
    monkeypatch.setattr(crew, "_ANSWER_SECONDS", 0.1)
    told: list[str] = []

    async def hang(*_: object) -> None:
        await asyncio.sleep(3600)

    async def hear(*_: object) -> None:
        told.append("the other")

    hands = crew.Crew(config, SearchActor, lambda *_: None)
    hands.workers = [SimpleNamespace(open=SimpleNamespace(remote=remote)) for remote in (hang, hear)]
    async with asyncio.timeout(10):
        await hands.tell(crew.Asked([], []))
    assert told == ["the other"]


async def test_an_engine_that_died_while_it_started_is_none_that_has_joined(config) -> None:
    """It counted as one: whoever opened a door to those that serve then had one to nobody."""

    async def hang(*_: object) -> None:
        await asyncio.sleep(3600)

    class Standing(Engines):
        def _new(self, kind, index):
            return SimpleNamespace(load=SimpleNamespace(remote=hang))

    engines = Standing(config, ScriptedEngine, ScriptedEngine, lambda *_: None)
    engines.served = {"policy": "weights"}
    engines.prepare("policy")
    engines._all["policy"][0].loading = asyncio.get_running_loop().create_future()
    engines._all["policy"][0].loading.set_exception(ActorDiedError())
    assert not engines.joined()
    assert engines.starting() == {"policy engine": 1}
    engines.forget()


async def test_an_engine_of_another_kind_that_joins_while_the_last_one_is_mended_opens_no_door_to_nobody(
    config,
) -> None:
    """A second model's engine died, a PPM engine began to serve, and whoever asked next had nobody to ask: ValueError."""
    asked: list[str] = []
    never = asyncio.get_running_loop().create_future()
    own = SimpleNamespace(
        propose=SimpleNamespace(remote=lambda *_: _said(asked)), until_broken=SimpleNamespace(remote=lambda: never)
    )
    engines = Engines(config, ScriptedEngine, ScriptedEngine, lambda *_: None)
    engines.served = {"policy": "weights", "ppm": "weights"}
    engines._all = {"policy": [_Engine(own, "weights")], "ppm": [_Engine(own)]}
    door = Standing(engines, "policy", Silence(60.0), lambda *_: None)
    pending = asyncio.get_running_loop().create_future()
    engines._all["policy"] = [_Engine(own, loading=pending)]  # as while a dead one is mended
    engines._all["ppm"][0].loading = joined = asyncio.get_running_loop().create_future()
    joined.set_result(None)
    engines._all["ppm"][0].path = "weights"
    assert await door.propose(QUESTION, 1, Sampling()) == ["said"]
    pending.cancel()


async def _said(asked: list[str]) -> list[str]:
    return [*asked, "said"]


@pytest.mark.slow
async def test_an_engine_kept_from_an_earlier_search_takes_no_place_from_one_of_another_kind(
    config, tmp_path, monkeypatch
) -> None:
    """On a cluster of others that holds less than all, policy engines and workers stayed, and the first PPM engine waited for
    a place for ever."""
    connect_to(None)
    part = ray.cluster_resources()["CPU"] / 4
    engine = replace(config.engine, cpus=part, replicas=2)
    cluster = replace(config.cluster, search_cpus=part, search_workers=2, keep_engines=True, address="others")
    monkeypatch.setattr(fleet_module, "connect", lambda *_: False)
    fleet = Fleet(replace(config, engine=engine, ppm_engine=engine, cluster=cluster), ScriptedEngine, ScriptedEngine)
    try:
        await asyncio.wait_for(grow_all(fleet, tmp_path / "drawn"), 120)
        while fleet._engines.starting() or fleet._crew.waited_for:
            await asyncio.sleep(0.1)
            await fleet._welcome(MODELS)
        scorer = await asyncio.wait_for(fleet.scorer("no-weights"), 60)
        assert await scorer.score([QUESTION]) == [0.5]
        await asyncio.wait_for(grow_all(fleet, tmp_path / "guided", models=Models("no-weights", "no-weights")), 120)
    finally:
        await fleet.release()


def late() -> type:
    """An engine that takes its time to load."""

    class Late(ScriptedEngine):
        async def load(self, path):
            await asyncio.sleep(1.5)

    return Late


def late_worker() -> type:
    """A search worker that takes its time to open."""

    class Late(SearchActor):
        async def open(self, policy, scorers):
            await asyncio.sleep(1.5)
            await super().open(policy, scorers)

    return Late


QUESTION = (Segment("What is 2 + 3?", by_policy=False),)


async def stand(fleet: Fleet, kind: str):
    """A door to the engines of a kind, and one question to it."""
    door = await (fleet.policy("no-weights") if kind == "policy" else fleet.scorer("no-weights"))
    return (lambda: door.propose(QUESTION, 1, Sampling())) if kind == "policy" else (lambda: door.score([QUESTION]))


@pytest.mark.slow
async def test_engines_that_die_too_often_outside_a_search_end_it_in_one_message(config) -> None:
    fleet = Fleet(replace(config, cluster=replace(config.cluster, deaths_per_stage=1)), ScriptedEngine, ScriptedEngine)
    ask = await stand(fleet, "policy")
    ray.kill(fleet._engines.serving("policy")[0])
    with pytest.raises(EngineError, match=r"died 1 times.*cluster\.deaths_per_stage, now 1"):
        await ask()
    await fleet.release()


@pytest.mark.slow
@pytest.mark.parametrize("hangs", ["policy engine not answering", "policy engine stuck"])
async def test_an_engine_that_hangs_outside_a_search_is_named_and_replaced(config, tmp_path, caplog, hangs) -> None:
    patient = replace(config, cluster=replace(config.cluster, silence_seconds=1.5))
    fleet = Fleet(patient, stuck(tmp_path / "was here", blocking="answering" in hangs), ScriptedEngine)
    ask = await stand(fleet, "policy")
    assert all(await asyncio.gather(*(ask() for _ in range(6))))
    assert hangs in caplog.text
    await fleet.release()


@pytest.mark.slow
async def test_a_question_that_kills_every_engine_outside_a_search_is_named_and_all_others_are_answered(config) -> None:
    """It was asked again and again, until too many deaths ended the stage, at every start anew."""
    fleet = Fleet(replace(config, cluster=replace(config.cluster, deaths_per_stage=4)), deadly("7"), ScriptedEngine)
    try:
        door = await fleet.policy("no-weights")
        questions = [(Segment(f"What is {number} + 3?", by_policy=False),) for number in range(12)]
        asking = [door.propose(question, 1, Sampling()) for question in questions]
        said = await asyncio.gather(*asking, return_exceptions=True)
    finally:
        await fleet.release()
    assert [isinstance(found, BaseException) for found in said] == [number == 7 for number in range(12)]
    assert isinstance(said[7], QuestionKills)
    assert "a policy engine died 3 times" in str(said[7])
    assert "'What is 7 + 3?'" in str(said[7])


async def test_nobody_waits_for_an_engine_where_ray_has_ended(monkeypatch) -> None:
    """A run whose only machine's Ray was killed said for ever that its next engine was loading."""
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": False}])
    starting = asyncio.ensure_future(asyncio.Event().wait())
    with pytest.raises(EngineError, match="Ray has ended on every machine"):
        await asyncio.wait_for(one_of([starting], "policy engine", 0.01), 5)
    starting.cancel()
