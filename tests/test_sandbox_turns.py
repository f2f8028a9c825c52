"""Do programs that run long delay anybody but their own call, and do others make one look late?"""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from sandboxes import CONFIG, run

from rstar_math.records import Program
from rstar_math.sandbox import ProcessSandbox, open_sandbox
from rstar_math.sandbox.running import Running, Waiting, can_see_waiting, waiting_seconds
from rstar_math.sandbox.snapshots import Snapshot
from rstar_math.sandbox.turns import Turns

_LONG = 20


def slow(count: int, code: str) -> list[Program]:
    return [(f"import time\n{code}\n", f"number = {number}\n") for number in range(count)]


async def opened_for_slow(sandbox: ProcessSandbox) -> None:
    if sandbox.walls["slow"]:
        pytest.skip(f"slow programs keep their places here: {sandbox.walls['slow']}")
    await run(sandbox, "print('warm')")


@pytest.mark.parametrize("code", [f"time.sleep({_LONG})", f"while time.process_time() < {_LONG}: pass"])
async def test_a_quick_program_does_not_wait_for_the_slow_ones_of_another_call(code: str) -> None:
    """Two of them held both places until they ended, and 64 all that were on their way."""
    async with open_sandbox(replace(CONFIG, workers=2)) as sandbox:
        await opened_for_slow(sandbox)
        many = asyncio.create_task(sandbox.run(slow(80, code)))
        await asyncio.sleep(1)
        async with asyncio.timeout(_LONG - 5):
            for number in range(3):
                assert (await run(sandbox, f"print({number})")).stdout == f"{number}\n"
        assert not many.done()
        many.cancel()


async def test_slow_programs_of_one_call_leave_room_for_those_of_another() -> None:
    clocked = "start = time.monotonic()\ntime.sleep(1)\nprint(start, time.monotonic())"
    async with open_sandbox(replace(CONFIG, workers=2, slow=2)) as sandbox:
        await opened_for_slow(sandbox)
        first = asyncio.create_task(sandbox.run(slow(8, clocked)))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(sandbox.run([(f"import time\n{clocked}\n",)]))
        spans = [tuple(map(float, execution.stdout.split())) for execution in (*await first, *await second)]
    of_first, (began, _) = spans[:8], spans[8]
    assert max(sum(start <= moment < end for start, end in of_first) for moment, _ in of_first) <= 3
    assert began < sorted(end for _, end in of_first)[3]


async def test_without_room_beside_the_slow_ones_keep_their_places() -> None:
    async with open_sandbox(replace(CONFIG, workers=1, slow=0)) as sandbox:
        await run(sandbox, "print('warm')")
        first = asyncio.create_task(run(sandbox, "import time\ntime.sleep(1)\nprint(time.monotonic())"))
        await asyncio.sleep(0.1)
        second = await run(sandbox, "import time\nprint(time.monotonic())")
        assert float((await first).stdout) < float(second.stdout)


def waiting(*calls: int) -> list[Waiting]:
    return [Waiting(number, call, "bare", ["pass\n"]) for number, call in enumerate(calls)]


def started(turns: Turns, ago: float) -> Running:
    """The next program, as if it had started so many seconds ago."""
    program = turns.next()
    assert program
    turns.started(running := under_way(program, ago))
    return running


def under_way(program: Waiting, ago: float, most: float = 60.0, process: int = 0) -> Running:
    """It started so many seconds ago; nobody listens to it."""
    unheard: Any = None
    base = Snapshot("bare", (), 0, -1, unheard)
    began = time.monotonic() - ago
    return Running(program, base, -1, unheard, most, process, started=began, placed=began)


def test_calls_take_turns() -> None:
    turns = Turns(9, 9)
    turns.enqueue(waiting(1, 1, 1, 2, 3, 2))
    turns.put_first(Waiting(6, 3, "bare", []))
    order = [program.number for program in iter(turns.next, None)]
    assert order == [6, 0, 3, 4, 1, 5, 2]


def test_a_call_with_slow_programs_tries_one_more_at_a_time() -> None:
    turns = Turns(3, 6)
    turns.enqueue(waiting(*[1] * 9))
    started(turns, 1.0)
    assert started(turns, 0.0).program.number == 1
    turns.free_places()
    assert turns.next() is None
    turns.enqueue(waiting(2, 2))
    assert [program.call for program in islice(iter(turns.next, None), 2)] == [2, 2]


def test_a_program_that_waits_for_its_fork_gives_up_its_place_as_well() -> None:
    """Behind a process that made no fork, some kept all places until the first one's time was over."""
    turns = Turns(1, 4)
    turns.enqueue(waiting(1, 2))
    started(turns, 1.0).started = math.inf
    turns.free_places()
    assert turns.next() == Waiting(1, 2, "bare", ["pass\n"])


def test_a_slow_program_that_ends_makes_room_for_another() -> None:
    turns = Turns(1, 1)
    turns.enqueue(waiting(1, 2, 3, 4))
    first = started(turns, 1.0)
    turns.free_places()
    started(turns, 1.0)
    turns.free_places()
    assert turns.next() is None
    turns.ended(first)
    turns.free_places()
    assert turns.next() == Waiting(2, 3, "bare", ["pass\n"])


@contextmanager
def pinned(*programs: str) -> Iterator[list[int]]:
    """Processes that share one processor."""
    one = min(os.sched_getaffinity(0))
    pin = f"import os, time\nos.sched_setaffinity(0, {{{one}}})\n"
    processes = [subprocess.Popen([sys.executable, "-c", pin + program]) for program in programs]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_what_a_program_waits_for_a_processor_is_not_its_own_time() -> None:
    """Others had the processors, and a program that never stood still was late."""
    if not can_see_waiting():
        pytest.skip("/proc does not show who waits for a processor")
    with pinned("while True: pass", "while True: pass", "time.sleep(600)") as (busy, _, asleep):
        deadline = time.monotonic() + 60
        while waiting_seconds(busy) < 0.5:
            assert time.monotonic() < deadline
            time.sleep(0.05)

        def late(process: int, seconds: float) -> bool:
            return under_way(waiting(1)[0], seconds, 0.5, process).is_late()

        assert [late(busy, 0.4), late(busy, 0.9), late(busy, 2.1)] == [False, False, True]
        assert [late(asleep, 0.4), late(asleep, 2.1)] == [False, True]
