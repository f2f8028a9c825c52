r"""Are two formulas the same to sympy?

math-verify's reading (`latex`), valued at points of its own, compared by math-verify itself, and, for what its parser does
not know, our own reading simplified. A No is certain from values alone: what cannot be proved may be true all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy
from math_verify import verify

from rstar_math.grading import sampling, trees
from rstar_math.grading.latex import expression
from rstar_math.grading.sampling import Testimony

_DIGITS = 40
_AGREED, _TINY = sympy.Float("1e-25", _DIGITS), sympy.Float("1e-30", _DIGITS)
#: Values of the symbols: unlikely to be special, in no simple relation, the last ones with both signs.
_SYMBOLS = (
    (sympy.Rational(137, 101), sympy.Rational(29, 43), sympy.Rational(311, 173), sympy.Rational(83, 97)),
    (sympy.Rational(53, 71), sympy.Rational(223, 89), sympy.Rational(41, 37), sympy.Rational(191, 67)),
    (sympy.Rational(-61, 47), sympy.Rational(179, 131), sympy.Rational(-23, 31), sympy.Rational(-109, 83)),
)
#: How far from zero, and on which side, sizes are looked at.
_SCALES = (1, -1, 10, -10)
#: Functions that follow one law here and another there, so that points tell little.
_STITCHED = (sympy.floor, sympy.ceiling, sympy.Abs, sympy.Max, sympy.Min, sympy.sign, sympy.Mod, sympy.Piecewise)
_CONSTANTS = {"e": sympy.E, "pi": sympy.pi, "i": sympy.I, "\\imath": sympy.I}
_BUILDERS: dict[str, Callable[..., Any]] = {
    "add": sympy.Add,
    "multiply": sympy.Mul,
    "divide": lambda above, below: above / below,
    "power": sympy.Pow,
    "root": lambda value, degree: sympy.Pow(value, 1 / degree),
    "factorial": sympy.factorial,
    "binomial": sympy.binomial,
    "abs": sympy.Abs,
    "exp": sympy.exp,
    "ln": sympy.log,
    **{name: getattr(sympy, name) for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")},
}


def same(said: str, meant: str) -> Testimony:
    """Whether math-verify's readings are equal as they stand, or in value at three points. Points are not asked where our own
    reading has no values, which are of more digits, nor about functions that are stitched together."""
    left, right = expression(said), expression(meant)
    if left is None or right is None:
        return None
    if left == right:
        return True
    stitched = any(part.free_symbols for side in (left, right) for part in side.atoms(*_STITCHED))
    if stitched or sampling.tree(said) is None or sampling.tree(meant) is None:
        if sympy.simplify(left.doit() - right.doit()) == 0:
            return True
        return _alike_on_both_sides(left, right) if stitched else None
    points = _points(left, right)
    agreed = 0
    for point in points:
        if len(points) > 1 and point is points[-1] and not (_stays_real(left, point) and _stays_real(right, point)):
            continue
        one, other = value_at(left, point), value_at(right, point)
        if one is None or other is None:
            continue
        if not alike(one, other):
            return None if max(abs(one), abs(other)) < _TINY else False
        agreed += 1
    return True if agreed >= min(2, len(points)) else None


def _alike_on_both_sides(left: Any, right: Any) -> Testimony:
    """Whether expressions in which nothing is stitched together but logarithms of sizes have the same values near zero and
    far from it, above and below. Sympy proves little about these; they follow one law on all sides of their zeros, if
    every logarithm is of a size, or of a square."""
    bare = [side.replace(_is_of_size, lambda _: sympy.Symbol("logarithm")) for side in (left, right)]
    if any(part.free_symbols for side in bare for part in side.atoms(*_STITCHED, sympy.log)):
        return None
    points = [
        {symbol: value * scale for symbol, value in point.items()}
        for point in _points(left, right)
        for scale in _SCALES
    ]
    values = [(value_at(left, point), value_at(right, point)) for point in points]
    found = [(one, other) for one, other in values if one is not None and other is not None]
    return True if 2 * len(found) > len(points) and all(alike(*pair) for pair in found) else None


def _is_of_size(part: Any) -> bool:
    """Whether it is the logarithm of a size or of an even power."""
    if part.func is not sympy.log:
        return False
    inner = part.args[0]
    even = inner.is_Pow and inner.exp.is_even
    return (even or inner.func is sympy.Abs) and not inner.args[0].atoms(*_STITCHED)


def verified(said: str, meant: str) -> Testimony:
    """math-verify's own comparison; what its parser does not know, simplified in our own reading."""
    left, right = expression(said), expression(meant)
    if left is None or right is None:
        return _proved(said, meant)
    return True if verify(right, left, timeout_seconds=None, raise_on_error=False) else None


def proportional(said: tuple[str, str], meant: tuple[str, str], *, positive: bool) -> Testimony:
    """Whether the differences of the sides have the same quotient at all points, one greater than 0 with `positive`."""
    sides = [expression(side) for side in (*said, *meant)]
    if any(side is None for side in sides):
        return None
    differences = sides[0] - sides[1], sides[2] - sides[3]
    ratios: list[Any] = []
    for point in _points(*differences):
        if ratios[1:] and not all(_stays_real(difference, point) for difference in differences):
            continue
        found = [value_at(difference, point) for difference in differences]
        if None not in found and 0 not in found:
            ratios.append(found[0] / found[1])
    if len(ratios) < 2 or (positive and not ratios[0].is_positive):
        return None
    return all(alike(ratios[0], ratio) for ratio in ratios[1:])


def near(said: str, meant: str, bound: Fraction) -> bool:
    """Whether the values of two formulas of numbers lie no further apart than `bound`."""
    left, right = expression(said), expression(meant)
    if left is None or right is None:
        return False
    apart = value_at(left - right, {})
    return apart is not None and bool(abs(apart) <= sympy.Rational(bound.numerator, bound.denominator))


def alike(one: Any, other: Any) -> bool:
    """Whether two values agree to 25 digits."""
    return bool(abs(one - other) <= _AGREED * max(abs(one), abs(other)))


def value_at(one: Any, point: dict[Any, Any]) -> Any:
    """The number that an expression is at a point; None if it is none there."""
    value = one.subs(point).evalf(_DIGITS)
    return value if value.is_number and value.is_finite else None


def _points(*expressions: Any) -> list[dict[Any, Any]]:
    """Values for the symbols of all expressions; one empty point if there are none."""
    symbols = sorted(set().union(*(one.free_symbols for one in expressions)), key=str)
    if not symbols:
        return [{}]
    return [{symbol: row[index % 4] + index // 4 for index, symbol in enumerate(symbols)} for row in _SYMBOLS]


def _stays_real(one: Any, point: dict[Any, Any]) -> bool:
    """Whether no root or logarithm of a negative number is taken at a point, beyond which the usual laws do not hold."""
    inner = [power.base for power in one.atoms(sympy.Pow) if not power.exp.is_integer]
    inner += [logarithm.args[0] for logarithm in one.atoms(sympy.log)]
    found = [value_at(part, point) for part in inner]
    return all(value is not None and value.is_real and value >= 0 for value in found)


def _proved(said: str, meant: str) -> Testimony:
    left, right = sampling.tree(said), sampling.tree(meant)
    if left is None or right is None:
        return None
    try:
        return True if sympy.simplify(_built(left) - _built(right)) == 0 else None
    except KeyError:  # an operation without a builder
        return None


def _built(node: trees.Node) -> Any:
    if node.op == "number":
        assert not isinstance(node.value, str)
        return sympy.Rational(node.value.numerator, node.value.denominator)
    if node.op == "symbol":
        return _CONSTANTS.get(str(node.value)) or sympy.Symbol(str(node.value), positive=True)
    return _BUILDERS[node.op](*map(_built, node.parts))
