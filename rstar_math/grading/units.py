r"""answer text -> the quantity without its percent sign, degree sign or unit

"5 cm", `20\%`, `90^\circ`, `10\text{ square units}`. A word that says how much of it there is ("dozen"), or on what
condition, is no unit, nor are letters that may be symbols. Units are told apart, and converted only within one amount
(`compounds`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rstar_math.grading import compounds, notations
from rstar_math.grading.characters import replaced

_PERCENT = re.compile(r"\s*(?:\\?%|\\text\{\s*(?:percent(?:age)?|pct|%)\s*\}|\b(?:percent(?:age)?|pct)\b)\s*$")
_COMPUTES = re.compile(r"(?<=[^\s(^{])\s*[-+]|\\(?:times|cdot)|\*")
_DEGREES = re.compile(r"\s*(?:\^\s*\\circ)\s*(?:([CF])|\\text\{\s*([CF])\s*\})?$")
_APPLIED = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_PLAIN_UNIT = re.compile(
    r"(?<=[\d})\s])\s*([A-Za-z]{2,}(?:[ /][A-Za-z]+){0,2}|(?<=[\d}] )(?:m/s|[mg]/[a-z]{2,}))(?:\s*\^\s*\{?\s*([23])\s*\}?)?$"
)
_TEXT_UNIT = re.compile(
    r"\s*\\text\{\s*([A-Za-z]+(?:[\s./-]+[A-Za-z]+){0,3})\.?\s*\}"
    r"(?:\s*/\s*\\text\{\s*([A-Za-z]+)\s*\})?(?:\s*\^\s*\{?\s*(-?[123])\s*\}?)?$"
)
#: What is counted stands in the plural, unless there is one of it or less.
_PLURAL = re.compile(
    r"(?!.*(?:[sui]s|wards|ways|haps)$)[a-z]{2,}s|people|men|women|children|mice|geese|sheep|fish|deer|dice|cattle|oxen|data"
)
#: What no noun ends in, as far as endings tell.
_NO_NOUN = re.compile(r"\w+(?:ed|ing|wards?|ly|ive|hind|neath|yond|site|lf)")
#: A word, not a product of symbols: it has a vowel, where words have one.
_WORD = re.compile(
    r"(?=.*[aeiouy])(?:[a-z]{5,}|[b-df-hj-np-tv-z]{1,2}[aeiou][a-z]{1,2}|[aeiou][a-z]*[aeiou][a-z]*|[aeiou][a-z]{2}s)"
)
#: What follows one of these says more about what is counted: "years old", "miles per hour".
_LINKS = frozenset(
    re.findall(r"\w+", "per old of a an in long tall wide high deep remaining altogether celsius fahrenheit sterling")
)
_COUNT = re.compile(r"[-+]?(?:[\d.,]+|(?:\d+ )?\d+/\d+|\d*\s?\\frac\{\d+\}\{\d+\})", re.ASCII)
#: Words after a number that say how much of it there is, or on what condition, so they are no mere units.
_NOT_UNITS = re.compile(
    r"ones|twos|threes|fours|fives|sixes|sevens|eights|nines|tens|below|under|above|negatives?|loss|deficit|before|after|ago|"
    r"dozens?|scores?|gross|couples?|pairs?|hundreds?|thousands?|\w*[lz]lions?|myriads?|googol\w*|lakhs?|crores?|grand|bn|"
    r"thirds?|\w*(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|teen|tie|hundred|thousand|lion|dozen|googol)ths?|k|or|"
    r"\w+[dt]upl\w+|doubl\w+|tripl\w+|trebl\w+|halv\w+|reciproc\w+|opposites?|invers\w+|conjugates?|mille?|mil|basis|"
    r"and|if|for|when|where|not?|otherwise|unless|maybe|is|to|mod|pi|sin|cos|tan|log|ln|exp|half|quarters?|infinity|"
    r"each|least|most|more|less|fewer|than|about|approximately|roughly|almost|around|nearly|plus|minus|times|over|then|"
    r"squared|cubed|factorials?|transpose|wrong|incorrect|false|rejected|extraneous|excluded|invalid|impossible|repeating|"
    r"percents|minuses|plusses|powers|exponents?|radicals?|complements?|logs|errors?|wrongs|grands|mils|duos|trios|"
    r"quartets?|quintets?|twins|recurring|odd|even|prime|composite|lost|lower|higher|down|ad|bc|short|backwards?|reversed|"
    r"fails?|failures?|non|contradictions?|guess\w*|point|only|base|but|from|through|until|between|choose|with|without"
)
#: Letters that are units; any other behind a number is a factor, or a million.
_LETTERS = frozenset("mgshlLNJWVAKCFT")
#: May be a unit without \text around it, or a factor.
_EITHER = re.compile(
    r"([\d})]|\\pi)\s?(?:\{?([mshgNJVWKCFLTA]|k[JNWV]|eV|mol|Hz|Pa|hr|ml|mi|ft|lb|sq in|\\Omega|th|st|nd|rd)\}?|\([a-z]+\))"
    r"(\^\{?[23]\}?)?$"
)
_OF_NAMES = re.compile(r"\\(?:overline|bar|vec|overrightarrow|hat|angle|triangle)(?![a-z])\s*\{?\s*([A-Za-z]+)\s*\}?")
#: Units that are as well the product of usual symbols, behind anything but a plain number.
_PRODUCTS = frozenset(["hr", "ml", "mi", "ft", "lb"])
_NUMERIC = re.compile(r"[^A-Za-z]*(?:\\(?:pi|[dt]?frac|sqrt|times|cdot)[^A-Za-z]*)*")
#: Units of one spelling.
_MORE_UNITS = re.findall(
    r"\w+",
    "acre hectare knot yen yuan won rupee peso franc century decade fortnight joule newton watt volt ampere ohm pascal hertz "
    "pint quart bushel furlong fathom carat byte bit milligram rpm",
)
#: Abbreviations that are units with these capitals only.
_ABBREVIATIONS = frozenset(re.findall(r"\w+", "kW kJ kN kV kPa MPa Hz kHz MHz GHz Pa eV keV MeV mL mol dB kB"))
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
    **dict.fromkeys(("kph", "kmh", "kmph"), "km/hour"),
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
    **{name: name for name in _MORE_UNITS},
}
#: Words that only say that something is counted or measured.
_NEUTRAL = frozenset(["unit", "way", "value", "number", "total", "possible", "different", "distinct"])
#: Marks the names of units that are none of the above: things that are counted, what only says so, and letters or words that
#: may be no unit.
_THINGS, _VAGUE, _UNSURE = "things:", "vague:", "unsure:"
_POWERS = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}


class Quantity(NamedTuple):
    """A member of an answer: its formula, whether it is a percentage, its unit ("" if none was stated), and whether that is
    the smallest of several."""

    text: str
    percent: bool = False
    unit: str = ""
    several: bool = False

    def unit_agrees(self, other: Quantity) -> bool:
        """Whether the units are the same, as far as both state one; "apples" are "red apples"."""
        if not (self.unit and other.unit) or self.unit == other.unit:
            return True
        if _VAGUE in self.unit + other.unit:
            return _vaguely(*sorted((self.unit, other.unit), key=lambda unit: not unit.startswith(_VAGUE)))
        one, two = (set(unit.removeprefix(_THINGS).split()) for unit in (self.unit, other.unit))
        precise = _THINGS in self.unit + other.unit or "degree" in one & two
        return precise and (one <= two or two <= one)

    def unsure(self) -> bool:
        """Whether what stands behind the value may be symbols, or change it."""
        return self.unit.startswith(_UNSURE)

    def measured(self) -> bool:
        """Whether the unit is one of measurement that is known."""
        return bool(self.unit) and not self.unit.startswith((_THINGS, _VAGUE))

    def as_radians(self) -> str:
        """The formula of an angle in radians; without a unit it is in radians."""
        return f"({self.text})\\pi/180" if self.unit == "degree" else self.text


def in_angles(text: str) -> bool:
    r"""Whether a formula computes with degrees (`90^\circ - x`), or a degree sign behind it would belong to its last term."""
    return not _APPLIED.search(text) and bool(re.search(r"\\circ|(?<=[^\s(^{])\s*[-+]", text))


def computes(text: str) -> bool:
    """Whether a formula is a sum or a product, so that a sign behind it may belong to its last part alone."""
    return bool(_COMPUTES.search(text))


def perhaps_unit(text: str) -> str | None:
    """The number before what may be a unit or a factor, as in "5 N", or before a word; None where nothing may."""
    if quantity(text).unit:
        return None
    bare = replaced(_EITHER, r"\1", text)
    if bare == text and (found := re.fullmatch(r"(.*[\d})]) ?([a-z]+)", text)) and _WORD.fullmatch(found[2]):
        bare = found[1]
    return bare if bare != text and _NUMERIC.fullmatch(bare) else None


def spelt_as_unit(text: str) -> str:
    """What may be a unit or a factor as a unit: for a side whose other side writes it so."""
    found = _EITHER.search(text)
    if not found or not found[2] or quantity(text).unit:
        return text
    return f"{text[: found.end(1)]}\\text{{ {found[2]}}}{found[3] or ''}"


def without_signs_of_names(text: str) -> str:
    r"""`\overline{AB}` and `\angle ABC` as the letters alone."""
    return replaced(_OF_NAMES, r"\1", text)


@lru_cache(maxsize=1024)
def quantity(text: str) -> Quantity:
    """`text` without its percent sign, degree sign or unit."""
    text = text.strip()
    named = [(number, _MEASURES.get(_singular(unit), "")) for number, unit in compounds.parts(text)]
    if named and (sum_of_parts := compounds.added(named)):
        return Quantity(sum_of_parts[0], unit=sum_of_parts[1], several=True)
    if found := _PERCENT.search(text):
        return Quantity(text[: found.start()], percent=True)
    if (found := _DEGREES.search(text)) and not (in_angles(text[: found.start()]) or _APPLIED.search(text)):
        return Quantity(text[: found.start()], unit=" ".join(filter(None, ("degree", found[1], found[2]))))
    if (found := _TEXT_UNIT.search(text)) and found.start() > 0:
        before, whole = text[: found.start()], f"{found[1]}{'/' + found[2] if found[2] else ''}"
        if not _is_unit(whole, before):
            return Quantity(before, unit=_UNSURE + " ".join(found[0].split()))
        return Quantity(before, unit=_measure(found[1].lower(), found[2], found[3]))
    if (found := _PLAIN_UNIT.search(text)) and found.start() > 0:
        before, spoken = text[: found.start()], re.findall("[a-z]+", found[1].lower())
        counted = _COUNT.fullmatch(before) is not None and text[found.start()] == " "
        known = all(_singular(word) in (*_MEASURES, *_NEUTRAL, *_POWERS, "per") for word in spoken)
        symbols = not counted and found[1] in _PRODUCTS
        if (known or (counted and len(spoken[0]) > 2)) and not symbols and _is_unit(found[1], before):
            return Quantity(before, unit=_measure(found[1].lower(), None, found[2]))
    return Quantity(text)


def _is_unit(spoken: str, before: str) -> bool:
    """Whether letters behind a value name what is measured or counted: "cm", "red marbles", "miles per hour"."""
    if len(spoken) == 1:
        return spoken in _LETTERS
    words = re.findall("[A-Za-z]+", spoken.replace("/", " per "))
    said = [word.lower() for word in words]
    if any(map(_NOT_UNITS.fullmatch, said)):
        return False
    end = next((at for at, word in enumerate(said) if word in _LINKS and said[at:] != ["in"]), len(said))
    if end == 0:
        return said[0] == "per" and all(_singular(word) in _MEASURES for word in said[1:])
    return _names_a_thing(words[end - 1], before)


def _names_a_thing(word: str, before: str) -> bool:
    said = word.lower()
    if _singular(said) in (*_MEASURES, *_NEUTRAL) or word in (*_LETTERS, *_ABBREVIATIONS):
        return True
    if not re.fullmatch("[A-Z]?[a-z]+", word):
        return False
    value = notations.number(before)
    few = "frac" in before or "/" in before or (value is not None and abs(value) <= 1)
    return bool(_WORD.fullmatch(said) and (_PLURAL.fullmatch(said) or (few and not _NO_NOUN.fullmatch(said))))


def _singular(word: str) -> str:
    return word if word in _MEASURES or word.endswith("ss") or not word.endswith("s") else word[:-1]


def _vaguely(vague: str, other: str) -> bool:
    """Whether what only counts ("ways") or only measures ("square units") may be that unit."""
    measures = vague.removeprefix(_VAGUE)
    power = measures.removeprefix("unit")
    if other.startswith(_VAGUE):
        return "" in (power, other.removeprefix(f"{_VAGUE}unit")) or _VAGUE in (vague, other)
    if other.startswith(_THINGS):
        return not power
    return bool(measures) and "degree" not in other and other != "radian" and (not power or other.endswith(power))


def _measure(spoken: str, below: str | None, power: str | None) -> str:
    """One spelling for the units that have several; for words that name none, that they count or measure."""
    above, _, per = re.sub(r"\s+per\s+", "/", spoken).partition("/")
    words = [_singular(word) for word in re.findall("[a-z]+", above)]
    power = power or next((_POWERS[word] for word in words[:-1] if word in _POWERS), "")
    measured = "unit" in words
    words = [
        word for at, word in enumerate(words, 1) if not (word in _NEUTRAL or (word in _POWERS and at < len(words)))
    ]
    if not words:
        return _VAGUE + (f"unit{power}" if measured else "")
    if not all(word in _MEASURES for word in words):
        return _THINGS + " ".join(words)
    unit = " ".join(_MEASURES[word] for word in words) + power
    per = _singular((below or per).strip().lower())
    return f"{unit}/{_MEASURES.get(per, per)}" if per else unit
