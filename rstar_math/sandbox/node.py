"""What happens inside the process that runs one program?

steps -> one report, in a process that was forked for it: it gives up what is left of its freedom, runs the program as
`__main__`, and says on one socket whether the program reached its end. Whoever forked it decides what that was worth:
time, signals and the amount of output are seen from outside (`warm`).

Where the steps cost much, the process stays instead of ending: a snapshot. Asked through the same socket, it forks, and
the fork runs the steps that come next, with every name, cache and random state as the first ones left it.
"""

from __future__ import annotations

import json
import math
import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from rstar_math.records import Status
from rstar_math.sandbox import confine, forks
from rstar_math.sandbox.program import Program
from rstar_math.sandbox.syscalls import Filter

STDOUT, REPORT = 1, 3
#: Longest message from a process that runs a program, and to it, in bytes.
REPORT_BYTES, ORDER_BYTES = 4096, 1 << 16
#: Messages beside a report: a new fork is there; the steps ran, and the process stays.
BEGUN, KEPT = b"begun", b"kept"
_ERROR_CHARACTERS = 500
_OPEN_FILES = 64
_ENDS = struct.Struct("ii")
# The program may rename these in their modules; this file keeps its own.
_write, _leave, _dup2, _close, _loads = os.write, os._exit, os.dup2, os.close, json.loads
_processor_time, _fork_sibling = time.process_time, forks.fork_sibling


class Limits(NamedTuple):
    """What one program may use up. `memory_bytes` counts address space beyond what the warm parent has."""

    wall_seconds: float
    cpu_seconds: float
    memory_bytes: int
    output_bytes: int
    processes: int
    file_bytes: int


class Cage(NamedTuple):
    """The walls around a program, prepared once.

    address_space: bytes that the warm parent has before the fork.
    readable:      files and folders open to all; None where the kernel has no Landlock.
    fence:         the Landlock ruleset that says so; None without Landlock.
    filter:        the seccomp filter; None where the kernel or this machine's call numbers are unknown.
    neighbours:    processes of the sandbox itself, which `RLIMIT_NPROC` counts too.
    keep_after:    a process whose steps took so much processor time stays as a snapshot; None: none does.
    """

    limits: Limits
    address_space: int
    readable: tuple[Path, ...] | None
    fence: int | None
    filter: Filter | None
    neighbours: int
    keep_after: float | None


def live(steps: Sequence[str], cage: Cage, ends: tuple[int, int], parent: int) -> NoReturn:
    """The whole life of a forked process. `ends`: the write ends for standard output and for the report."""
    code = 70
    try:
        os.setsid()
        confine.die_with_parent(parent)
        if cage.limits.file_bytes:
            _own_folder(cage.readable)
        elif cage.fence is not None:
            confine.stay_behind(cage.fence)
        _keep_only(*ends)
        receive = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, REPORT).recvmsg
        _enter(cage)
        _run(Program(), steps, cage.keep_after, receive)
        code = 0
    finally:
        _leave(code)


def _own_folder(readable: tuple[Path, ...] | None) -> None:
    """A private empty folder to write in, named after the process; whoever forked it removes it."""
    folder = Path.cwd() / str(os.getpid())
    folder.mkdir()
    os.chdir(folder)
    if readable is not None:
        confine.stay_behind(confine.fence([*readable, folder], folder))


def _keep_only(stdout: int, report: int) -> None:
    """Standard input and error are the null device, then come output and report; nothing else stays open."""
    os.dup2(stdout, STDOUT)
    os.dup2(0, 2)
    if report != REPORT:
        os.dup2(report, REPORT)
    os.closerange(REPORT + 1, 1 << 30)


def _enter(cage: Cage) -> None:
    """Shuts the door: the limits, then the filter."""
    limits = cage.limits
    seconds = math.ceil(limits.cpu_seconds)
    space = cage.address_space + limits.memory_bytes
    # With snapshots the filter alone decides about forks, and there is one.
    threads = limits.processes + cage.neighbours if limits.processes or cage.keep_after is not None else 0
    for kind, soft, hard in (
        (resource.RLIMIT_AS, space, space),
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_NPROC, threads, threads),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    if cage.filter is not None:
        cage.filter.install()


def _run(program: Program, steps: Sequence[str], keep_after: float | None, receive: Callable[[int, int], Any]) -> None:
    """Runs the steps and reports. A snapshot stays in here for ever; each fork of it comes by once more."""
    spent = 0.0
    while True:
        status, words = program.run(steps)
        spent += _processor_time()
        costly = keep_after is not None and spent >= keep_after and status == Status.OK
        if not costly or not program.can_go_on(REPORT + 1, _OPEN_FILES):
            break
        _write(REPORT, KEPT)
        steps = _next_steps(receive)
    _write(REPORT, f"{status}\n{words[:_ERROR_CHARACTERS]}".encode("utf-8", "backslashreplace")[:REPORT_BYTES])


def _next_steps(receive: Callable[[int, int], Any]) -> Sequence[str]:
    """Waits for orders: each names steps and brings the two write ends for them. Returns in the forks only."""
    while True:
        order, ancillary, _, _ = receive(ORDER_BYTES, socket.CMSG_SPACE(_ENDS.size))
        if not order:
            _leave(0)
        stdout, report = _ENDS.unpack(ancillary[0][2])
        child = _fork_sibling() == 0
        if child:
            _dup2(stdout, STDOUT)
            _dup2(report, REPORT)
        _close(stdout)
        _close(report)
        if child:
            _write(REPORT, BEGUN)
            steps: Sequence[str] = _loads(order)
            return steps
