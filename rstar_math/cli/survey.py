"""Are the nodes of a cluster fit for one run together?

Every node is looked at from inside and compared with this one: versions, GPUs, what the sandbox holds, whether the run
directories are the same folder everywhere, with locks that hold, clock, disk and network. It says what to mend and changes
nothing.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from filelock import Timeout
from rich import box
from rich.table import Table

from rstar_math.cli.locking import locked
from rstar_math.cluster.survey import Seen, survey
from rstar_math.config import RunConfig, SandboxConfig
from rstar_math.errors import StageError
from rstar_math.evolution.versions import versions
from rstar_math.report.console import open_console
from rstar_math.sandbox import promises

#: A clock that is off by more confuses time stamps and locks; a slower disk or network holds up checkpoints and weights.
_CLOCK_SECONDS, _SLOW_DISK_MB, _SLOW_NETWORK_MB = 1.0, 50.0, 100.0
_WRITTEN_BYTES = 64 << 20


class Node(NamedTuple):
    """A node from inside: `shared`: what it reads in the file that was written here; `not_held`: what is required of its
    sandbox and not held; `locked`: whether it was kept out of what is locked here."""

    versions: Mapping[str, str]
    gpus: tuple[str, ...]
    not_held: tuple[str, ...]
    shared: str | None
    disk_mb: float
    locked: bool


def look(folder: str, token: str, sandbox: SandboxConfig) -> Node:
    """Called on a node."""
    import torch

    file = Path(folder) / token
    gpus = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    held = {promise.kind for promise in promises(sandbox) if promise.held}
    shared = file.read_text() if file.is_file() else None
    not_held = tuple(sorted(set(sandbox.require) - held))
    locked = shared is not None and _kept_out(file)
    return Node(versions(), gpus, not_held, shared, _disk_mb(Path(folder)), locked)


def _kept_out(file: Path) -> bool:
    if not os.access(file.parent, os.W_OK):
        return True  # by its rights
    try:
        with locked(file.with_suffix(".lock")):
            return False
    except Timeout:
        return True
    except StageError:  # nor could anything be locked there
        return False


def _disk_mb(folder: Path) -> float:
    """Megabytes a second that a file is written with, down to the disk; 0 where none can be written."""
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return 0.0
    file = folder / f"survey-{uuid4().hex}"
    started = time.perf_counter()
    with file.open("wb") as written:
        written.write(bytes(_WRITTEN_BYTES))
        written.flush()
        os.fsync(written.fileno())
    seconds = time.perf_counter() - started
    file.unlink()
    return _WRITTEN_BYTES / 1e6 / seconds


def examine_cluster(config: RunConfig) -> bool:
    """Prints what every node has and what to mend; whether there is nothing to mend.

    Raises:
        ConfigError: there is no cluster at `cluster.address`.
    """
    folder = Path(config.runs).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"survey-{uuid4().hex}"
    file.write_text(file.name)
    try:
        with locked(file.with_suffix(".lock")):  # of the same kind as a run's own
            nodes = survey(str(config.cluster.address), partial(look, str(folder), file.name, config.sandbox))
    finally:
        file.unlink()
        file.with_suffix(".lock").unlink(missing_ok=True)
    console = open_console()
    console.print(_table(nodes))
    wrong = [f"{seen.node}: {words}" for seen in nodes for words in to_mend(seen, versions(), file.name, folder)]
    for words in [*wrong, *unlike(nodes)]:
        console.print(words, soft_wrap=True, highlight=False)
    return not wrong


def to_mend(seen: Seen, ours: Mapping[str, str], token: str, folder: Path) -> Iterator[str]:
    """What is not as it should be on a node, with the way out."""
    if seen.silent:
        yield f"does not answer: {seen.silent}; start Ray there again, with the same environment"
        return
    node: Node = seen.found
    for name, version in ours.items():
        if node.versions.get(name) != version:
            yield f"has {name} {node.versions.get(name, 'not at all')}, here is {version}; set up the same there"
    if node.not_held:
        yield f"its sandbox does not hold {', '.join(node.not_held)}; see `rstar-math doctor` there, or sandbox.require"
    if seen.gpus > len(node.gpus):
        yield (
            f"Ray offers {seen.gpus} GPUs there and torch sees {len(node.gpus)}; install torch's CUDA build there "
            "(`make setup` in a new .venv), or mend the driver (`nvidia-smi`)"
        )
    yield from _of_the_folder(node, token, folder)
    if abs(seen.clock_ahead) > _CLOCK_SECONDS:
        yield f"its clock is {seen.clock_ahead:+.1f} s off; let it be set by NTP"
    yield from _of_the_network(seen)


def _of_the_folder(node: Node, token: str, folder: Path) -> Iterator[str]:
    if node.shared != token:
        yield f"{folder} is not this folder there; put runs= on a file system that all nodes share"
        return
    if node.disk_mb < _SLOW_DISK_MB:
        yield f"writes {node.disk_mb:.0f} MB/s in {folder}; checkpoints will take long"
    if not node.locked:
        yield (
            f"what is locked here can be locked there as well: two hosts could write to one run; mount {folder} with locks "
            "between hosts (NFS without nolock and local_lock, Lustre with flock)"
        )


def unlike(nodes: Sequence[Seen]) -> Iterator[str]:
    """Nodes with other GPUs than the first that has some. Nothing to mend: a run may use both."""
    having = [seen for seen in nodes if not seen.silent and seen.found.gpus]
    for seen in having[1:]:
        if Counter(seen.found.gpus) != Counter(having[0].found.gpus):
            yield (
                f"{seen.node}: has {_gpus(seen.found)}, and {having[0].node} {_gpus(having[0].found)}; a training over both "
                "goes at the pace of the slower, with what the smaller holds"
            )


def _gpus(node: Node) -> str:
    return ", ".join(f"{count} x {name}" for name, count in Counter(node.gpus).items()) or "none"


def _of_the_network(seen: Seen) -> Iterator[str]:
    if seen.network_mb < _SLOW_NETWORK_MB:
        yield f"gets {seen.network_mb:.0f} MB/s from here; trees and weights will take long"
    if seen.cut_off:
        yield f"does not reach {seen.next_node}: {seen.cut_off}; let nodes reach each other on every port (firewall, routes)"
    elif seen.next_node and seen.next_mb < _SLOW_NETWORK_MB:
        yield f"sends {seen.next_mb:.0f} MB/s to {seen.next_node}; trainings over both will take long"


def _table(nodes: list[Seen]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("node", "GPUs", "torch", "ray", "sandbox", "runs=", "disk", "from here", "to the next", "clock"):
        table.add_column(heading)
    for seen in nodes:
        if seen.silent:
            table.add_row(seen.node, "does not answer")
            continue
        node: Node = seen.found
        table.add_row(
            seen.node,
            _gpus(node),
            node.versions.get("torch", "none"),
            node.versions.get("ray", "none"),
            "holds" if not node.not_held else f"lacks {', '.join(node.not_held)}",
            "shared" if node.shared else "ANOTHER FOLDER",
            f"{node.disk_mb:.0f} MB/s",
            f"{seen.network_mb:.0f} MB/s",
            "NOTHING" if seen.cut_off else f"{seen.next_mb:.0f} MB/s" if seen.next_node else "–",
            f"{seen.clock_ahead:+.3f} s",
        )
    return table
