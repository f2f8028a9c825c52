"""Search on a cluster of several nodes that come and go: real raylets on this machine, scripted engines."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from rstar_math.cli import survey
from rstar_math.cli.compose import compose
from rstar_math.cli.survey import Node, examine_cluster, to_mend
from rstar_math.cluster import survey as surveying
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.growth import Order, grow_into
from rstar_math.cluster.holding import Demand
from rstar_math.cluster.joining import connect_to
from rstar_math.cluster.survey import Seen
from rstar_math.config import RunConfig, SearchConfig
from rstar_math.errors import ConfigError
from rstar_math.records import Problem
from rstar_math.scripted import ScriptedEngine
from rstar_math.search.storage import read_trees

pytestmark = pytest.mark.slow
PROBLEMS = [Problem(f"p{n}", f"What is {n} + 3?", str(n + 3)) for n in range(30)]


def slow() -> type:
    """An engine that takes its time, so that there is time for nodes to come and go; a local class travels to its worker."""

    class Slow(ScriptedEngine):
        asked = 0

        async def times_asked(self):
            return self.asked

        async def propose(self, transcript, count, sampling):
            self.asked += 1
            await asyncio.sleep(0.3)
            return await super().propose(transcript, count, sampling)

    return Slow


@pytest.fixture(scope="class")
def cluster() -> Iterator[Cluster]:
    """A head with room for one engine and one worker."""
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="class")
def config(cluster: Cluster) -> RunConfig:
    """Two engines and two workers, of 1 and 0.5 CPUs: more than the head has, just what it has with another node."""
    config = compose(["cluster.trees_in_flight=2", "cluster.trees_per_part=5", "cluster.search_cpus=0.5"])
    sized = replace(config, engine=replace(config.engine, replicas=2, cpus=1.0))
    sized = replace(sized, ppm_engine=replace(config.ppm_engine, cpus=0.0))
    return replace(sized, cluster=replace(sized.cluster, address=cluster.address, search_workers=2))


async def grow(fleet: Fleet, folder: Path, on_tree: Callable[[int], object]) -> None:
    heard: list[str] = []

    def hear(trees, *_):
        heard.append(trees[0].problem.id)
        on_tree(len(heard))

    order = Order(Models("no-weights"), SearchConfig(rollouts=2, candidates=4), seed=1, graded=True)
    await grow_into({folder: PROBLEMS}, fleet, order, hear)
    assert sorted(heard) == sorted(tree.problem.id for tree in read_trees(folder)) == sorted(p.id for p in PROBLEMS)


async def test_a_search_begins_with_the_nodes_there_are_and_takes_in_one_that_joins(
    cluster, config, tmp_path, caplog
) -> None:
    fleet = Fleet(config, slow(), ScriptedEngine)
    at_first: list[tuple[int, int]] = []

    def add_a_node(trees: int) -> None:
        if (
            trees >= 4 and not at_first and len(fleet._crew.ready) == 2
        ):  # the first tree may be there before both workers are
            at_first.append((len(fleet._engines.serving("policy")), len(fleet._crew.ready)))
            cluster.add_node(num_cpus=2)

    await grow(fleet, tmp_path / "trees", add_a_node)
    assert at_first == [(1, 2)]
    assert (len(fleet._engines.serving("policy")), len(fleet._crew.ready)) == (2, 2)
    asked = [await engine.times_asked.remote() for engine in fleet._engines.serving("policy")]
    assert all(asked), "the engine that joined was never asked"
    assert "asks for 3 CPUs at once and the cluster has 2: it begins with what there is" in caplog.text
    await fleet.release()


async def test_a_node_that_dies_takes_engine_and_worker_along_and_costs_no_problem(cluster, config, tmp_path) -> None:
    second = cluster.add_node(num_cpus=2)
    fleet = Fleet(config, slow(), ScriptedEngine)
    before: list[int] = []

    def remove_it(trees: int) -> None:
        if trees == 8:
            before.append(len(fleet._engines.serving("policy")))
            cluster.remove_node(second, allow_graceful=False)

    await grow(fleet, tmp_path / "trees", remove_it)
    assert before == [2]
    await fleet.release()


class TestTwoNodes:
    """What a cluster of two such nodes can hold, and what not."""

    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls, cluster: Cluster) -> Cluster:
        cluster.add_node(num_cpus=2)
        return cluster

    async def test_where_not_even_one_engine_fits_the_run_is_refused_at_once(self, config, tmp_path) -> None:
        large = replace(config, engine=replace(config.engine, cpus=5.0))
        with pytest.raises(ConfigError, match=r"asks for 11 CPUs at once and the cluster has 4; lower engine\.cpus"):
            await grow(Fleet(large, slow(), ScriptedEngine), tmp_path / "trees", lambda _: None)

    async def test_an_engine_that_fits_the_cluster_but_no_machine_of_it_is_refused_at_once(
        self, config, tmp_path
    ) -> None:
        """It waited for ever for a place: only the sum over all machines was looked at."""
        wide = replace(config, engine=replace(config.engine, cpus=3.0, replicas=1))
        said = r"a policy engine asks one machine for 3 CPUs and 0 GPUs, and the largest .* 2 CPUs .*lower engine\.cpus"
        with pytest.raises(ConfigError, match=said):
            await grow(Fleet(wide, slow(), ScriptedEngine), tmp_path / "trees", lambda _: None)

    async def test_trainings_that_do_not_fit_yet_are_told_of_where_nodes_can_join(
        self, config, tmp_path, caplog
    ) -> None:
        plan = config.plan(2)
        large = config.round | {"r2": replace(plan, policy=replace(plan.policy, ranks=64))}
        fleet = Fleet(
            replace(config, round=large), ScriptedEngine, ScriptedEngine, to_come=Demand(trains=((2, "policy"),))
        )
        await grow(fleet, tmp_path / "trees", lambda _: None)
        assert "CPUs (round.r2.policy.ranks=64) and the cluster has 4, with places for " in caplog.text
        assert "nodes that hold the rest have to join" in caplog.text
        await fleet.release()


def test_a_run_without_an_address_joins_no_cluster_that_happens_to_be_there(monkeypatch) -> None:
    """It did, with RAY_ADDRESS set or after a `ray start` on the same machine; "local" is how Ray is told not to."""
    asked: dict[str, object] = {}
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **given: asked.update(given))
    connect_to(None)
    assert asked["address"] == "local"


@pytest.mark.parametrize(
    ("address", "raised", "said"),
    [
        ("head", None, r"cluster\.address=head: Ray cannot join it \(.*\)\. Write HOST:PORT"),
        (
            "auto",
            RuntimeError("Version mismatch: The cluster was started with Ray 2.0"),
            "the same Ray and Python on all",
        ),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_no_traceback(address, raised, said, monkeypatch) -> None:
    ray.shutdown()
    if raised:

        def refuse(**_: object) -> None:
            raise raised

        monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConfigError, match=said):
        connect_to(address)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens_is_said_at_once(scheme) -> None:
    """Ray alone asked such an address for more than a minute."""
    ray.shutdown()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"no Ray cluster answers there \(.*refused\); start one"):
        connect_to(f"{scheme}127.0.0.1:{port}")
    assert time.monotonic() - started < 10


def test_every_node_is_looked_at_and_what_differs_is_named(cluster, tmp_path, capsys, monkeypatch) -> None:
    cluster.add_node(num_cpus=1)
    plain = compose([f"cluster.address={cluster.address}", f"runs={tmp_path}/runs"])
    monkeypatch.setenv("COLUMNS", "200")
    for speed in ("_SLOW_DISK_MB", "_SLOW_NETWORK_MB"):  # those of a machine that runs tests are not looked at
        monkeypatch.setattr(survey, speed, 0.0)
    assert examine_cluster(plain)
    printed = capsys.readouterr().out
    assert printed.count("shared") == 2
    assert printed.count(ray.__version__) == 2
    # Disk, network from here, and to the next node, which was not measured.
    assert printed.count("MB/s") == 2 * 3
    assert not list((tmp_path / "runs").iterdir())
    here, gone = (surveying._observer(node["NodeID"]) for node in ray.nodes())
    ray.kill(gone)
    cut_off = surveying._sending(here, gone, Seen("n", FIT, 0.0, 900.0), "m")
    (said,) = to_mend(cut_off, FIT.versions, "token", Path())
    assert said.startswith("does not reach m: The actor ")


FIT = Node({"torch": "2", "ray": "1"}, (), (), "token", 500.0, locked=True)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen("n", FIT, 0.01, 900.0), None),
        (Seen("n", silent="the actor died"), "does not answer: the actor died"),
        (Seen("n", FIT._replace(versions={"torch": "2"}), 0.0, 900.0), "has ray not at all, here is 1"),
        (Seen("n", FIT._replace(not_held=("network",)), 0.0, 900.0), "does not hold network"),
        (Seen("n", FIT._replace(shared=None), 0.0, 900.0), "is not this folder there"),
        (Seen("n", FIT._replace(locked=False), 0.0, 900.0), "is locked here can be locked there as well"),
        (Seen("n", FIT._replace(disk_mb=8.0), 0.0, 900.0), "writes 8 MB/s"),
        (Seen("n", FIT._replace(gpus=("H200",) * 8), 0.0, 900.0, gpus=8), None),
        (Seen("n", FIT, 0.0, 900.0, gpus=8), "Ray offers 8 GPUs there and torch sees 0"),
        (Seen("n", FIT, -3.0, 900.0), "its clock is -3.0 s off"),
        (Seen("n", FIT, 0.0, 12.0), "gets 12 MB/s from here"),
        (Seen("n", FIT, 0.0, 900.0, "m", 900.0), None),
        (Seen("n", FIT, 0.0, 900.0, "m", 3.0), "sends 3 MB/s to m"),
        (Seen("n", FIT, 0.0, 900.0, "m", cut_off="timed out"), "does not reach m: timed out"),
    ],
)
def test_what_is_to_be_mended_on_a_node_is_said(seen, said, tmp_path) -> None:
    found = list(to_mend(seen, {"torch": "2", "ray": "1"}, "token", tmp_path))
    assert len(found) == (said is not None)
    assert all(said in words for words in found)
