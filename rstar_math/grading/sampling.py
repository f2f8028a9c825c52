r"""Do two formulas have the same values?

Our own reading (`grammar`), valued at several points to as many digits as it takes. A difference it finds is certain; that
there is none is one witness's word (`algebra` asks for two).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rstar_math.grading import grammar, notations, trees, values
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.formulas import half_unit

#: Points where all symbols are positive: near one, far from zero, near it and farther; points where some are negative; and
#: where all are, far from zero and near it, for |x + 9| is x + 9 near one, and a root of 1 - x^2 has no value beyond.
_POSITIVE, _SIGNED, _BELOW = (1, 3, 4, 5), (2, 8, 14, 20), (9, 11, 10)
#: More points far from zero, for what comes back again and again: cos(x/2) is the root of its square in half of all places.
_FAR = (15, 21, 27, 33, 39, 45)
_PERIODIC = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
#: What follows one law here and another, or none, there; so does a power that is no whole number.
_BENT = frozenset(("abs", "root", "ln", "log", "lg", *(f"arc{name}" for name in _PERIODIC), *_PERIODIC))
#: Two values are the same if they agree to all their digits but so many, which rounding may take.
_ROUNDING = 30
#: Digits that a solution of an equation is looked for with.
_ROOT_DIGITS = 30

#: True: the same. False: they differ. None: this witness cannot tell.
Testimony = bool | None


@lru_cache(maxsize=512)
def tree(text: str) -> trees.Node | None:
    """What our own reader makes of a formula; None if it leaves it unread."""
    number = notations.number(text)
    if number is not None:
        return trees.Node("number", value=number)
    try:
        return grammar.parse(text)
    except Unreadable:
        return None


def symbols(text: str) -> set[str] | None:
    """The symbols of a formula; None if it cannot be read."""
    read = tree(text)
    return None if read is None else values.symbols_of(read)


def same(said: str, meant: str) -> Testimony:
    """Whether the values agree wherever both have one.

    Raises:
        TooLarge: it would take long.
    """
    one, other = tree(said), tree(meant)
    if one is None or other is None:
        return None
    names = values.symbols_of(one) | values.symbols_of(other)
    points = _points(names, one, other)
    agreed = 0
    for found in _pairs(one, other, points):
        if not alike(*found):
            if names and _speaks_of_whole_numbers(one, other) and _alike_at_whole_numbers(one, other):
                raise Unreadable("the same for whole numbers, and not for others")
            return False
        agreed += 1
    return True if agreed >= min(2, len(points)) else None


def _pairs(one: trees.Node, other: trees.Node, points: Sequence[values.Point]) -> Iterator[_Pair]:
    """Both values wherever both have one.

    Raises:
        TooLarge: it would take long, even at the first point.
    """
    for point in points:
        try:
            found = _pair_at(one, other, point)
        except values.TooLarge:
            if point is points[0]:
                raise
            continue  # far from zero much is large
        if found is not None:
            yield found


def _speaks_of_whole_numbers(*nodes: trees.Node) -> bool:
    """Whether a formula has a part that is written for whole numbers: a rounding, a negative number's power, half turns."""
    for node in nodes:
        if node.op in ("floor", "ceiling") and values.symbols_of(node):
            return True
        if node.op == "power" and values.symbols_of(node.parts[1]) and _is_negative(node.parts[0]):
            return True
        if node.op in ("sin", "cos", "tan") and values.symbols_of(node) and _holds_pi(node):
            return True
        if _speaks_of_whole_numbers(*node.parts):
            return True
    return False


def _is_negative(node: trees.Node) -> bool:
    value = None if values.symbols_of(node) else values.exact(node)
    return value is not None and value < 0


def _holds_pi(node: trees.Node) -> bool:
    return node.value == "pi" or any(map(_holds_pi, node.parts))


def _alike_at_whole_numbers(one: trees.Node, other: trees.Node) -> bool:
    found = list(_pairs(one, other, [values.Point(number, whole=True) for number in _POSITIVE[:3]]))
    return len(found) > 1 and all(alike(*pair) for pair in found)


def _points(names: set[str], *formulas: trees.Node) -> list[values.Point]:
    """Where to value formulas of these symbols; every symbol is below zero somewhere, and any two of the first three of
    different signs."""
    if not names:
        return [values.Point(_POSITIVE[0])]
    masks = [{name for at, name in enumerate(sorted(names)) if mask >> at % 3 & 1} for mask in (7, 1, 2, 4)]
    signed = [values.Point(number, frozenset(mask)) for number, mask in zip(_SIGNED, masks, strict=True) if mask]
    below = _BELOW if any(_is_bent(formula, _BENT) for formula in formulas) else ()
    far = _FAR if any(_is_bent(formula, _PERIODIC) for formula in formulas) else ()
    negative = frozenset(names)
    return [
        *map(values.Point, _POSITIVE),
        *signed,
        *(values.Point(at, negative) for at in below),
        *map(values.Point, far),
    ]


def _is_bent(node: trees.Node, bent: frozenset[str]) -> bool:
    """Whether a formula has one of these operations on a symbol, or a power of `bent` ones that is no whole number."""
    if node.op == "power" and bent is _BENT and node.parts[1].op != "number":
        return True
    return (node.op in bent and bool(values.symbols_of(node))) or any(_is_bent(part, bent) for part in node.parts)


def proportional(said: tuple[str, str], meant: tuple[str, str], *, positive: bool) -> Testimony:
    """Whether the differences of the sides have the same quotient at three points, one greater than 0 with `positive`."""
    one, other = _difference(said), _difference(meant)
    if one is None or other is None:
        return None
    if values.symbols_of(one) != values.symbols_of(other):
        return False
    points = _points(values.symbols_of(one), one, other)
    bent = _is_bent(one, _BENT) or _is_bent(other, _BENT)
    if bent and any(_is_defined(one, point) != _is_defined(other, point) for point in points if point.negative):
        raise Unreadable("an equation that says nothing where the other one does")
    pairs = _pairs(one, other, points)
    ratios = [
        (pair.one / pair.other, pair.margin) for pair in pairs if min(abs(pair.one), abs(pair.other)) > pair.margin
    ]
    if len(ratios) < 2:
        return None
    if positive and not (ratios[0][0].imag == 0 and ratios[0][0].real > 0):
        return False
    return all(alike(ratio / ratios[0][0], 1, max(margin, ratios[0][1])) for ratio, margin in ratios)


def _is_defined(formula: trees.Node, point: values.Point) -> bool:
    """Whether it has a value there, or one that would take long."""
    try:
        point.at(formula)
    except values.Undefined:
        return False
    except values.TooLarge:
        return True
    return True


def share_a_solution(said: tuple[str, str], meant: tuple[str, str]) -> bool:
    """Whether what solves the first of two equations solves the second too, at a place where it was looked for: `xy = 1` and
    `y = 1/x` differ by a factor that is not the same everywhere."""
    one, other = _difference(said), _difference(meant)
    if one is None or other is None:
        return False
    point = values.Point(_POSITIVE[0], digits=_ROOT_DIGITS)
    for name in sorted(values.symbols_of(one) & values.symbols_of(other)):
        try:
            root = point.mp.findroot(
                lambda value, name=name: point.placed(name, value).at(one),
                (point.symbol(name), point.symbol(name) * 2),
                solver="secant",
            )
            left = abs(point.placed(name, root).at(other))
        except (ValueError, ZeroDivisionError, Unreadable):  # none was found, or no value lies there
            continue
        return bool(left < point.mp.mpf(10) ** (-_ROOT_DIGITS // 2))
    return False


class _Pair(NamedTuple):
    """Two values at one point, and how far apart they may lie for being the same."""

    one: Any
    other: Any
    margin: Any


def _pair_at(said: trees.Node, meant: trees.Node, point: values.Point) -> _Pair | None:
    """Both values, to as many digits as it takes; None if one of them has none here."""
    try:
        pair = point.at(said), point.at(meant)
        if finer := point.finer():
            point = finer
            pair = point.at(said), point.at(meant)
    except values.Undefined:
        return None
    return _Pair(*pair, point.mp.mpf(10) ** (_ROUNDING + point.spread - point.digits))


def alike(one: Any, other: Any, margin: Any) -> bool:
    """Whether two values agree, or are both zero but for what rounding left."""
    return bool(abs(one - other) <= max(abs(one), abs(other), 1) * margin)


def _difference(sides: tuple[str, str]) -> trees.Node | None:
    left, right = tree(sides[0]), tree(sides[1])
    if left is None or right is None:
        return None
    return trees.Node("add", (left, trees.Node("multiply", (trees.MINUS_ONE, right))))


def real(text: str) -> Any:
    """The value of a formula of numbers.

    Raises:
        Unreadable: it has none, or it is not real.
    """
    read = tree(text)
    if read is None or values.symbols_of(read):
        raise Unreadable("no number")
    value = values.Point(0).at(read)
    if value.imag != 0:
        raise Unreadable("no real number")
    return value.real


def rounded(decimal: str, formula: str) -> bool:
    """Whether a decimal is the value of a formula of numbers, rounded to its own last digit."""
    said = notations.number(decimal)
    if said is None:
        raise Unreadable("no decimal stands where a rounded value is expected")
    value = real(formula)
    half = half_unit(decimal)
    apart = abs(value - value.context.mpf(said.numerator) / said.denominator)
    return bool(apart * half.denominator <= half.numerator)


def places_alike(one: Any, other: Any) -> bool:
    """Whether two boundaries are the same number."""
    return bool(one == other or alike(one, other, values.Point(0).mp.mpf(10) ** (_ROUNDING - values.DIGITS)))
