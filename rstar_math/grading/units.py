r"""answer text -> the quantity without its percent sign, degree sign or unit

"5 cm", `20\%`, `90^\circ`, `10\text{ square units}`. A word that says how much of it there is ("dozen"), or on what
condition, is no unit. Units are told apart, never converted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PERCENT = re.compile(r"\s*(?:\\?%|\\text\{\s*(?:percent(?:age)?|pct|%)\s*\}|\b(?:percent(?:age)?|pct)\b)\s*$")
_DEGREES = re.compile(r"\s*(?:\^\s*\\circ)\s*(?:([CF])|\\text\{\s*([CF])\s*\})?$")
_APPLIED = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_PLAIN_UNIT = re.compile(
    r"(?<=[\d})\s])\s*([A-Za-z]{2,}(?:[ /][A-Za-z]+){0,2}|(?<=[\d}] )[mgsh](?:/[a-z]+)?)(?:\s*\^\s*\{?\s*([23])\s*\}?)?$"
)
_TEXT_UNIT = re.compile(
    r"\s*\\text\{\s*([A-Za-z]+(?:[\s./-]+[A-Za-z]+){0,3})\.?\s*\}"
    r"(?:\s*/\s*\\text\{\s*([A-Za-z]+)\s*\})?(?:\s*\^\s*\{?\s*(-?[123])\s*\}?)?$"
)
#: What is counted, without \\text around it: longer than a product of symbols, or at least a plural.
_THING = re.compile(r"[a-z]{5,}|[a-z]{3,}s")
_COUNT = re.compile(r"[-+]?(?:[\d.,]+|(?:\d+ )?\d+/\d+|\d*\s?\\frac\{\d+\}\{\d+\})", re.ASCII)
#: Words after a number that say how much of it there is, or on what condition, so they are no mere units.
_NOT_UNITS = re.compile(
    r"ones|twos|fives|tens|below|under|above|negative|loss|deficit|before|after|ago|dozens?|scores?|gross|couples?|pairs?|hundreds?|thousands?|[mbtr]+illions?|quadrillions?|"
    r"lakhs?|crores?|grand|bn|thirds?|(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|hundred|thousand|[mbtr]+illion)ths?|k|or|"
    r"and|if|for|when|where|not?|otherwise|unless|maybe|is|to|mod|pi|sin|cos|tan|log|ln|exp|half|quarters?|halves|infinity|"
    r"each|least|most|more|less|fewer|than|about|approximately|roughly|almost|around|nearly|plus|minus|times|over|squared|then|wrong|incorrect|false|"
    r"rejected|extraneous|excluded|invalid|impossible|repeating|recurring|inverse|conjugate|transpose|odd|even|prime|composite|"
    r"lost|lower|higher|down|ad|bc|short|backwards?|reversed|"
    r"cubed|factorial|point|only|base|but|from|through|until|between|choose|with|without"
)
#: Letters that are units; any other behind a number is a factor, or a million.
_LETTERS = frozenset("mgshlLNJWVAKCFT")
#: May be a unit without \text around it, or a factor.
_EITHER = re.compile(
    r"([\d})])\s?(?:\{?(?:[mshgNJVWKCFLTA]|k[JNWV]|eV|mol|Hz|Pa|sq in|\\Omega|th|st|nd|rd)\}?|\([a-z]+\))(?:\^\{?[23]\}?)?$"
)
_OF_NAMES = re.compile(r"\\(?:overline|bar|vec|overrightarrow|hat|angle|triangle)(?![a-z])\s*\{?\s*([A-Za-z]+)\s*\}?")
_NUMERIC = re.compile(r"[^A-Za-z]*(?:\\(?:pi|[dt]?frac|sqrt|times|cdot)[^A-Za-z]*)*")
#: Units by their spellings; those that nobody would confuse with another have no name of their own.
_MEASURES = {
    **dict.fromkeys(("cm", "centimeter", "centimetre"), "cm"),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("km", "kilometer", "kilometre"), "km"),
    **dict.fromkeys(("meter", "metre", "m"), "m"),
    **dict.fromkeys(("ft", "feet", "foot"), "ft"),
    **dict.fromkeys(("inch", "inches", "in"), "in"),
    **dict.fromkeys(("kg", "kilogram"), "kg"),
    **dict.fromkeys(("gram", "g"), "g"),
    **dict.fromkeys(("pound", "lb"), "lb"),
    **dict.fromkeys(("hour", "hr", "h"), "hour"),
    **dict.fromkeys(("minute", "min"), "minute"),
    **dict.fromkeys(("second", "sec", "s"), "second"),
    **dict.fromkeys(("dollar", "usd"), "dollar"),
    **dict.fromkeys(("cent",), "cent"),
    **dict.fromkeys(("mile", "mi"), "mile"),
    **dict.fromkeys(("mph",), "mile/hour"),
    **dict.fromkeys(("yard", "yd"), "yard"),
    **dict.fromkeys(("day",), "day"),
    **dict.fromkeys(("week",), "week"),
    **dict.fromkeys(("month",), "month"),
    **dict.fromkeys(("year", "yr"), "year"),
    **dict.fromkeys(("degree", "deg"), "degree"),
    **dict.fromkeys(("radian", "rad"), "radian"),
    **dict.fromkeys(("euro", "eur"), "euro"),
    **dict.fromkeys(("cup",), "cup"),
    **dict.fromkeys(("oz", "ounce"), "ounce"),
    **dict.fromkeys(("ton", "tonne"), "ton"),
    **dict.fromkeys(("gal", "gallon"), "gallon"),
    **dict.fromkeys(("liter", "litre", "l"), "liter"),
    **dict.fromkeys(("ml", "milliliter", "millilitre"), "ml"),
    **dict.fromkeys(("rpm",), "rpm"),
}
#: Words that only say that something is counted or measured.
_NEUTRAL = frozenset(["unit", "way", "value", "number", "total", "possible", "different", "distinct"])
#: Marks the names of units that are none of the above: things that are counted.
_THINGS = "things:"
_POWERS = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}


class Quantity(NamedTuple):
    """A member of an answer: its formula, whether it is a percentage, and its unit ("" if none was stated)."""

    text: str
    percent: bool = False
    unit: str = ""

    def unit_agrees(self, other: Quantity) -> bool:
        """Whether the units are the same, as far as both state one; "apples" are "red apples"."""
        if not (self.unit and other.unit) or self.unit == other.unit:
            return True
        one, two = (set(unit.removeprefix(_THINGS).split()) for unit in (self.unit, other.unit))
        precise = _THINGS in self.unit + other.unit or "degree" in one & two
        return precise and (one <= two or two <= one)

    def measured(self) -> bool:
        """Whether the unit is one of measurement that is known."""
        return bool(self.unit) and not self.unit.startswith(_THINGS)

    def as_radians(self) -> str:
        """The formula of an angle in radians; without a unit it is in radians."""
        return f"({self.text})\\pi/180" if self.unit == "degree" else self.text


def in_angles(text: str) -> bool:
    r"""Whether a formula computes with degrees (`90^\circ - x`), or a degree sign behind it would belong to its last term."""
    return not _APPLIED.search(text) and bool(re.search(r"\\circ|(?<=[^\s(^{])\s*[-+]", text))


def perhaps_unit(text: str) -> str | None:
    """The number before what may be a unit or a factor, as in "5 N"; None where nothing may."""
    bare = _EITHER.sub(r"\1", text)
    return bare if bare != text and _NUMERIC.fullmatch(bare) else None


def without_signs_of_names(text: str) -> str:
    r"""`\overline{AB}` and `\angle ABC` as the letters alone."""
    return _OF_NAMES.sub(r"\1", text)


def quantity(text: str) -> Quantity:
    """`text` without its percent sign, degree sign or unit."""
    text = text.strip()
    if found := _PERCENT.search(text):
        return Quantity(text[: found.start()], percent=True)
    if (found := _DEGREES.search(text)) and not (in_angles(text[: found.start()]) or _APPLIED.search(text)):
        return Quantity(text[: found.start()], unit=" ".join(filter(None, ("degree", found[1], found[2]))))
    if (found := _TEXT_UNIT.search(text)) and found.start() > 0:
        spoken = re.findall("[a-z]+", f"{found[1]} {found[2] or ''}".lower())
        if not any(map(_NOT_UNITS.fullmatch, spoken)) and (len(found[1]) > 1 or found[1] in _LETTERS):
            return Quantity(text[: found.start()], unit=_measure(found[1].lower(), found[2], found[3]))
    if (found := _PLAIN_UNIT.search(text)) and found.start() > 0:
        spoken = re.findall("[a-z]+", found[1].lower())
        counted = _COUNT.fullmatch(text[: found.start()]) is not None and text[found.start()] == " "
        head = spoken[0] if spoken[1:2] in (["per"], ["old"], ["of"], ["a"], ["an"]) else spoken[-1]
        things = counted and _THING.fullmatch(head) is not None
        known = things or all(_singular(word) in (*_MEASURES, *_NEUTRAL, "per") for word in spoken)
        if known and not any(map(_NOT_UNITS.fullmatch, spoken)):
            return Quantity(text[: found.start()], unit=_measure(found[1].lower(), None, found[2]))
    return Quantity(text)


def _singular(word: str) -> str:
    return word if word in _MEASURES or word.endswith("ss") or not word.endswith("s") else word[:-1]


def _measure(spoken: str, below: str | None, power: str | None) -> str:
    """One spelling for the units that have several; "" for words that name none."""
    above, _, per = re.sub(r"\s+per\s+", "/", spoken).partition("/")
    words = [_singular(word) for word in re.findall("[a-z]+", above)]
    power = power or next((_POWERS[word] for word in words if word in _POWERS), "")
    words = [word for word in words if word not in _POWERS and word not in _NEUTRAL]
    if not words:
        return ""
    if not all(word in _MEASURES for word in words):
        return _THINGS + " ".join(words)
    unit = " ".join(_MEASURES[word] for word in words) + power
    per = _singular((below or per).strip().lower())
    return f"{unit}/{_MEASURES.get(per, per)}" if per else unit
