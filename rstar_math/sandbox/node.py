"""What happens inside a process that runs programs, from its first moment to its last?

A warm parent has imported a tier's libraries and waits, on one socket, for orders. For each order it forks, and the
fork runs steps as `__main__` and says on a socket of its own whether they reached their end, after a password that came
with the order: a program that writes there by itself has none. Where they cost much, the
fork does not end: it is a snapshot, which waits for orders as its parent does, and whose forks run the steps that come
next, with every name, cache and random state as the first ones left it. Whoever gives the orders decides what an end
was worth: time, signals and the amount of output are seen from outside (`controller`).
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import math
import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from rstar_math.records import Status
from rstar_math.sandbox import confine, forks
from rstar_math.sandbox.program import Program
from rstar_math.sandbox.root import give_room
from rstar_math.sandbox.syscalls import Filter
from rstar_math.sandbox.tiers import warm_up

STDOUT, REPORT = 1, 3
#: Longest message from a process that runs a program, in bytes.
REPORT_BYTES = 4096
#: Messages beside a report: a new fork is there; the kernel refused it; what there was to do is done, and the process stays.
BEGUN, REFUSED, KEPT = b"begun", b"refused", b"kept"
#: What comes with an order: the write ends for standard output and for the report, and a file with the password and the
#: steps as JSON.
ENDS = struct.Struct("iii")
_ERROR_CHARACTERS = 500
_OPEN_FILES = 64
_READ_BYTES = 1 << 12
#: Forks that a warm parent is measured with; the cheapest counts, for a busy machine makes the others dear.
_TRIAL_FORKS = 5
# The program may rename these in their modules; this file keeps its own. A fork pays for every page of memory that it
# touches: `json.loads` and a larger buffer for reading would be a third of a short program's cost.
_read, _write, _leave, _dup2, _close = os.read, os.write, os._exit, os.dup2, os.close
_decode = json.JSONDecoder().raw_decode
_processor_time, _fork_sibling = time.process_time, forks.fork_sibling
_OK = Status.OK.value


class Task(NamedTuple):
    """The steps to run next, and what the report begins with."""

    password: str
    steps: Sequence[str]


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

    readable:   files and folders open to all; None where the kernel has no Landlock.
    hidden:     folders below these that are not.
    fence:      the Landlock ruleset that says so; None without Landlock.
    filter:     the seccomp filter; None where the kernel or this machine's call numbers are unknown.
    neighbours: processes of the sandbox itself, which `RLIMIT_NPROC` counts too.
    held:       the controller is asked about every fork, so a warm parent is behind the walls already; otherwise each of
                its forks goes behind them by itself.
    apart:      each fork has a user namespace of its own, where it may write files one of mounts too.
    keep_after: a fork whose steps cost so many forks of the warm parent stays as a snapshot; infinite: none does.
    """

    limits: Limits
    readable: tuple[Path, ...] | None
    hidden: tuple[Path, ...]
    fence: int | None
    filter: Filter | None
    neighbours: int
    held: bool
    apart: bool
    keep_after: float


def live(cage: Cage, channel: int, controller: int) -> NoReturn:
    """The whole life of a warm parent, and of all that is forked from it. `channel`: it says which tier's, then orders."""
    code = 70
    try:
        confine.die_with_parent(controller)
        cage = _keep_only(cage, channel)
        channel_end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, REPORT)
        if not (tier := channel_end.recv(REPORT_BYTES).decode()):
            _leave(0)
        warm_up(tier)
        _close_but(cage)
        atexit._clear()  # what the libraries would do at their end is no part of a program's
        # A step's output leaves as it ends. Unless lines leave at once, the whole path would print in another order.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        program = Program(range(REPORT + 1))
        gc.collect()
        gc.freeze()
        confine.collapse_memory()
        keep_after = cage.keep_after * _fork_seconds() if cage.keep_after < math.inf else math.inf
        receive = channel_end.recvmsg
        space = confine.address_space()
        if cage.held:
            _shut_in(cage, space)
        _write(REPORT, KEPT)
        task = _next_task(receive)
        if not cage.held:
            os.setsid()
            if cage.apart:
                go_apart(cage.limits)
            confine.die_with_parent(controller)
            _shut_in(cage, space)
        _limit_processor_time(cage.limits)
        _run(program, task, keep_after, receive)
        code = 0
    finally:
        _leave(code)


def _fork_seconds() -> float:
    """Processor time of a fork that does nothing, both sides."""
    spent = []
    for _ in range(_TRIAL_FORKS):
        before = _processor_time()
        trial = os.fork()
        if trial == 0:
            _leave(0)
        usage = os.wait4(trial, 0)[2]
        spent.append(_processor_time() - before + usage.ru_utime + usage.ru_stime)
    return min(spent)


def _keep_only(cage: Cage, channel: int) -> Cage:
    """Standard input, output and error are the null device, then come the channel and the fence; nothing else stays open.

    Returns the cage with the fence's new number."""
    wanted = [0, 0, 0, channel, *([] if cage.fence is None else [cage.fence])]
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _OPEN_FILES) for descriptor in wanted]
    for number, descriptor in enumerate(moved):
        os.dup2(descriptor, number)
    cage = cage if cage.fence is None else cage._replace(fence=REPORT + 1)
    _close_but(cage)
    return cage


def _close_but(cage: Cage) -> None:
    """Closes what is none of `_keep_only`'s: libraries may leave a file open."""
    os.closerange((REPORT if cage.fence is None else cage.fence) + 1, 1 << 30)


def _shut_in(cage: Cage, space: int) -> None:
    """Shuts the door: Landlock, the limits, then the filter. `space`: bytes of address space of the warm parent."""
    limits = cage.limits
    if limits.file_bytes:
        folder = Path.cwd() if cage.apart else _own_folder()
        if cage.readable is not None:
            confine.stay_behind(confine.fence([*cage.readable, folder], cage.hidden, folder))
    elif cage.fence is not None:
        confine.stay_behind(cage.fence)
    if cage.fence is not None:
        os.close(cage.fence)
    space += limits.memory_bytes
    # Where forks are held the controller alone decides about them, and there are some.
    threads = limits.processes + cage.neighbours if limits.processes or cage.held else 0
    if cage.apart:  # it is counted alone, with its children
        threads = limits.processes + 1
    for kind, most in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, threads),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    if cage.filter is not None:
        cage.filter.install()


def go_apart(limits: Limits) -> None:
    """Namespaces of this process's own: its children are counted in there, and its files lie there and go with it.

    Raises:
        OSError: the kernel refuses.
    """
    confine.go_apart(mounts=limits.file_bytes > 0)
    if limits.file_bytes:
        give_room(Path.cwd(), limits.file_bytes)
        os.chdir(Path.cwd())
    confine.drop_privileges()


def _own_folder() -> Path:
    """An empty folder to write in beside those of others, named after the process; the controller removes it."""
    folder = Path.cwd() / str(os.getpid())
    folder.mkdir()
    os.chdir(folder)
    return folder


def _limit_processor_time(limits: Limits) -> None:
    """Of this process and each of its forks; a warm parent has no such limit, for it lives long."""
    seconds = math.ceil(limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def _run(program: Program, task: Task, keep_after: float, receive: Callable[[int, int], Any]) -> None:
    """Runs the steps and reports. A snapshot stays in here for ever; each fork of it comes by once more.

    What a report is made of lies in this frame: a program may give this module's names other meanings."""
    ok, kept, report, longest, write, spent = _OK, KEPT, REPORT, REPORT_BYTES, _write, 0.0
    while True:
        password, steps = task
        status, words = program.run(steps)
        spent += _processor_time()
        if status != ok or spent < keep_after or not program.can_go_on(_OPEN_FILES):
            break
        write(report, password.encode("ascii") + b"\n" + kept)
        task = _next_task(receive)
    said = f"{password}\n{status}\n{words[:_ERROR_CHARACTERS]}"
    write(report, said.encode("utf-8", "backslashreplace")[:longest])


def _next_task(receive: Callable[[int, int], Any]) -> Task:
    """Waits for orders, and forks for each. Returns in the forks only."""
    while True:
        order, ancillary, _, _ = receive(1, socket.CMSG_SPACE(ENDS.size))
        if not order:
            _leave(0)
        stdout, report, steps = ENDS.unpack(ancillary[0][2])
        process = _fork_sibling()
        child = process == 0
        if process < 0:
            _write(report, REFUSED)
        if child:
            _dup2(stdout, STDOUT)
            _dup2(report, REPORT)
            _write(REPORT, BEGUN)
            task = Task(*_decode(_whole(steps).decode("ascii"))[0])
        for descriptor in (stdout, report, steps):
            _close(descriptor)
        if child:
            return task


def _whole(descriptor: int) -> bytes:
    pieces = [_read(descriptor, _READ_BYTES)]
    while pieces[-1]:
        pieces.append(_read(descriptor, _READ_BYTES))
    return b"".join(pieces)
