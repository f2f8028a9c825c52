"""What do the nodes of a cluster have, do they share a folder and a clock, and how fast is the network between them?

Puts an observer on every node and asks it. Each also sends to the next one, the last to the first, so that every node is
reached from another in as many measurements as there are nodes. What an observer looks at, and what is right, is not known
here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rstar_math.cluster.joining import connect_to
from rstar_math.cluster.remote import cause_of

#: What is sent to a node to see how fast it comes, and how long all of a node's answers may take.
_SENT_BYTES, _PATIENCE_SECONDS = 32 << 20, 120.0
#: The best of so many answers counts: what else a machine does at the moment is not its clock, or its network.
_ASKED_CLOCK, _SENT_TIMES = 5, 3


class Seen(NamedTuple):
    """A node: what its observer found; how far its clock is ahead of ours, in seconds; megabytes a second from here to there;
    the next node, and megabytes a second from there to that, or why nothing came; or why it did not answer; the GPUs that Ray
    counts there."""

    node: str
    found: Any = None
    clock_ahead: float = 0.0
    network_mb: float = 0.0
    next_node: str = ""
    next_mb: float = 0.0
    cut_off: str = ""
    silent: str = ""
    gpus: int = 0


class _Observer:
    def look(self, look: Callable[[], Any]) -> Any:
        return look()

    def now(self) -> float:
        return time.time()

    def take(self, sent: bytes) -> int:
        return len(sent)

    def send(self, other: Any) -> float:
        return _megabytes_a_second(other)


def survey(address: str, look: Callable[[], Any]) -> list[Seen]:
    """What `look` finds on every node that lives, called there."""
    connect_to(address)
    living = [node for node in ray.nodes() if node["Alive"]]
    nodes = sorted(
        (node["NodeManagerHostname"], node["NodeID"], int(node["Resources"].get("GPU", 0))) for node in living
    )
    observers = [_observer(identity) for _, identity, _ in nodes]
    try:
        seen = [
            _seen(observer, name, look)._replace(gpus=gpus)
            for observer, (name, _, gpus) in zip(observers, nodes, strict=True)
        ]
        answering = [number for number, each in enumerate(seen) if not each.silent]
        if len(answering) > 1:
            for number, following in zip(answering, [*answering[1:], answering[0]], strict=True):
                seen[number] = _sending(observers[number], observers[following], seen[number], seen[following].node)
        return seen
    finally:
        for observer in observers:
            ray.kill(observer)


def _observer(identity: str) -> Any:
    here = NodeAffinitySchedulingStrategy(identity, soft=False)
    return ray.remote(_Observer).options(num_cpus=0, scheduling_strategy=here).remote()


def _seen(observer: Any, name: str, look: Callable[[], Any]) -> Seen:
    try:
        found = ray.get(observer.look.remote(look), timeout=_PATIENCE_SECONDS)
        ahead = min((_ahead(observer) for _ in range(_ASKED_CLOCK)), key=lambda asked: asked[1])[0]
        return Seen(name, found, ahead, _megabytes_a_second(observer))
    except RayError as error:
        return Seen(name, silent=cause_of(error))


def _sending(observer: Any, other: Any, seen: Seen, name: str) -> Seen:
    """What was seen of a node, with how fast it sends to another."""
    try:
        speed = ray.get(observer.send.remote(other), timeout=_PATIENCE_SECONDS)
        return seen._replace(next_node=name, next_mb=speed)
    except RayError as error:
        return seen._replace(next_node=name, cut_off=cause_of(error))


def _megabytes_a_second(observer: Any) -> float:
    """From this process's node to the observer's."""
    return _SENT_BYTES / 1e6 / min(_seconds_to_send(observer) for _ in range(_SENT_TIMES))


def _seconds_to_send(observer: Any) -> float:
    sent = ray.put(bytes(_SENT_BYTES))
    started = time.perf_counter()
    ray.get(observer.take.remote(sent), timeout=_PATIENCE_SECONDS)
    return time.perf_counter() - started


def _ahead(observer: Any) -> tuple[float, float]:
    """How far the observer's clock is ahead, and within how many seconds that was asked."""
    before = time.time()
    theirs = ray.get(observer.now.remote(), timeout=_PATIENCE_SECONDS)
    after = time.time()
    return theirs - (before + after) / 2, after - before
