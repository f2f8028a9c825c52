"""Can the cluster hold what the run asks for?

What engines, search workers and ranks take -> whether there is a place for all of them, or for one of each; what cannot be is
refused with what was asked, what is there, and the knobs. No actor is started.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import ray

from rstar_math.checkpoints import Kind
from rstar_math.cluster.joining import connect_to
from rstar_math.cluster.placing import Wanted, left_over
from rstar_math.config import EngineConfig, RunConfig, TrainingConfig
from rstar_math.errors import ConfigError
from rstar_math.training.devices import on_gpus

_log = logging.getLogger(__name__)
#: So often is looked whether a node has joined.
_LOOK_SECONDS = 2.0
#: How many engines of a kind there are, and what each takes.
_ENGINE_KNOBS = ("replicas", "cpus", "gpus", "tensor_parallel")


def gpus_each(config: EngineConfig) -> float:
    """GPUs one engine asks for: none where nothing runs on GPUs."""
    return config.gpus * config.tensor_parallel if on_gpus() else 0.0


class Demand(NamedTuple):
    """What a run asks of its cluster: engines of which kinds, whether search workers beside them, and which trainings, by
    their round and their stage, at other times."""

    engines: frozenset[Kind] = frozenset()
    search: bool = False
    trains: tuple[tuple[int, str], ...] = ()

    def and_now(self, engines: Iterable[Kind], *, search: bool) -> Demand:
        """The same, and these engines and workers before."""
        return self._replace(engines=self.engines.union(engines), search=self.search or search)


def connect(config: RunConfig, demand: Demand) -> bool:
    """Joins the cluster, or starts one on this machine for this run; whether it holds at once all engines and workers.

    To a cluster of others nodes may be added: there it is enough that one engine of each kind and one worker find room, and
    for these it waits `cluster.join_minutes`. What trainings ask for is looked at now, before the days of a search.

    Raises:
        ConfigError: there is no cluster, or it can never hold what the run asks of it.
    """
    _join(config)
    minutes = config.cluster.join_minutes if config.cluster.address is not None else 0.0
    until = time.monotonic() + 60 * minutes
    while True:
        try:
            return _holds(config, demand)
        except ConfigError as error:
            if time.monotonic() >= until:
                raise
            _say_once(f"{error}. It waits {minutes:g} minutes for nodes to join (cluster.join_minutes)")
            time.sleep(_LOOK_SECONDS)


def _join(config: RunConfig) -> None:
    connect_to(config.cluster.address, needs_gpus=config.cluster.needs_gpus)


def _holds(config: RunConfig, demand: Demand) -> bool:
    kinds, nodes = _kinds(config, demand), _nodes()
    room = _has_room(config, kinds)
    _check_each(kinds, nodes)
    room = room and _all_find_places(config, kinds, nodes)
    _check_ranks(config, kinds, demand.trains)
    return room


def fits(config: RunConfig, demand: Demand) -> bool:
    """The same, where it need not hold them; it waits for nobody."""
    try:
        _join(config)
        return _holds(config, demand)
    except ConfigError:
        return False


def finds_place_beside(config: RunConfig, demand: Demand, number: int, stage: str) -> bool:
    """Whether a training finds room now beside all engines and workers, those included that wait for a place."""
    kind = "GPU" if on_gpus() else "CPU"
    return _lack_of_room(*_training(config, number, stage), kind, _kinds(config, demand)) is None


def _nodes() -> list[Mapping[str, float]]:
    """What each node has, whether somebody uses it or not."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _kinds(config: RunConfig, demand: Demand) -> list[Wanted]:
    """All engines and search workers that are asked for; the first knob of each kind says how many there are."""
    wanted = [
        Wanted(what, each.replicas, each.cpus, gpus_each(each), tuple(f"{name}.{knob}" for knob in _ENGINE_KNOBS))
        for kind, what, name, each in (
            ("policy", "policy engine", "engine", config.engine),
            ("ppm", "PPM engine", "ppm_engine", config.ppm_engine),
        )
        if kind in demand.engines
    ]
    cluster = config.cluster
    knobs = ("cluster.search_workers", "cluster.search_cpus")
    workers = Wanted("search worker", cluster.search_workers, cluster.search_cpus, 0.0, knobs)
    return [*wanted, workers] if demand.search else wanted


def _one_each(kinds: Sequence[Wanted]) -> list[Wanted]:
    return [kind._replace(number=1) for kind in kinds]


def _asked(kinds: Sequence[Wanted]) -> dict[str, float]:
    """CPUs and GPUs of all together."""
    return {
        "CPU": sum(kind.number * kind.cpus for kind in kinds),
        "GPU": sum(kind.number * kind.gpus for kind in kinds),
    }


def _has_room(config: RunConfig, kinds: Sequence[Wanted]) -> bool:
    there = ray.cluster_resources()
    whole, first = _asked(kinds), _asked(_one_each(kinds))
    lacking = [kind for kind in ("CPU", "GPU") if whole[kind] > there.get(kind, 0.0)]
    if not lacking:
        return True
    kind = lacking[0]
    knobs = {
        "CPU": "engine.cpus, ppm_engine.cpus, cluster.search_cpus or cluster.search_workers",
        "GPU": "engine.replicas, engine.gpus, ppm_engine.replicas or ppm_engine.gpus (cluster=1gpu fits one GPU, "
        "cluster=laptop none)",
    }[kind]
    said = f"the run asks for {whole[kind]:g} {kind}s at once and the cluster has {there.get(kind, 0.0):g}"
    if config.cluster.address is None or any(first[each] > there.get(each, 0.0) for each in lacking):
        raise ConfigError(f"{said}; lower {knobs}, or add nodes")
    _say_once(f"{said}: it begins with what there is, and takes in the rest when nodes join")
    return False


def _check_each(kinds: Sequence[Wanted], nodes: Sequence[Mapping[str, float]]) -> None:
    """Whether a node holds an engine of each kind, and one a worker: nothing is spread over nodes. And whether one of each
    find places beside each other.

    Raises:
        ConfigError: none does, or they do not.
    """
    for kind in kinds:
        if not any(node.get("CPU", 0.0) >= kind.cpus and node.get("GPU", 0.0) >= kind.gpus for node in nodes):
            largest = max(nodes, key=lambda node: (node.get("GPU", 0.0), node.get("CPU", 0.0)))
            raise ConfigError(
                f"a {kind.what} asks one machine for {kind.cpus:g} CPUs and {kind.gpus:g} GPUs, and the largest in the "
                f"cluster has {largest.get('CPU', 0.0):g} CPUs and {largest.get('GPU', 0.0):g} GPUs; "
                f"lower {_or(kind.knobs[1:])}"
            )
    if left := left_over(_one_each(kinds), nodes):
        raise ConfigError(f"{_without_place(left)}, and a search begins with one of each kind; {_lower(left)}")


def _all_find_places(config: RunConfig, kinds: Sequence[Wanted], nodes: Sequence[Mapping[str, float]]) -> bool:
    """Whether there is a place for all of them at once: what is left over of several GPUs, or nodes, is none together.

    Raises:
        ConfigError: there is none, in a cluster that no node will join.
    """
    left = left_over(kinds, nodes)
    if left and config.cluster.address is None:
        raise ConfigError(f"{_without_place(left)}; {_lower(left)}")
    if left:
        _say_once(f"{_without_place(left)}: it begins without, and takes them in when nodes join; {_lower(left)}")
    return not left


def _without_place(left: Sequence[tuple[Wanted, int]]) -> str:
    found = (
        f"{missing} of {kind.number} {kind.what}s ({kind.cpus:g} CPUs and {kind.gpus:g} GPUs of one machine each)"
        for kind, missing in left
    )
    return f"beside the rest the cluster's machines have no place for {' and '.join(found)}"


def _lower(left: Sequence[tuple[Wanted, int]]) -> str:
    return f"lower {_or([knob for kind, _ in left for knob in kind.knobs])}, or add nodes"


def _or(knobs: Sequence[str]) -> str:
    *first, last = knobs
    return f"{', '.join(first)} or {last}" if first else last


def _check_ranks(config: RunConfig, kinds: Sequence[Wanted], trains: Iterable[tuple[int, str]]) -> None:
    """Whether each of these trainings finds room: beside all engines and workers, `kinds`, where those stay.

    Raises:
        ConfigError: one does not, in a cluster that no node will join.
    """
    kind = "GPU" if on_gpus() else "CPU"
    stay = kinds if config.cluster.keep_engines else ()
    trainings = [_training(config, number, stage) for number, stage in trains]
    trainings.sort(key=lambda found: _rank_asks(found[1], kind), reverse=True)
    for where, training in trainings:
        if not (lack := _lack_of_room(where, training, kind, stay)):
            continue
        said, lower = lack
        if config.cluster.address is None:
            raise ConfigError(f"{said}; lower {lower}")
        _say_once(
            f"{said}: nodes that hold the rest have to join before the first training, or it is refused, or waits; or "
            f"lower {lower}"
        )
        return


def _lack_of_room(where: str, training: TrainingConfig, kind: str, stay: Sequence[Wanted]) -> tuple[str, str] | None:
    """What keeps a training from its place beside those that stay, in words, and what to lower; None: nothing."""
    there, nodes = ray.cluster_resources(), _nodes()
    cpus, gpus = (1.0, 1.0) if kind == "GPU" else (training.cpus_per_rank, 0.0)
    rank = Wanted("rank", training.ranks, cpus, gpus)
    if not left_over([rank, *stay], nodes):
        return None
    asked = (
        f"{where} asks for {_rank_asks(training, kind):g} {kind}s ({where}.ranks={training.ranks}) and the cluster has "
        f"{there.get(kind, 0.0):g}"
    )
    each, knobs = f"({cpus:g} CPUs and {gpus:g} GPUs of one machine each)", f"{where}.ranks"
    if left := left_over([rank], nodes):
        return f"{asked}, with places for {training.ranks - left[0][1]} of these ranks at once {each}", knobs
    held = " and ".join(f"{count:g} {kind}s" for kind, count in _asked(stay).items() if count)
    words = (
        f"{asked}, of which engines and search workers that stay hold {held}: no place beside them for all ranks {each}"
    )
    return words, f"{knobs}, or set cluster.keep_engines=false"


def _training(config: RunConfig, number: int, stage: str) -> tuple[str, TrainingConfig]:
    """What a user calls it, and how it is done; the control is trained as the round's policy is."""
    what, plan = "ppm" if stage == "ppm" else "policy", config.plan(number)
    return f"round.{config.plan_name(number)}.{what}", plan.ppm if what == "ppm" else plan.policy


def _rank_asks(training: TrainingConfig, kind: str) -> float:
    """CPUs or GPUs of all its ranks."""
    return training.ranks * (1.0 if kind == "GPU" else training.cpus_per_rank)


@cache
def _say_once(said: str) -> None:
    _log.warning(said)
