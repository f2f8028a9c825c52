r"""Are two ratios the same?

"1:2" is "2:4" and one half. What may be a time of day as well is neither.
"""

from __future__ import annotations

import re
from itertools import combinations

from rstar_math.grading import notations, structure
from rstar_math.grading.characters import replaced
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.formulas import Formulas
from rstar_math.grading.kinds import Difference

#: "1 to 7" is a ratio where one is asked for.
_TO = re.compile(r"^\s*(\d+)\s*(?:\\text\{\s*to\s*\}|\bto\b)\s*(\d+)\s*$", re.ASCII)


def differ(said: str, meant: str, formulas: Formulas) -> Difference:
    """Why two ratios differ; "" where they do not. Of three numbers and more any two have the same ratio on both sides, and
    noughts stand in the same places.

    Raises:
        Unreadable: one of them may be a time, or has no reading.
    """
    said, meant = (replaced(_TO, r"\1:\2", text) for text in (said, meant))
    parts = [structure.split(text, ":") for text in (said, meant)]
    if len(parts[0]) == len(parts[1]) == 2 or 1 in map(len, parts):
        quotients = [f"({part[0]})/({part[1]})" if len(part) == 2 else part[0] for part in parts]
        if max(map(len, parts)) > 2:
            return "a ratio of three numbers on one side only"
        alike = formulas.same(*quotients)
        if alike and (all(map(notations.time_of_day, (said, meant))) or re.search(r":\s?0\d", f"{said} {meant}")):
            raise Unreadable("a time or a ratio")
        return "" if alike else "another ratio"
    if len(parts[0]) != len(parts[1]):
        return "a ratio of another length"
    pairs = list(zip(*parts, strict=True))
    if any(formulas.same(one, "0") != formulas.same(other, "0") for one, other in pairs):
        return "another ratio"
    products = (
        formulas.same(f"({one[0]})\\cdot ({other[1]})", f"({other[0]})\\cdot ({one[1]})")
        for one, other in combinations(pairs, 2)
    )
    return "" if all(products) else "another ratio"
