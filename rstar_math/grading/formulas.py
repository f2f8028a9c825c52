r"""Are two formulas the same, as far as exact arithmetic can tell?

What `comparing` asks of formulas, and the half of the answers that needs no computer algebra: fractions, equal texts,
boundaries that are fractions. `algebra` gives the rest, in a process that may be killed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol

from rstar_math.grading import grammar, guards, notations, trees, values
from rstar_math.grading.failures import NeedsAlgebra, Unreadable
from rstar_math.grading.reals import Line, Place
from rstar_math.grading.signs import squeezed

#: f(2), which is a value though nobody knows the function.
_APPLIED = re.compile(r"\s*[A-Za-z]\s*\(\s*-?\w+\s*\)\s*")


class Rules(NamedTuple):
    """What may differ: a decimal with at least so many digits may round the exact value (0: never), and how far a number
    may lie from the ground truth: relative to it, and, as the problem's own source says, in its unit."""

    rounded_digits: int = 0
    tolerance: float = 0.0
    own_tolerance: float = 0.0

    def most(self, meant: str) -> Fraction:
        """How far from `meant`, if that is a number as it stands, another may lie by the problem's own word. What has been
        converted, to a share or to radians, is none, for the word counts in the unit of the ground truth."""
        if not self.own_tolerance or notations.number(meant) is None:
            return Fraction(0)
        return Fraction(str(self.own_tolerance))


class Formulas(Protocol):
    """Who compares the formulas of two answers. All raise `Unreadable` where a formula has no reading."""

    def same(self, said: str, meant: str) -> bool:
        """Whether two formulas have the same value, wherever they have one."""
        ...

    def proportional(self, said: tuple[str, str], meant: tuple[str, str], *, positive: bool = False) -> bool:
        """Whether the sides of one equation differ by a fixed multiple (`positive`: of an inequality, by more than none) of
        what the other's differ by."""
        ...

    def rounds(self, decimal: str, formula: str) -> bool:
        """Whether a decimal is the value of a formula, rounded to its own last digit."""
        ...

    def lines(self) -> Sequence[Line]:
        """Who places boundaries; two sets are the same if all say so."""
        ...


class Exact:
    """Compares what exact arithmetic decides; `NeedsAlgebra` is raised for all else."""

    def __init__(self, rules: Rules = Rules()) -> None:  # noqa: B008 - a tuple of two numbers
        self._rules = rules

    def same(self, said: str, meant: str) -> bool:
        """See `Formulas`. Equal texts have equal values if they have one at all; a difference needs no second reader."""
        if squeezed(said) == squeezed(meant) and has_reading(said):
            return True
        numbers = (fraction(said), fraction(meant))
        if numbers[0] is not None and numbers[1] is not None:
            alike = allowed(numbers[0], numbers[1], (said, meant), self._rules)
            if not alike or (read_twice(said) and read_twice(meant)):
                return alike
        for text in (said, meant):
            guards.check(text, guards.ALGEBRA)
        raise NeedsAlgebra

    def proportional(self, said: tuple[str, str], meant: tuple[str, str], *, positive: bool = False) -> bool:  # noqa: ARG002
        """See `Formulas`. The same sides are so in both senses."""
        equal = all(squeezed(one) == squeezed(other) for one, other in zip(said, meant, strict=True))
        if equal and all(_APPLIED.fullmatch(side) or has_reading(side) for side in said):
            return True
        for text in (*said, *meant):
            guards.check(text, guards.ALGEBRA)
        raise NeedsAlgebra

    def rounds(self, decimal: str, formula: str) -> bool:
        """See `Formulas`."""
        value = fraction(formula)
        if value is None:
            guards.check(formula, guards.ALGEBRA)
            raise NeedsAlgebra
        return rounded(decimal, value)

    def lines(self) -> Sequence[Line]:
        """See `Formulas`."""
        return (_ExactLine(),)


class _ExactLine:
    """Places boundaries that are plain numbers, and quotients of them, beside a bare symbol."""

    def linear(self, text: str) -> tuple[str, Place, Place]:
        """See `Line`."""
        value = fraction(text)
        if value is not None and read_twice(text):
            return "", Fraction(0), value
        guards.check(text, guards.ALGEBRA)
        try:
            tree = grammar.parse(text)
        except Unreadable:
            raise NeedsAlgebra from None
        if tree.op != "symbol":
            raise NeedsAlgebra
        return linear_form(tree)

    def alike(self, one: Place, other: Place) -> bool:
        """See `Line`."""
        return bool(one == other)


def linear_form(tree: trees.Node) -> tuple[str, Fraction, Fraction]:
    """The one symbol of a linear formula of fractions, its factor and the rest.

    Raises:
        NeedsAlgebra: there is more in it than fractions and one symbol.
        Unreadable: it is not linear.
    """
    symbols = values.symbols_of(tree)
    if len(symbols) > 1:
        raise Unreadable("more than one symbol")
    name = next(iter(symbols), "")
    found = [values.exact(tree, {name: Fraction(place)}) for place in (0, 1)]
    tests = [Fraction(137, 101), Fraction(-61, 47), Fraction(10_007, 3), Fraction(-2_003, 7)]
    tried = [values.exact(tree, {name: place}) for place in tests]
    if found[0] is None or found[1] is None or None in tried:
        raise NeedsAlgebra
    factor = found[1] - found[0]
    if any(value != factor * place + found[0] for place, value in zip(tests, tried, strict=True)):
        raise Unreadable("an inequality that is not linear")
    return (name if factor else ""), factor, found[0]


def fraction(text: str) -> Fraction | None:
    """The exact value of a number or of a formula of numbers; None of all else.

    Raises:
        Unreadable: it is undefined, or has too many digits.
    """
    value = notations.number(text)
    if value is not None:
        return value
    try:
        tree = grammar.parse(text)
    except Unreadable:
        return None
    return values.exact(tree)


def same_fraction(said: str, meant: str) -> bool | None:
    """Whether two formulas of numbers have the same exact value; None where one is no fraction.

    Raises:
        Unreadable: one is undefined, or has too many digits.
    """
    values_of = fraction(said), fraction(meant)
    return None if None in values_of else values_of[0] == values_of[1]


def read_twice(text: str) -> bool:
    """Whether the exact value of a number stands in its spelling too, where no grammar is needed to see it.

    Raises:
        Unreadable: spelling and grammar see different ones.
    """
    if notations.number(text) is not None:
        return True
    spelt = notations.quotient(text)
    if spelt is not None and spelt != fraction(text):
        raise Unreadable("two ways of reading it disagree")
    return spelt is not None


def has_reading(text: str) -> bool:
    """Whether a formula can be read and nothing in it is undefined; its value may be too large to compute.

    Raises:
        Undefined: there is a division by zero in it.
    """
    try:
        values.exact(grammar.parse(text))
    except values.TooLarge:
        return True
    except values.Undefined:
        raise
    except Unreadable:
        return False
    return True


def allowed(said: Fraction, meant: Fraction, texts: tuple[str, str], rules: Rules) -> bool:
    """Whether two exact values are the same, or differ by no more than the rules allow."""
    if said == meant or not any(rules):
        return said == meant
    if abs(said - meant) <= max(Fraction(rules.tolerance) * abs(meant), rules.most(texts[1])):
        return True
    decimal, other = texts
    return may_round(decimal, other, rules) and rounded(decimal, meant)


def may_round(decimal: str, meant: str, rules: Rules) -> bool:
    """Whether the first text is a decimal with enough digits to stand for the second, which is none itself."""
    if not rules.rounded_digits or notations.number(meant) is not None:
        return False
    return "." in decimal and notations.number(decimal) is not None and significant(decimal) >= rules.rounded_digits


def significant(decimal: str) -> int:
    """How many digits of a decimal count: all but the zeros before the first other digit."""
    return len("".join(filter(str.isdigit, decimal)).lstrip("0"))


def rounded(decimal: str, value: Fraction) -> bool:
    """Whether a decimal is `value`, rounded to the decimal's own last digit."""
    said = notations.number(decimal)
    if said is None:
        raise Unreadable("no decimal stands where a rounded value is expected")
    return abs(said - value) <= half_unit(decimal)


def half_unit(decimal: str) -> Fraction:
    """How far a value may lie from the decimal that rounds it: half a unit of the last digit."""
    return Fraction(1, 2 * 10 ** len(decimal.partition(".")[2].strip()))
