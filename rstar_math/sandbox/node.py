"""What happens inside the process that runs one program?

steps -> one report, in a process that was forked for it: it gives up what is left of its freedom, runs the program as
`__main__`, and says on one pipe whether the program reached its end. Whoever forked it decides what that was worth:
time, signals and the amount of output are seen from outside (`warm`).
"""

from __future__ import annotations

import builtins
import contextlib
import math
import os
import random
import resource
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import NamedTuple, NoReturn

from rstar_math.records import Status
from rstar_math.sandbox import confine
from rstar_math.sandbox.syscalls import Filter

STDOUT, REPORT = 1, 3
#: A pipe takes this much in one piece whatever the reader does.
REPORT_BYTES = 4096
_SOURCE = "<program>"
_ERROR_CHARACTERS = 500
_OPEN_FILES = 64
# The program may rename these in their modules; this file keeps its own.
_write, _leave = os.write, os._exit


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
    """

    limits: Limits
    address_space: int
    readable: tuple[Path, ...] | None
    fence: int | None
    filter: Filter | None
    neighbours: int


def live(steps: Sequence[str], cage: Cage, ends: tuple[int, int], parent: int) -> NoReturn:
    """The whole life of a forked process. `ends`: the pipes' write ends, for standard output and for the report."""
    code = 70
    try:
        os.setsid()
        confine.die_with_parent(parent)
        if cage.limits.file_bytes:
            _own_folder(cage.readable)
        elif cage.fence is not None:
            confine.stay_behind(cage.fence)
        _keep_only(*ends)
        _enter(cage)
        report = _run(steps)
        _write(REPORT, report)
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
    """Standard input and error are the null device, output and report the two pipes; nothing else stays open."""
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
    threads = limits.processes and limits.processes + cage.neighbours
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


def _run(steps: Sequence[str]) -> bytes:
    """Runs the program; the report is a status, a line break and the error's last line."""
    _seed()
    lines = [step if step.endswith("\n") else step + "\n" for step in steps]
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    source = "".join(lines)
    try:
        program: CodeType = compile(source, _SOURCE, "exec", dont_inherit=True)
        exec(program, main.__dict__)
        _flush()
    except MemoryError:
        return _report(Status.MEMORY, "MemoryError")
    except BaseException as error:  # noqa: BLE001 - the wall: whatever a program raises is its result
        with contextlib.suppress(BaseException):
            _flush()
        return _report(Status.ERROR, _describe(error, lines))
    return _report(Status.OK, "")


def _seed() -> None:
    """The same random numbers for every program, in every process: a fork would re-seed `random` by itself."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "sympy" in sys.modules:
        sys.modules["sympy.core.random"].seed(0)


def _flush() -> None:
    """As at a program's normal end; it may have put another stream in the place of standard output."""
    for stream in {id(stream): stream for stream in (sys.stdout, sys.__stdout__)}.values():
        if stream is not None and not stream.closed:
            stream.flush()


def _report(status: Status, error: str) -> bytes:
    return f"{status}\n{error[:_ERROR_CHARACTERS]}".encode("utf-8", "backslashreplace")[:REPORT_BYTES]


def _describe(error: BaseException, lines: Sequence[str]) -> str:
    """The traceback's last line, and where in the program: `ZeroDivisionError: division by zero (step 2, line 1)`."""
    try:
        last = traceback.format_exception_only(error)[-1].strip()
    except BaseException:  # noqa: BLE001 - the program's own `__str__` may raise
        last = type(error).__name__
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == _SOURCE else _line(error.__traceback__)
    return last[:_ERROR_CHARACTERS] + (f" ({_place(line, lines)})" if line else "")


def _line(trace: TracebackType | None) -> int | None:
    """The program's own line that the error came through last."""
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _SOURCE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _place(line: int, lines: Sequence[str]) -> str:
    for number, step in enumerate(lines, start=1):
        if line <= step.count("\n"):
            return f"step {number}, line {line}"
        line -= step.count("\n")
    return "at the end"
