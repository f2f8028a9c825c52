"""Which cluster does a run join, and can that hold what the run asks for?

Ray is started or joined here. No actor is.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import NamedTuple

import ray
from ray._private import utils

from rstar_math.checkpoints import Kind
from rstar_math.cluster.placing import Wanted, left_over
from rstar_math.cluster.remote import cause_of
from rstar_math.config import EngineConfig, RunConfig, TrainingConfig
from rstar_math.errors import ConfigError

_log = logging.getLogger(__name__)
#: A node of a cluster takes a connection within so many seconds.
_KNOCK_SECONDS = 10.0
#: How many engines of a kind there are, and what each takes.
_ENGINE_KNOBS = ("replicas", "cpus", "gpus", "tensor_parallel")


def gpus_each(config: EngineConfig) -> float:
    """GPUs one engine asks for: none where the cluster has none."""
    return config.gpus * config.tensor_parallel if ray.cluster_resources().get("GPU", 0) else 0.0


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

    To a cluster of others nodes may be added: there it is enough that one engine of each kind and one worker find room. What
    trainings ask for is looked at now, before the days of a search.

    Raises:
        ConfigError: it can never hold what the run asks of it.
    """
    connect_to(config.cluster.address)
    kinds, nodes = _kinds(config, demand), _nodes()
    room = _has_room(config, kinds)
    _check_each(kinds, nodes)
    room = room and _all_find_places(config, kinds, nodes)
    _check_ranks(config, kinds, demand.trains)
    return room


def fits(config: RunConfig, demand: Demand) -> bool:
    """The same, where it need not hold them."""
    try:
        return connect(config, demand)
    except ConfigError:
        return False


def connect_to(address: str | None) -> None:
    """Joins the cluster at `address`, or starts one on this machine, unless that has been done.

    Raises:
        ConfigError: there is no cluster.
    """
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # errors keep their message, advice stays in Ray's own logs
    options = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        _knock(address or "")
        with _sigterm_stays_ours():
            # "local": without an address Ray would join whatever cluster was started on this machine, or RAY_ADDRESS's.
            ray.init(address=address or "local", include_dashboard=False, runtime_env=quoted_interpreter(), **options)
    except ConnectionError as error:
        raise ConfigError(
            f"cluster.address={address}: no Ray cluster answers there ({cause_of(error)}); start one with "
            "`ray start --head`, set RAY_AUTH_MODE=token where that one asks for a token (one started on a machine with "
            "~/.ray/auth_token does), name another, or leave it out for one of this machine's own"
        ) from error


def leave() -> None:
    """Ends a cluster of this machine's own, or leaves that of others; Ray has nothing more to print then."""
    ray.shutdown()


@contextmanager
def _sigterm_stays_ours() -> Iterator[None]:
    """Ray's driver takes SIGTERM for itself while it starts: a run that is preempted then would end with a code of Ray's. And
    Python drops an exception that a handler raises within a hook of `fork`, where Ray starts its processes."""
    ends = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(ends):
        yield
        return
    came = False

    def noting(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        ends(number, frame)

    theirs = utils.set_sigterm_handler
    signal.signal(signal.SIGTERM, noting)
    utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = theirs
        signal.signal(signal.SIGTERM, ends)
    if came:
        raise KeyboardInterrupt


def _knock(address: str) -> None:
    """Whether anybody listens at HOST:PORT; Ray itself asks an address that is silent for a minute and longer.

    Raises:
        ConnectionError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise ConnectionError(error) from error


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
        "GPU": "engine.replicas, engine.gpus, ppm_engine.replicas or ppm_engine.gpus (cluster=1gpu fits one)",
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
    kind = "GPU" if ray.cluster_resources().get("GPU", 0.0) else "CPU"
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


def quoted_interpreter() -> dict[str, str] | None:
    """Where the interpreter's path has a space, Ray has to be given it quoted: it starts some workers through a shell."""
    quoted = shlex.quote(sys.executable)
    return {"py_executable": quoted} if quoted != sys.executable else None
