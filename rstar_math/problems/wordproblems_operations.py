"""What can happen to a quantity?

The operations of the word problems: how each is computed and written as code, which numbers fit it, which wordings tell of
it. Integers stay integers; decimals are multiples of a quarter, so binary floats hold them exactly and print clean. This
module tells no story.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import gcd
from typing import NamedTuple

from rstar_math.problems import wordproblems_lexicon as lexicon

Number = int | float
Draw = Callable[[random.Random, Number], "str | None"]
MAX_QUANTITY = 999


class Line(NamedTuple):
    """One computing step: its comment, and its assignment with `{x}` for the quantity so far, `{n}` for the number
    (`{a}` and `{b}`: a fraction's two)."""

    comment: str
    code: str


class Operation(NamedTuple):
    """One kind of event.

    wordings: one list of phrases a sentence; `draw` picks a number that fits the quantity, as text (None: none fits);
    `apply` computes the new quantity. `decimals`: also holds for decimal quantities. `closes`: it is a question.
    """

    lines: tuple[Line, ...]
    wordings: tuple[tuple[str, ...], ...]
    weight: float
    draw: Draw
    apply: Callable[[Number, str], Number]
    decimals: bool = False
    closes: bool = False


def number(written: str) -> Number:
    """The value of a number as the question writes it."""
    return float(written) if "." in written else int(written)


def _amount(random_: random.Random, quantity: Number, limit: Number) -> str | None:
    """A number to add or take away, of the quantity's own sort, from 2 up to `limit`."""
    top = min(99, int(limit))
    if top < 3:
        return None
    whole = random_.randint(2, top)
    return str(whole) if isinstance(quantity, int) else str(whole - random_.choice((0.25, 0.5, 0.75)))


def _one_of(random_: random.Random, fitting: list[str]) -> str | None:
    return random_.choice(fitting) if fitting else None


def _add(random_: random.Random, quantity: Number) -> str | None:
    return _amount(random_, quantity, MAX_QUANTITY - quantity)


def _subtract(random_: random.Random, quantity: Number) -> str | None:
    return _amount(random_, quantity, quantity - 2)


def _multiply(random_: random.Random, quantity: Number) -> str | None:
    return _one_of(random_, [str(n) for n in range(2, 13) if quantity * n <= MAX_QUANTITY])


def _divide(random_: random.Random, quantity: Number) -> str | None:
    return _one_of(random_, [str(n) for n in range(2, 16) if quantity % n == 0 and quantity > n])


def _percent(random_: random.Random, quantity: Number) -> str | None:
    return _one_of(random_, [str(n) for n in range(5, 100, 5) if quantity * n % 100 == 0])


def _part(random_: random.Random, quantity: Number) -> str | None:
    parts = [(a, b) for b in range(3, 9) for a in range(1, b) if quantity % b == 0 and quantity > b and gcd(a, b) == 1]
    return _one_of(random_, [f"{a}/{b}" for a, b in parts])


def _fold(factor: int) -> Draw:
    return lambda _, quantity: str(factor) if quantity * factor <= MAX_QUANTITY else None


def _half(_: random.Random, quantity: Number) -> str | None:
    return "2" if quantity % 2 == 0 and quantity > 2 else None


def _goal(random_: random.Random, quantity: Number) -> str | None:
    return str(random_.randint(int(quantity) + 2, int(quantity) + 90))


def _share(quantity: Number, part: str) -> Number:
    above, below = part.split("/")
    return quantity * int(above) // int(below)


def _single(comment: str, code: str) -> tuple[Line, ...]:
    return (Line(comment, code),)


def _compared(comment: str, sign: str, check: str = "") -> tuple[Line, ...]:
    return (Line(comment, f"y = {{x}} {sign} {{n}}{check}"), Line("# both together", "x = {x} + y"))


# A careful pupil's code checks what must hold: a division comes out even, what is left is more than nothing. So a program
# that misread the story often stops, there or some steps later; a search sees that and turns back, a single draft cannot.
_EVEN = "\nassert not rest"
_LEFT = "\nassert x > 0"
#: a/b of the quantity, and n percent of it.
_PART, _PERCENT = f"divmod({{x}} * {{a}}, {{b}}){_EVEN}", f"divmod({{x}} * {{n}}, 100){_EVEN}"
HALF = f"x, rest = divmod({{x}}, 2){_EVEN}"
OPERATIONS: tuple[Operation, ...] = (
    Operation(_single("# more", "x = {x} + {n}"), (lexicon.ADD,), 28, _add, lambda x, n: x + number(n), decimals=True),
    Operation(
        _single("# fewer", f"x = {{x}} - {{n}}{_LEFT}"), (lexicon.SUB,), 28, _subtract, lambda x, n: x - number(n),
        decimals=True,
    ),
    Operation(
        _single("# times", "x = {x} * {n}"), (lexicon.MULTIPLY,), 9, _multiply, lambda x, n: x * int(n), decimals=True
    ),
    Operation(
        _single("# equal parts", f"x, rest = divmod({{x}}, {{n}}){_EVEN}"), (lexicon.DIVIDE,), 9, _divide,
        lambda x, n: x // int(n),
    ),
    Operation(
        _single("# percent up", f"part, rest = {_PERCENT}\nx = {{x}} + part"), (lexicon.GROW,), 4, _percent,
        lambda x, n: x + x * int(n) // 100,
    ),
    Operation(
        _single("# percent down", f"part, rest = {_PERCENT}\nx = {{x}} - part"), (lexicon.SHRINK,), 4, _percent,
        lambda x, n: x - x * int(n) // 100,
    ),
    Operation(
        _single("# part lost", f"part, rest = {_PART}\nx = {{x}} - part"), (lexicon.LOSE_PART,), 4, _part,
        lambda x, n: x - _share(x, n),
    ),
    Operation(_single("# part kept", f"x, rest = {_PART}"), (lexicon.KEEP_PART,), 4, _part, _share),
    Operation(_single("# double", "x = {x} * 2"), (lexicon.DOUBLE,), 2, _fold(2), lambda x, _: x * 2),
    Operation(_single("# triple", "x = {x} * 3"), (lexicon.TRIPLE,), 2, _fold(3), lambda x, _: x * 3),
    Operation(_single("# half", HALF), (lexicon.HALVE,), 2, _half, lambda x, _: x // 2),
    Operation(
        _compared("# the other has more", "+"), (lexicon.MORE_THAN, lexicon.TOGETHER), 4, _add,
        lambda x, n: 2 * x + number(n), decimals=True,
    ),
    Operation(
        _compared("# the other has less", "-", "\nassert y > 0"), (lexicon.LESS_THAN, lexicon.TOGETHER), 4, _subtract,
        lambda x, n: 2 * x - number(n), decimals=True,
    ),
    Operation(
        _compared("# the other has times as many", "*"), (lexicon.TIMES_AS_MANY, lexicon.TOGETHER), 2, _multiply,
        lambda x, n: x + x * int(n), decimals=True,
    ),
    Operation(
        _single("# missing", f"x = {{n}} - {{x}}{_LEFT}"), (lexicon.REACH,), 6, _goal, lambda x, n: number(n) - x,
        decimals=True, closes=True,
    ),
)  # fmt: skip
