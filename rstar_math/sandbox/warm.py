"""Who starts a program, and how did it end?

programs -> executions, in a process that imported a tier's libraries once and forks for every program. It decides
each status from what the kernel shows (exit, signal, processor time), the clock and the amount of output; the
program's own report only tells an error from a success. It runs one thread and one loop; how many programs run at
once, over all tiers, is counted by tokens in a pipe that the tiers share.
"""

from __future__ import annotations

import gc
import math
import os
import select
import shutil
import signal
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from rstar_math.records import Status
from rstar_math.sandbox import confine, node
from rstar_math.sandbox.node import Cage
from rstar_math.sandbox.tiers import warm_up
from rstar_math.sandbox.wire import Inbox, pack

#: Programs that wait here before the parent stops reading; the rest wait in the socket, then in the search process.
_MOST_WAITING = 256
_CHUNK = 1 << 16
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class _Running:
    """One program under way: its process, its pipes' read ends, when it started, what it printed so far."""

    number: int
    process: int
    process_fd: int
    stdout: int
    report: int
    started: float
    late: bool = False
    printed: bytearray = field(default_factory=bytearray)


class WarmParent:
    """Serves one tier until the other end of `channel` closes."""

    def __init__(self, channel: socket.socket, tokens: tuple[int, int], cage: Cage) -> None:
        """`tokens`: both ends of the pipe that holds one byte for each program that may start now."""
        self._channel, self._cage = channel, cage
        self._take, self._give = tokens
        self._inbox, self._outbox = Inbox(), bytearray()
        self._waiting: deque[tuple[int, list[str]]] = deque()
        self._running: dict[int, _Running] = {}  # by each of its two watched descriptors
        self._results: list[list[object]] = []
        self._poll = select.epoll()
        self._watched: dict[int, int] = {}
        self._process = os.getpid()

    def serve(self) -> NoReturn:
        """The loop. It leaves by `SystemExit` only."""
        while True:
            self._watch()
            for descriptor, _ in self._poll.poll(self._patience()):
                self._on(descriptor)
            self._stop_late()
            self._send()

    def _watch(self) -> None:
        """Asks for the events that are of use now: no new programs while many wait, no token while none does."""
        reading = select.EPOLLIN if len(self._waiting) < _MOST_WAITING else 0
        self._want(self._channel.fileno(), reading | (select.EPOLLOUT if self._outbox else 0))
        self._want(self._take, select.EPOLLIN if self._waiting else 0)

    def _want(self, descriptor: int, events: int) -> None:
        before = self._watched.get(descriptor)
        if before is None:
            self._poll.register(descriptor, events)
        elif before != events:
            self._poll.modify(descriptor, events)
        self._watched[descriptor] = events

    def _patience(self) -> float:
        """Seconds until the next program is late; -1 for ever."""
        oldest = min((running.started for running in self._running.values() if not running.late), default=math.inf)
        left = oldest + self._cage.limits.wall_seconds - time.monotonic()
        return -1 if left == math.inf else max(0.0, left)

    def _on(self, descriptor: int) -> None:
        if descriptor == self._channel.fileno():
            self._receive()
        elif descriptor == self._take:
            self._start_next()
        elif (running := self._running.get(descriptor)) is not None:
            if descriptor == running.stdout:
                self._collect(running)
            else:
                self._finish(running)

    def _receive(self) -> None:
        try:
            arrived = self._channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:  # it was writable, not readable
            return
        if not arrived:
            raise SystemExit
        for message in self._inbox.feed(arrived):
            self._waiting.extend(message)

    def _start_next(self) -> None:
        """Takes a token if one is left, and starts the program that waits longest."""
        try:
            os.read(self._take, 1)
        except BlockingIOError:  # another tier was faster
            return
        number, steps = self._waiting.popleft()
        stdout, stdout_end = os.pipe()
        report, report_end = os.pipe()
        started = time.monotonic()
        process = os.fork()
        if process == 0:
            node.live(steps, self._cage, (stdout_end, report_end), self._process)
        os.close(stdout_end)
        os.close(report_end)
        running = _Running(number, process, os.pidfd_open(process), stdout, report, started)
        for descriptor in (running.process_fd, running.stdout):
            self._running[descriptor] = running
            self._poll.register(descriptor, select.EPOLLIN)

    def _collect(self, running: _Running) -> None:
        """Takes what was printed; too much of it is the program's end."""
        chunk = os.read(running.stdout, _CHUNK)
        running.printed += chunk
        if not chunk:  # closed, by the program or by its end
            self._forget(running.stdout)
        elif len(running.printed) > self._cage.limits.output_bytes:
            self._kill(running)
            self._forget(running.stdout)

    def _stop_late(self) -> None:
        now = time.monotonic()
        for running in list(self._running.values()):
            if not running.late and now - running.started >= self._cage.limits.wall_seconds:
                running.late = True
                self._kill(running)

    def _kill(self, running: _Running) -> None:
        """The process and whatever is left of its group. It is not reaped yet, so the number is still its own."""
        os.kill(running.process, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process, signal.SIGKILL)

    def _forget(self, descriptor: int) -> None:
        if self._running.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _finish(self, running: _Running) -> None:
        """The process has ended: reads what is left in the pipes, reaps it, gives its token back."""
        seconds = time.monotonic() - running.started
        self._kill(running)
        _, ending, usage = os.wait4(running.process, 0)
        room = self._cage.limits.output_bytes + 1 - len(running.printed)
        running.printed += _rest(running.stdout, room)
        report = _rest(running.report, node.REPORT_BYTES)
        for descriptor in (running.process_fd, running.stdout):
            self._forget(descriptor)
        for descriptor in (running.process_fd, running.stdout, running.report):
            os.close(descriptor)
        if self._cage.limits.file_bytes:
            shutil.rmtree(str(running.process), ignore_errors=True)
        os.write(self._give, b".")
        status, error = self._verdict(running, ending, usage.ru_utime + usage.ru_stime, report)
        self._results.append([running.number, status, self._text(running.printed), error, seconds])

    def _verdict(self, running: _Running, ending: int, cpu_seconds: float, report: bytes) -> tuple[Status, str]:
        """How it ended; the first that applies."""
        limits = self._cage.limits
        if len(running.printed) > limits.output_bytes:
            return Status.OUTPUT_LIMIT, f"printed more than {limits.output_bytes} bytes"
        if os.WIFSIGNALED(ending):
            number = os.WTERMSIG(ending)
            if running.late:
                return Status.TIMEOUT, f"no end after {limits.wall_seconds:g} s"
            if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu_seconds >= limits.cpu_seconds):
                return Status.TIMEOUT, f"no end after {math.ceil(limits.cpu_seconds)} s of processor time"
            return Status.KILLED, f"ended by signal {number} ({signal.strsignal(number)})"
        status, _, error = report.decode("utf-8", "replace").partition("\n")
        if os.WEXITSTATUS(ending) != 0 or status not in (Status.OK, Status.ERROR, Status.MEMORY):
            return Status.KILLED, f"the process left before the program's end (exit code {os.WEXITSTATUS(ending)})"
        return Status(status), error

    def _text(self, printed: bytearray) -> str:
        most = self._cage.limits.output_bytes
        text = printed[:most].decode("utf-8", "replace")
        return text if len(printed) <= most else f"{text}\n[output cut after {most} bytes]"

    def _send(self) -> None:
        """One message for all that finished since the last one; what the socket does not take now goes later."""
        if self._results:
            self._outbox += pack(self._results)
            self._results = []
        if self._outbox:
            with suppress(BlockingIOError):
                del self._outbox[: self._channel.send(self._outbox, socket.MSG_DONTWAIT)]


def _rest(descriptor: int, most: int) -> bytes:
    """What a pipe still holds, without waiting for more: a process that outlives the program may keep it open."""
    os.set_blocking(descriptor, False)
    kept = bytearray()
    while len(kept) < most:
        try:
            chunk = os.read(descriptor, most - len(kept))
        except BlockingIOError:
            break
        if not chunk:
            break
        kept += chunk
    return bytes(kept)


def address_space() -> int:
    """Bytes of address space that this process has; a fork begins with as much."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE


def become_warm_parent(tier: str, channel: socket.socket, tokens: tuple[int, int], cage: Cage) -> NoReturn:
    """Warms up, then serves; ends with the search process or the launcher."""
    warm_up(tier)
    gc.collect()
    gc.freeze()
    confine.collapse_memory()
    WarmParent(channel, tokens, cage._replace(address_space=address_space())).serve()
