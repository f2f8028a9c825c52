r"""tree -> its value: an exact fraction, or a number to fifty digits at a point

Two arithmetics over the trees of `grammar`. `exact` knows fractions alone and refuses what is none; `at` gives symbols
values and computes with mpmath. Both refuse what would take long before they compute it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from rstar_math.grading.failures import Unreadable
from rstar_math.grading.trees import Node

#: Most binary digits of an exact number: those of 4000!, computed in a millisecond or two.
_BITS = 50_000
_LARGEST_FACTORIAL = 4_000
#: Beyond this exponent of e, mpmath's numbers take long to compute with.
_LARGEST_EXPONENT = 200_000
#: Digits of a value at first. Two formulas may differ by little, 10^{-40} say: so many more digits are computed as the
#: values inside them lie apart.
DIGITS = 100
_MOST_DIGITS, _MOST_FAR_DIGITS = 4_000, 400
#: Size of the symbols at a point, by its number: absolute values and the like differ far from zero.
_SCALES = (1, 1, 1, 50, 0.015625, 1000)
_HYPERBOLIC = frozenset(["sinh", "cosh", "tanh"])
_NO_SYMBOLS: Mapping[str, Fraction] = {}
CONSTANTS = frozenset(["e", "pi", "i", "\\imath"])


class Undefined(Unreadable):
    """A division by zero and the like: there is no value."""


class TooLarge(Unreadable):
    """The value has more digits than anybody wants to compute."""


def exact(node: Node, symbols: Mapping[str, Fraction] = _NO_SYMBOLS) -> Fraction | None:
    """The value of a formula of fractions; None if it is no fraction, or has a symbol in it that is not given.

    Raises:
        Undefined: it has no value.
        TooLarge: it has too many digits.
    """
    if node.op == "number":
        assert isinstance(node.value, Fraction)
        return node.value
    if node.op == "symbol":
        return symbols.get(str(node.value))
    parts = [exact(part, symbols) for part in node.parts]
    if node.op == "divide" and parts[1] == 0:
        raise Undefined("a division by zero")
    if node.op not in _EXACT or None in parts:
        return None
    value = _EXACT[node.op](*parts)
    if value is not None and max(value.numerator.bit_length(), value.denominator.bit_length()) > _BITS:
        raise TooLarge("a number of too many digits")
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if base == 0 and exponent <= 0:
        raise Undefined("zero to the power of zero or less")
    if exponent.denominator != 1:
        root = _root(base, Fraction(exponent.denominator)) if base > 0 else None
        return root and _power(root, Fraction(exponent.numerator))
    if base in (0, 1):
        return base
    if base == -1:
        return Fraction(-1 if exponent.numerator % 2 else 1)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * abs(exponent.numerator) > _BITS:
        raise TooLarge("a power of too many digits")
    return base**exponent.numerator


def _root(value: Fraction, degree: Fraction) -> Fraction | None:
    """The real root, if it is a fraction; of a negative number for odd degrees only."""
    count = degree.numerator
    if degree.denominator != 1 or not 2 <= count <= 64 or (value < 0 and count % 2 == 0):
        return None
    above, below = (_whole_root(abs(part), count) for part in (value.numerator, value.denominator))
    if above is None or below is None:
        return None
    return Fraction(-above if value < 0 else above, below)


def _whole_root(value: int, degree: int) -> int | None:
    if degree == 2:
        found = math.isqrt(value)
    else:
        low, high = 0, 1 << (value.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
        found = low
    return found if found**degree == value else None


def _factorial(value: Fraction) -> Fraction | None:
    if value.denominator != 1 or value < 0:
        return None
    if value > _LARGEST_FACTORIAL:
        raise TooLarge("a factorial of too many digits")
    return Fraction(math.factorial(value.numerator))


def _binomial(above: Fraction, below: Fraction) -> Fraction | None:
    if above.denominator != 1 or below.denominator != 1 or above < 0:
        return None
    if not 0 <= below <= above:
        return Fraction(0)
    if min(below, above - below) > _LARGEST_FACTORIAL:
        raise TooLarge("a binomial coefficient of too many digits")
    return Fraction(math.comb(above.numerator, below.numerator))


def _divide(above: Fraction, below: Fraction) -> Fraction:
    return above / below


_EXACT: dict[str, Callable[..., Fraction | None]] = {
    "add": lambda *parts: sum(parts, Fraction(0)),
    "multiply": lambda *parts: math.prod(parts, start=Fraction(1)),
    "divide": _divide,
    "power": _power,
    "root": _root,
    "factorial": _factorial,
    "binomial": _binomial,
    "abs": lambda part: abs(part),
    "floor": lambda part: Fraction(math.floor(part)),
    "ceiling": lambda part: Fraction(math.ceil(part)),
}


def symbols_of(node: Node) -> set[str]:
    """The names of all symbols but the constants."""
    if node.op == "symbol":
        return {str(node.value)} - CONSTANTS
    return set[str]().union(*map(symbols_of, node.parts))


@lru_cache(maxsize=4)
def _arithmetic(digits: int) -> Any:
    """mpmath's numbers of so many digits; loaded here, for the search process never computes with them."""
    from mpmath.ctx_mp import MPContext

    mp = MPContext()
    mp.dps = digits
    return mp


class Point:
    """Values for all symbols, each from its name, so that two formulas see the same; those of `negative` are below zero.

    Where some are, roots and logarithms of negative numbers have no value: beyond the reals the usual laws do not hold.
    """

    def __init__(
        self, number: int, negative: frozenset[str] = frozenset(), *, digits: int = DIGITS, whole: bool = False
    ) -> None:
        """`whole`: symbols are whole numbers, of two digits at most."""
        self.number, self.negative, self.digits, self.whole = number, negative, digits, whole
        self._placed: dict[str, Any] = {}
        self.mp = _arithmetic(digits)
        self._smallest = self._largest = 0

    @property
    def spread(self) -> int:
        """How many digits lie between the smallest and the largest value met so far."""
        return int((self._largest - self._smallest) * 0.302) + 1

    def finer(self) -> Point | None:
        """The same point to as many digits as what was met there asks for; None if these are enough.

        Raises:
            TooLarge: it asks for too many.
        """
        wanted = 60 + 5 * self.spread
        if wanted <= self.digits:
            return None
        if wanted > (_MOST_DIGITS if _SCALES[self.number % len(_SCALES)] == 1 else _MOST_FAR_DIGITS):
            raise TooLarge("values too far apart")
        return Point(self.number, self.negative, digits=wanted, whole=self.whole)

    def placed(self, name: str, value: Any) -> Point:
        """The same point but for the value of one symbol."""
        other = Point(self.number, self.negative, digits=self.digits, whole=self.whole)
        other._placed = {name: value}
        return other

    def symbol(self, name: str) -> Any:
        """The value of a symbol here; `e`, `i` and pi have their own."""
        if name in ("e", "pi"):
            return +self.mp.e if name == "e" else +self.mp.pi
        if name in ("i", "\\imath"):
            return self.mp.mpc(0, 1)
        if name in self._placed:
            return self._placed[name]
        draw = int.from_bytes(blake2b(f"{self.number} {name}".encode(), digest_size=8).digest(), "big")
        if self.whole:
            return self.mp.mpf(2 + draw % 29)
        size = self.mp.mpf(draw % 7_919_999 + 2_000_003) / 3_999_971 * _SCALES[self.number % len(_SCALES)]
        return -size if name in self.negative else size

    def at(self, node: Node) -> Any:
        """The value of a formula at this point.

        Raises:
            Undefined: it has none here.
            TooLarge: it would take long.
        """
        mp = self.mp
        if node.op == "number":
            assert isinstance(node.value, Fraction)
            whole = node.value.denominator == 1
            value = mp.mpf(node.value.numerator) / node.value.denominator
            # Of a decimal every digit counts, and of a whole number, which has its own size, the first.
            return self._met(value, 0 if whole else node.value.numerator.bit_length())
        if node.op == "symbol":
            return self.symbol(str(node.value))
        parts = [self.at(part) for part in node.parts]
        try:
            value = self._apply(node.op, parts)
        except (ZeroDivisionError, ValueError):
            raise Undefined("no value here") from None
        if not mp.isfinite(value):
            raise Undefined("no value here")
        if node.op == "power" and parts[0] == 0 and symbols_of(node.parts[1]):
            raise Undefined("zero to a power that may be zero")
        return value if node.op == "add" else self._met(value, self._close_to_one(value))

    def _close_to_one(self, value: Any) -> int:
        """In how many bits a value agrees with one: roots of roots of 2 have a size like it and are others."""
        apart = abs(value - 1)
        return max(0, -int(self.mp.mag(apart))) if 0 < apart < 1 else 0

    def _met(self, value: Any, bits: int = 0) -> Any:
        """Notes a value's size; `bits` of it count."""
        if value != 0:
            size = int(self.mp.mag(value))
            self._smallest, self._largest = min(self._smallest, size - bits), max(self._largest, size)
        return value

    def _apply(self, op: str, parts: list[Any]) -> Any:
        mp = self.mp
        if op in ("add", "multiply"):
            return mp.fsum(parts) if op == "add" else mp.fprod(parts)
        if read := _OPERATIONS.get(op):
            return read(self, *parts)
        if op in _HYPERBOLIC and abs(parts[0]) > 40:
            raise TooLarge(f"{op} of a large number")
        if abs(parts[0]) > _LARGEST_EXPONENT and op not in ("ln", "log", "lg", "floor", "ceiling", "degrees"):
            raise TooLarge(f"{op} of a large number")
        if op in ("ln", "log", "lg") and self._beyond(parts[0]):
            raise Undefined("a logarithm of a negative number")
        if op in ("log", "lg"):
            return mp.log(parts[0]) / mp.log(parts[1] if len(parts) > 1 else 10)
        return self._function(op)(parts[0])

    def _function(self, op: str) -> Callable[[Any], Any]:
        mp = self.mp
        names = {"ln": "log", "ceiling": "ceil", "arcsin": "asin", "arccos": "acos", "arctan": "atan"}
        names |= {f"arc{name}": f"a{name}" for name in ("cot", "sec", "csc")}
        if op == "degrees":
            return lambda value: value * mp.pi / 180
        function: Callable[[Any], Any] = getattr(mp, names.get(op, op))
        return function

    def _divide(self, above: Any, below: Any) -> Any:
        return above / below

    def _size(self, value: Any) -> Any:
        return abs(value)

    def _binomial(self, above: Any, below: Any) -> Any:
        if max(abs(above), abs(below)) > _LARGEST_EXPONENT:
            raise TooLarge("a binomial coefficient of a large number")
        return self.mp.binomial(above, below)

    def _power(self, base: Any, exponent: Any) -> Any:
        mp = self.mp
        if base == 0:
            if mp.re(exponent) <= 0:
                raise Undefined("zero to the power of zero or less")
            return mp.mpf(0)
        if self._beyond(base) and not mp.isint(exponent):
            raise Undefined("a root of a negative number")
        if abs(exponent) * (abs(mp.log(abs(base))) + 1) > _LARGEST_EXPONENT:
            raise TooLarge("a power of too many digits")
        return mp.power(base, exponent)

    def _beyond(self, value: Any) -> bool:
        return bool(self.negative and self.mp.im(value) == 0 and self.mp.re(value) < 0)

    def _root(self, value: Any, degree: Any) -> Any:
        """The real root of a negative number for odd degrees."""
        mp = self.mp
        if degree == 0:
            raise Undefined("a root of degree zero")
        if mp.im(value) == 0 and mp.re(value) < 0 and mp.isint(degree) and int(mp.re(degree)) % 2:
            return -mp.power(-mp.re(value), 1 / degree)
        if self._beyond(value):
            raise Undefined("a root of a negative number")
        return mp.power(value, 1 / degree)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "divide": Point._divide,
    "power": Point._power,
    "root": Point._root,
    "abs": Point._size,
    "binomial": Point._binomial,
}
