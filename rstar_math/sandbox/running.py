"""What is known of a program that runs, and what does its end mean?

A process's exit, signal, times, output and last words -> one `Status` with its reason. What the kernel shows comes first;
the program's own words only tell an error from a success.
"""

from __future__ import annotations

import array
import codecs
import json
import math
import os
import signal
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rstar_math.records import Status
from rstar_math.sandbox.node import REPORT_BYTES, Limits
from rstar_math.sandbox.snapshots import Snapshot

_PASSWORD_BYTES = 16
#: On a busy machine a program may take so many times its limit on the clock.
_LONGEST_WAIT = 4
_CREDENTIALS = struct.Struct("iii")


class Waiting(NamedTuple):
    """A program that is to start. `call`: who asked for it, and for others at the same time. `wall_seconds`: its own limit
    where it has one. `whole`: from a warm parent, not from a snapshot of a program."""

    number: int
    call: int
    tier: str
    steps: list[str]
    wall_seconds: float | None = None
    whole: bool = False


@dataclass(slots=True, eq=False)
class Running:
    """One program under way: its process, the near ends of its channels, when it started, what it printed so far.

    base:     the process that it is a fork of.
    most:     its limit of wall-clock seconds.
    process:  0 as long as that fork is not there.
    waited:   seconds that it waited for a processor, when last asked.
    again:    it lost its base, and has to be run whole.
    placed:   when it got its place; it may have waited for the fork since.
    password: what its report begins with; it came with the order.
    said:     its report.
    forged:   it said something else, or more.
    """

    program: Waiting
    base: Snapshot
    stdout: int
    report: socket.socket
    most: float
    process: int = 0
    process_fd: int = -1
    started: float = math.inf
    waited: float = 0.0
    late: bool = False
    again: bool = False
    placed: float = field(default_factory=time.monotonic)
    password: str = field(default_factory=lambda: os.urandom(_PASSWORD_BYTES).hex())
    said: bytes = b""
    forged: bool = False
    printed: bytearray = field(default_factory=bytearray)

    def placed_seconds(self) -> float:
        """Wall-clock seconds since it got its place."""
        return time.monotonic() - self.placed

    def own_seconds(self) -> float:
        """Wall-clock seconds of this process until now."""
        return time.monotonic() - self.started

    def seconds(self) -> float:
        """Wall-clock seconds of all its steps until now."""
        return self.own_seconds() + self.base.seconds

    def busy_seconds(self) -> float:
        """The same without what its process waited for a processor."""
        return self.seconds() - waiting_seconds(self.process)

    def left(self) -> float:
        """Wall-clock seconds that it has left, as far as is known; infinite once they are over for good."""
        return math.inf if self.late else self.most + self.waited - self.seconds()

    def is_late(self) -> bool:
        """Whether its time is over. What it waited for a processor because others had them all does not count, as long as
        that is no multiple of its limit without end."""
        if self.left() <= 0 and self.process:
            self.waited = min(waiting_seconds(self.process), (_LONGEST_WAIT - 1) * self.most)
        return self.left() <= 0

    def next_message(self) -> tuple[bytes, int]:
        """What came over its channel, and the process that sent it, as the kernel says.

        Raises:
            BlockingIOError: nothing came.
            EOFError: nothing will come any more.
        """
        space = socket.CMSG_SPACE(_CREDENTIALS.size)
        message, ancillary, _, _ = self.report.recvmsg(REPORT_BYTES, space, socket.MSG_DONTWAIT)
        if not ancillary:  # an empty message has a sender, the end has none
            raise EOFError
        return message, _CREDENTIALS.unpack(ancillary[0][2])[0]

    def hear(self, message: bytes) -> None:
        """A message of its own process: the report, which is one, with the password, and the last."""
        password, _, said = message.partition(b"\n")
        self.forged |= bool(self.said) or password != self.password.encode("ascii")
        self.said = said or b"\n"

    def report_words(self) -> tuple[str, str]:
        """The status and the error that the process reported; empty if it did not."""
        status, _, error = self.said.decode("utf-8", "replace").partition("\n")
        return status, error


class Order(NamedTuple):
    """A fork that a process is to make: for whom, and what the fork gets (see `node.ENDS`)."""

    running: Running
    ends: tuple[int, int, int]

    @classmethod
    def of(cls, program: Waiting, base: Snapshot, limits: Limits) -> Order:
        """Opens the channels of a program that is to go on from `base`."""
        stdout, stdout_end = os.pipe()
        os.set_blocking(stdout, False)
        report, report_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        report.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        steps = os.memfd_create("steps")
        most = min(limits.wall_seconds, program.wall_seconds or math.inf)
        running = Running(program, base, stdout, report, most, printed=bytearray(base.printed))
        _write_all(steps, json.dumps([running.password, program.steps[len(base.steps) :]]).encode("ascii"))
        return cls(running, (stdout_end, report_end.detach(), steps))

    def send(self) -> None:
        """Asks the base for the fork."""
        ends = array.array("i", self.ends).tobytes()
        self.running.base.channel.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ends)])

    def close(self) -> None:
        """Lets go of what the fork has got."""
        for end in self.ends:
            os.close(end)


def _write_all(descriptor: int, content: bytes) -> None:
    """Writes and leaves the place to read from at the beginning."""
    written = 0
    while written < len(content):
        written += os.pwrite(descriptor, content[written:], written)


def verdict(running: Running, limits: Limits, ending: int, cpu_seconds: float) -> tuple[Status, str]:
    """How it ended; the first that applies. `ending`: as the kernel's wait says it."""
    status, error = running.report_words()
    if running.forged:
        return Status.KILLED, "it wrote to its report by itself"
    if len(running.printed) > limits.output_bytes:
        return Status.OUTPUT_LIMIT, f"printed more than {limits.output_bytes} bytes"
    if running.late and os.WIFSIGNALED(ending):
        return Status.TIMEOUT, f"no end after {running.most:g} s"
    most = math.ceil(limits.cpu_seconds)
    # The kernel holds one process to it; what ran in snapshots before counts as well.
    if cpu_seconds >= most or (os.WIFSIGNALED(ending) and os.WTERMSIG(ending) == signal.SIGXCPU):
        return Status.CPU, f"no end after {most} s of processor time"
    if os.WIFSIGNALED(ending):
        number = os.WTERMSIG(ending)
        return Status.KILLED, f"ended by signal {number} ({signal.strsignal(number)})"
    if os.WEXITSTATUS(ending) != 0 or status not in (Status.OK, Status.ERROR, Status.MEMORY):
        return Status.KILLED, f"the process left before the program's end (exit code {os.WEXITSTATUS(ending)})"
    return Status.ERROR if error and status == Status.OK else Status(status), error


def printed_text(printed: bytearray, most: int) -> str:
    """What was printed, the cut marked where there is one."""
    if len(printed) <= most:
        return printed.decode("utf-8", "replace")
    whole = codecs.getincrementaldecoder("utf-8")("replace")  # keeps back the bytes of a character that was cut
    return f"{whole.decode(printed[:most])}\n[output cut after {most} bytes]"


def read_rest(descriptor: int, most: int) -> tuple[bytes, bool]:
    """What a pipe holds, at most that much, without waiting for more; and whether its writers are gone."""
    kept = bytearray()
    while len(kept) < most:
        try:
            chunk = os.read(descriptor, most - len(kept))
        except BlockingIOError:
            return bytes(kept), False
        if not chunk:
            return bytes(kept), True
        kept += chunk
    return bytes(kept), False


def waiting_seconds(process: int) -> float:
    """How long a living process was ready to run and had to wait, for others ran; 0 where that is not shown."""
    return _scheduled(process)[0] / 1e9


def can_see_waiting() -> bool:
    """Whether /proc shows that: this process had its turn at least once."""
    return _scheduled(os.getpid())[1] > 0


def _scheduled(process: int) -> tuple[int, int]:
    """Nanoseconds that a process was ready to run and did not, and how often it got a processor then."""
    try:
        _, waited, turns = Path(f"/proc/{process}/schedstat").read_text().split()
    except OSError:
        return 0, 0
    return int(waited), int(turns)


def processor_seconds(process: int) -> float:
    """Processor time of a living process: the kernel makes the number of its clock from the process's."""
    return time.clock_gettime(~process << 3 | 2)
