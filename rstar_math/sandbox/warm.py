"""Who starts a program, and how did it end?

programs -> executions, in a process that imported a tier's libraries once and forks for every program, or has a
snapshot fork that ran the first steps before. It decides each status from what the kernel shows (exit, signal,
processor time), the clock and the amount of output; the program's own report only tells an error from a success. It runs
one thread and one loop; how many programs run at once, over all tiers, is counted by tokens in a pipe they share.
"""

from __future__ import annotations

import array
import json
import math
import os
import select
import shutil
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from rstar_math.records import Status
from rstar_math.sandbox import forks, node
from rstar_math.sandbox.node import Cage
from rstar_math.sandbox.program import TOGETHER
from rstar_math.sandbox.running import Order, Running, Waiting, printed_text, processor_seconds, read_rest, verdict
from rstar_math.sandbox.snapshots import Snapshot, Snapshots
from rstar_math.sandbox.wire import Inbox, pack

#: Programs that wait here before the parent stops reading; the rest wait in the socket, then in the search process.
_MOST_WAITING = 256
_CHUNK = 1 << 16
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CREDENTIALS = struct.Struct("iii")


class WarmParent:
    """Serves one tier until the other end of `channel` closes."""

    def __init__(
        self, channel: socket.socket, tokens: tuple[int, int], cage: Cage, listener: int, snapshots: Snapshots
    ) -> None:
        """`tokens`: both ends of the pipe that holds one byte for each program that may start now. `listener`: see
        `forks.listen`; -1 without snapshots."""
        self._channel, self._cage, self._listener, self._snapshots = channel, cage, listener, snapshots
        self._take, self._give = tokens
        self._inbox, self._outbox = Inbox(), bytearray()
        self._waiting: deque[Waiting] = deque()
        self._running: set[Running] = set()
        self._results: list[list[object]] = []
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._wanted: dict[int, int] = {}
        self._process = os.getpid()

    def serve(self) -> NoReturn:
        """The loop. It leaves by `SystemExit` only."""
        if self._listener >= 0:
            self._watch(self._listener, self._decide_on_fork)
        self._handlers |= {self._channel.fileno(): self._receive, self._take: self._start_next}
        while True:
            self._want_more()
            for descriptor, _ in self._poll.poll(self._patience()):
                if descriptor in self._handlers:  # an earlier event may have closed it
                    self._handlers[descriptor]()
            self._stop_late()
            self._snapshots.forget_old()
            self._send()

    def _watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.EPOLLIN)

    def _forget(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _want_more(self) -> None:
        """Asks for the events that are of use now: no new programs while many wait, no token while none does."""
        reading = select.EPOLLIN if len(self._waiting) < _MOST_WAITING else 0
        self._want(self._channel.fileno(), reading | (select.EPOLLOUT if self._outbox else 0))
        self._want(self._take, select.EPOLLIN if self._waiting else 0)

    def _want(self, descriptor: int, events: int) -> None:
        before = self._wanted.get(descriptor)
        if before is None:
            self._poll.register(descriptor, events)
        elif before != events:
            self._poll.modify(descriptor, events)
        self._wanted[descriptor] = events

    def _patience(self) -> float:
        """Seconds until the next program is late or a snapshot too old; -1 for ever."""
        longest = max((running.seconds() for running in self._running if not running.late), default=-math.inf)
        left = min(self._cage.limits.wall_seconds - longest, self._snapshots.patience())
        return -1 if left == math.inf else max(0.0, left)

    def _receive(self) -> None:
        try:
            arrived = self._channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:  # it was writable, not readable
            return
        if not arrived:
            raise SystemExit
        for message in self._inbox.feed(arrived):
            self._waiting.extend(Waiting(number, steps) for number, steps in message)

    def _start_next(self) -> None:
        """Takes a token if one is left, and starts the program that waits longest."""
        try:
            os.read(self._take, 1)
        except BlockingIOError:  # another tier was faster
            return
        program = self._waiting.popleft()
        base = None if program.whole else self._snapshots.longest(program.steps)
        order = json.dumps(program.steps[len(base.steps) :]).encode() if base else b""
        stdout, stdout_end = os.pipe()
        os.set_blocking(stdout, False)
        report, report_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        running = Running(program, stdout, report)
        self._running.add(running)
        self._watch(stdout, lambda: self._collect(running))
        if base and len(order) <= node.ORDER_BYTES:
            running.base, running.printed = base, bytearray(base.printed)
            report.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._watch(report.fileno(), lambda: self._hear(running))
            base.orders.append(Order(running, order, (stdout_end, report_end.detach())))
            if len(base.orders) == 1:
                self._give_order(base)
            return
        running.started = time.monotonic()
        process = os.fork()
        if process == 0:
            node.live(program.steps, self._cage, (stdout_end, report_end.fileno()), self._process)
        os.close(stdout_end)
        report_end.close()
        self._begins(running, process)
        if self._listener >= 0:
            self._watch(report.fileno(), lambda: self._hear(running))

    def _begins(self, running: Running, process: int) -> None:
        running.process, running.process_fd = process, os.pidfd_open(process)
        self._watch(running.process_fd, lambda: self._finish(running))

    # Snapshots: an order, the question about the fork, the fork's first message

    def _give_order(self, base: Snapshot) -> None:
        """Has a snapshot make the fork that it owes first."""
        order: Order = base.orders[0]
        order.running.started = time.monotonic()
        base.granted = False
        with suppress(ConnectionError):  # it died; `_lost` sees to its orders
            ends = array.array("i", order.ends).tobytes()
            base.channel.sendmsg([order.steps], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ends)])
        base.go_on()

    def _decide_on_fork(self) -> None:
        """A process is held at a fork: it may if it is a snapshot with an order, once."""
        question = forks.held(self._listener)
        if question is None:
            return
        number, process = question
        base = self._snapshots.of_process(process)
        allowed = base is not None and bool(base.orders) and not base.granted
        if forks.answer(self._listener, number, allowed=allowed) and allowed and base:
            base.granted = True

    def _hear(self, running: Running, *, ended: bool = False) -> None:
        """A message: the fork is there, or a report. The kernel says who sent it; others than the program's own process
        are not heard. `ended`: the process has, so it cannot stay."""
        try:
            message, ancillary, _, _ = running.report.recvmsg(
                node.REPORT_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return
        sender = _CREDENTIALS.unpack(ancillary[0][2])[0] if ancillary else running.process
        if not message:
            self._forget(running.report.fileno())
        elif running.process == 0 and message == node.BEGUN and self._is_new(sender):
            self._begins(running, sender)
            self._done_with_order(running)
            if len(running.printed) > self._cage.limits.output_bytes:
                self._kill(running)
        elif sender == running.process:
            running.said = message
            if message == node.KEPT and not ended:
                self._keep(running)

    def _is_new(self, process: int) -> bool:
        known = {running.process for running in self._running} | {self._process}
        return process not in known and self._snapshots.of_process(process) is None

    def _done_with_order(self, running: Running) -> None:
        base = running.base
        assert base
        order: Order = base.orders.popleft()
        for end in order.ends:
            os.close(end)
        if base.orders:
            self._give_order(base)
        else:
            base.stop()

    def _keep(self, running: Running) -> None:
        """The program has run, and its process stays: stopped from here on, so that it does nothing unseen."""
        os.kill(running.process, signal.SIGSTOP)
        self._collect(running)
        if running.late or len(running.printed) > self._cage.limits.output_bytes:
            self._kill(running)
            return
        cpu = processor_seconds(running.process) + (running.base.cpu_seconds if running.base else 0.0)
        snapshot = Snapshot(
            tuple(running.program.steps), running.process, running.process_fd,
            running.base.group if running.base else running.process,
            running.report, bytes(running.printed), running.seconds(), cpu,
        )  # fmt: skip
        self._settle(running, Status.OK, "")
        self._forget(running.report.fileno())
        self._forget(running.process_fd)
        self._watch(running.process_fd, lambda: self._lost(snapshot))
        self._snapshots.add(snapshot)

    def _lost(self, snapshot: Snapshot) -> None:
        """A snapshot's process has ended; what waited for it is run whole."""
        self._snapshots.remove(snapshot)
        os.waitpid(snapshot.process, 0)
        self._forget(snapshot.process_fd)
        os.close(snapshot.process_fd)
        snapshot.channel.close()
        while snapshot.orders:
            order: Order = snapshot.orders.popleft()
            for end in order.ends:
                os.close(end)
            self._forget(order.running.report.fileno())
            order.running.report.close()
            self._run_whole(order.running)

    def _run_whole(self, running: Running) -> None:
        self._release(running)
        self._waiting.appendleft(running.program._replace(whole=True))

    # The end of a program

    def _collect(self, running: Running) -> None:
        """Takes what was printed; too much of it is the program's end."""
        room = self._cage.limits.output_bytes + 1 - len(running.printed)
        chunk, closed = read_rest(running.stdout, room)
        running.printed += chunk
        if closed or len(chunk) >= room:
            self._forget(running.stdout)
        if len(chunk) >= room and running.process:
            self._kill(running)

    def _stop_late(self) -> None:
        for running in list(self._running):
            if not running.late and running.seconds() >= self._cage.limits.wall_seconds:
                running.late = True
                self._kill(running)

    def _kill(self, running: Running) -> None:
        """The process, and where it may start others, its group. It is not reaped yet, so the number is still its own.

        A fork that was asked for and did not come is the snapshot's fault: it goes, with all that shares its beginning.
        """
        if running.process == 0:
            assert running.base
            for other in self._running:
                other.again |= other.base is not None and other.base.group == running.base.group
            os.killpg(running.base.group, signal.SIGKILL)
            return
        os.kill(running.process, signal.SIGKILL)
        if self._cage.limits.processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process, signal.SIGKILL)

    def _finish(self, running: Running) -> None:
        """The process has ended: reads what is left in the channels, reaps it, gives its token back."""
        if self._cage.limits.processes:
            self._kill(running)
        if not running.said:
            self._hear(running, ended=True)
        _, ending, usage = os.wait4(running.process, 0)
        running.printed += read_rest(running.stdout, self._cage.limits.output_bytes + 1 - len(running.printed))[0]
        self._forget(running.process_fd)
        self._forget(running.report.fileno())
        os.close(running.process_fd)
        running.report.close()
        if self._cage.limits.file_bytes:
            shutil.rmtree(str(running.process), ignore_errors=True)
        if running.again or (running.base and running.report_words()[0] == TOGETHER and not running.late):
            self._run_whole(running)
            return
        cpu = usage.ru_utime + usage.ru_stime + (running.base.cpu_seconds if running.base else 0.0)
        self._settle(running, *verdict(running, self._cage.limits, ending, cpu))

    def _settle(self, running: Running, status: Status, error: str) -> None:
        text = printed_text(running.printed, self._cage.limits.output_bytes)
        self._results.append([running.program.number, status, text, error, running.seconds()])
        self._release(running)

    def _release(self, running: Running) -> None:
        """It runs no more: its token is free."""
        self._running.discard(running)
        self._forget(running.stdout)
        os.close(running.stdout)
        os.write(self._give, b".")

    def _send(self) -> None:
        """One message for all that finished since the last one; what the socket does not take now goes later."""
        if self._results:
            self._outbox += pack(self._results)
            self._results = []
        if self._outbox:
            with suppress(BlockingIOError):
                del self._outbox[: self._channel.send(self._outbox, socket.MSG_DONTWAIT)]
