r"""Are two amounts the same?

Numbers and formulas with percent signs, degree signs and units: what one side leaves out the other may state, units that
differ are not converted, and what may be a unit or a factor is neither.
"""

from __future__ import annotations

from rstar_math.grading import doubts
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.formulas import Formulas, fraction
from rstar_math.grading.kinds import Difference
from rstar_math.grading.units import (
    Quantity,
    computes,
    in_angles,
    perhaps_unit,
    quantity,
    spelt_as_unit,
    without_signs_of_names,
)


def differ(said: str, meant: str, formulas: Formulas) -> Difference:
    """Why two amounts differ; "" where they do not.

    Raises:
        Unreadable: one of them has no reading, or two.
    """
    amounts = quantity(said), quantity(meant)
    if any("\\circ" in amount.text and in_angles(amount.text) for amount in amounts):
        return _angles(*amounts, formulas)
    difference = _amounts(*amounts, formulas)
    if difference:
        # "5 N" has been read as a product; as five newtons it might be right.
        if without_signs_of_names(said) == without_signs_of_names(meant):
            raise Unreadable("a name with and without its sign")
        spelt = quantity(spelt_as_unit(said)), quantity(spelt_as_unit(meant))
        if spelt != amounts and spelt[0].unit == spelt[1].unit and not _amounts(*spelt, formulas):
            return ""
        for reason, one, other in doubts.of_formulas(said, meant):
            if not _amounts(quantity(one), quantity(other), formulas):
                raise Unreadable(reason)
        bare = [perhaps_unit(text) or text for text in (said, meant)]
        if bare != [said, meant] and not _amounts(quantity(bare[0]), quantity(bare[1]), formulas):
            raise Unreadable("a unit, or a factor")
    return difference


def _amounts(said: Quantity, meant: Quantity, formulas: Formulas) -> Difference:
    same = formulas.same
    if said != meant and any(amount.percent and computes(amount.text) for amount in (said, meant)):
        raise Unreadable("a percent sign behind a sum or a product")
    _check_units(said, meant)
    if said.percent != meant.percent:
        return _percentages(*((said, meant) if said.percent else (meant, said)), formulas)
    angles = {said.unit, meant.unit}
    if angles == {"degree", "radian"}:
        return "" if same(said.as_radians(), meant.as_radians()) else "another angle"
    if not said.unit_agrees(meant):
        if said.measured() and meant.measured() and same(said.text, meant.text):
            return "another unit"
        raise Unreadable("a value in another unit")
    if angles == {"degree", ""} and "\\pi" in (said if said.unit else meant).text:
        raise Unreadable("degrees of a formula with pi, beside no degrees")
    if same(said.text, meant.text):
        return ""
    if angles == {"degree", ""} and "\\pi" in said.text + meant.text:
        return "" if same(said.as_radians(), meant.as_radians()) else "another angle"
    return "another value"


def _check_units(said: Quantity, meant: Quantity) -> None:
    """
    Raises:
        Unreadable: they may be none, or nobody can tell which of them a number without any is in.
    """
    if said.unit != meant.unit and (said.unsure() or meant.unsure()):
        raise Unreadable("letters or words that may be no unit")
    if (said.several or meant.several) and not (said.measured() and meant.measured()):
        raise Unreadable("an amount in several units, beside one without any")


def _angles(said: Quantity, meant: Quantity, formulas: Formulas) -> Difference:
    r"""`90^\circ - x` has its degrees inside; what has none may leave them out of all its terms, or of none."""
    radians = [each.text if "\\circ" in each.text else f"({each.text})\\pi/180" for each in (said, meant)]
    if formulas.same(*radians):
        return ""
    if not ("\\circ" in said.text and "\\circ" in meant.text):
        raise Unreadable("degrees in one of two formulas")
    return "another angle"


def _percentages(percentage: Quantity, plain: Quantity, formulas: Formulas) -> Difference:
    """25% is 0.25, and 25 where percents are asked for; a number up to one is rather a share than so many percent."""
    if percentage.unit or plain.unit:
        return "a percentage and a unit"
    if formulas.same(plain.text, f"({percentage.text})/100"):
        return ""
    if not formulas.same(plain.text, percentage.text):
        return "another percentage"
    value = fraction(plain.text)
    if value is None or abs(value) <= 1:
        raise Unreadable("so many percent, or a share")
    return ""
