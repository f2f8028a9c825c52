"""What is known of a program that runs, and what does its end mean?

A process's exit, signal, times, output and last words -> one `Status` with its reason. What the kernel shows comes first;
the program's own words only tell an error from a success.
"""

from __future__ import annotations

import array
import json
import math
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from rstar_math.records import Status
from rstar_math.sandbox.node import Limits
from rstar_math.sandbox.snapshots import Snapshot


class Waiting(NamedTuple):
    """A program that is to start. `whole`: from a warm parent, not from a snapshot of a program."""

    number: int
    tier: str
    steps: list[str]
    whole: bool = False


@dataclass(slots=True, eq=False)
class Running:
    """One program under way: its process, the near ends of its channels, when it started, what it printed so far.

    base:    the process that it is a fork of.
    process: 0 as long as that fork is not there.
    again:   it lost its base, and has to be run whole.
    """

    program: Waiting
    base: Snapshot
    stdout: int
    report: socket.socket
    process: int = 0
    process_fd: int = -1
    started: float = math.inf
    late: bool = False
    again: bool = False
    said: bytes = b""
    printed: bytearray = field(default_factory=bytearray)

    def seconds(self) -> float:
        """Wall-clock seconds of all its steps until now."""
        return time.monotonic() - self.started + self.base.seconds

    def report_words(self) -> tuple[str, str]:
        """The status and the error that the process reported; empty if it did not."""
        status, _, error = self.said.decode("utf-8", "replace").partition("\n")
        return status, error


class Order(NamedTuple):
    """A fork that a process is to make: for whom, and what the fork gets (see `node.ENDS`)."""

    running: Running
    ends: tuple[int, int, int]

    @classmethod
    def of(cls, program: Waiting, base: Snapshot) -> Order:
        """Opens the channels of a program that is to go on from `base`."""
        stdout, stdout_end = os.pipe()
        os.set_blocking(stdout, False)
        report, report_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        report.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        steps = os.memfd_create("steps")
        _write_all(steps, json.dumps(program.steps[len(base.steps) :]).encode("ascii"))
        running = Running(program, base, stdout, report, printed=bytearray(base.printed))
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
    if len(running.printed) > limits.output_bytes:
        return Status.OUTPUT_LIMIT, f"printed more than {limits.output_bytes} bytes"
    if running.late and os.WIFSIGNALED(ending):
        return Status.TIMEOUT, f"no end after {limits.wall_seconds:g} s"
    most = math.ceil(limits.cpu_seconds)
    # The kernel holds one process to it; what ran in snapshots before counts as well.
    if cpu_seconds >= most or (os.WIFSIGNALED(ending) and os.WTERMSIG(ending) == signal.SIGXCPU):
        return Status.TIMEOUT, f"no end after {most} s of processor time"
    if os.WIFSIGNALED(ending):
        number = os.WTERMSIG(ending)
        return Status.KILLED, f"ended by signal {number} ({signal.strsignal(number)})"
    if os.WEXITSTATUS(ending) != 0 or status not in (Status.OK, Status.ERROR, Status.MEMORY):
        return Status.KILLED, f"the process left before the program's end (exit code {os.WEXITSTATUS(ending)})"
    return Status(status), error


def printed_text(printed: bytearray, most: int) -> str:
    """What was printed, the cut marked where there is one."""
    text = printed[:most].decode("utf-8", "replace")
    return text if len(printed) <= most else f"{text}\n[output cut after {most} bytes]"


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


def processor_seconds(process: int) -> float:
    """Processor time of a living process: the kernel makes the number of its clock from the process's."""
    return time.clock_gettime(~process << 3 | 2)
