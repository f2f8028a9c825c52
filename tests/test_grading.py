import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rstar_math.config import GradingConfig
from rstar_math.grading import ProcessJudge, surface
from rstar_math.grading.equality import compare
from rstar_math.records import Verdict

DATA = Path(os.environ.get("RSTAR_DATA") or Path(__file__).parents[2] / "shared" / "data")
PAIRS = DATA / "grading_pairs.jsonl"

EQUAL = r"""
1/2                      | 0.5
\dfrac12                 | \frac{1}{2}
1\frac{1}{2}             | 1.5
1,000,000                | 10^6
$12                      | \$12.00
20\%                     | 20
20%                      | 0.2
1, 2                     | 2,1
\{2,1\}                  | 1 \text{ and } 2
\pm 3                    | -3, 3
(0.5, 3)                 | \left(\frac{1}{2},3\right)
x \in [1,2]              | [1,2]
1 \le x \le 2            | [1,2]
x > 1                    | 1 < x
x<2 \text{ or } x>3      | (-\infty,2)\cup(3,\infty)
\mathbb{R}\setminus\{3\} | (-\infty,3)\cup(3,\infty)
x=5                      | 5
2x^2+2y^2=2              | x^2+y^2=1
(x+1)^2                  | x^2+2x+1
\sin^2 x+\cos^2 x        | 1
\sqrt{12}                | 2\sqrt{3}
(1+i)^2                  | 2i
\log_2 8                 | 3
72 square meters         | 72\text{ m}^2
90^\circ                 | 90
Yes.                     | \text{yes}
(B) 12                   | \text{B}
7:55\text{ PM}           | 7:55 \text{ p.m.}
\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix} 1 \\ \frac{4}{2} \end{pmatrix}
0.3333333333333333       | \frac{1}{3}
0.\overline{3}           | \frac{1}{3}
\frac{1}{2014!^{2014}}   | \frac{1}{2014!^{2014}}
\boxed{1} and \boxed{-2} | -2,1
"""

UNEQUAL = r"""
100                      | 1
1                        | 100
0.01                     | 1
[1,2)                    | (1,2]
[1,2]                    | (1,2)
5 or 6                   | 5
5, 5                     | 5
5                        | 5 \text{ and } 6
(1,2)                    | (2,1)
(1,2)                    | \{1,2\}
0.333333                 | \frac{1}{3}
1.414                    | \sqrt{2}
\frac{1}{2006!}          | \frac{1}{2004!}
10^{-9}                  | 0
0=1                      | 1
x=5=6                    | 6
y=5                      | x=5
y > 1                    | x > 1
x^4+50=0                 | x^2+50=0
1200_8                   | 1200_7
2x^2                     | 2x^2h
5.7 minutes              | 5.7 \mathrm{hr}
5 dozen                  | 5
|x|                      | x
Army                     | Mary
no                       | yes
A or C                   | C
(A) and (B)              | (A)
                         | 0
"""

UNDECIDED = r"""
5 3                                         | 8
5\text{ or more}                            | 5
eval("open('/tmp/canary','w')")             | 5
__import__('os').system('true')             | 5
\frac{1}{                                   | \frac{1}{3}
3\text{ (or maybe }4)                       | 3
\frac{1}{0}                                 | \frac{2}{0}
5                                           | \text{as many as you like}
"""


def table(text: str) -> list[tuple[str, str]]:
    return [
        (left.strip(), right.strip())
        for left, right in (line.rsplit(" | ", 1) for line in text.strip("\n").split("\n"))
    ]


async def verdicts(pairs: list[tuple[str, str]], **knobs: Any) -> list[Verdict]:
    async with ProcessJudge(GradingConfig(**knobs)) as judge:
        return await asyncio.gather(*(judge.grade(answer, gold) for answer, gold in pairs))


@pytest.mark.parametrize(
    ("text", "expected"), [(EQUAL, Verdict.CORRECT), (UNEQUAL, Verdict.WRONG), (UNDECIDED, Verdict.UNDECIDED)]
)
async def test_the_tables_above_are_judged_as_they_say(text: str, expected: Verdict) -> None:
    pairs = table(text)
    found = await verdicts(pairs)
    assert [(pair, verdict) for pair, verdict in zip(pairs, found, strict=True) if verdict is not expected] == []


async def test_text_from_answers_is_never_executed(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = [
        f"open('{canary}','w')",
        f"eval(\"open('{canary}','w')\")",
        f"__import__('pathlib').Path('{canary}').touch()",
    ]
    attacks += [f"${attack}$" for attack in attacks] + [f"\\boxed{{{attack}}}" for attack in attacks]
    found = await verdicts([(attack, "\\frac{1}{3}") for attack in attacks])
    assert Verdict.CORRECT not in found
    assert not canary.exists()


async def test_a_comparison_that_blows_up_is_killed_and_undecided_and_the_next_one_is_judged() -> None:
    started = time.monotonic()
    async with ProcessJudge(GradingConfig(timeout_seconds=0.5)) as judge:
        assert await judge.grade("10.0^{10.0^{10.0}}", "7") is Verdict.UNDECIDED
        assert await judge.grade("((9!)!)!", "\\sqrt{2}") is Verdict.UNDECIDED
        assert await judge.grade("\\sqrt{8}", "2\\sqrt{2}") is Verdict.CORRECT
    assert time.monotonic() - started < 30


async def test_many_bad_answers_leave_no_worker_behind() -> None:
    pairs = [(f"{n}.0^{{10.0^{{10.0}}}}", "7") for n in range(10, 13)] + [
        (f"\\sqrt{{{n}^2}}", f"{n}") for n in range(20)
    ]
    found = await verdicts(pairs, timeout_seconds=0.3, workers=2)
    assert found == [Verdict.UNDECIDED] * 3 + [Verdict.CORRECT] * 20
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_text() for child in children if Path(f"/proc/{child}").exists()]
    assert not any("rstar_math.grading.child" in command for command in commands)


async def test_a_caller_who_gives_up_leaves_the_judge_usable() -> None:
    async with ProcessJudge(GradingConfig(timeout_seconds=2)) as judge:
        first = asyncio.create_task(judge.grade("\\sqrt{18}", "3\\sqrt{2}"))
        await asyncio.sleep(0)
        first.cancel()
        assert await judge.grade("\\sqrt{18}", "3\\sqrt{2}") is Verdict.CORRECT


async def test_an_endless_text_is_undecided_at_once() -> None:
    assert await verdicts([("1+" * 50_000 + "1", "7"), ("9" * 5_000, "9" * 5_000)]) == [
        Verdict.UNDECIDED,
        Verdict.CORRECT,
    ]


def test_the_kernel_ends_an_orphan_that_computes_forever() -> None:
    command = [sys.executable, "-m", "rstar_math.grading.child", "0.3"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout and child.stdout.readline() == "ready\n"
        child.stdin.write('["10.0^{10.0^{10.0}}", "7"]\n')
        child.stdin.flush()
        assert child.wait(timeout=30) == -signal.SIGPROF


def test_looking_at_the_text_loads_no_computer_algebra() -> None:
    probe = "import sys, rstar_math.grading; print([m for m in ('sympy', 'math_verify', 'torch') if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", probe], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15))
def test_every_plain_number_is_read_exactly(value: Decimal) -> None:
    assert surface.number(f"{value:f}") == Fraction(value)
    assert surface.number(f"{value:,f}") == Fraction(value)


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_plain_integers_are_right_exactly_when_equal(said: int, meant: int) -> None:
    assert surface.quick(surface.clean(f"{said:,}"), surface.clean(f"${meant}$")) is (
        Verdict.CORRECT if said == meant else Verdict.WRONG
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(-99, 99), st.integers(1, 99), st.integers(-99, 99), st.integers(1, 99))
def test_fractions_are_right_exactly_when_equal(a: int, b: int, c: int, d: int) -> None:
    expected = Verdict.CORRECT if Fraction(a, b) == Fraction(c, d) else Verdict.WRONG
    assert compare(f"{a}/{b}", f"\\frac{{{c}}}{{{d}}}") is expected
    assert compare(f"\\frac{{{3 * a}}}{{{3 * b}}}", f"{a}/{b}") is Verdict.CORRECT


@given(st.text(max_size=60), st.text(min_size=1, max_size=60))
def test_any_text_has_a_surface(answer: str, gold: str) -> None:
    cleaned = surface.clean(answer)
    assert surface.clean(cleaned) == surface.clean(surface.clean(cleaned))
    surface.quick(cleaned, surface.clean(gold))


@pytest.mark.skipif(not PAIRS.exists(), reason=f"{PAIRS} is not here; RSTAR_DATA names its folder")
async def test_agreement_with_people_stays_where_it_was_measured() -> None:
    rows = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    found = await verdicts([(row["pred"], row["gold"]) for row in rows], timeout_seconds=0.5, workers=2)
    counts = Counter((row["equal"], verdict) for row, verdict in zip(rows, found, strict=True))
    false_accepts = counts[False, Verdict.CORRECT]
    false_rejects = counts[True, Verdict.WRONG] + counts[True, Verdict.UNDECIDED]
    # Measured: no false accept, 6 false rejects of 940. The rules were written with these pairs in sight.
    assert false_accepts <= 1
    assert false_rejects <= 10
    assert 1 - (false_accepts + false_rejects) / len(rows) >= 0.985


@pytest.mark.skipif(not PAIRS.exists(), reason=f"{PAIRS} is not here; RSTAR_DATA names its folder")
async def test_no_answer_of_a_real_model_is_accepted_wrongly() -> None:
    rows = [json.loads(line) for line in (DATA / "grading_real_outputs.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["equal"] is not None]
    found = await verdicts([(row["pred"], row["gold"]) for row in rows], workers=2)
    counts = Counter((row["equal"], verdict) for row, verdict in zip(rows, found, strict=True))
    assert counts[False, Verdict.CORRECT] == 0
    assert counts[True, Verdict.WRONG] + counts[True, Verdict.UNDECIDED] <= 4
