"""Have two formulas the same value?

cleaned LaTeX -> sympy expressions, compared as numbers at points chosen for their symbols, to 25 digits of the value
itself: math-verify's own comparison rounds to absolute digits and so takes 1/2006! for 1/2004!. The parser is
math-verify's for LaTeX, a grammar that executes nothing; its other reading, by `parse_expr`, executes and stays out of
here. Lists and intervals are not its concern.
"""

from __future__ import annotations

import re
from typing import Any

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, NormalizationConfig, latex2sympy, normalize_latex
from math_verify import verify

from rstar_math.grading import structure, surface

_NORMALIZATION = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
)
_CONVERSION = ConversionConfig(lowercase_symbols=False)
#: Values tried for the symbols: unlikely to be special, in no simple relation, once with both signs.
_POINTS = (
    (sympy.Rational(137, 101), sympy.Rational(29, 43), sympy.Rational(311, 173), sympy.Rational(83, 97)),
    (sympy.Rational(53, 71), sympy.Rational(223, 89), sympy.Rational(41, 37), sympy.Rational(191, 67)),
    (sympy.Rational(-61, 47), sympy.Rational(179, 131), sympy.Rational(-23, 31), sympy.Rational(-109, 83)),
)
_DIGITS = 40
EXACT = sympy.Float("1e-25", _DIGITS)
#: A decimal with at least so many significant digits may stand for an exact value: it is a printed float of it.
_FLOAT_DIGITS, _FLOAT_ERROR = 10, sympy.Float("1e-9", _DIGITS)


class Unreadable(Exception):
    """A text has no reading that can be compared; the verdict is undecided."""


def same_atom(answer: str, gold: str) -> bool:
    """Two values, percent signs and units apart."""
    said, meant = structure.item(_unbracketed(answer)), structure.item(_unbracketed(gold))
    if said.unit and meant.unit and said.unit != meant.unit:
        return False
    if (said.percent and meant.unit) or (said.unit and meant.percent):
        return False
    left, right = parse(said.text), parse(meant.text)
    if not (isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)):
        return bool(verify(right, left, timeout_seconds=None, raise_on_error=False))
    if said.percent != meant.percent and equal(left, right / 100 if meant.percent else right * 100):
        return True
    if _printed_float(said.text, left, right) or _printed_float(meant.text, right, left):
        return True
    return equal(left, right)


def _unbracketed(text: str) -> str:
    opened = structure.brackets(text)
    return opened[1] if opened and opened[0] in ("(", "[") and opened[2] in (")", "]") else text


def _printed_float(text: str, value: Any, exact: Any) -> bool:
    """Whether `text` is a long decimal that rounds `exact`, as an interpreter prints it."""
    digits = text.replace("-", "").replace(".", "").lstrip("0")
    if not re.fullmatch(r"-?\d*\.\d+", text) or len(digits) < _FLOAT_DIGITS or exact.free_symbols:
        return False
    right = value_at(exact, {})
    return right is not None and bool(abs(value - right) <= _FLOAT_ERROR * abs(right))


def read(text: str) -> Any:
    """The sympy expression of a single value.

    Raises:
        Unreadable: the text is no expression.
    """
    parsed = parse(structure.item(text).text)
    if not isinstance(parsed, sympy.Expr):
        raise Unreadable
    return parsed


def parse(text: str) -> Any:
    """What the parser makes of a formula, decimals exact and `i` the imaginary unit.

    Raises:
        Unreadable: there is prose in it, or numbers stand side by side.
        Exception: of many kinds, from the parser, for what is no formula.
    """
    exact = surface.number(text)
    if exact is not None:
        return sympy.Rational(exact.numerator, exact.denominator)
    if re.search(r"\\text|(?<![_\d])\d+\s+\d|%", _mixed(text)):
        raise Unreadable
    latex = normalize_latex(_mixed(text), _NORMALIZATION)
    parsed = latex2sympy(
        latex, is_real=True, convert_degrees=True, normalization_config=None, conversion_config=_CONVERSION
    )
    if isinstance(parsed, sympy.Basic):
        parsed = parsed.xreplace({number: sympy.Rational(str(number)) for number in parsed.atoms(sympy.Float)})
        parsed = parsed.subs({symbol: sympy.I for symbol in parsed.free_symbols if str(symbol) in ("i", "imath")})
    return parsed


def _mixed(text: str) -> str:
    """`text` with "1 1/2" as a mixed fraction, "*" as a product and "**" as a power."""
    text = re.sub(r"^(-?\d+)\s+(\d+)/(\d+)$", r"\1\\frac{\2}{\3}", text)
    text = re.sub(r"\\log_e(?![a-z])", r"\\ln", text)
    text = re.sub(r"(\^(?:\d|\{\d+\}))\s+(?=\d)", r"\1\\cdot ", text)
    return re.sub(r"\*\*\s*(\d+|\([^()]*\))", r"^{\1}", text).replace("*", "\\cdot ")


def equal(left: Any, right: Any) -> bool:
    """Whether two expressions have the same value wherever they were tried."""
    if left.has(sympy.nan, sympy.zoo) or right.has(sympy.nan, sympy.zoo):
        raise Unreadable
    if left == right:
        return True
    if left in (sympy.oo, -sympy.oo) or right in (sympy.oo, -sympy.oo):
        return False
    agreed = 0
    for point in points(left, right):
        values = value_at(left, point), value_at(right, point)
        if values[0] is None or values[1] is None:
            continue
        if not _close(values[0], values[1], left, right):
            return False
        agreed += 1
    if agreed == 0:
        return bool(sympy.simplify(left - right) == 0)
    return True


def _close(said: Any, meant: Any, left: Any, right: Any) -> bool:
    size = max(abs(said), abs(meant))
    if abs(said - meant) <= EXACT * size:
        return True
    if min(abs(said), abs(meant)) < sympy.Float("1e-30", _DIGITS):
        return bool(sympy.simplify(left - right) == 0)
    return False


def points(*expressions: Any) -> list[dict[Any, Any]]:
    """Values for the symbols of all expressions; one empty point if there are none."""
    symbols = sorted(set().union(*(expression.free_symbols for expression in expressions)), key=str)
    if not symbols:
        return [{}]
    return [{symbol: row[index % 4] + index // 4 for index, symbol in enumerate(symbols)} for row in _POINTS]


def value_at(expression: Any, point: dict[Any, Any]) -> Any:
    """The number that `expression` is at `point`; None if it is none there."""
    value = expression.subs(point).evalf(_DIGITS)
    return value if value.is_number and value.is_finite else None
