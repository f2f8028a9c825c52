"""What finds a place on which nodes: drawn by hand, no cluster is started."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rstar_math.cli.compose import compose
from rstar_math.cluster import holding
from rstar_math.cluster.fleet import Fleet
from rstar_math.cluster.holding import Demand, connect, finds_place_beside, fits, gpus_each
from rstar_math.cluster.placing import Wanted, left_over
from rstar_math.errors import ConfigError
from rstar_math.evolution.places import Place
from rstar_math.evolution.run import _demand
from rstar_math.training import devices
from rstar_math.training.launch import _RAY_TRAIN, Trainings

GPUS_8 = {"CPU": 64.0, "GPU": 8.0}


def waiting(wanted: list[Wanted], *nodes: dict[str, float]) -> dict[str, int]:
    return {kind.what: count for kind, count in left_over(wanted, nodes)}


@pytest.mark.parametrize(
    ("count", "gpus", "nodes", "left"),
    [
        (3, 0.6, [{"CPU": 8.0, "GPU": 2.0}], 1),
        (3, 4.0, [{"CPU": 8.0, "GPU": 6.0}] * 2, 1),
        (4, 0.5, [{"CPU": 8.0, "GPU": 2.0}], 0),
        (10, 0.1, [{"CPU": 10.0, "GPU": 1.0}], 0),  # 1 - 9 x 0.1 is less than 0.1
        (2, 2.0, [{"CPU": 8.0, "GPU": 1.0}] * 4, 2),
        (3, 1.0, [{"CPU": 2.0, "GPU": 8.0}], 1),
        (5, 0.0, [{"CPU": 2.0}] * 2, 1),
        (1, 1.0, [{"CPU": 8.0}], 1),
    ],
)
def test_actors_of_one_kind_lie_on_whole_gpus_of_one_node_or_on_part_of_a_single_one(count, gpus, nodes, left) -> None:
    assert waiting([Wanted("engine", count, 1.0, gpus)], *nodes) == ({"engine": left} if left else {})


def test_one_kind_leaves_the_other_the_only_node_that_holds_it() -> None:
    """The engine would fit the first node, where alone the worker does."""
    engine, worker = Wanted("engine", 1, 1.0, 1.0), Wanted("worker", 1, 16.0, 0.0)
    assert not waiting([engine, worker], {"CPU": 16.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 2.0})
    assert waiting([engine, worker], {"CPU": 16.0, "GPU": 1.0}, {"CPU": 4.0}) == {"worker": 1}


def test_engines_of_two_kinds_share_a_gpu() -> None:
    policy, ppm = Wanted("policy", 2, 1.0, 0.6), Wanted("ppm", 2, 1.0, 0.4)
    assert not waiting([policy, ppm], {"CPU": 4.0, "GPU": 2.0})
    assert waiting([policy, ppm._replace(gpus=0.5)], {"CPU": 4.0, "GPU": 2.0}) == {"policy": 1}


@pytest.fixture
def made_up(monkeypatch) -> Iterator[Callable[..., None]]:
    """Stands where a cluster does: nodes with so much each."""

    def make(*nodes: dict[str, float]) -> None:
        whole = {kind: sum(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU")}
        devices.forget()
        monkeypatch.setattr(holding, "connect_to", lambda _, needs_gpus: devices.need_gpus() if needs_gpus else None)
        monkeypatch.setattr(holding.ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])
        monkeypatch.setattr(holding.ray, "cluster_resources", lambda: whole)
        holding._say_once.cache_clear()

    yield make
    devices.forget()


ALL = Demand(frozenset({"policy", "ppm"}), search=True)
FOUR = ALL._replace(trains=tuple((number, stage) for number in range(1, 5) for stage in ("policy", "ppm")))
ONE_CPU_EACH = ["engine.cpus=1", "ppm_engine.cpus=1", "cluster.search_cpus=1"]
THREE = [*ONE_CPU_EACH, "engine.replicas=3", "ppm_engine.gpus=0"]


def test_engines_that_fit_the_sum_of_gpus_but_not_the_gpus_are_refused_where_no_node_will_join(made_up) -> None:
    """The third waited for ever while the others worked, and nobody said so."""
    made_up({"CPU": 8.0, "GPU": 2.0})
    said = (
        r"no place for 1 of 3 policy engines \(1 CPUs and 0\.6 GPUs of one machine each\); lower engine\.replicas, .*"
    )
    with pytest.raises(ConfigError, match=said):
        connect(compose([*THREE, "engine.gpus=0.6"]), ALL)
    assert connect(compose([*THREE, "engine.gpus=0.5"]), ALL)


def test_an_engine_that_waits_for_nodes_is_named_once_with_its_knobs(made_up, caplog) -> None:
    made_up(*[{"CPU": 8.0, "GPU": 6.0}] * 2)
    config = compose([*THREE, "engine.tensor_parallel=4", "cluster.address=others"])
    with caplog.at_level(logging.WARNING):
        assert [connect(config, ALL), connect(config, ALL)] == [False, False]
    (said,) = [record.getMessage() for record in caplog.records]
    assert "no place for 1 of 3 policy engines (1 CPUs and 4 GPUs of one machine each): it begins without" in said
    assert "lower engine.replicas, engine.cpus, engine.gpus or engine.tensor_parallel, or add nodes" in said
    made_up(*[{"CPU": 8.0, "GPU": 6.0}] * 3)
    assert connect(config, ALL)


def test_where_one_of_each_kind_finds_no_place_beside_the_others_the_run_is_refused(made_up) -> None:
    """Each fits some machine, and the sum fits the cluster: the search waited for its first PPM engine for ever."""
    made_up({"CPU": 8.0, "GPU": 2.0})
    config = compose([*ONE_CPU_EACH, "cluster.address=others", "engine.gpus=0.6", "ppm_engine.tensor_parallel=2"])
    with pytest.raises(ConfigError, match=r"asks for 2\.6 GPUs at once"):
        connect(config, ALL)
    made_up({"CPU": 8.0, "GPU": 2.0}, {"CPU": 0.5, "GPU": 1.0})
    with pytest.raises(
        ConfigError, match=r"no place for 1 of 1 .* engines .*a search begins with one of each kind; lower"
    ):
        connect(config, ALL)


def test_ranks_that_fit_the_sum_of_cpus_but_no_machines_are_refused_before_the_search(made_up) -> None:
    """The training waited for its last rank for ever, days later."""
    plan = compose([]).plan(2)
    wide = replace(plan, ppm=replace(plan.ppm, ranks=3, cpus_per_rank=3.0))
    config = replace(compose([]), round=compose([]).round | {"r2": wide})
    made_up({"CPU": 5.0}, {"CPU": 5.0})
    with pytest.raises(
        ConfigError, match=r"round\.r2\.ppm asks for 9 CPUs .* has 10, with places for 2 .*r2\.ppm\.ranks"
    ):
        connect(config, FOUR)
    assert connect(config, FOUR._replace(trains=((1, "ppm"),)))  # the run ends before that training
    made_up({"CPU": 6.0}, {"CPU": 5.0})
    assert connect(config, FOUR)


BOTH, POLICY = {"policy", "ppm"}, {"policy"}


@pytest.mark.parametrize(
    ("first", "until", "knobs", "engines", "search", "trains"),
    [
        ("round-0", "round-2", [], BOTH, True, "1.policy 1.ppm 2.policy 2.ppm"),
        ("round-2", "round-2.policy", [], BOTH, True, "2.policy"),
        ("round-1", "round-1.harvest", [], POLICY, True, ""),
        ("round-1", "round-1.harvest", ["policy=endpoint"], set(), True, ""),
        ("round-1.harvest", "round-1.harvest", [], set(), False, ""),
        ("round-3.ppm", "round-3.ppm", [], set(), False, "3.ppm"),
        ("round-3.ppm", "round-4.ppm", [], BOTH, True, "3.ppm 4.policy 4.ppm"),
        ("round-4.scores", "round-4", ["control=false"], BOTH, True, ""),
        ("round-3", "round-3", ["control=true"], BOTH, True, "3.policy 3.ppm"),
        ("round-4.scores", "round-4", ["control=true"], BOTH, True, "4.control"),
    ],
)
def test_a_run_is_looked_at_for_what_it_comes_to(first, until, knobs, engines, search, trains) -> None:
    """With until= no training was looked at, and one that finds no place came after the search; a run whose scores alone were
    to be done again was refused where the trainings that it had behind it would have found no place; of the control nobody
    thought."""
    endpoint = ["policy.url=http://127.0.0.1:1/v1", "policy.model=m"] if "policy=endpoint" in knobs else []
    config = compose([*knobs, *endpoint])
    demand = _demand(config, Place.first(first), Place.last(*Place.parse(until)))
    assert (demand.engines, demand.search) == (engines, search)
    assert " ".join(f"{number}.{stage}" for number, stage in demand.trains) == trains


def test_engines_that_nobody_asks_need_no_place(made_up) -> None:
    """An evaluation without a PPM was refused for want of a place for its engines."""
    made_up({"CPU": 4.0, "GPU": 1.0})
    config = compose([*ONE_CPU_EACH, "engine.gpus=1", "ppm_engine.gpus=1"])
    with pytest.raises(ConfigError, match=r"asks for 2 GPUs at once"):
        connect(config, ALL)
    assert connect(config, Demand(frozenset({"policy"}), search=True))
    assert not fits(config, ALL)


async def test_an_engine_of_an_earlier_search_makes_way_for_one_of_another_kind(made_up, monkeypatch) -> None:
    """On one GPU it kept its place, and the first PPM engine waited for it for ever."""
    ended = []

    async def end(fleet: Fleet) -> None:
        ended.append(fleet)

    monkeypatch.setattr(Fleet, "release", end)
    one = compose([*ONE_CPU_EACH, "engine.gpus=1", "ppm_engine.gpus=1"])
    both = compose([*ONE_CPU_EACH, "engine.gpus=0.5", "ppm_engine.gpus=0.5"])
    made_up({"CPU": 4.0, "GPU": 1.0})
    for config, makes_way in ((one, True), (both, False)):
        ended.clear()
        fleet = Fleet(config)
        fleet._engines.served["policy"], fleet._engines._all["policy"] = "weights", []
        assert await fleet._make_way({"policy"}, search=True) and not ended
        assert await fleet._make_way({"ppm"}, search=False)
        assert bool(ended) is makes_way


def test_a_run_that_only_trains_needs_no_place_for_search_workers(made_up) -> None:
    made_up({"CPU": 2.0})
    config = compose(["cluster.search_workers=5", "cluster.search_cpus=2"])
    assert connect(config, Demand(trains=((3, "ppm"),)))
    with pytest.raises(ConfigError, match=r"cluster\.search_workers"):
        connect(config, ALL)


@pytest.mark.parametrize(
    ("ranks", "cpus", "nodes", "places"),
    [
        (1, 2.0, [{"CPU": 1.0}], 0),
        (3, 3.0, [{"CPU": 5.0}] * 2, 2),
        (4, 0.1, [{"CPU": 0.3}], 3),
        (4, 1.0, [{"CPU": 2.0, "GPU": 4.0}, {"CPU": 4.0}], 2),
    ],
)
def test_a_training_by_itself_whose_ranks_find_no_places_is_refused(
    ranks, cpus, nodes, places, made_up, monkeypatch
) -> None:
    """Only the number of ranks was held against that of CPUs, or GPUs, and it waited for ever."""
    made_up(*nodes)
    os.environ.update(_RAY_TRAIN)  # Ray Train, once imported, reads no more what a training tells it
    monkeypatch.setattr("rstar_math.training.workers.Exchange", None)  # nothing can be started
    training = replace(compose([]).plan(1).policy, ranks=ranks, cpus_per_rank=cpus)
    with pytest.raises(ConfigError, match=rf"ranks={ranks}, and the cluster has places for {places}, of "):
        Trainings()._start(training)


def test_a_rank_on_a_gpu_takes_a_cpu_as_well(made_up) -> None:
    made_up({"CPU": 4.0, "GPU": 8.0})
    ranks = [f"round.r{number}.{what}.ranks=8" for number in range(1, 5) for what in ("policy", "ppm")]
    with pytest.raises(ConfigError, match=r"asks for 8 GPUs .* with places for 4 of these ranks"):
        connect(compose(ranks), FOUR)


@pytest.mark.parametrize(
    ("knobs", "node", "said"),
    [
        (
            ["cluster=laptop"],
            {"CPU": 2.0},
            r"asks for 2 CPUs .* has 2, of which .* that stay hold 0\.6 CPUs: no place ",
        ),
        (["cluster=1gpu", "cluster.keep_engines=true"], {"CPU": 8.0, "GPU": 1.0}, r"hold 6 CPUs and 1 GPUs: no place "),
    ],
)
def test_ranks_that_find_no_place_beside_engines_that_stay_are_refused_before_the_search(
    knobs, node, said, made_up
) -> None:
    """They waited, after the search, for engines that waited for them to end."""
    made_up(node)
    with pytest.raises(ConfigError, match=rf"{said}.*lower round\.r.*\.ranks, or set cluster\.keep_engines=false"):
        connect(compose(["preset=paper", *knobs]), FOUR)
    assert connect(compose(["preset=paper", *knobs, "cluster.keep_engines=false"]), FOUR)
    assert connect(compose(["preset=paper", *knobs]), ALL)  # whoever only searches has room


@pytest.mark.parametrize(
    ("cluster", "nodes"),
    [
        ("1gpu", [{"CPU": 8.0, "GPU": 1.0}]),
        ("8gpu", [GPUS_8]),
        ("multi-node", [GPUS_8] * 4),
        ("laptop", [{"CPU": 2.0}]),
    ],
)
def test_each_clusters_preset_finds_its_places_where_it_says_that_it_does(cluster, nodes, made_up) -> None:
    made_up(*nodes)
    assert connect(compose([f"cluster={cluster}"]), FOUR)


def test_where_the_only_gpus_are_gone_what_is_started_waits_for_others(made_up, monkeypatch) -> None:
    """It was started on CPUs, where its GPU build fails, and the run ended while the node was being replaced."""
    made_up({"CPU": 8.0, "GPU": 1.0})
    assert gpus_each(compose([]).engine) == 1.0
    monkeypatch.setattr(holding.ray, "cluster_resources", lambda: {"CPU": 8.0})
    assert gpus_each(compose([]).engine) == 1.0
    made_up({"CPU": 8.0})  # another start
    assert gpus_each(compose([]).engine) == 0.0


@pytest.mark.parametrize("cluster", ["1gpu", "8gpu", "multi-node"])
def test_a_run_for_gpus_does_not_begin_on_cpus(cluster, made_up) -> None:
    """One that came before the nodes with GPUs began on those that were there, without one."""
    made_up(*[{"CPU": 64.0}] * 3)
    with pytest.raises(ConfigError, match=r"asks for [\d.]+ GPUs at once and the cluster has 0; .*cluster=laptop none"):
        connect(compose([f"cluster={cluster}", "cluster.join_minutes=0"]), ALL)


def test_a_cluster_that_is_still_filling_up_is_waited_for_and_told_of_once(made_up, monkeypatch, caplog) -> None:
    made_up({"CPU": 4.0})
    config, waited = compose(["cluster=multi-node"]), []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            made_up(*[GPUS_8] * 4)

    monkeypatch.setattr(holding.time, "sleep", sleep)
    assert not fits(config, ALL)  # asks, and does not wait
    with caplog.at_level(logging.WARNING):
        assert connect(config, ALL)
    assert len(waited) == 3
    (said,) = [record.getMessage() for record in caplog.records]
    assert "and the cluster has " in said and "waits 10 minutes for nodes to join (cluster.join_minutes)" in said


def test_a_cluster_that_is_not_there_is_not_waited_for(monkeypatch) -> None:
    """A wrong address was asked for ten minutes whether nodes had joined."""

    def refuse(*_: object, **__: object) -> None:
        raise ConfigError("no Ray cluster answers there")

    monkeypatch.setattr(holding, "connect_to", refuse)
    monkeypatch.setattr(holding.time, "sleep", None)
    with pytest.raises(ConfigError, match="no Ray cluster answers"):
        connect(compose(["cluster=multi-node"]), ALL)
    assert not fits(compose(["cluster=multi-node"]), ALL)


def test_a_cluster_of_its_own_is_not_waited_for(made_up, monkeypatch) -> None:
    made_up({"CPU": 1.0})
    monkeypatch.setattr(holding.time, "sleep", None)
    with pytest.raises(ConfigError, match="asks for"):
        connect(compose(["cluster=1gpu", "cluster.join_minutes=10"]), ALL)


def test_ranks_are_started_early_only_where_they_take_no_place_of_an_engine(made_up) -> None:
    """An engine died, the ranks that waited for a place took its own, and it waited for them for ever."""
    config = compose(["preset=paper", "cluster=1gpu", "cluster.address=others", "cluster.keep_engines=true"])
    made_up({"CPU": 8.0, "GPU": 1.0})
    assert not finds_place_beside(config, FOUR, 2, "policy")
    made_up({"CPU": 8.0, "GPU": 2.0})
    assert finds_place_beside(config, FOUR, 2, "policy")


def test_ranks_wait_for_the_nodes_that_will_hold_them(monkeypatch) -> None:
    """A node that was lost in a training ended the run, though another was on its way."""
    tried, said = [], []

    def start(*_: object) -> str:
        tried.append(1)
        if len(tried) < 3:
            raise ConfigError("the cluster has places for 1.")
        return "ranks"

    os.environ.update(_RAY_TRAIN)
    monkeypatch.setattr("rstar_math.training.workers.Ranks", start)
    monkeypatch.setattr("rstar_math.training.launch._LOOK_SECONDS", 0.01)
    training = compose([]).plan(1).policy
    with pytest.raises(ConfigError):
        Trainings()._start(training)
    tried.clear()
    assert Trainings(join_seconds=600.0, say=said.append)._start(training) == "ranks"  # type: ignore[comparison-overlap]
    assert said == ["the cluster has places for 1. It waits 10 minutes for them (cluster.join_minutes)."]
