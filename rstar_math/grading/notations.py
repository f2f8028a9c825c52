r"""answer text -> a number, a choice, words, a time of day, a numeral in another base

Each kind of answer that text alone decides, read by its own notation: cleaned text in, the value or None out. No formula is
computed here.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from rstar_math.grading.characters import replaced

#: Longest run of digits that is read as a number; a final answer has a few.
DIGITS = 400
#: Digits in an answer are grouped by threes, with commas or spaces, or not at all.
_NUMBER = re.compile(r"([+-]?)\s?((?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+)", re.ASCII)
_SCIENTIFIC = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))[eE]([+-]?\d{1,3})", re.ASCII)
_PERIODIC = re.compile(r"([+-]?)(\d*)\.(\d*)\\(?:overline|bar|dot)\{(\d{1,30})\}", re.ASCII)
_MIXED = re.compile(r"([+-]?)\s?(\d+)\s+(\d+)/(\d+)", re.ASCII)
_PART = r"\(?\s?([+-]?\d+(?:\.\d+)?)\s?\)?"
_QUOTIENT = re.compile(
    rf"([+-]?)\s?(?:{_PART}\s?/\s?{_PART}|\\frac\s?\{{\s?([+-]?\d+)\s?\}}\s?\{{\s?([+-]?\d+)\s?\}}|\\frac\s?(\d)\s?(\d))",
    re.ASCII,
)
_IN_BASE = re.compile(
    r"(?:\\text\{|[({])?(-?\s?[0-9A-Za-z]+)[)}]?\s*(?:_\{?(?:\\text\{)?|\\text\{|)\s*(?:base)?[\s-]*\}?\s*(\w+?)\s*\}{0,2}",
    re.ASCII,
)
_BASES = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "sixteen": 16,
}
_TIME = re.compile(
    r"(\d{1,2})(?=:|\s+[ap]\.?\s?m|[ap]\.\s?m)(?::\s?(\d{2})(?::\s?(\d{2}))?)?\s*(?:([ap])\.?\s?m\.?)?",
    re.IGNORECASE | re.ASCII,
)
#: Without a blank it may be a product, unless a time is asked for.
_GLUED = re.compile(r"(\d{1,2})([ap]m)", re.IGNORECASE | re.ASCII)
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_WORDS = re.compile(r"[(]?\s*[A-Za-z][\w\s'’.,;:!?()&/-]*", re.ASCII)
_CHOICE = re.compile(r"\(?([A-J])\)?|\(([a-j])\)")
#: A choice and what it says, or the word before it; what follows must neither go on to another choice nor deny it.
_DENIAL = (
    r"n't\b|\b(?:not|nor|neither|never|nope|nah|wrong|incorrect(?:ly)?|false|untrue|invalid|fail\w*|reject\w*|eliminat\w*|"
    r"exclud\w*|discard\w*|(?:ruled|crossed)[ -]out|cannot|untenable|hardly|distractor|contradict\w*|is (?:out|bad|a trap)|"
    r"impossible|unlikely|mistake\w*|except|but|no(?=\s*(?:[,.;:!]|$)))\b|[✗✘❌☒]"
)
_CHOSEN = re.compile(
    r"(?:(?i:option|choice)\s)?\s*(?:\(([A-Ja-j])\)|([A-Ja-j])[).:]|([A-Ja-df-hj])$)"
    r"(?!.*(?:\([A-Ja-j]\)|\b[A-J]\d?\b|(?<=[\s,;])[a-j][.)](?=[\s,;]|$)|\b(?:and|or|vs)\b|\\cancel|[^\W\d_a-zA-Z]|"
    rf"(?i:{_DENIAL}))).*",
    re.DOTALL,
)
#: Whole answers that are words though short enough to be products of symbols.
_SHORT_WORDS = ("yes", "no", "odd", "on", "off", "up")
_WORDLIKE = re.compile(rf"(?<![A-Za-z])(?:[A-Za-z]{{4,}}|[A-Z][a-z]+|(?i:{'|'.join(_SHORT_WORDS)}))(?![A-Za-z])")
#: Words that are numbers after all: nobody wrong who says "five" for 5.
NUMERAL = re.compile(
    r"\d|\b(?:first|second|once|twice|thrice|\w*(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|teen|tie|hundred|thousand)th|"
    r"zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|"
    r"sixty|seventy|eighty|ninety|hundred|thousand|million|dozen|half|third|quarter|infinit\w+)s?\b"
)
#: "a" before another letter, "and", "or" and "only" is a letter that is meant.
_ARTICLE = re.compile(r"^(?:the|an?(?= \w\w)(?! (?:and|or|nor|only|is|are)\b)) (?=\w)")
#: What of a text in words counts: the words, decimals, a minus sign, the sign of a factorial or of a derivative.
_SIGNS = re.compile(
    r"-(?=\s?[\d.(]|\s?[a-z](?![a-z]))|\d*\.\d+|(?<![a-z])[a-z]'+(?![a-z])|(?:(?<=\d)|(?<=\))|(?<=\b[a-z]))!|[a-z0-9/]+"
)
#: "October 30th" is October 30.
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
#: Letters that are a product of symbols, not a word: no vowel, or none where a word has one.
_SYLLABLES = re.compile(r"(?=.{3})[^aeiouy]{0,3}[aeiouy]{1,2}[^aeiouy]{0,2}(?:[aeiouy]{1,2}[^aeiouy]?)?")
_ONES = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
#: Numbers that are one word, or two as in "twenty-one".
_SPOKEN = {word: number for number, word in enumerate(_ONES)} | {
    tens + join + ones: 20 + 10 * at + number
    for at, tens in enumerate(_TENS)
    for join, ones, number in (("", "", 0), *((join, _ONES[one], one) for one in range(1, 10) for join in (" ", "-")))
}
#: What programs print for no value.
NOTHING = frozenset(["n/a", "na", "nan", "null", "?", "-", "..."])


#: `\text{(E)} 12`: the letter of a choice in front of its value.
_OPTION = re.compile(
    r"(?:\\text\{\s*\(([A-J])\)\s*\}|\(([A-J])\)(?=\s))\s*:?\s*(?![-+*/^=<>|_&,;]|\\c[ua]p|\\(?:and|or)\b)(\S.*)",
    re.DOTALL,
)


class Option(NamedTuple):
    """A choice with its value."""

    letter: str
    value: str


class Time(NamedTuple):
    """A time of day; `half` is "a", "p" or "" where it is not stated."""

    hour: int
    minute: int
    second: int
    half: str

    def minutes_of_day(self) -> tuple[int, int]:
        """On the 24-hour clock."""
        hour = self.hour % 12 + (12 if self.half == "p" else 0) if self.half else self.hour
        return hour * 60 + self.minute, self.second


@lru_cache(maxsize=4096)
def number(text: str) -> Fraction | None:
    """The exact value of a plain integer, decimal or mixed number, thousands grouped or not, periods overlined."""
    text = text.strip()
    if len(text) > DIGITS:
        return None
    if plain := _NUMBER.fullmatch(text):
        digits = plain[2].replace(",", "").replace(" ", "").rstrip(".")
        value = Fraction(digits)
        return -value if plain[1] == "-" else value
    if scientific := _SCIENTIFIC.fullmatch(text):
        return Fraction(scientific[1]) * Fraction(10) ** int(scientific[2])
    if periodic := _PERIODIC.fullmatch(text):
        sign, whole, fixed, period = periodic.groups()
        value = Fraction(int(period), 10 ** len(period) - 1) + int(f"0{whole}{fixed}")
        return value / Fraction(10) ** len(fixed) * (-1 if sign == "-" else 1)
    if (mixed := _MIXED.fullmatch(text)) and 0 < int(mixed[3]) < int(mixed[4]):
        value = int(mixed[2]) + Fraction(int(mixed[3]), int(mixed[4]))
        return -value if mixed[1] == "-" else value
    return None


@lru_cache(maxsize=4096)
def quotient(text: str) -> Fraction | None:
    r"""The exact value of one plain number over another, `3/4` or `\frac{3}{4}`; None of all else, and of n/0."""
    found = _QUOTIENT.fullmatch(text.strip()) if len(text) <= DIGITS else None
    if found is None:
        return None
    above, below = (Fraction(part) for part in found.groups()[1:] if part is not None)
    if not below:
        return None
    return (-above if found[1] == "-" else above) / below


def in_base(text: str) -> tuple[str, int] | None:
    """Digits and base of a numeral such as 1200_{7} or "1200 base 7"; None if `text` is none."""
    found = _IN_BASE.fullmatch(text)
    if not found or not ("_" in text or "base" in text) or not any(map(str.isdigit, found[1])):
        return None
    base = _BASES.get(found[2].lower()) or (int(found[2]) if found[2].isdigit() else 0)
    digits = found[1].replace(" ", "").lower()
    if not 2 <= base <= 36 or not all(int(digit, 36) < base for digit in digits.lstrip("-")):
        return None
    return digits.lstrip("0") or "0", base


def time_of_day(text: str) -> Time | None:
    """Hour, minute, second and half of the day; None if `text` is no time."""
    found = _TIME.fullmatch(replaced(_TEXT, r" \1", text).strip())
    if not found:
        return None
    time = Time(int(found[1]), int(found[2] or 0), int(found[3] or 0), (found[4] or "").lower())
    return time if time.hour < (13 if time.half else 25) and time.minute < 60 and time.second < 60 else None


def glued_time(text: str) -> Time | None:
    """The time that "5am" is beside another one."""
    return time_of_day(replaced(_GLUED, r"\1 \2", text))


def choice(gold: str) -> str | None:
    """The letter, in upper case, if a ground truth is nothing but the letter of a choice."""
    found = _CHOICE.fullmatch(replaced(_TEXT, r"\1", gold).strip())
    return (found[1] or found[2]).upper() if found else None


def option(text: str) -> Option | None:
    """Letter and value of "(E) 12"; None if `text` has not both."""
    found = _OPTION.fullmatch(text)
    if found is None or choice(found[3]):
        return None
    return Option(found[1] or found[2], found[3])


def chosen(answer: str) -> str | None:
    """The letter that an answer to a multiple-choice question chooses; None if it chooses none, or more than one."""
    found = _CHOSEN.fullmatch(replaced(_TEXT, r"\1", answer).strip())
    return next(group for group in found.groups() if group).upper() if found else None


def words(text: str) -> str | None:
    """The words of a cleaned text in lower case, without punctuation and article, but with the signs that make another
    formula or number; None if it has more than words."""
    plain = replaced(_TEXT, r" \1 ", text).strip()
    if not _WORDS.fullmatch(plain):
        return None
    return _ARTICLE.sub("", " ".join(_SIGNS.findall(_ORDINAL.sub("", plain.casefold()))))


def bracketed(text: str) -> list[str]:
    """The words and signs of a text in words, with its brackets among them."""
    return re.findall(rf"[()]|{_SIGNS.pattern}", replaced(_TEXT, r" \1 ", text).casefold())


def bare(spoken: str | None) -> str | None:
    """What remains of words without those signs, without blanks and without a plural's ending."""
    return None if spoken is None else "".join(word.removesuffix("s") for word in re.findall(r"[a-z0-9/]+", spoken))


def spoken_number(text: str) -> Fraction | None:
    """The number that a text is, in digits or in a word; None of all else."""
    said = _SPOKEN.get(replaced(_TEXT, r"\1", text).strip().lower().rstrip("."))
    return number(text) if said is None else Fraction(said)


def capitals_count(answer: str, gold: str) -> bool:
    """Whether two texts of the same letters, differing in capitals, may be products of symbols: Mg is not mg."""
    runs = [replaced(_TEXT, r"\1", text).strip() for text in (answer, gold)]
    return runs[0] != runs[1] and any(
        re.fullmatch("[A-Za-z]{2,4}", run) and run.lower() not in _SHORT_WORDS and not _SYLLABLES.fullmatch(run.lower())
        for run in runs
    )


def prose(text: str) -> bool:
    """Whether an answer is made of words: letters in a row are a product of symbols unless they look like a word."""
    if words(text) is None:
        return False
    return bool(re.match(r"\(?\s*\\text\{[^{}]*[A-Za-z]", text) or _WORDLIKE.search(_TEXT.sub("", text)))


def muddled(answer: str, gold: str) -> bool:
    """Whether two runs of letters differ but for their order: products are the same then, words are not."""
    runs = [text.replace(" ", "") for text in (answer, gold)]
    return all(re.fullmatch("[A-Za-z]{2,}", run) for run in runs) and runs[0] != runs[1]
