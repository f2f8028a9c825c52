"""Which process has already run the beginning of this program?

steps -> the process that ran most of them and waits where they ended. A snapshot costs memory, not time. Snapshots are a
cache: few, within a budget of memory, the one longest unused thrown away first, and any may be lost at any time, for every
program can be run whole: from a warm parent, the snapshot of no steps, which is trusted and stays.
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
    """A process that waits for orders; where a program has run in it, it is stopped in between.

    seconds, cpu_seconds: what its steps took, from the first one on.
    group:   the process group of it and all that descends from the same whole run.
    channel: orders go in here.
    lent_bytes: what the warm parent had that it descends from; `own_bytes` are beyond that.
    orders:  programs that wait for a fork; the first one is being made. Its owner keeps what is in there.
    granted: the fork that is being made has been allowed.
    asked:   when that fork was ordered.
    """

    tier: str
    steps: tuple[str, ...]
    process: int
    process_fd: int
    channel: socket.socket
    group: int = 0
    printed: bytes = b""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    lent_bytes: int = 0
    own_bytes: int = 0
    used: float = field(default_factory=time.monotonic)
    orders: deque[Any] = field(default_factory=deque)
    granted: bool = False
    asked: float = 0.0

    @property
    def trusted(self) -> bool:
        """No program's code has run in it: a warm parent."""
        return not self.steps

    def stop(self) -> None:
        """Its process does nothing until `go_on`, whatever its code would like."""
        if not self.trusted:
            os.kill(self.process, signal.SIGSTOP)
            self.measure()

    def measure(self) -> None:
        """How much memory it has; to be asked again whenever it ran, for its code may have taken some."""
        self.own_bytes = max(0, memory(self.process) - self.lent_bytes)

    def go_on(self) -> None:
        """Lets its process read the next order."""
        if not self.trusted:
            os.kill(self.process, signal.SIGCONT)

    def kill(self) -> None:
        """Ends its process; whoever watches `process_fd` cleans up."""
        os.kill(self.process, signal.SIGKILL)


class Snapshots:
    """All of them, over all tiers; warm parents stand elsewhere."""

    def __init__(self, most: int, most_bytes: int, program_bytes: int) -> None:
        """`most` of them, with `most_bytes` of memory of their own. Where a process's memory cannot be seen, each is
        taken for the most that a program may have, `program_bytes`."""
        self._most = most if can_see_memory() else min(most, most_bytes // program_bytes)
        self._most_bytes = most_bytes
        self._by_steps: OrderedDict[tuple[str, ...], Snapshot] = OrderedDict()
        self._living = 0

    def room(self) -> bool:
        """Whether a program may start: those that were killed and are not buried yet count as processes too, and on a busy
        machine they are slow to go."""
        return self._living - len(self._by_steps) <= self._most

    def buried(self, snapshot: Snapshot) -> None:
        """Its process is gone for good."""
        self.remove(snapshot)
        self._living -= 1

    def clear(self) -> bool:
        """Kills all of them. False if there was none, killed ones that are not buried yet included."""
        found = self._living > 0
        for snapshot in list(self._by_steps.values()):
            snapshot.kill()
            self.remove(snapshot)
        return found

    def longest(self, tier: str, steps: Sequence[str]) -> Snapshot | None:
        """The one of that tier that ran the most first steps, but not all; it counts as used now."""
        if not self._by_steps:
            return None
        for length in range(len(steps) - 1, 0, -1):
            found = self._by_steps.get((tier, *steps[:length]))
            if found is not None:
                found.used = time.monotonic()
                self._by_steps.move_to_end((tier, *found.steps))
                return found
        return None

    def of_process(self, process: int) -> Snapshot | None:
        """The one that is this process."""
        return next((snapshot for snapshot in self._by_steps.values() if snapshot.process == process), None)

    def add(self, snapshot: Snapshot) -> None:
        """Keeps it; kills what there is no room for any more, perhaps itself."""
        key = (snapshot.tier, *snapshot.steps)
        self._living += 1
        if key in self._by_steps:
            snapshot.kill()
            return
        self._by_steps[key] = snapshot
        self.forget_old()

    def remove(self, snapshot: Snapshot) -> None:
        """No longer hands it out."""
        key = (snapshot.tier, *snapshot.steps)
        if self._by_steps.get(key) is snapshot:
            del self._by_steps[key]

    def forget_old(self) -> None:
        """Kills those that are too old, too many or too large, the longest unused first; none with orders."""
        for snapshot in list(self._surplus(time.monotonic() - _OLDEST_SECONDS)):
            snapshot.kill()
            self.remove(snapshot)

    def _surplus(self, oldest: float) -> Iterator[Snapshot]:
        count, size = len(self._by_steps), sum(snapshot.own_bytes for snapshot in self._by_steps.values())
        for snapshot in self._by_steps.values():
            if count <= self._most and size <= self._most_bytes and snapshot.used >= oldest:
                return
            if not snapshot.orders:
                count, size = count - 1, size - snapshot.own_bytes
                yield snapshot

    def patience(self) -> float:
        """Seconds until the longest unused one is too old; infinite without any."""
        if not self._by_steps:
            return float("inf")
        return max(0.0, next(iter(self._by_steps.values())).used + _OLDEST_SECONDS - time.monotonic())


def can_see_memory() -> bool:
    """Whether /proc shows this process's own namespace."""
    try:
        return Path("/proc/self").readlink().name == str(os.getpid())
    except OSError:
        return False


def memory(process: int) -> int:
    """Bytes of memory that are the process's own or shared with what it was forked from; 0 where that is not shown."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * _PAGE
