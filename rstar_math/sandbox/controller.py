"""Who starts a program, and how did it end?

programs -> executions. The controller runs no program and imports no library of theirs: it has a warm parent, or a
snapshot that ran the first steps before, fork for each program, and watches. It decides each status from what the
kernel shows (exit, signal, processor time), the clock and the amount of output; the program's own report only tells an
error from a success. One thread, one loop; every process that runs a program is its child.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NoReturn

from rstar_math.records import Status
from rstar_math.sandbox import forks, node
from rstar_math.sandbox.groups import Groups
from rstar_math.sandbox.leavings import remove
from rstar_math.sandbox.loop import Loop
from rstar_math.sandbox.node import Cage
from rstar_math.sandbox.program import TOGETHER
from rstar_math.sandbox.running import Order, Running, Waiting, printed_text, processor_seconds, read_rest, verdict
from rstar_math.sandbox.snapshots import Snapshot, Snapshots
from rstar_math.sandbox.turns import Turns
from rstar_math.sandbox.warm import WarmParents
from rstar_math.sandbox.wire import Inbox, pack

_CHUNK = 1 << 16


class Controller:
    """Serves until the other end of `channel` closes."""

    def __init__(self, channel: socket.socket, cage: Cage, turns: Turns, snapshots: Snapshots) -> None:
        self._channel, self._cage, self._turns, self._snapshots = channel, cage, turns, snapshots
        self._groups = Groups()
        self._inbox, self._outbox, self._sending = Inbox(), bytearray(), False
        self._results: list[list[object]] = []
        self._loop = Loop()
        self._warm = WarmParents(cage, self._loop, turns.enqueue, self._lost)

    def serve(self, owner: int, listener: int | None) -> NoReturn:
        """The loop. It leaves by `SystemExit` only.

        Args:
            owner: pidfd of the search process; this process ends with it.
            listener: see `forks.listen`; None where forks are not held.
        """
        self._warm.fork()
        self._loop.watch(owner, sys.exit)
        self._loop.watch(self._channel.fileno(), self._receive)
        if listener is not None:
            self._loop.watch(listener, lambda: self._decide_on_fork(listener))
        while True:
            self._loop.turn(self._patience())
            self._stop_late()
            self._snapshots.forget_old()
            while self._snapshots.room() and (program := self._turns.next()):
                if self._warm.ready(program):
                    self._start(program)
            self._send()

    def _patience(self) -> float:
        """Seconds until the next program is late or slow, or a snapshot too old; -1 for ever."""
        left = min(self._turns.patience(), self._snapshots.patience(), self._warm.patience())
        return -1 if left == math.inf else max(0.0, left)

    def _receive(self) -> None:
        try:
            arrived = self._channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:  # it was writable, not readable
            return
        if not arrived:
            raise SystemExit
        for message in self._inbox.feed(arrived):
            self._turns.enqueue(Waiting(*row) for row in message)

    def _start(self, program: Waiting) -> None:
        base = None if program.whole else self._snapshots.longest(program.tier, program.steps)
        order = Order.of(program, base or self._warm[program.tier], self._cage.limits)
        running = order.running
        self._turns.started(running)
        self._loop.watch(running.stdout, lambda: self._collect(running))
        self._loop.watch(running.report.fileno(), lambda: self._hear(running))
        running.base.orders.append(order)
        if len(running.base.orders) == 1:
            self._give_order(running.base)

    # An order, the question about the fork, the fork's first message

    def _give_order(self, base: Snapshot) -> None:
        """Has a process make the fork that it owes first."""
        order: Order = base.orders[0]
        base.granted, base.asked = False, time.monotonic()
        if not base.trusted:  # the program's code is in there: it may never fork
            order.running.started = base.asked
        with suppress(ConnectionError):  # it died; `_lost` sees to its orders
            order.send()
        base.go_on()

    def _decide_on_fork(self, listener: int) -> None:
        """A process is held at a fork: it may if it has an order, once."""
        question = forks.held(listener)
        if question is None:
            return
        number, process = question
        base = self._base_of(process)
        allowed = base is not None and bool(base.orders) and not base.granted
        if forks.answer(listener, number, allowed=allowed) and allowed and base:
            base.granted = True

    def _base_of(self, process: int) -> Snapshot | None:
        return self._warm.of_process(process) or self._snapshots.of_process(process)

    def _hear(self, running: Running, *, ended: bool = False) -> bool:
        """A message: the fork is there, or a report. The kernel says who sent it; others than the program's own process
        are not heard. `ended`: the process has, so it cannot stay. False if there was none."""
        try:
            message, sender = running.next_message()
        except BlockingIOError:
            return False
        except EOFError:
            self._loop.forget(running.report.fileno())
            return False
        if running.process == 0 and message == node.BEGUN and self._is_new(sender):
            self._begins(running, sender)
        elif running.process == 0 and message == node.REFUSED and sender == running.base.process:
            self._refused(running)
        elif sender == running.process:
            running.hear(message)
            if running.forged:
                self._kill(running)
            elif running.said == node.KEPT and not ended and self._cage.keep_after < math.inf:
                self._keep(running)
        return True

    def _is_new(self, process: int) -> bool:
        return self._base_of(process) is None and all(running.process != process for running in self._turns.running)

    def _begins(self, running: Running, process: int) -> None:
        """The fork is there."""
        base = running.base
        running.process, running.process_fd = process, os.pidfd_open(process)
        self._loop.watch(running.process_fd, lambda: self._finish(running))
        if base.trusted:
            running.started = time.monotonic()
        else:
            self._groups.joined(base.group)
            left = math.ceil(math.ceil(self._cage.limits.cpu_seconds) - base.cpu_seconds)
            with suppress(ProcessLookupError, PermissionError):  # it ended already, or has less already
                resource.prlimit(process, resource.RLIMIT_CPU, (left, left + 1))
        order: Order = base.orders.popleft()
        order.close()
        if base.orders:
            self._give_order(base)
        else:
            base.stop()
        if len(running.printed) > self._cage.limits.output_bytes:
            self._kill(running)

    def _refused(self, running: Running) -> None:
        """The kernel made no fork: there is no room for another process. Snapshots make some.

        Raises:
            SystemExit: there are none.
        """
        base = running.base
        if not base.trusted:
            self._kill(running)
        elif self._snapshots.clear():
            self._drop(base.orders.popleft())
            if base.orders:
                self._give_order(base)
        else:
            raise SystemExit("the kernel makes no process for a program: too many run already, or memory is short")

    def _keep(self, running: Running) -> None:
        """The program has run, and its process stays: stopped from here on, so that it does nothing unseen."""
        os.kill(running.process, signal.SIGSTOP)
        self._collect(running)
        base, program, limits = running.base, running.program, self._cage.limits
        cpu = processor_seconds(running.process) + base.cpu_seconds
        if running.late or len(running.printed) > limits.output_bytes or cpu >= math.ceil(limits.cpu_seconds):
            self._kill(running)
            return
        if base.trusted:  # it leads a group of its own, with all that will descend from it
            os.setpgid(running.process, running.process)
            self._groups.joined(running.process)
        snapshot = Snapshot(
            program.tier, tuple(program.steps), running.process, running.process_fd, running.report,
            group=running.process if base.trusted else base.group,
            printed=bytes(running.printed),
            seconds=running.busy_seconds(),
            cpu_seconds=cpu,
            lent_bytes=base.own_bytes if base.trusted else base.lent_bytes,
        )  # fmt: skip
        snapshot.measure()
        self._settle(running, Status.OK, "")
        self._loop.forget(running.report.fileno())
        self._loop.forget(running.process_fd)
        self._loop.watch(running.process_fd, lambda: self._lost(snapshot))
        self._snapshots.add(snapshot)

    def _lost(self, snapshot: Snapshot) -> None:
        """A snapshot or a warm parent has ended; what waited for a fork of it is run whole."""
        if snapshot.trusted:
            self._warm.remove(snapshot)
        elif snapshot.orders and snapshot.granted:  # its fork may be there, unseen
            self._kill(snapshot.orders[0].running)
        os.waitpid(snapshot.process, 0)
        if not snapshot.trusted:
            self._snapshots.buried(snapshot)
            self._groups.buried(snapshot.group)
        self._loop.forget(snapshot.process_fd)
        os.close(snapshot.process_fd)
        snapshot.channel.close()
        while snapshot.orders:
            self._drop(snapshot.orders.popleft())

    def _drop(self, order: Order) -> None:
        """The fork will not come."""
        order.close()
        self._loop.forget(order.running.report.fileno())
        order.running.report.close()
        self._run_whole(order.running)

    def _run_whole(self, running: Running) -> None:
        self._release(running)
        self._turns.put_first(running.program._replace(whole=True))

    # The end of a program

    def _collect(self, running: Running) -> None:
        """Takes what was printed; too much of it is the program's end."""
        room = self._cage.limits.output_bytes + 1 - len(running.printed)
        chunk, closed = read_rest(running.stdout, room)
        running.printed += chunk
        if closed or len(chunk) >= room:
            self._loop.forget(running.stdout)
        if len(chunk) >= room and running.process:
            self._kill(running)

    def _stop_late(self) -> None:
        self._warm.stop_late()
        self._turns.free_places()
        for running in self._turns.late():
            running.late = True
            self._kill(running)

    def _kill(self, running: Running) -> None:
        """The process, and where it may start others, its group. It is not reaped yet, so the number is still its own.

        A fork that was asked for and did not come is the snapshot's fault: it goes, with all that shares its beginning.
        """
        if running.process == 0:
            for other in self._turns.running:
                other.again |= not other.base.trusted and other.base.group == running.base.group
            os.killpg(running.base.group, signal.SIGKILL)
            return
        os.kill(running.process, signal.SIGKILL)
        if self._cage.limits.processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process, signal.SIGKILL)

    def _finish(self, running: Running) -> None:
        """The process has ended: reads what is left in the channels, reaps it."""
        if self._cage.limits.processes:
            self._kill(running)
        while self._hear(running, ended=True):
            continue
        _, ending, usage = os.wait4(running.process, 0)
        if not running.base.trusted:
            self._groups.buried(running.base.group)
        running.printed += read_rest(running.stdout, self._cage.limits.output_bytes + 1 - len(running.printed))[0]
        self._loop.forget(running.process_fd)
        self._loop.forget(running.report.fileno())
        os.close(running.process_fd)
        running.report.close()
        if self._cage.limits.file_bytes:
            remove(str(running.process))
        together = not running.base.trusted and running.report_words()[0] == TOGETHER and not running.late
        if running.again or together:
            self._run_whole(running)
            return
        cpu = usage.ru_utime + usage.ru_stime + running.base.cpu_seconds
        self._settle(running, *verdict(running, self._cage.limits, ending, cpu))

    def _settle(self, running: Running, status: Status, error: str) -> None:
        text = printed_text(running.printed, self._cage.limits.output_bytes)
        self._results.append([running.program.number, status, text, error, running.seconds()])
        self._release(running)

    def _release(self, running: Running) -> None:
        """It runs no more: another may start."""
        self._turns.ended(running)
        self._loop.forget(running.stdout)
        os.close(running.stdout)

    def _send(self) -> None:
        """One message for all that finished since the last one; what the socket does not take now goes later."""
        if self._results:
            self._outbox += pack(self._results)
            self._results = []
        if self._outbox:
            with suppress(BlockingIOError):
                del self._outbox[: self._channel.send(self._outbox, socket.MSG_DONTWAIT)]
        if bool(self._outbox) != self._sending:
            self._sending = bool(self._outbox)
            self._loop.also_writing(self._channel.fileno(), self._sending)
