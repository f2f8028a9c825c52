"""What is right, what is wrong, and what nobody can tell: one table a verdict, then the rules that hold for every pair."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rstar_math import boxes
from rstar_math.bench.grading import PAIRS, Pair, measure, read_pairs
from rstar_math.config import GradingConfig
from rstar_math.grading import algebra, at_once, grammar, notations, surface, symbolic, trees
from rstar_math.grading.comparing import compare
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.formulas import Rules
from rstar_math.grading.worker import Worker
from rstar_math.records import Grade, Verdict

DATA = Path(os.environ.get("RSTAR_DATA") or Path(__file__).parents[2] / "shared" / "data")
REAL_PAIRS = pytest.mark.skipif(
    not (DATA / "grading_pairs.jsonl").exists(),
    reason=f"{DATA} is not here; RSTAR_DATA names the folder of the real pairs",
)
EXACT = GradingConfig()

RIGHT = r"""
\vec{AB}                 | \overrightarrow{AB}
18\text{ sec}            | 18\text{ seconds}
18 sec                   | 18
18\text{ ft/sec}         | 18
(a) \boxed{3} (b) \boxed{4} | 3, 4
\boxed{3}; \boxed{4}     | 3, 4
-x > -1                  | x < 1
|x|>3                    | (-\infty,-3)\cup(3,\infty)
5\%                      | 0.05
1+5\%                    | 1+5\%
cost = 5                 | 5
1/2                      | 0.5
\dfrac12                 | \frac{1}{2}
1\frac{1}{2}             | 1.5
1,000,000                | 10^6
$12                      | \$12.00
20\%                     | 20
20%                      | 0.2
1, 2                     | 2,1
\{2,1\}                  | 1 \text{ and } 2
\{1, 1, 2\}              | \{2, 1\}
\{\{1\},\{1,2\}\}        | \{\{2,1\},\{1\}\}
A = \{1,2\}              | \{2,1\}
\pm 3                    | -3, 3
x=1 \quad x=-3           | -3, 1
(0.5, 3)                 | \left(\frac{1}{2},3\right)
(1,2),(1,2),(3,4)        | (1,2),(3,4)
A(1,2)                   | (1,2)
x \in [1,2]              | [1,2]
1 \le x \le 2            | [1,2]
x > 1                    | 1 < x
x<2 \text{ or } x>3      | (-\infty,2)\cup(3,\infty)
\mathbb{R}\setminus\{3\} | (-\infty,3)\cup(3,\infty)
2x+2y<4                  | x+y<2
x=5                      | 5
f^{-1}(x) = x-1          | x-1
2x^2+2y^2=2              | x^2+y^2=1
(x+1)^2                  | x^2+2x+1
\sin^2 x+\cos^2 x        | 1
\sqrt{12}                | 2\sqrt{3}
(1+i)^2                  | 2i
\log_2 8                 | 3
72 square meters         | 72\text{ m}^2
12 red marbles           | 12\text{ marbles}
90^\circ                 | 90
\frac{\pi}{2}            | 90^\circ
Yes.                     | \text{yes}
(B) 12                   | \text{B}
12                       | \text{(E)}\ 12
(E)                      | \text{(E)}\ 12
7:55\text{ PM}           | 7:55 \text{ p.m.}
15:30                    | 3:30 p.m.
6:8                      | 3:4
\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix} 1 \\ \frac{4}{2} \end{pmatrix}
0.3333333333333333       | 0.3333333333333333
0.\overline{3}           | \frac{1}{3}
2^{1000}                 | 4^{500}
√13                      | \sqrt{13}
2√x                      | 2\sqrt{x}
sqrt13                   | \sqrt{13}
3.2×10⁵                  | 3.2\times 10^5
3.2 x 10^5               | 320000
10⁻³                     | 0.001
a₁+a₂                    | a_1+a_2
2𝜋                       | 2\pi
⅔                        | \frac{2}{3}
（3，４）                 | (3,4)
{1 \over 2}              | \frac{1}{2}
{-}5                     | -5
= 42                     | 42
**Answer: 42**           | 42
*Evelyn*                 | \text{Evelyn}
+-3                      | \pm 3
(-inf, 2]                | (-\infty, 2]
\boldsymbol{5}           | 5
\textcolor{red}{5}       | 5
\begin{pmatrix}1\\[2mm]2\end{pmatrix} | \begin{pmatrix}1\\2\end{pmatrix}
3{:}30\text{ PM}         | 3:30 \text{ p.m.}
12:00 AM                 | 0:00
4\pi\text{ m}            | 4\pi
9.8\ \mathrm{m/s^2}      | 9.8 \text{ m/s}^2
9.8 \frac{\mathrm{m}}{\mathrm{s}} | 9.8
9.8\ \mathrm{m}/\mathrm{s} | 9.8 \text{ m/s}
\pounds 40               | 40
7 years old              | 7
8 sandwiches per day     | 8
3 million                | 3{,}000{,}000
2.5\text{ billion}       | 2.5 \times 10^9
2+3\mathrm{i}            | 2+3i
3.0 \times 10^8 m/s      | 3 \times 10^8
two                      | 2
2                        | \text{two}
twenty-one               | 21
sixty                    | 60
Yes!                     | \text{yes}
Evelyn's cat             | \text{Evelyn's cat}
TRUE                     | \text{True}
90^\circ - x             | -x + 90^\circ
30^\circ + 60^\circ      | 90^\circ
30^\circ + 60^\circ      | 90
45^\circ                 | \frac{\pi}{4}
x=1, y=2                 | (1,2)
y=2, x=1                 | x=1, y=2
\{x \mid x > 2\}         | (2,\infty)
\{x \in \mathbb{R} : x > 2\} | x > 2
\frac{1}{2014!^{2014}}   | \frac{1}{2014!^{2014}}
+\infty                  | \text{infinity}
\boxed{1} and \boxed{-2} | -2,1
n\pi | n\pi, n \in \mathbb{Z}
\frac{\pi}{2}+2k\pi, k\in\mathbb{Z} | x = \frac{\pi}{2}+2n\pi \text{ for any integer } n
2k\pi, \pi+2k\pi, k\in\mathbb{Z} | \pi+2n\pi\text{ or }2n\pi \quad (n \in \mathbb{Z})
n\pi \text{ where } n \text{ is an integer} | n\pi
\{ \frac{\pi}{4} + k\pi : k \in \mathbb{Z} \} | \frac{\pi}{4} + n\pi, n \in \mathbb{Z}
\{ k\pi \mid k \in \mathbb{Z} \} | \{ n\pi : n\in\mathbb{Z} \}
\sin^2 15^\circ | \frac{2-\sqrt{3}}{4}
2^3 5 | 40
x>0, y>0 | y > 0 \text{ and } x > 0
0 < a < 1 and b \geq 2 | b \ge 2, a > 0, a < 1
-\frac{1}{2}\begin{pmatrix}2\\4\end{pmatrix} | \begin{pmatrix}-1\\-2\end{pmatrix}
\begin{pmatrix}1\\2\end{pmatrix} \cdot 3 | \begin{bmatrix}3\\6\end{bmatrix}
\begin{pmatrix}1\\2\end{pmatrix}+t\begin{pmatrix}3\\-4\end{pmatrix} | \begin{pmatrix}1+3t\\2-4t\end{pmatrix}
2\left(\begin{pmatrix}1\\2\end{pmatrix}-\begin{pmatrix}0\\5\end{pmatrix}\right) | \begin{pmatrix}2\\-6\end{pmatrix}
y=e^t\begin{pmatrix}1\\2\end{pmatrix}c | y=c\left[\begin{array}{c}1\\2\end{array}\right]e^t
5 ft 6 in | 5 \text{ feet } 6 \text{ inches}
450 \text{ minutes} | 7\text{ hours }30\text{ minutes}
2 h 3 min 4.5 s | 7384.5\text{ seconds}
"""

WRONG = r"""
12\text{ m} | 12\text{ cm}
8 mm | 8\text{ cm}
100                      | 1
1                        | 100
10000                    | 10001
0.01                     | 1
[1,2)                    | (1,2]
[1,2]                    | (1,2)
5 or 6                   | 5
5, 5                     | 4
5                        | 5 \text{ and } 6
(1,2)                    | (2,1)
(1,2)                    | \{1,2\}
\{1\},\{2,3\}            | \{1,2\},\{3\}
0.333333                 | \frac{1}{3}
0.3333333333333333       | \frac{1}{3}
1.414                    | \sqrt{2}
3.14159265358979323846264338327950288 | \pi
3.141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117067982148087 | \pi
\frac{1}{2006!}          | \frac{1}{2004!}
10^{-9}                  | 0
x+10^{-30}               | x
2^{1000}+1               | 2^{1000}
-\infty                  | \infty
y=5                      | x=5
y > 1                    | x > 1
x < 1                    | x > 1
x+y \le 5                | x+y < 5
x^4+50=0                 | x^2+50=0
1200_8                   | 1200_7
2x^2                     | 2x^2h
60\text{ cm}             | 60\text{ m}
5.7 minutes              | 5.7 \mathrm{hr}
5 abcd                   | 5
5 \quad 600              | 5600
__import__('os').system('true') | 5
\sqrt{t^2}               | t
\sqrt{a^2b^2}            | ab
|x|                      | x
Tuesday                  | Monday
no                       | yes
D                        | \text{(E)}\ 12
13                       | \text{(E)}\ 12
3:31                     | 3:30
8:7                      | 8:7:3
1+2\mathrm{i}            | 3
(0,2\mathrm{e})          | (0,2)
\{100,200\}              | 100200
\{1,234\}                | 1234
|x|+|y|=1                | x+y=1
\sqrt{x^2}+y<1           | x+y<1
\sqrt{x^2-600x+90000}    | 300-x
x+0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001 | x
three                    | 4
3 million                | 3
5                        | (1,2)
\pi | n\pi, n \in \mathbb{Z}
x>0, y>0 | x>0, y \geq 0
x>0, y>0 | x>0, z>0
2\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix}2\\5\end{pmatrix}
\begin{pmatrix}1\\2\end{pmatrix}+\begin{pmatrix}3\\4\end{pmatrix} | \begin{pmatrix}4&6\end{pmatrix}
5 ft 7 in | 5\text{ ft }6\text{ in}
2 days 1 hour | 26\text{ hours}
"""

UNREADABLE = r"""
5 3                                         | 8
5, 5                                        | 5
1, 2, 2                                     | 1, 2
5\text{ or more}                            | 5
5\text{ boys}                               | 5\text{ girls}
5 dozen                                     | 5
0.25\%                                      | 0.25
1^\circ                                     | 1\text{ apple}
x_1=-3, x_2=1                               | 1, -3
5 \mod 7                                    | 5
5 then 6                                    | 5
\frac{1}{                                   | \frac{1}{3}
3\text{ (or maybe }4)                       | 3
\frac{0}{0}                                 | 1
A or C                                      | C
(A) and (B)                                 | (A)
(A) 12                                      | \text{(E)}\ 12
3:30                                        | 3:30 \text{ p.m.}
1011                                        | 1011_2
The answer is 5                             | 5
I think it is 5.                            | 5
1,2,3                                       | (1,2,3)
eval("open('canary','w')")                  | 5
12 marbles red                              | 13
The slope is -2                             | The slope is 2
Yes, -3                                     | Yes, 3
radius: 5, center: (1,1,1)                  | \text{radius: 5, center: (-1,-1,-1)}
converges to 1.2                            | converges to 1-2
n! ways                                     | n ways
f' is positive                              | f is positive
Mg                                          | mg
vt                                          | Vt
ABCD                                        | abcd
3\text{M}                                   | 3
3 fourths                                   | 3
3, -1\text{ rejected}                       | 3, -1
n\text{ odd}                                | n
0.3 repeating                               | 0.3
\{x \in \mathbb{Z} \mid -1 \le x < 4\}      | [-1,4)
\{x^2 \mid x > 2\}                           | (2,\infty)
\{x > 0 \mid x < 2\}                         | (-\infty,2)
y=1, x=2                                    | (1,2)
(y,x)=(1,2)                                 | (1,2)
b=1, a=2                                    | 1, 2
\pi^\circ                                   | \pi
\lfloor \frac{n+1}{2} \rfloor               | \lceil \frac{n}{2} \rceil
\cos n\pi                                   | (-1)^n
\frac12, 0.5                                | \frac12
xy=1                                        | y=\frac{1}{x}
|x|=2                                       | x=2
x+y=2                                       | 5=|x-3|+|y-4|
e                                           | E
\text{Au}                                   | \text{AU}
5 short                                     | 5
\mathbb{R}^+                                | (0,\infty)
no solution                                 | \emptyset
5 N                                         | 5
5m                                          | 5
\overline{AB}                               | AB
\angle ABC                                  | ABC
\text{segment }AB                           | AB
7th                                         | 7
No solutions                                | no solution
non-negative                                | nonnegative
100                                         | one hundred
n\pi, n \in \mathbb{N} | n\pi, n \in \mathbb{Z}
(2k-1)\pi, k \in \mathbb{Z} | (2k+1)\pi, k \in \mathbb{Z}
2n\pi | n\pi, n \in \mathbb{Z}
\begin{pmatrix}1&0\\0&1\end{pmatrix}\begin{pmatrix}1&2\\3&4\end{pmatrix} | \begin{pmatrix}1&2\\3&4\end{pmatrix}
\begin{pmatrix}1&2\\3&4\end{pmatrix}^T | \begin{pmatrix}1&2\\3&4\end{pmatrix}
3+\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix}4\\5\end{pmatrix}
\begin{pmatrix}1&2\end{pmatrix}+s\begin{pmatrix}3&4\end{pmatrix} | \begin{pmatrix}1+3t&2+4t\end{pmatrix}
2(\begin{pmatrix}1\\2\end{pmatrix}\begin{pmatrix}3\\4\end{pmatrix}) | \begin{pmatrix}6\\16\end{pmatrix}
66 | 5\text{ ft }6\text{ in}
5.5 \text{ ft} | 5\text{ ft }6\text{ in}
infinite number of solutions | \text{infinitely many solutions}
converges | \text{convergent}
"""

NO_ANSWER = r"""
                    | 0
\text{ }            | 0
$                   | 5
\boxed{}            | 5
5 \boxed{           | 5
\boxed 5            | 5
I'm lost \boxed{ }. | 5
N/A                 | 5
"""

GOLD_UNREADABLE = r"""
5 | \text{as many as you like, } 5 \text{ or } x>y \text{ maybe}
5 | \boxed{
5 |
5 | \frac{1}{0}
5 | -3 b^{4}+13 b^{3}-7 b^{2}-
5 | \max at x=7
\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix}1\\2\end{pmatrix} Therefore the probability is 0.2
"""

SLOW = "+".join(f"|x^{k}-{k}y|" for k in range(1, 12)), "+".join(f"|{k}y-x^{k}|" for k in range(1, 12))


def table(text: str) -> list[tuple[str, str]]:
    return [
        (left.strip(), right.strip())
        for left, _, right in (line.rpartition(" |") for line in text.strip("\n").split("\n"))
    ]


def grade(prediction: str, gold: str, rules: Rules = Rules()) -> Grade:  # noqa: B008 - a tuple
    return compare(prediction, gold, algebra.Algebra(rules))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RIGHT, Verdict.CORRECT),
        (WRONG, Verdict.WRONG),
        (UNREADABLE, Verdict.UNREADABLE),
        (NO_ANSWER, Verdict.NO_ANSWER),
        (GOLD_UNREADABLE, Verdict.GOLD_UNREADABLE),
    ],
    ids=["right", "wrong", "unreadable", "no answer", "gold unreadable"],
)
def test_the_tables_above_are_judged_as_they_say(text: str, expected: Verdict) -> None:
    found = [(pair, grade(*pair)) for pair in table(text)]
    assert [(pair, given) for pair, given in found if given.verdict is not expected] == []
    assert all(given.reason for _, given in found)


def test_equal_members_of_long_lists_go_first_and_what_is_left_is_not_compared_without_end() -> None:
    """Two lists of 300 numbers had held up the search for seconds: every member was compared with every other."""
    numbers = [str(number) for number in range(300)]
    meant = ", ".join(numbers)
    assert grade(", ".join(reversed(numbers)), meant).verdict is Verdict.CORRECT
    assert grade(", ".join([*numbers[1:], "300"]), meant).verdict is Verdict.WRONG
    assert grade(", ".join([*numbers[1:], "0.0"]), meant).verdict is Verdict.CORRECT
    others, meant = ", ".join(f"{number}.5" for number in range(200)), ", ".join(numbers[:200])
    assert grade(others, meant) == Grade(Verdict.UNREADABLE, "more members than anybody wants to compare")
    assert grade("?, ".join(numbers), "?, ".join(numbers)).verdict is not Verdict.CORRECT
    false = "; ".join(f"x_{{{number}}} = {number} = {number + 1}" for number in range(12))
    assert grade(false, false).verdict is Verdict.GOLD_UNREADABLE


def test_what_is_right_is_right_both_ways_and_with_a_box_around_it() -> None:
    for said, meant in table(RIGHT):
        if "boxed" not in said:
            assert grade(f"So it is $\\boxed{{{said}}}$.", meant).verdict is Verdict.CORRECT, (said, meant)
        assert grade(meant, meant).verdict is Verdict.CORRECT, meant


def test_the_pairs_that_come_with_the_benchmark_have_no_false_accept() -> None:
    found = [(pair, grade(pair.prediction, pair.gold).verdict) for pair in read_pairs(PAIRS)]
    assert [pair for pair, verdict in found if verdict is Verdict.CORRECT and not pair.equal] == []
    assert [pair for pair, verdict in found if verdict is Verdict.WRONG and pair.equal] == []
    equal = [verdict for pair, verdict in found if pair.equal]
    assert sum(verdict is not Verdict.CORRECT for verdict in equal) <= 0.03 * len(equal)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("5", "5"),
        ("\\boxed{1} then \\boxed{2}", "2"),
        ("\\boxed{1} or \\boxed{2}.", "1; 2"),
        ("$\\boxed{1}$, $\\boxed{2}$ and $\\boxed{3}$", "1; 2; 3"),
        ("\\boxed{5}, again \\boxed{5}", "5"),
        ("\\boxed{\\boxed{\\frac{1}{2}}}", "\\frac{1}{2}"),
        ("\\boxed{ broken \\boxed{\\{1\\}}", "\\{1\\}"),
        ("\\fbox{a\\}b}", "a\\}b"),
        ("\\boxed{1} and \\boxed{}", None),
        ("\\boxed{never", None),
        ("no box but 5 \\boxed", None),
        ("  ", None),
        *(
            (f"\\boxed{{7}}{between}\\boxed{{8}}", "7; 8")
            for between in (
                " and also ",
                " | ",
                ". Or: ",
                " as well as ",
                " vs ",
                " \\cup ",
                "\n- ",
                "\nCase 2: ",
            )
        ),
        *(
            (f"\\boxed{{7}}{between}\\boxed{{8}}", "8")
            for between in (
                "\n\nFinal Answer: ",
                ". Therefore the answer is ",
                ". Wait, no: ",
                " + ",
                "\nStep 2: ",
                ". The total is ",
                "\n</think>\n\n",
                "\n\n---\n\n",
                ". Hmm, sign error. ",
                " which simplifies to ",
                ", or rather, ",
                "\u6700\u7ec8\u7b54\u6848\uff1a",
            )
        ),
        ("\\boxed{7}, not \\boxed{8}", "7"),
        ("\\boxed{7}\\phantom{\\boxed{8}}", "7"),
        ("~~\\boxed{7}~~ \\boxed{8}", "8"),
        ("whether it is rational or not $\\boxed{8}$", "8"),
        ("It is ~~ 3 ~~\n\\boxed{8}", "8"),
        ("\\cancel{\\boxed{8}}", None),
        ("It is not 7, it is \\boxed{8}", "8"),
    ],
)
def test_the_last_balanced_box_is_what_a_reply_states(reply: str, answer: str | None) -> None:
    """Boxes that a bar, a bullet or "as well as" parted were two answers of which the last was taken."""
    assert boxes.stated(reply) == answer


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("<answer>The answer is \\boxed{480}.\n<end_of_answer>", "480"),
        ("<answer>It is \\boxed{5} or \\boxed {6}.<end_of_answer>", "5; 6"),
        ("\\boxed{1} and then \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("no box, so 5", None),
        ("\\boxed{", None),
        ("\\boxed{}", None),
    ],
)
def test_a_step_without_a_box_states_no_answer(step: str, answer: str | None) -> None:
    assert boxes.boxed(step) == answer


HOSTILE = {
    "boxes never closed": "\\boxed{" * 20_000,
    "boxes in boxes": "\\boxed{" * 5_000 + "5" + "}" * 5_000,
    "boxes in a row": "\\boxed{5}, " * 5_000,
    "braces": "{" * 30_000,
    "letters between boxes": "\\boxed{5} " + "a" * 20_000 + " \\boxed{6}",
    "words between boxes": "\\boxed{5} " + "a " * 99 + "\\boxed{6}",
    "a word of 199 letters between boxes": "\\boxed{5}" + "a" * 199 + "\\boxed{6}",
    "letters that are no list after all": "\\text{" + "A, " * 200 + "!}",
    "a fraction of fractions": "1" + "/1" * 700,
    "powers of powers": "5" + "²" * 700,
    "signs": "-" * 700 + "5",
    "a row of digits": "9" * 1_400,
    "an exponent": "1E+9999999",
    "a tower": "9^{9^{9^{9^9}}}",
    "a factorial": "((9!)!)!",
    "a large factorial": "99999999!",
    "a power": "2**99999999",
    "lists": "5," * 700,
    "brackets": "(" * 700 + "5" + ")" * 700,
    "roots": "\\sqrt{" * 200 + "5" + "}" * 200,
    "a sum": "\\sum_{k=1}^{99999999} k",
    "spaces": "5" + " " * 100_000 + "x",
    "text": "\\text{" * 200 + "5" + "}" * 200,
    "nulls": "\0" * 700,
    "other scripts": "٣" * 300,
}


#: What real ground truths and replies look like: each was refused once, some were called wrong.
REFUSED_ONCE = r"""
y = C_1 e^{-3x} + C_2 e^{-x}          | y=c_{1} e^{-3 x}+c_{2} e^{-x}
y(x) = C_1 x + C_2                    | y=c_{2}+c_{1} x
y = 4-7x                              | g^{-1}(x)=-7 x+4
A=3+9h                                | A(h)=9h+3
8^{\text{th}}                          | 8th
\text{March 3rd}                      | \text{March 3}
(3120)_5                              | 3120_{5}
3120 \text{ base } 5                  | 3120_{5}
{715}_{8}                             | 715_8
3\text{ to }8                         | 3:8
3\colon 8                             | 3:8
\{x : x > 4\}                         | \{x \colon x > 4\}
\text{The answer is } (1,2)           | (1,2)
\left(3,15\right)\cup\left(15,120\right) | (3,15) \cup (15,120)
\frac{1}{2^{nd}}                      | \frac{1}{2^{nd}}
2ma                                   | 2am
9 \text{ a.m.}                        | 9:00 \text{ a.m.}
\sum_{n=1}^\infty (-1)^n x^{3n}       | \sum_{n=1}^{\infty}(-1)^{n} x^{3 n}
\text{The answer is } 31              | 31
\text{USD } 45                        | \$45
3.5¢                                  | 3.5 \text{ cents}
(4,-1,2)                              | (x, y, z)=(4,-1,2).
0 \text{ and } 315                    | 0,315
\frac{20}{3} \approx 6.67 \text{ kg}  | \frac{20}{3} \text{ kg}
"""

#: Each was accepted: an infinity on the wrong side, a number for a name, a unit behind an approximation, two numbers as one.
NEVER_RIGHT = r"""
(+\infty, 4) \cup (4, \infty)         | (-\infty, 4) \cup (4, \infty)
(-\infty,1)\cup(3,-\infty)            | (-\infty,1)\cup(3,\infty)
[4, -\infty)                          | [4, \infty)
\frac{7}{3+i}=i                       | \frac{21-7i}{10}
i^{11}=i                              | -i
\ln e=e                               | 1
\frac{20}{3} \approx 6.67 \text{ kg}  | \frac{20}{3} \text{ g}
7 \approx 7.0 \text{ hours}           | 7 \text{ days}
315                                   | 0,315
y = C_1 e^{-3x} + C_2 e^{-2x}         | y=c_{1} e^{-3 x}+c_{2} e^{-x}
f(x) = 3x                             | f(n) = 3x
7 \text{ p.m.}                        | 7:00 \text{ a.m.}
18 \text{ to } 1                      | 18
USD 45                                | 45 \text{ cents}
\text{USD } 45                        | 45 \text{ euros}
2^{nd}                                | 2nd
2^{th}                                | 2th
3PM                                   | 3pm
y=3t                                  | x(t)=3t
y=5                                   | P(A)=5
k_2/k_1                               | K_2/K_1
3 \text{ to } 10                      | 9:30
\frac{200}{3} \approx 66.7\%          | \frac{200}{3}\text{ kg}
"""

#: The same, perhaps, or no answer to what was asked: no example of a wrong one.
NO_EXAMPLES = r"""
700, 210                              | 210,700
700 and 210                           | 210,700
\$70 \text{ and } \$210              | 70,210
x=y=6                                 | 6
\frac12=e                             | \frac12
\text{sufficient but not necessary}   | \text{a sufficient but not a necessary condition}
width = height = 9                    | width = height = 9
"""


def test_what_real_replies_look_like_is_read() -> None:
    found = [(pair, grade(*pair).verdict) for pair in table(REFUSED_ONCE)]
    assert [(pair, verdict) for pair, verdict in found if verdict is not Verdict.CORRECT] == []


def test_infinities_numbers_for_names_and_units_behind_approximations_are_looked_at() -> None:
    found = [(pair, grade(*pair).verdict) for pair in table(NEVER_RIGHT)]
    assert [pair for pair, verdict in found if verdict is Verdict.CORRECT] == []


def test_what_may_be_meant_otherwise_is_no_wrong_answer() -> None:
    found = [(pair, grade(*pair).verdict) for pair in table(NO_EXAMPLES)]
    assert [pair for pair, verdict in found if verdict in (Verdict.CORRECT, Verdict.WRONG)] == []
    assert grade("\\text{sufficient, not necessary}", "\\text{necessary, not sufficient}").verdict is Verdict.WRONG


#: Each was accepted once: a branch lost far from zero, a sign of the last term for the whole, a function for a name, an order
#: that counts, the question for its answer, one of several boxes.
ACCEPTED_ONCE = r"""
|x+3|=5                  | x=2
z+3=2                    | |z+3|=2
|x+3|+|x+4|=11           | x=2
\frac{|3x+4y+12|}{5}=1   | 3x+4y+7=0
|a+3|=|b+4|              | a-b=1
2y=|x+4|                 | 2y=x+4
\sqrt{x^2+6x+9}          | x+3
\sqrt[4]{(x+3)^4}        | x+3
\sqrt{\frac{1+\cos x}{2}} | \cos\frac{x}{2}
2\cos\frac{x}{2}         | \sqrt{2+2\cos x}
\sqrt{x^2-x^4}           | x\sqrt{1-x^2}
\arccos x                | \arcsin\sqrt{1-x^2}
\ln(x^2)=4               | \ln x=2
1+5\%                    | 6
50+10\%                  | 60
1+5\%                    | 6\%
100\cdot 5\%             | 500
80+5 percent             | 85
lnx = 5                  | 5
sinx = 1                 | 1
arctan(x) = 1            | 1
abs(x)=5                 | 5
floor(x)=5               | 5
\text{answer plus one}=5 | 5
a_{n+1}=2n+1             | 2n+1
a_{2n}=2n+1              | 2n+1
A^{-1}B^{-1}             | B^{-1}A^{-1}
A^TB^T                   | B^TA^T
3x-7=8                   | x=5
3x-7>8                   | x>5
-7<2x+1<9                | (-4,4)
|x-1|<2                  | (-1,3)
\boxed{6} (or \boxed{5}) | 5
\boxed{6}; \boxed{5}     | 5
\boxed{6}. Alternatively, \boxed{5} | 5
\boxed{6} \boxed{5}      | 5
5\text{ }6               | 56
5 percents               | 5
5 powers                 | 5
"""


def test_what_was_accepted_once_is_no_more() -> None:
    assert [pair for pair in table(ACCEPTED_ONCE) if grade(*pair).verdict is Verdict.CORRECT] == []


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("boxed", [False, True], ids=["bare", "boxed"])
def test_nothing_hostile_is_accepted_or_takes_long(reply: str, boxed: bool) -> None:
    reply = f"\\boxed{{{reply}}}" if boxed else reply
    started = time.process_time()
    for gold in ("7", "\\text{yes}", "(1,2)", "x^2+1"):
        assert grade(reply, gold).verdict is not Verdict.CORRECT
    assert time.process_time() - started < 2


def test_text_from_answers_is_never_executed(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = [
        f"open('{canary}','w')",
        f"eval(\"open('{canary}','w')\")",
        f"__import__('pathlib').Path('{canary}').touch()",
        f"x=__import__('pathlib').Path('{canary}').touch()",
        f"(1, __import__('pathlib').Path('{canary}').touch())",
    ]
    attacks += [f"${attack}$" for attack in attacks] + [f"\\boxed{{{attack}}}" for attack in attacks]
    for attack in attacks:
        for gold in ("\\frac{1}{3}", "x", "(1,2)", attack):
            grade(attack, gold)
        symbolic.expression(attack)
        assert grade(attack, "\\sqrt{2}").verdict is not Verdict.CORRECT
    assert not canary.exists()


def test_looking_at_the_text_loads_no_computer_algebra() -> None:
    probe = (
        "import sys; from rstar_math.grading import at_once; from rstar_math.config import GradingConfig as G\n"
        "assert at_once('\\\\boxed{1/2}', '0.5', G()).verdict == 'correct'\n"
        "print([m for m in ('sympy', 'math_verify', 'torch', 'mpmath') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", probe], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(("said", "meant"), [("\\sqrt{8}", "2\\sqrt{2}"), ("2(x+1)", "2x+2"), ("y=2x", "2y=4x")])
def test_a_second_reader_has_to_agree(monkeypatch: pytest.MonkeyPatch, said: str, meant: str) -> None:
    assert grade(said, meant).verdict is Verdict.CORRECT
    for name in ("same", "verified", "proportional"):
        monkeypatch.setattr(symbolic, name, lambda *_, **__: None)
    assert grade(said, meant).verdict is Verdict.UNREADABLE
    for name in ("same", "proportional"):
        monkeypatch.setattr(symbolic, name, lambda *_, **__: False)
    assert grade(said, meant) == Grade(Verdict.UNREADABLE, "two ways of reading it disagree")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2^{3}", "8"),
        ("2\\frac{1}{2}+\\sqrt{4}", "\\frac{9}{2}"),
        ("3!", "6"),
        ("x > \\frac{4-1}{2}", "2x - 3 > 0"),
        ("[1, 1+1]", "[1, 2]"),
    ],
)
def test_a_formula_of_fractions_has_two_readers_too(monkeypatch: pytest.MonkeyPatch, said: str, meant: str) -> None:
    """Our own grammar's word was enough: what it misreads would have been accepted."""
    assert grade(said, meant).verdict is Verdict.CORRECT
    for name in ("same", "verified"):
        monkeypatch.setattr(symbolic, name, lambda *_, **__: None)
    monkeypatch.setattr(algebra, "expression", lambda _: None)
    assert grade(said, meant).verdict in (Verdict.UNREADABLE, Verdict.GOLD_UNREADABLE)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("3/4", "\\frac{3}{4}"),
        ("-\\frac{1}{2}", "-0.5"),
        ("\\frac{-1}{2}", "\\frac{1}{-2}"),
        ("25\\%", "0.25"),
        ("\\frac12", "1/2"),
    ],
)
def test_plain_quotients_are_read_twice_without_a_process(said: str, meant: str) -> None:
    decided = at_once(said, meant, EXACT)
    assert decided is not None and decided.verdict is Verdict.CORRECT


def test_a_value_that_only_one_reader_finds_close_enough_is_no_bad_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was called wrong, though one of two readers said that the tolerance allows it."""
    monkeypatch.setattr(symbolic, "near", lambda *_: False)
    for said, rules in (("1.4142", Rules(rounded_digits=4)), ("1.41", Rules(tolerance=0.01))):
        assert grade(said, "\\sqrt{2}", rules).verdict is Verdict.UNREADABLE


def test_math_verify_alone_makes_nothing_right() -> None:
    assert symbolic.same("5 \\bmod 7", "5") in (True, None)
    assert grade("5 \\bmod 7", "5").verdict is Verdict.UNREADABLE


@pytest.mark.parametrize(
    ("said", "meant", "rules", "expected"),
    [
        ("0.3333", "\\frac{1}{3}", Rules(rounded_digits=4), True),
        ("0.3334", "\\frac{1}{3}", Rules(rounded_digits=4), False),
        ("0.333", "\\frac{1}{3}", Rules(rounded_digits=4), False),
        ("0.3333", "\\frac{1}{3}", Rules(rounded_digits=5), False),
        ("1.4142", "\\sqrt{2}", Rules(rounded_digits=4), True),
        ("1.4143", "\\sqrt{2}", Rules(rounded_digits=4), False),
        ("0.3333", "0.33333", Rules(rounded_digits=4), False),
        ("3.1416", "\\pi", Rules(), False),
        ("101", "100", Rules(tolerance=0.02), True),
        ("103", "100", Rules(tolerance=0.02), False),
        ("3.14", "\\pi", Rules(tolerance=0.01), True),
        ("3.2", "\\pi", Rules(tolerance=0.01), False),
        ("101", "100", Rules(), False),
        ("4.3", "4.2", Rules(own_tolerance=0.1), True),
        ("4.1", "4.2", Rules(own_tolerance=0.1), True),
        ("4.31", "4.2", Rules(own_tolerance=0.1), False),
        ("4.5", "4.2", Rules(own_tolerance=0.3), True),  # 0.3 as a float is a little less
        ("r = 4.25\\%", "4.2", Rules(own_tolerance=0.1), True),
        ("\\sqrt{17}", "4.2", Rules(own_tolerance=0.1), True),
        ("\\sqrt{19}", "4.2", Rules(own_tolerance=0.1), False),
        ("5.04, 4.21", "4.2, 5.1", Rules(own_tolerance=0.1), True),
        ("5.04, 4.35", "4.2, 5.1", Rules(own_tolerance=0.1), False),
        ("0.05", "10\\%", Rules(own_tolerance=0.1), False),  # of a percent, not of a whole
        ("x + 0.05", "x", Rules(own_tolerance=0.1), False),
        ("4.3", "4.2", Rules(), False),
    ],
)
def test_rounded_values_and_a_tolerance_are_accepted_on_request_only(
    said: str, meant: str, rules: Rules, expected: bool
) -> None:
    assert grade(said, meant, rules).verdict is (Verdict.CORRECT if expected else Verdict.WRONG)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15))
def test_every_plain_number_is_read_exactly(value: Decimal) -> None:
    assert notations.number(f"{value:f}") == Fraction(value)
    assert notations.number(f"{value:,f}") == Fraction(value)


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30) | st.none())
def test_plain_integers_are_right_exactly_when_equal(said: int, other: int | None) -> None:
    meant = said if other is None else other
    given_grade = at_once(f"{said:,}", f"${meant}$", EXACT)
    assert given_grade is not None
    assert given_grade.verdict is (Verdict.CORRECT if said == meant else Verdict.WRONG)


@settings(max_examples=60, deadline=None)
@given(st.integers(-99, 99), st.integers(1, 99), st.integers(-99, 99), st.integers(1, 99))
def test_fractions_are_right_exactly_when_equal(a: int, b: int, c: int, d: int) -> None:
    expected = Verdict.CORRECT if Fraction(a, b) == Fraction(c, d) else Verdict.WRONG
    for pair in ((f"{a}/{b}", f"\\frac{{{c}}}{{{d}}}"), (f"\\frac{{{c}}}{{{d}}}", f"{a}/{b}")):
        assert getattr(at_once(*pair, EXACT), "verdict", None) is expected
    assert grade(f"\\frac{{{3 * a}}}{{{3 * b}}}", f"{a}/{b}").verdict is Verdict.CORRECT


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.permutations(range(5)), st.booleans())
def test_lists_are_right_in_any_order_and_with_their_multiplicity(
    members: list[int], order: list[int], less: bool
) -> None:
    shuffled = [members[at] for at in order if at < len(members)]
    said, meant = ", ".join(map(str, shuffled)), ", ".join(map(str, members))
    assert grade(said, meant).verdict is Verdict.CORRECT
    assert grade(f"{said}, 10", meant).verdict is Verdict.WRONG
    assert grade(f"{said}, {members[0]}", meant).verdict is not Verdict.CORRECT


SYMBOLS = st.sampled_from(["x", "y", "n", "2", "3", "\\pi", "\\sqrt{2}"])
FORMULAS = st.recursive(
    SYMBOLS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]})+({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"\\frac{{{p[0]}}}{{{p[1]}}}"),
        inner.map(lambda one: f"({one})^{{2}}"),
    ),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None)
@given(FORMULAS)
def test_a_formula_is_itself_however_written_and_never_itself_plus_something(formula: str) -> None:
    assert grade(formula, formula).verdict is Verdict.CORRECT
    assert grade(f"1\\cdot({formula})+0", formula).verdict is Verdict.CORRECT
    for other in (f"({formula})+10^{{-12}}", f"2({formula})+1", f"({formula})+x-y"):
        assert grade(other, formula).verdict is not Verdict.CORRECT


@settings(max_examples=300, deadline=None)
@example("0", "\\vec")  # an accent over nothing was an IndexError
@example("3", ", or > \\mathbb{R} \\hat")  # so were inequalities of nothing
@example(r"\{;\}", r"\{;\}")  # and sets of nothing, or of matrices, were read for ever
@example(r"\{\begin{pmatrix}1\end{pmatrix}\}", r"\{\begin{pmatrix}2\end{pmatrix}\}")
@example("`\u2a74", "0")  # two colons before "=": only the first was taken away
@given(st.text(max_size=60), st.text(min_size=1, max_size=60))
def test_any_two_texts_get_a_grade_or_are_left_to_algebra(answer: str, gold: str) -> None:
    given_grade = at_once(answer, gold, EXACT)
    assert given_grade is None or given_grade.reason
    cleaned = surface.clean(answer)
    assert surface.clean(cleaned) == surface.clean(surface.clean(cleaned))


def test_a_tree_deeper_than_a_program_may_call_is_left_unread() -> None:
    with pytest.raises(Unreadable, match="deeply"):
        grammar.parse("1" + "/1" * 400)
    assert trees.depth(grammar.parse("1/2/3")) == 3


def test_the_benchmark_counts_what_is_wrong_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    async def compare(self: Worker, answer: str, gold: str, tolerance: float) -> Grade:
        return Grade(Verdict.TIMEOUT, "")

    monkeypatch.setattr(Worker, "compare", compare)
    pairs = [
        Pair("5", "5", True),
        Pair("6", "5", True),
        Pair("5", "5", False),
        Pair("5 3", "8", True),
        Pair("5", "5", None),
    ]
    row = measure(pairs, baseline=False).rows[0]
    assert (row.pairs, row.false_accepts, row.false_rejects, row.equal_called_wrong, row.hung) == (5, 1, 2, 1, 1)
    assert 0 < row.median <= row.p99


def rows_of(name: str) -> Iterator[dict]:
    for line in (DATA / name).read_text().splitlines():
        yield json.loads(line)


@REAL_PAIRS
@pytest.mark.parametrize(
    ("name", "share"),
    [("grading_pairs.jsonl", 0.03), ("grading_real_outputs.jsonl", 3 / 1074)],
    ids=["pairs", "outputs"],
)
def test_agreement_with_people_stays_where_it_was_measured(name: str, share: float) -> None:
    found = [(row, grade(row["pred"], row["gold"]).verdict) for row in rows_of(name)]
    assert [row for row, verdict in found if row["equal"] is False and verdict is Verdict.CORRECT] == []
    equal = [verdict for row, verdict in found if row["equal"]]
    assert sum(verdict is not Verdict.CORRECT for verdict in equal) <= share * len(equal)


@REAL_PAIRS
def test_most_answers_need_no_process() -> None:
    rows = list(rows_of("grading_real_outputs.jsonl"))
    left = [row for row in rows if at_once(row["pred"], row["gold"], EXACT) is None]
    assert len(left) < 0.1 * len(rows)


def test_a_benchmark_with_other_fields_says_what_it_expects(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(Exception, match="expected pred, gold and equal"):
        read_pairs(tmp_path / "rows.jsonl")
