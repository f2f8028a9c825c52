"""What do the nodes of a cluster have, and do they share a folder and a clock?

Puts an observer on every node and asks it. What an observer looks at, and what is right, is not known here.
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
    or why it did not answer."""

    node: str
    found: Any = None
    clock_ahead: float = 0.0
    network_mb: float = 0.0
    silent: str = ""


class _Observer:
    def look(self, look: Callable[[], Any]) -> Any:
        return look()

    def now(self) -> float:
        return time.time()

    def take(self, sent: bytes) -> int:
        return len(sent)


def survey(address: str, look: Callable[[], Any]) -> list[Seen]:
    """What `look` finds on every node that lives, called there."""
    connect_to(address)
    nodes = [(node["NodeID"], node["NodeManagerHostname"]) for node in ray.nodes() if node["Alive"]]
    return [_seen(identity, name, look) for identity, name in sorted(nodes, key=lambda node: node[1])]


def _seconds_to_send(observer: Any) -> float:
    sent = ray.put(bytes(_SENT_BYTES))
    started = time.perf_counter()
    ray.get(observer.take.remote(sent), timeout=_PATIENCE_SECONDS)
    return time.perf_counter() - started


def _seen(identity: str, name: str, look: Callable[[], Any]) -> Seen:
    here = NodeAffinitySchedulingStrategy(identity, soft=False)
    observer = ray.remote(_Observer).options(num_cpus=0, scheduling_strategy=here).remote()
    try:
        found = ray.get(observer.look.remote(look), timeout=_PATIENCE_SECONDS)
        ahead = min((_ahead(observer) for _ in range(_ASKED_CLOCK)), key=lambda asked: asked[1])[0]
        fastest = min(_seconds_to_send(observer) for _ in range(_SENT_TIMES))
        return Seen(name, found, ahead, _SENT_BYTES / 1e6 / fastest)
    except RayError as error:
        return Seen(name, silent=cause_of(error))
    finally:
        ray.kill(observer)


def _ahead(observer: Any) -> tuple[float, float]:
    """How far the observer's clock is ahead, and within how many seconds that was asked."""
    before = time.time()
    theirs = ray.get(observer.now.remote(), timeout=_PATIENCE_SECONDS)
    after = time.time()
    return theirs - (before + after) / 2, after - before
