"""Are two formulas the same?

What exact arithmetic leaves open, in a process that may be killed. Three witnesses speak: the values of our own reading
(`sampling`), the values of math-verify's reading at other points, and math-verify's own comparison (`symbolic`). Our own and
one of the others have to say that formulas are the same: two readers that share nothing, for what one reader misreads it
misreads on both sides. A difference needs no second: no witness makes a wrong answer right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

import sympy

from rstar_math.grading import formulas, sampling, symbolic, values
from rstar_math.grading.failures import NeedsAlgebra, Unreadable
from rstar_math.grading.formulas import Exact, Rules
from rstar_math.grading.latex import SHAPES, expression
from rstar_math.grading.reals import Line, Place
from rstar_math.grading.sampling import Testimony
from rstar_math.grading.signs import squeezed


def warm_up() -> None:
    """Reads and compares what is usual, before the first request."""
    for shape in SHAPES:
        for witness in (sampling.same, symbolic.same, symbolic.verified):
            witness(shape, f"{shape}+0")


_CAPITAL = re.compile(r"(?<![\\A-Za-z])[A-Z]|(?<=[A-Z])[A-Z]")
_INVERTED = re.compile(r"[A-Z]\s*\^\s*(?:\{\s*(?:-\s*1|T|\\top)\s*\}|T)")


class Algebra:
    """Compares formulas by their values and with math-verify (see `formulas.Formulas`)."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._exact = Exact(rules)

    def same(self, said: str, meant: str) -> bool:
        """See `Formulas`."""
        try:
            return self._exact.same(said, meant)
        except NeedsAlgebra:
            pass
        if any(map(_of_matrices, (said, meant))) and squeezed(said) != squeezed(meant):
            raise Unreadable("a product of what may be matrices, whose order counts")
        if close := self._near(said, meant):
            return True
        own = formulas.same_fraction(said, meant)
        if own is None:
            own = sampling.same(said, meant)
        if own is False and close is None:
            raise Unreadable("close enough in one way of reading it only")
        if own is None and squeezed(said) == squeezed(meant):
            own = True  # what we cannot read ourselves is the same where the text is, if it is a formula at all
        return _agreed(own, lambda: symbolic.same(said, meant), lambda: symbolic.verified(said, meant))

    def proportional(self, said: tuple[str, str], meant: tuple[str, str], *, positive: bool = False) -> bool:
        """See `Formulas`."""
        try:
            return self._exact.proportional(said, meant, positive=positive)
        except NeedsAlgebra:
            pass
        if all(sampling.symbols(side) == set() for side in (*said, *meant)):
            # Side by side is all that tells equations without symbols apart.
            return all(self.same(one, other) for one, other in zip(said, meant, strict=True))
        own = sampling.proportional(said, meant, positive=positive)
        if own is False and not positive and sampling.share_a_solution(said, meant):
            raise Unreadable("equations that may have the same solutions")
        return _agreed(own, lambda: symbolic.proportional(said, meant, positive=positive))

    def rounds(self, decimal: str, formula: str) -> bool:
        """See `Formulas`."""
        try:
            return self._exact.rounds(decimal, formula)
        except NeedsAlgebra:
            return sampling.rounded(decimal, formula)

    def lines(self) -> Sequence[Line]:
        """See `Formulas`."""
        return (_OwnLine(), _SympyLine())

    def _near(self, said: str, meant: str) -> Testimony:
        """What the rules allow beyond equality: a rounded decimal, a benchmark's or a problem's own tolerance. None: it is
        allowed, and math-verify's reading does not say so."""
        if formulas.may_round(said, meant, self._rules) and sampling.rounded(said, meant):
            return symbolic.near(said, meant, formulas.half_unit(said)) or None
        own = self._rules.most(meant)
        if not (self._rules.tolerance or own) or sampling.symbols(said) != set() or sampling.symbols(meant) != set():
            return False
        places = [sampling.real(text) for text in (said, meant)]
        bound = max(Fraction(str(self._rules.tolerance * abs(places[1]))), own)
        distance = abs(places[0] - places[1])
        if distance * bound.denominator > bound.numerator:
            return False
        return symbolic.near(said, meant, bound) or None


def _of_matrices(text: str) -> bool:
    """Whether there is an inverse or a transpose in a formula of several capitals."""
    return bool(_INVERTED.search(text)) and len(set(_CAPITAL.findall(text)) - {"T"}) > 1


def _agreed(own: Testimony, *witnesses: Callable[[], Testimony]) -> bool:
    """Our own reading and, where it finds no difference, the first other witness that can tell.

    Raises:
        Unreadable: they contradict each other, or one of the two cannot tell.
    """
    if own is None:
        raise Unreadable("no formula that can be read")
    if own is False:
        return False
    for witness in witnesses:
        testimony = witness()
        if testimony is False:
            raise Unreadable("two ways of reading it disagree")
        if testimony is True:
            return True
    raise Unreadable("only one way of reading it finds a value")


class _OwnLine:
    """Places boundaries by our own reading."""

    def linear(self, text: str) -> tuple[str, Place, Place]:
        """See `Line`."""
        tree = sampling.tree(text)
        if tree is None:
            raise Unreadable("no formula that can be read")
        if not values.symbols_of(tree):
            value = sampling.real(text)
            return "", 0 * value, value
        try:
            name, factor, rest = formulas.linear_form(tree)
        except NeedsAlgebra:
            raise Unreadable("an inequality of more than fractions and one symbol") from None
        mp = values.Point(0).mp
        return name, mp.mpf(factor.numerator) / factor.denominator, mp.mpf(rest.numerator) / rest.denominator

    def alike(self, one: Place, other: Place) -> bool:
        """See `Line`."""
        return sampling.places_alike(one, other)


class _SympyLine:
    """Places boundaries by math-verify's reading."""

    def linear(self, text: str) -> tuple[str, Place, Place]:
        """See `Line`."""
        found = expression(text)
        if found is None:
            raise Unreadable("no formula that can be read")
        symbols = sorted(found.free_symbols, key=str)
        if len(symbols) > 1:
            raise Unreadable("more than one symbol")
        at = [symbolic.value_at(found, dict.fromkeys(symbols, place)) for place in (0, 1, sympy.Rational(137, 101))]
        if any(value is None or not value.is_real for value in at):
            raise Unreadable("a boundary that is not real")
        factor = at[1] - at[0]
        if not symbolic.alike(at[2], at[0] + factor * sympy.Rational(137, 101)):
            raise Unreadable("an inequality that is not linear")
        return (str(symbols[0]) if symbols else ""), factor, at[0]

    def alike(self, one: Place, other: Place) -> bool:
        """See `Line`."""
        return bool(one == other or symbolic.alike(one, other))
