"""Is there a process that has imported what this program needs?

tier -> its warm parent. All are forked from the controller before it has read of any program, so that nothing of one can be
found in their memory, and sleep; when a tier's first program arrives, one of them imports its libraries. It takes a second
or two until it is ready; meanwhile its programs wait here and hold up no others. If it dies, another takes its place.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from rstar_math.sandbox import node
from rstar_math.sandbox.loop import Loop
from rstar_math.sandbox.node import Cage
from rstar_math.sandbox.running import Waiting
from rstar_math.sandbox.snapshots import Snapshot, memory
from rstar_math.sandbox.tiers import TIERS

#: Warm parents that may die in a sandbox's life; when one more does, something is wrong with the machine.
_SPARE = 2
#: Processes that are forked at the start.
PARENTS = len(TIERS) + _SPARE
#: No machine is so busy that a fork takes so long.
_LONGEST_FORK_SECONDS = 30.0


class _Sleeper(NamedTuple):
    """A process that has imported nothing yet, and the near end of its channel."""

    process: int
    channel: socket.socket


class WarmParents:
    """All of one sandbox, by tier."""

    def __init__(
        self, cage: Cage, loop: Loop, enqueue: Callable[[list[Waiting]], None], lost: Callable[[Snapshot], None]
    ) -> None:
        """`enqueue` takes the programs that may start now. `lost` hears of each that ended, and calls `remove`."""
        self._cage, self._loop, self._enqueue, self._lost = cage, loop, enqueue, lost
        self._ready: dict[str, Snapshot] = {}
        self._starting: dict[str, list[Waiting]] = {}
        self._sleepers: list[_Sleeper] = []
        self._deaths = 0

    def fork(self) -> None:
        """Forks all of them; to be called before the first program is read."""
        self._sleepers = [self._sleeper() for _ in range(PARENTS)]

    def __getitem__(self, tier: str) -> Snapshot:
        return self._ready[tier]

    def stop_late(self) -> None:
        """Kills those that owe a fork for too long: they have lost it, or themselves."""
        for parent in self._ready.values():
            if parent.orders and time.monotonic() - parent.asked >= _LONGEST_FORK_SECONDS:
                parent.kill()

    def patience(self) -> float:
        """Seconds until one may be late; infinite where none owes a fork."""
        asked = min((parent.asked for parent in self._ready.values() if parent.orders), default=math.inf)
        return max(0.0, asked + _LONGEST_FORK_SECONDS - time.monotonic())

    def of_process(self, process: int) -> Snapshot | None:
        """The one that is this process."""
        return next((parent for parent in self._ready.values() if parent.process == process), None)

    def ready(self, program: Waiting) -> bool:
        """Whether the program may start. If not it is kept, and enqueued again when it may."""
        if program.tier in self._ready:
            return True
        if program.tier not in self._starting:
            self._starting[program.tier] = []
            self._wake(program.tier)
        self._starting[program.tier].append(program)
        return False

    def _sleeper(self) -> _Sleeper:
        channel, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        controller, process = os.getpid(), os.fork()
        if process == 0:
            node.live(self._cage, far.fileno(), controller)
        far.close()
        return _Sleeper(process, channel)

    def _wake(self, tier: str) -> None:
        process, channel = self._sleepers.pop()
        with suppress(ConnectionError):  # it died; the watch below sees it
            channel.send(tier.encode())
        parent = Snapshot(tier, (), process, os.pidfd_open(process), channel)
        self._loop.watch(channel.fileno(), lambda: self._hear(parent))
        self._loop.watch(parent.process_fd, lambda: self._lost(parent))

    def _hear(self, parent: Snapshot) -> None:
        """It says that it is ready, or closes the channel as it ends."""
        self._loop.forget(parent.channel.fileno())
        if parent.channel.recv(node.REPORT_BYTES) == node.KEPT:
            parent.own_bytes = memory(parent.process)
            self._ready[parent.tier] = parent
            self._enqueue(self._starting.pop(parent.tier))

    def remove(self, parent: Snapshot) -> None:
        """It has ended; its tier's next program starts another.

        Raises:
            SystemExit: it ended before it was ready, or too many did.
        """
        self._loop.forget(parent.channel.fileno())
        self._deaths += 1
        if self._ready.pop(parent.tier, None) is None or self._deaths > _SPARE:
            raise SystemExit(f"the process with the libraries of '{parent.tier}' ended, the {self._deaths}. in all")
