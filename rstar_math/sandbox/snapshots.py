"""Which process has already run the beginning of this program?

steps -> the snapshot that ran most of them. A snapshot is a stopped process that waits where its steps ended; it costs
memory, not time. They are a cache: few, within a budget of memory, the one longest unused thrown away first, and any
may be lost at any time, for every program can be run whole.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: A search comes back to a path within seconds, or never.
_OLDEST_SECONDS = 60.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True, eq=False)
class Snapshot:
    """A stopped process. `seconds` and `cpu_seconds`: what its steps took, from the first one on.

    group:   the process group of it and all that descends from the same whole run.
    channel: orders go in here.
    orders:  programs that wait for a fork; the first one is being made. Its owner keeps what is in there.
    """

    steps: tuple[str, ...]
    process: int
    process_fd: int
    group: int
    channel: socket.socket
    printed: bytes
    seconds: float
    cpu_seconds: float
    used: float = field(default_factory=time.monotonic)
    orders: deque[Any] = field(default_factory=deque)
    granted: bool = False

    def stop(self) -> None:
        """Its process does nothing until `go_on`, whatever its code would like."""
        os.kill(self.process, signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets its process read the next order."""
        os.kill(self.process, signal.SIGCONT)

    def kill(self) -> None:
        """Ends its process; whoever watches `process_fd` cleans up."""
        os.kill(self.process, signal.SIGKILL)


class Snapshots:
    """The snapshots of one warm parent."""

    def __init__(self, most: int, most_bytes: int, program_bytes: int) -> None:
        """`most` of them, with `most_bytes` of memory of their own. Where a process's memory cannot be seen, each is
        taken for the most that a program may have, `program_bytes`."""
        self._most = most if can_see_memory() else min(most, most_bytes // program_bytes)
        self._most_bytes = most_bytes
        self._own_bytes = memory(os.getpid())
        self._bytes: dict[Snapshot, int] = {}
        self._by_steps: OrderedDict[tuple[str, ...], Snapshot] = OrderedDict()

    def longest(self, steps: Sequence[str]) -> Snapshot | None:
        """The one that ran the most first steps, but not all; it counts as used now."""
        if not self._by_steps:
            return None
        for length in range(len(steps) - 1, 0, -1):
            found = self._by_steps.get(tuple(steps[:length]))
            if found is not None:
                found.used = time.monotonic()
                self._by_steps.move_to_end(found.steps)
                return found
        return None

    def of_process(self, process: int) -> Snapshot | None:
        """The one that is this process."""
        return next((snapshot for snapshot in self._by_steps.values() if snapshot.process == process), None)

    def add(self, snapshot: Snapshot) -> None:
        """Keeps it; kills what there is no room for any more, perhaps itself."""
        if snapshot.steps in self._by_steps:
            snapshot.kill()
            return
        self._by_steps[snapshot.steps] = snapshot
        self._bytes[snapshot] = max(0, memory(snapshot.process) - self._own_bytes)
        self.forget_old()

    def remove(self, snapshot: Snapshot) -> None:
        """No longer hands it out."""
        self._bytes.pop(snapshot, None)
        if self._by_steps.get(snapshot.steps) is snapshot:
            del self._by_steps[snapshot.steps]

    def forget_old(self) -> None:
        """Kills those that are too old, too many or too large, the longest unused first; none with orders."""
        for snapshot in list(self._surplus(time.monotonic() - _OLDEST_SECONDS)):
            snapshot.kill()
            self.remove(snapshot)

    def _surplus(self, oldest: float) -> Iterator[Snapshot]:
        count, size = len(self._by_steps), sum(self._bytes.values())
        for snapshot in self._by_steps.values():
            if count <= self._most and size <= self._most_bytes and snapshot.used >= oldest:
                return
            if not snapshot.orders:
                count, size = count - 1, size - self._bytes[snapshot]
                yield snapshot

    def patience(self) -> float:
        """Seconds until the longest unused one is too old; infinite without any."""
        if not self._by_steps:
            return float("inf")
        return max(0.0, next(iter(self._by_steps.values())).used + _OLDEST_SECONDS - time.monotonic())


def can_see_memory() -> bool:
    """Whether /proc shows this process's own namespace."""
    return Path("/proc/self").readlink().name == str(os.getpid())


def memory(process: int) -> int:
    """Bytes of memory that are the process's own or shared with what it was forked from; 0 where that is not shown."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * _PAGE
