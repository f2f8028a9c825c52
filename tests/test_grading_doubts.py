"""What was accepted though it was not the same, or called wrong though it may be: one table for each kind of fault."""

import pytest

from rstar_math.grading import algebra
from rstar_math.grading.comparing import compare
from rstar_math.grading.formulas import Rules
from rstar_math.records import Verdict

#: Near one: 1 + 10^-77.
DEEP = r"\sqrt[9999999]{" * 11 + "2" + "}" * 11
#: What was accepted, by what went wrong; now it is wrong or unreadable.
ACCEPTED = {
    "blanks between numbers were removed before formulas were compared": r"""
2^35 | 2^3 5
3^25 | 3^2 5
10^12 | 10^1 2
x^12 | x^1 2
y = x^2 3 | y = x^23
(2^3 5, 1) | (2^35, 1)
53 | 5 3
12 | 1 2
10005 | 1 000 5
5^21 | 5^2 1
a^2 4 | a^24
\frac{2^1 0}{3} | \frac{2^10}{3}
3.1 4 | 3.14
x_1 2 | x_12
""",
    "a mixed pair of brackets, another symbol's condition and a time were overlooked": r"""
(1,2,3] | (1,2,3)
(1,2,3] | [1,2,3)
(a,b,c,d] | (a,b,c,d)
\{y : x > 2\} | (2,\infty)
\{a : x>0\} | x>0
\{t : s < 4\} | (-\infty,4)
12:05 | 12:5
3:04 | 3:4
""",
    "a comma before a nought parted members, and a decimal comma in braces did": r"""
0,05 | 0,5
1,05 | 1,5
(1,05) | (1,5)
\{1,05\} | \{1,5\}
[1,000) | [1,0)
1,000 | 1,0
(1,000,2,000) | (1,0,2,0)
1{,}5 | 1,5
(1{,}5, 2) | (1,5,2)
""",
    "commas and semicolons parted members of one tuple alike": r"""
(0,5;1) | (0,5,1)
(1,2;3) | (1;2;3)
(1,2;3,4) | (1;2;3;4)
1,2;3,4 | 1;2;3;4
1,,2 | 1,2
(5, 100,200) | (5; 100; 2,00)
""",
    "an equation that goes on behind an inequality was its name": r"""
x > 1 = y | x > 1
x > 1 | x > 1 = y
""",
    "the same sets of other symbols": r"""
x \in [1,2], y \in [3,4] | x \in [3,4], y \in [1,2]
x \in [1,2], y \in [3,4] | y \in [1,2], x \in [3,4]
x \in (1,2) | y \in (1,2)
x \in \{1,2\} | y \in \{1,2\}
""",
    "solutions joined by 'or', and values of two names, were thrown together": r"""
x=1, y=2 \text{ or } x=3, y=4 | x=1, y=4 \text{ or } x=3, y=2
x=1 \text{ and } y=2 \text{ or } x=3 \text{ and } y=4 | x=1, y=4 \text{ or } x=3, y=2
x=1, 3, y=2, 4 | x=1, 2, y=3, 4
1 \text{ and } 2, 3 \text{ and } 4 | 1 \text{ and } 3, 2 \text{ and } 4
1 \text{ and } 2 \text{ or } 3 \text{ and } 4 | 1, 2, 3, 4
""",
    "the least was the greatest, a numbered constant's square a binomial": r"""
x_{\max} = 5 | x_{\min} = 5
f_{\max}=1, f_{\min}=5 | f_{\min}=1, f_{\max}=5
C_1x+C_2^2 | C_1x+1
\frac{C_1^2+C_2^2}{2} | \frac{C_1^2+1}{2}
""",
    "a letter was taken for an article": r"""
C | \text{A,C}
D, F, G, H | \text{A, D, F, G, H}
A, B, E | \text{B,E}
\text{B and D} | \text{A, B, and D}
or B | \text{A or B}
only | \text{A only}
""",
    "what only counts or measures had no unit at all": r"""
34\% | 34\text{ sq. units}
34^\circ | 34\text{ sq. units}
34\text{ cubic units} | 34\text{ sq. units}
8^\circ | 8\text{ cubic units}
6\% | 6\text{ ways}
6\text{ m} | 6\text{ ways}
10\text{ rectangles} | 10\text{ squares}
10\text{ cm} | 10\text{ squares}
14\text{ squares} | 14\text{ right triangles}
""",
    "ratios of three were compared with their first numbers alone": r"""
0:0:0 | a:b:c
0:5:7 | 0:1:2
0:3:4 | 0:4:3
0:0:5 | 0:3:4
0:0:0 | a^2:b^2:c^2
""",
    "letters typed above or below the line stood on it": r"""
2ˣ | 2x
eˣ + C | ex + C
aₖ | ak
2ᵖ-1 | 2p-1
5ᶜᵐ | 5
(x+1)ᵃ | a(x+1)
""",
    "percents of roots and logarithms were no share": r"""
\frac{\pi}{6}\% | \frac{\pi}{6}
\ln 2 \% | \ln 2
\frac{\sqrt{3}}{4}\text{ percent} | \frac{\sqrt{3}}{4}
""",
    "products, numbers and words that deny were names": r"""
ax = 5 | 5
xx = 25 | 25
dy = 2x | 2x
lna = 5 | 5
mod(x) = 5 | 5
minusx = 5 | 5
\neg = 5 | 5
six = 5 | 5
\text{rejected root} = 5 | 5
\text{answer times two} = 5 | 5
\text{square of x} = 5 | 5
\text{one of six values} = 5 | 5
""",
    "what parts numbers, or hides one, was nothing": r"""
3\(4\) | 34
1\[\]2 | 12
-\(5\)\(0\) | -50
$1$ $234$ | 1234
3\textcolor{white}{4} | 34
5\phantom{or}6 | 56
""",
    "brackets among words did not count": r"""
\text{floor}(x-1) | \text{floor}(x)-1
\text{Vol}(a)-(b) | \text{Vol}(a-b)
""",
    "the letter of a choice went on to others, or was denied": r"""
A. b. c. d. e. | A
A. 5, B5 | A
A. is bad | A
(A) cannot be | A
(A) / (В) | A
""",
    "roots of roots have the size of one": rf"""
{DEEP} | 1
5 {DEEP} | 5
""",
    "zero had a power that may be zero, a distribution was a point": r"""
5 + 0^{x^2} | 5
N(0,1) | (0,1)
""",
}
ACCEPTED["an empty place between inequalities was passed over"] = r"""
x<0,,x>1 | x<0 \text{ or } x>1
x<0 \text{ or } x>1 | x<0,,x>1
1<x, , x<2 | 1<x<2
1<x;,x<2 | 1<x<2
"""
#: What was accepted or called wrong, and may be either.
DOUBTFUL = {
    "a constant or a whole number under another name was another value": r"""
y=x(C-\ln|x|) | y=-x \ln |x|+c x
y^2+x=C | y^{2}=-x+k
y = (A+B\ln x)x^2 | y=x^{2}(c_{1}+c_{2} \ln x)
x=\frac{\pi}{6}+n\pi | x=\frac{\pi}{6}+k\pi
""",
    "a sentence that begins with yes was a list": r"""
\text{Yes} | \text{Yes, this is a subspace.}
Yes, the series converges | Yes
\text{No, it is not.} | \text{no}
Yes, it is not. | Yes
Yes | Yes, when x is positive
Yes, it cannot | Yes
No solution exists | No
Yes, if n is even | Yes
Yes and no | Yes
Yes, 5 | Yes
Yes, B | Yes
Yes, it is | Yes, this is a subspace.
""",
    "days, places and what is said of them were other words": r"""
\text{Oct. 30} | \text{October 30}
\text{Feb 3} | \text{February 3rd}
\text{the first quadrant} | \text{Quadrant I}
\text{I} | \text{Quadrant I}
\text{equal} | \text{They are equal}
B | \text{Brand B}
""",
    "numbered constants, letters before letters, an exponent's E and a lost sign": r"""
Ae^x+Be^{-x} | C_1e^x+C_2e^{-x}
Cx^2 | Kx^2
1e2^3 | 1000000
x2^3 | x_2^3
\ln(x^2-5x+6) | \ln|x^2-5x+6|
x+y = 1 | 1
i+e = 5 | 5
x+x = 10 | 10
\begin{cases}x=1+t\\y=2-t\end{cases} | \begin{cases}x=1+s\\y=2-s\end{cases}
""",
    "a line over a formula was a symbol of its own": r"""
\overline{3+4i} | 3-4i
|\overline{3+4i}| | 5
""",
    "what holds of an answer was a wrong one, or the answer; sizes away from the points that are looked at": r"""
f(5) = 2 | 5
17 | m+n = 17
2m+n = 17 | 17
\bar{z} = 5 | 5
|x - 10^{60}| - 10^{60} + 2x | x
\ln||x-5|+|x-6|| | \ln|2x-11|
""",
    "a lone letter behind a value was taken for a unit": r"""
\frac{\sqrt{3}}{4} | \frac{\sqrt{3}}{4}\, s^2
6 | 6 s^2
6 s^2 | 6
2\,g | 2
2 | 2\,g
4 | 4 h
\frac{1}{2} | \frac{1}{2} m
\sqrt{2} | \sqrt{2} h
\frac{\pi}{3} h^3 | \frac{\pi}{3}
S = 4 s^2 | 4
9\,m^2 | 9
2\pi hr | 2\pi
2\pi\, s | 2\pi
5{m} | 5
5 left | 5
""",
    "letters in roman type were taken for units": r"""
2\mathrm{AB} | 2
3\text{ xy} | 3
\frac12\mathrm{ab} | \frac12
\frac{3}{2}\mathrm{kT} | \frac{3}{2}
2\mathrm{mv} | 2
2\mathrm{mv} | 2mv
5\text{pq} | 5
2\operatorname{Re} | 2
2\mathrm{mgh} | 2
5\mathrm{XYZ} | 5
""",
    "words that change a number were taken for things that are counted": r"""
3 sixteenths | 3
7 twentieths | 7
4 fortieths | 4
3 quintillion | 3
3 googol | 3
5 doubled | 5
5 halved | 5
5\text{ tripled} | 5
3\text{ reciprocal} | 3
5\text{ opposite} | 5
5 behind | 5
0.5\text{ per mille} | 0.5
11\text{ fourteenths} | 11
9 sextillion | 9
6 quadrupled | 6
6\text{ negated} | 6
8 beneath | 8
1 behind | 1
5 apple | 5
""",
    "the range of what an inequality, a curve or a set speaks of was thrown away": r"""
x>2, x \in \mathbb{Z} | x>2
-1 \le x < 4 | -1 \le x < 4, x \in \mathbb{Z}
1 \le n \le 5 | 1 \le n \le 5, n \in \mathbb{Z}
0<x<5 for integer x | 0<x<5
x < 5, x an integer | x < 5
y = x^2, x \in \mathbb{Z} | y=x^2
x^2+y^2=1, x\in\mathbb{Z} | x^2+y^2=1
\{n^2 : n \in \mathbb{Z}\} | n^2
x^2 = y, x \in \mathbb{Z} | y=x^2
|x|<3, x \in \mathbb{Z} | |x|<3
1 \le n \le 5 | \{1,2,3,4,5\}
""",
    "names with an index, of several letters or Greek ones came in any order": r"""
x_2=1, x_1=2 | (1,2)
b_2=1,b_1=3 | (1,3)
y'=1, x'=2 | (1,2)
\beta=1, \alpha=2 | (1,2)
CD=1, AB=2 | (1,2)
BC=5, AB=4 | (5,4)
CD=5, AB=4 | 5, 4
P(B)=0.3, P(A)=0.2 | (0.3,0.2)
\angle C=40, \angle B=60 | 40, 60
""",
    "an operation on a symbol was taken for its name": r"""
\overline{z} = 3+4i | 3+4i
|x| = 5 | 5
A^{-1} = 5 | 5
\text{not} = 3 | 3
\text{Re}(z) = 3 | 3
Im(z) = 3 | 3
\text{twice} = 6 | 6
5 = |x| | 5
""",
    "the letter of a choice was taken though the text denies it": r"""
(A) is wrong | A
(A) is incorrect | A
A: incorrect | A
(C) false | C
A) not this | A
(B) - no | B
(D) was eliminated | D
B) isn't right | B
""",
    "what people write in two ways was called wrong": r"""
x^2+c | x^2+C
\frac{x^2}{2}+K | \frac{x^2}{2}+C
\frac{x^3}{3} + C | \frac{x^3}{3}
\sin x + c_1 | \sin x + C
2V+t | 2v+t
5 dollars and 25 cents | 5.25
2 hours and 30 minutes | 2.5
3 pounds and 4 ounces | 3.25
20, 280 | 20,280
1, 100 | 1,100
0,5 | 0.5
A, B, D | ABD
A and C | AC
\ln 2 | \log 2
None | 0
0 | none
no solutions | 0
none | no solution
True | \text{Yes}
False | no
Sat | Saturday
first | 1
twice | 2
""",
    "of statements joined by 'or' all were taken to hold": r"""
x=1 \text{ or } y=2 | x=1 \text{ and } y=2
x=1 \text{ or } y=2 | x=1, y=2
x=1 \text{ or } y=2 | (1,2)
x=1 \text{ or } y=2 | (x,y) = (1,2)
(1,2) | x=1 \text{ or } y=2
x+y=1 \text{ or } x-y=2 | x+y=1, x-y=2
x \in [1,2] \text{ or } y \in [3,4] | x \in [1,2], y \in [3,4]
""",
    "names within a tuple, and units, came in any order": r"""
(y=1, x=2) | (1,2)
(1,2) | (y=1, x=2)
5, 3 | 3 apples, 5 oranges
5 oranges, 3 apples | 3, 5
2, 1 | 1\text{ m}, 2\text{ cm}
""",
    "of inequalities with a comma between them one says it all, or either": r"""
x>1, x>2 | x>2
x>2 | x>1, x>2
x>1, x>2 | x>1
""",
    "commas of both tuples were regrouped until they met": r"""
(5,100,200) | (5, 100,200)
""",
}
#: What has to stay right beside all that, and what was called wrong though it is right.
RIGHT = r"""
5 = x | 5
2x + 3 = y | 2x+3
(0,1) \cap (1,2) | \emptyset
\{x : x>2\} | \{y : y>2\}
5\text{ kW} | 5
5\text{ men} | 5
1 apple | 1
\frac{1}{2}\text{ pizza} | \frac{1}{2}
72 sq in | 72
25 degrees Celsius | 25
5\text{ dozen} | 5\text{ dozen}
2\mathrm{AB} | 2\mathrm{AB}
\text{length}=3, \text{width}=5 | (3,5)
\alpha=2, \beta=1 | (2,1)
x_9=4, x_{10}=5 | (4, 5)
-5, \frac{14}{3} | x = -5, p = \frac{14}{3}
5 m | 5\text{ m}
144{m}^3 | 144\text{ m}^3
6\,s | 6\text{ seconds}
n\pi | n\pi, n \in \mathbb{Z}
x \ne k\pi, k \in \mathbb{Z} | x \ne k\pi
x = 2k+1, k \in \mathbb{Z} | 2k+1
\overline{AB} = 5 | 5
5 | |x| = 5
(C) the slope is 2 | C
2^{10} 3 | 2^{10}3
2 x | 2x
(1,000,2,000) | (1000, 2000)
1,000; 2,000 | 1000, 2000
(1{,}000, 2) | (1000, 2)
y = x \text{ or } y = -x | y = x, y = -x
x = 1 \text{ and } x = 2 | x = 1 \text{ or } x = 2
(x=1, y=2) | (1,2)
x \in [1,2], y \in [3,4] | [1,2], [3,4]
x \in \{1,2\} | x = 1 \text{ or } x = 2
3, 5 | 3 apples, 5 oranges
3 cm, 5 cm | 5, 3
x \ne \pm 2 | (-\infty,-2) \cup (-2,2) \cup (2,\infty)
x \ne \pm 2, 3 | x \ne 3, x \ne -2, x \ne 2
x=1, y=2 \text{ or } x=3, y=4 | (1,2), (3,4)
x=1, y=2 \text{ or } x=3, y=4 | x=3, y=4; x=1, y=2
x=1, 3, y=2, 4 | y=4, 2, x=3, 1
r=5, h=8, h/r=1.6 | r=5, h=8, h/r=1.6
1 \text{ and } 2 \text{ and } 3 | 1, 2, \text{ and } 3
\sqrt[3]{-8} | -2
C, A | \text{A,C}
A, D, F, G and H | \text{A, D, F, G, H}
A, B, D | \text{A, B, and D}
a triangle | \text{triangle}
10 | 10\text{ squares}
6\text{ arrangements} | 6\text{ ways}
34\text{ cm}^2 | 34\text{ square units}
2:4:6 | 1:2:3
\sqrt{3}:3:2\sqrt{3} | 1:\sqrt{3}:2
2ˣ | 2^x
2ⁿ·3ᵐ | 2^n 3^m
x^{2ᵏ} | x^{2^k}
aₖ | a_k
90º | 90^\circ
x ⩾ 3 | x \ge 3
∛27 | 3
3∶4 | 3:4
25\% | 25
cost = 5 | 5
\text{total cost of the apples} = 5 | 5
f(3) = 10 | 10
|AB| = 5 | 5
m+n = 17 | 17
m = n(n-1)-1 | m_{\max }=n^{2}-n-1
(0,\frac85) | \bar{x}=0, \bar{y}=8/5
\frac{dy}{dx} = 2x | 2x
\phantom{-}5 | 5
(A) 3/4 | A
(A) 2(a+b) | A
B: \text{all real numbers} | B
5:00 a.m. | 5am
14:15 | 2: 15 PM
n2^n-2^{n+1}+1 | (n-2) 2^{n}+1
\binom{10}{7}2^7 | \binom{10}{3}\cdot 2^7
\frac{3}{2}2^n | 3\cdot 2^{n-1}
C_{5}^{2} | 10
\frac12\ln(x^2) | \ln|x|
\frac13\ln|\frac{t}{t+3}|+C | \frac{\ln |t|}{3}-\frac{\ln |t+3|}{3}+C
\frac{\lg 3}{\lg 2} | \frac{\ln 3}{\ln 2}
(0,1]\cup(\frac\pi4,2] | (0,1]\cup(\frac{\pi}{4},2]
x=\frac{\pi}{6}+n\pi, n\in\mathbb Z | x=\frac{\pi}{6}+k\pi
\begin{cases}x=3\\y=-2\end{cases} | (3,-2)
\left\{\begin{array}{l}x=3\\y=-2\end{array}\right. | x=3, y=-2
"""


def verdicts(table: str) -> dict[str, Verdict]:
    formulas = algebra.Algebra(Rules())
    rows = [line.rpartition(" | ") for line in table.strip("\n").split("\n")]
    return {f"{said} | {meant}": compare(said, meant, formulas).verdict for said, _, meant in rows}


@pytest.mark.parametrize("table", ACCEPTED.values(), ids=ACCEPTED)
def test_no_longer_accepted(table: str) -> None:
    assert [pair for pair, verdict in verdicts(table).items() if verdict is Verdict.CORRECT] == []


@pytest.mark.parametrize("table", DOUBTFUL.values(), ids=DOUBTFUL)
def test_neither_right_nor_an_example_of_a_wrong_answer(table: str) -> None:
    found = verdicts(table)
    doubted = (Verdict.UNREADABLE, Verdict.GOLD_UNREADABLE)
    assert {pair: verdict for pair, verdict in found.items() if verdict not in doubted} == {}


def test_still_right_beside_what_is_doubted() -> None:
    assert {pair: verdict for pair, verdict in verdicts(RIGHT).items() if verdict is not Verdict.CORRECT} == {}
