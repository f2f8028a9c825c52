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
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import ray

from rstar_math.cluster.remote import cause_of
from rstar_math.config import EngineConfig, RoundConfig, RunConfig, TrainingConfig
from rstar_math.errors import ConfigError

_log = logging.getLogger(__name__)
#: A node of a cluster takes a connection within so many seconds.
_KNOCK_SECONDS = 10.0


def gpus_each(config: EngineConfig) -> float:
    """GPUs one engine asks for: none where the cluster has none."""
    return config.gpus * config.tensor_parallel if ray.cluster_resources().get("GPU", 0) else 0.0


def connect(config: RunConfig, *, trains: bool = False) -> bool:
    """Joins the cluster, or starts one on this machine for this run; whether it holds all that a search asks of it.

    To a cluster of others nodes may be added: there it is enough that one engine of each kind and one worker find room.
    `trains`: the run's trainings come later, and what they ask for is looked at now, before the days of a search.

    Raises:
        ConfigError: it can never hold what the run asks of it.
    """
    connect_to(config.cluster.address)
    room = _has_room(config)
    _check_each(config)
    if trains:
        _check_ranks(config)
    return room


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
        with _sigterm_as_it_was():
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
def _sigterm_as_it_was() -> Iterator[None]:
    """Ray's driver takes SIGTERM for itself, on the main thread: a preempted run would end at once, with a code of Ray's."""
    ends = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ends or signal.SIG_DFL)


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


def _has_room(config: RunConfig) -> bool:
    there = ray.cluster_resources()
    whole, first = _asked(config), _asked(config, one_each=True)
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


def _check_each(config: RunConfig) -> None:
    """Whether a node holds an engine of each kind, and one a worker: nothing is spread over nodes.

    Raises:
        ConfigError: none does.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = [
        (what, engine.cpus, gpus_each(engine), f"{knobs}.cpus, {knobs}.gpus or {knobs}.tensor_parallel")
        for what, knobs, engine in (
            ("a policy engine", "engine", config.engine),
            ("a PPM engine", "ppm_engine", config.ppm_engine),
        )
    ]
    asked.append(("a search worker", config.cluster.search_cpus, 0.0, "cluster.search_cpus"))
    for what, cpus, gpus, knobs in asked:
        if not any(node.get("CPU", 0.0) >= cpus and node.get("GPU", 0.0) >= gpus for node in nodes):
            largest = max(nodes, key=lambda node: (node.get("GPU", 0.0), node.get("CPU", 0.0)))
            raise ConfigError(
                f"{what} asks one machine for {cpus:g} CPUs and {gpus:g} GPUs, and the largest in the cluster has "
                f"{largest.get('CPU', 0.0):g} CPUs and {largest.get('GPU', 0.0):g} GPUs; lower {knobs}"
            )


def _check_ranks(config: RunConfig) -> None:
    """Whether the largest training of the run finds room.

    Raises:
        ConfigError: it does not, in a cluster that no node will join.
    """
    there = ray.cluster_resources()
    kind = "GPU" if there.get("GPU", 0.0) else "CPU"
    plans = ((number, config.plan(number)) for number in range(1, config.rounds + 1))
    trainings = [(f"round.r{number}.{what}", each) for number, plan in plans for what, each in _trainings(plan)]
    where, largest = max(trainings, key=lambda found: _rank_asks(found[1], kind))
    if _rank_asks(largest, kind) <= there.get(kind, 0.0):
        return
    said = (
        f"{where} asks for {_rank_asks(largest, kind):g} {kind}s ({where}.ranks={largest.ranks}) and the cluster has "
        f"{there.get(kind, 0.0):g}"
    )
    if config.cluster.address is None:
        raise ConfigError(f"{said}; lower {where}.ranks")
    _say_once(f"{said}: nodes that hold the rest have to join before the first training, or it is refused")


def _trainings(plan: RoundConfig) -> tuple[tuple[str, TrainingConfig], ...]:
    return ("policy", plan.policy), ("ppm", plan.ppm)


def _rank_asks(training: TrainingConfig, kind: str) -> float:
    """CPUs or GPUs of all its ranks."""
    return training.ranks * (1.0 if kind == "GPU" else training.cpus_per_rank)


@cache
def _say_once(said: str) -> None:
    _log.warning(said)


def _asked(config: RunConfig, *, one_each: bool = False) -> dict[str, float]:
    """CPUs and GPUs of all engines and search workers, or of one of each kind."""
    engines = [(1 if one_each else engine.replicas, engine) for engine in (config.engine, config.ppm_engine)]
    workers = 1 if one_each else config.cluster.search_workers
    return {
        "CPU": sum(count * engine.cpus for count, engine in engines) + workers * config.cluster.search_cpus,
        "GPU": sum(count * gpus_each(engine) for count, engine in engines),
    }


def quoted_interpreter() -> dict[str, str] | None:
    """Where the interpreter's path has a space, Ray has to be given it quoted: it starts some workers through a shell."""
    quoted = shlex.quote(sys.executable)
    return {"py_executable": quoted} if quoted != sys.executable else None
