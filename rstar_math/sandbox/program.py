"""What does a program see, and how does its error read?

steps -> a status and words, run as `__main__` in this process. Steps may come in several turns: what a later turn runs
is what it would have run after the earlier steps in one piece, and where that cannot be promised it says "together".
"""

from __future__ import annotations
import __future__ as futures

import atexit
import builtins
import contextlib
import errno
import gc
import os
import random
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import CodeType, ModuleType, TracebackType

from rstar_math.records import Status

#: Beside a `Status`: these steps have to be run together with those before them.
TOGETHER = "together"
_SOURCE = "<program>"
_ERROR_CHARACTERS = 500
_FEATURES = sum({getattr(futures, name).compiler_flag for name in futures.all_feature_names})
#: A word that means something else at the head of a program, or counts for lines before it.
_LOOKS_BACK = re.compile(r"\b(?:__future__|global|nonlocal)\b")
#: Who reads a clock measures how long a snapshot waits, and who listens to the interpreter hears what runs a step.
_outlives = re.compile(
    r"(?m)(?:^|;)[ \t]*(?:from[ \t]+|import[ \t][\w., \t]*\b)(?:time|timeit|datetime)\b|\baddaudithook\b"
).search
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
# The program may rename these in their modules; this file keeps its own.
_fstat, _timer, _any = os.fstat, signal.getitimer, any
_handler, _GOES_ON, _UNHEARD = signal.getsignal, signal.SIGCONT, signal.SIG_DFL
_tracer, _profiler, _collections = sys.gettrace, sys.getprofile, gc.callbacks
_pending, _threshold, _THRESHOLD = signal.sigpending, gc.get_threshold, gc.get_threshold()
_exits, _count_exits = atexit._run_exitfuncs, atexit._ncallbacks
_OK, _ERROR, _MEMORY = Status.OK.value, Status.ERROR.value, Status.MEMORY.value


class Program:
    """The namespace of one program, and the steps of it that ran so far."""

    def __init__(self, descriptors: range) -> None:
        """`descriptors`: those that are open as a program begins, to whatever."""
        self._descriptors, self._files = descriptors, [_file(number) for number in descriptors]
        self._leaves = False
        self._lines: list[str] = []
        self._features = 0
        self._main = ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._main
        _seed()

    def run(self, steps: Sequence[str]) -> tuple[str, str]:
        """Runs the next steps. Returns a `Status`, as a word, or TOGETHER, and the error in words."""
        ok, failed, memory = _OK, _ERROR, _MEMORY  # the program may give this module's names other meanings
        continues = self._lines != []
        try:
            self._files = [_file(number) for number in self._descriptors]
            earlier = sum(step.count("\n") for step in self._lines)
            lines = [step if step.endswith("\n") else step + "\n" for step in steps]
            self._lines = [*self._lines, *lines]
            source = "\n" * earlier + "".join(lines)
            if continues and _LOOKS_BACK.search(source):
                return TOGETHER, ""
            with warnings.catch_warnings() if continues else contextlib.nullcontext():
                if continues:  # in one piece these would come before the program could listen
                    warnings.simplefilter("ignore")
                code: CodeType = compile(source, _SOURCE, "exec", self._features, dont_inherit=True)
            self._features |= code.co_flags & _FEATURES
            continues = False
            exec(code, self._main.__dict__)
            self._leaves = _count_exits() > 0
            _exits()
            _flush()
        except MemoryError:
            return (TOGETHER, "") if continues else (memory, "MemoryError")
        except BaseException as error:  # noqa: BLE001 - the wall: whatever a program raises is its result
            if continues:  # it is no program by itself; the message must be that of the whole
                return TOGETHER, ""
            with contextlib.suppress(BaseException):
                _flush()
            try:
                return memory if _lacks_memory(error) else failed, _describe(error, self._lines)
            except BaseException:  # noqa: BLE001 - an error made to be unreadable is an error all the same
                return failed, "an error that cannot be put into words"
        return ok, ""

    def can_go_on(self, most: int) -> bool:
        """Whether forks of this process continue as the program itself would: no timer runs or signal waits, nobody reads a
        clock, traces calls or would notice that it is stopped and goes on, nothing was done that belongs to a program's end,
        and of `most` descriptors those are open that were, to the same files; forks would share what else was opened, and
        how far it was read."""
        try:
            return (
                not (self._leaves or _any(_timer(which)[0] for which in _TIMERS) or _pending())
                and _outlives("".join(self._lines)) is None
                and _tracer() is _profiler() is None
                and not (_monitored() or _collections)
                and _threshold() == _THRESHOLD
                and _handler(_GOES_ON) == _UNHEARD
                and [_file(number) for number in self._descriptors] == self._files
                and not _any(_file(number) for number in range(self._descriptors.stop, most))
            )
        except BaseException:  # noqa: BLE001 - the program took the memory, or put its own things in the builtins' places
            return False


def _monitored() -> bool:
    """Whether some tool hears of calls in the way that Python 3.12 brought."""
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and _any(monitoring.get_tool(number) for number in range(6))


def _file(descriptor: int) -> tuple[int, int, int] | None:
    """What file is open there; None: nothing is."""
    try:
        found = _fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_rdev


def _seed() -> None:
    """The same random numbers for every program, in every process: a fork would re-seed `random` by itself."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "sympy" in sys.modules:
        sys.modules["sympy.core.random"].seed(0)


def _flush() -> None:
    """As at a program's normal end; it may have put another stream in the place of standard output, or taken its buffer."""
    if sys.__stdout__ is not None and sys.__stdout__ is not sys.stdout:
        with contextlib.suppress(ValueError):
            sys.__stdout__.flush()
    if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
        sys.stdout.flush()


def _lacks_memory(error: BaseException) -> bool:
    """Whether the kernel had none to give: so `mmap` says it."""
    return type(error) is OSError and error.errno == errno.ENOMEM


def _describe(error: BaseException, lines: Sequence[str]) -> str:
    """The traceback's last line, and where in the program: `ZeroDivisionError: division by zero (step 2, line 1)`."""
    with contextlib.suppress(AttributeError):
        del error.__notes__  # they would stand where the message is looked for
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
