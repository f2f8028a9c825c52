"""How often does the grader err, and how long does it take?

Pairs whose answer is known -> false accepts, false rejects and latency, for our judge and for math-verify with its defaults
(the answers in boxes, its own timeouts), one pair after the other. Without a file: the pairs that come with the package,
written by hand, by the kind of answer.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rstar_math.config import GradingConfig
from rstar_math.errors import InputError
from rstar_math.grading import ProcessJudge
from rstar_math.records import Verdict

PAIRS = Path(__file__).with_name("grading_pairs.jsonl")
#: math-verify's own timeouts do not end everything; here its process is killed.
_HANGS_AFTER = 10.0
#: Run in a fresh interpreter: math-verify as its README shows it.
_DEFAULTS = r"""
import json, logging, sys
from math_verify import parse, verify
logging.disable()
boxed = lambda text: text if "\\boxed" in text else "\\boxed{" + text + "}"
for line in sys.stdin:
    said, meant = json.loads(line)
    try:
        right = bool(verify(parse(boxed(meant)), parse(boxed(said))))
    except Exception:
        right = False
    print(json.dumps(right), flush=True)
"""


class Pair(NamedTuple):
    """A prediction, a ground truth, and whether they are the same; None where people would argue."""

    prediction: str
    gold: str
    equal: bool | None


@dataclass(frozen=True)
class Row:
    """One grader on all pairs; milliseconds. `hung`: comparisons that had to be killed."""

    grader: str
    pairs: int
    false_accepts: int
    false_rejects: int
    equal_called_wrong: int | None
    hung: int
    median: float
    p99: float


class _Answer(NamedTuple):
    accepted: bool
    wrong: bool
    hung: bool


class _Judged(NamedTuple):
    pair: Pair
    answer: _Answer
    milliseconds: float


@dataclass(frozen=True)
class Report:
    """One row a grader."""

    rows: tuple[Row, ...]

    def as_json(self) -> str:
        """One JSON object."""
        return json.dumps({"rows": [asdict(row) for row in self.rows]})


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a JSONL file: {pred, gold, equal}.

    Raises:
        InputError: a line has other fields.
    """
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row: dict[str, Any] = json.loads(line)
        if not {"pred", "gold", "equal"} <= row.keys():
            raise InputError(f"{path}:{number}: expected pred, gold and equal, got {', '.join(row)}")
        pairs.append(Pair(str(row["pred"]), str(row["gold"]), row["equal"]))
    return pairs


def measure(pairs: Sequence[Pair], *, baseline: bool) -> Report:
    """Asks both graders, or ours alone."""
    rows = [asyncio.run(_ours(pairs))]
    if baseline:
        rows.append(asyncio.run(_theirs(pairs)))
    return Report(tuple(rows))


async def _ours(pairs: Sequence[Pair]) -> Row:
    async with ProcessJudge(GradingConfig()) as judge:
        await judge.grade("\\sqrt{8}", "2\\sqrt{2}")  # starts the process

        async def ask(pair: Pair) -> _Answer:
            verdict = (await judge.grade(pair.prediction, pair.gold)).verdict
            return _Answer(verdict is Verdict.CORRECT, verdict is Verdict.WRONG, verdict is Verdict.TIMEOUT)

        return _row("rstar-math", await _timed(pairs, ask), tells_wrong=True)


async def _theirs(pairs: Sequence[Pair]) -> Row:
    process: asyncio.subprocess.Process | None = None

    async def ask(pair: Pair) -> _Answer:
        nonlocal process
        process = process or await _start()
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps([pair.prediction, pair.gold]).encode() + b"\n")
        line = b""
        with suppress(TimeoutError):
            line = await asyncio.wait_for(process.stdout.readline(), _HANGS_AFTER)
        if not line:
            await _stop(process)
            process = await _start()
        return _Answer(line.strip() == b"true", False, not line)

    await ask(Pair("\\sqrt{8}", "2\\sqrt{2}", True))
    try:
        return _row("math-verify, defaults", await _timed(pairs, ask), tells_wrong=False)
    finally:
        if process:
            await _stop(process)


async def _start() -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    arguments = (sys.executable, "-W", "ignore", "-c", _DEFAULTS)
    return await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _timed(pairs: Sequence[Pair], ask: Callable[[Pair], Awaitable[_Answer]]) -> list[_Judged]:
    judged = []
    for pair in pairs:
        started = time.perf_counter()
        answer = await ask(pair)
        judged.append(_Judged(pair, answer, 1000 * (time.perf_counter() - started)))
    return judged


def _row(grader: str, judged: Sequence[_Judged], *, tells_wrong: bool) -> Row:
    equal = [one for one in judged if one.pair.equal is True]
    times = sorted(one.milliseconds for one in judged)
    return Row(
        grader=grader,
        pairs=len(judged),
        false_accepts=sum(one.answer.accepted for one in judged if one.pair.equal is False),
        false_rejects=sum(not one.answer.accepted for one in equal),
        equal_called_wrong=sum(one.answer.wrong for one in equal) if tells_wrong else None,
        hung=sum(one.answer.hung for one in judged),
        median=statistics.median(times),
        p99=times[min(len(times) - 1, int(0.99 * len(times)))],
    )
