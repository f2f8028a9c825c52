r"""amount in several units -> the same in the smallest of them

`5 ft 6 in`, `7 \text{ hours } 30 \text{ minutes}`. The value is left as a sum for the readers of formulas; it is the only
conversion of units that is made.
"""

from __future__ import annotations

import re
from itertools import pairwise

from rstar_math.grading.characters import replaced

_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\.?\s*", re.ASCII)
#: How many of a smaller unit make a larger one.
_SMALLER = {
    ("week", "day"): 7,
    ("day", "hour"): 24,
    ("hour", "minute"): 60,
    ("minute", "second"): 60,
    ("year", "month"): 12,
    ("yard", "ft"): 3,
    ("ft", "in"): 12,
    ("lb", "ounce"): 16,
    ("km", "m"): 1000,
    ("m", "cm"): 100,
    ("cm", "mm"): 10,
    ("kg", "g"): 1000,
    ("dollar", "cent"): 100,
}


def parts(text: str) -> list[tuple[str, str]]:
    """The numbers with the words behind them that make up `text`; none where there is anything else, or only one."""
    if not text[:1].isdigit():
        return []
    plain = replaced(_TEXT, r" \1 ", text)
    found = list(_PART.finditer(plain))
    whole = "".join(part[0] for part in found) == plain
    return [(part[1], part[2]) for part in found] if whole and len(found) > 1 else []


def added(amounts: list[tuple[str, str]]) -> tuple[str, str] | None:
    """The formula of numbers with units, and its unit, the last one; None where these are no steps of one measure."""
    formula = ""
    for (number, unit), (_, smaller) in pairwise(amounts):
        step = _SMALLER.get((unit, smaller))
        if step is None:
            return None
        formula = f"({formula}{number})\\cdot{step}+"
    return formula + amounts[-1][0], amounts[-1][1]
