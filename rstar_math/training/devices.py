"""Do engines and ranks work on GPUs?

Asked wherever one is started; the answer stays the same for one start of the program, whatever becomes of a cluster's nodes.
"""

from __future__ import annotations

import threading

import ray

_gpus = threading.Event()


def need_gpus() -> None:
    """They do, whether the cluster has some yet or not."""
    _gpus.set()


def on_gpus() -> bool:
    """Whether they ask for GPUs: where they have to, and where the cluster has some, or had some in this start. While the
    only node with a GPU is replaced, what takes its place waits for that, and does not try its luck on CPUs."""
    if ray.cluster_resources().get("GPU", 0):
        _gpus.set()
    return _gpus.is_set()


def forget() -> None:
    """The cluster was left."""
    _gpus.clear()
