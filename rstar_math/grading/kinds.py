r"""What does text alone decide?

Numbers, the letters of choices, numerals in a base, times of day, infinity, the empty set and words are told apart by their
spelling and never reach algebra. Each kind looks at both texts and answers, or leaves the pair to the next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from rstar_math.grading import notations, reals, structure
from rstar_math.grading.failures import Unreadable

#: Why two answers differ; "" where they do not.
Difference = str

EMPTY_SET = re.compile(r"\\emptyset|\\\{\s*\\\}|\{\s*\}")
_INFINITE = re.compile(r"([+-]?)\s*\\infty")
#: Words that say that there is none, which is a number of solutions too.
_NOTHING = re.compile(
    r"(?:no|none|nothing|nobody|nil|null|empty|dne|impossible|undefined)(?: .*)?|(?:do|does) not exist|not .*"
)
_TRUTHS = (frozenset(["yes", "true", "correct", "right"]), frozenset(["no", "false", "incorrect", "wrong"]))
_CALENDAR = frozenset(
    re.findall(
        r"\w+",
        "monday tuesday wednesday thursday friday saturday sunday january february march april june july august september "
        "october november december",
    )
)
#: Words that say little, and letters by which words are told apart: "infinitely many" is an "infinite number of solutions".
_FILLERS = frozenset(re.findall(r"\w+", "a an the of is are it they this that there many number solution solutions"))
#: One place by its number, in three ways.
_PLACES = {
    word: str(place)
    for place, spelt in enumerate(
        ("i first", "ii second", "iii third", "iv fourth", "v fifth", "vi sixth", "vii seventh", "viii eighth"), 1
    )
    for word in spelt.split()
}
_STEM = 6
_DENIALS = frozenset(["not", "no", "never", "neither", "nor"])
_TextOnly = Callable[[str, str], "tuple[Difference] | None"]


@lru_cache(maxsize=structure.SEEN)
def by_text(said: str, meant: str) -> tuple[Difference] | None:
    """The difference, in a tuple, where text alone decides; None where it does not."""
    for kind in _KINDS:
        if (decided := kind(said, meant)) is not None:
            return decided
    return None


def _nothing(said: str, meant: str) -> tuple[Difference] | None:
    sets = [EMPTY_SET.fullmatch(text) is not None for text in (said, meant)]
    if any(sets) and not all(sets) and any(reals.describes(text) for text in (said, meant)):
        return None
    if any(sets) and not all(sets) and any(map(notations.prose, (said, meant))):
        raise Unreadable("words beside the empty set")
    return None if not any(sets) else ("" if all(sets) else "the empty set on one side only",)


def _infinities(said: str, meant: str) -> tuple[Difference] | None:
    signs = [_INFINITE.fullmatch(text) for text in (said, meant)]
    if signs[0] and signs[1]:
        return ("" if (signs[0][1] == "-") == (signs[1][1] == "-") else "the other infinity",)
    if (signs[0] or signs[1]) and all(
        sign or notations.number(text) is not None for sign, text in zip(signs, (said, meant), strict=True)
    ):
        return ("infinity on one side only",)
    return None


def _numbers(said: str, meant: str) -> tuple[Difference] | None:
    values = notations.number(said), notations.number(meant)
    if values[0] is None or values[1] is None or values[0] != values[1]:
        return None
    return ("",)


def _number_words(said: str, meant: str) -> tuple[Difference] | None:
    values = notations.spoken_number(said), notations.spoken_number(meant)
    if None in values or None not in map(notations.number, (said, meant)):
        return None
    return ("" if values[0] == values[1] else "another number",)


def _choices(said: str, meant: str) -> tuple[Difference] | None:
    letter = notations.choice(meant)
    if letter is None:
        return None
    chosen = notations.chosen(said)
    if chosen is None:
        raise Unreadable("not the letter of one choice")
    return ("" if chosen == letter else "another choice",)


def _numerals(said: str, meant: str) -> tuple[Difference] | None:
    numerals = notations.in_base(said), notations.in_base(meant)
    if numerals[1] is None:
        if numerals[0] is not None and notations.number(meant) is not None:
            raise Unreadable("a numeral in another base")
        return None
    if numerals[0] is None:
        raise Unreadable("a numeral without its base")
    if numerals[0] == numerals[1]:
        return ("",)
    digits, base = zip(*(n for n in numerals if n), strict=True)
    if int(digits[0], base[0]) == int(digits[1], base[1]):
        raise Unreadable("the same number in another base")
    return ("another numeral",)


def _times(said: str, meant: str) -> tuple[Difference] | None:
    times = notations.time_of_day(said), notations.time_of_day(meant)
    if any(time and time.half for time in times):
        times = notations.glued_time(said), notations.glued_time(meant)
    if times[0] is None or times[1] is None:
        if times[1] and times[1].half:
            raise Unreadable("no time of day")
        return None
    if times[0] == times[1]:
        return ("",)
    if not (times[0].half or times[1].half):
        return ("another time",) if re.search(r":0\d", said + meant) else None
    if times[0].minutes_of_day() == times[1].minutes_of_day() and any(
        time and not 0 < time.hour <= 12 for time in times
    ):
        return ("",)
    if times[0][:3] == times[1][:3] and "" in (times[0].half, times[1].half):
        raise Unreadable("half of the day is not stated")
    return ("another time",)


def _same_words(said: str, meant: str) -> bool:
    words, wanted = notations.words(said), notations.words(meant)
    if words == wanted and notations.capitals_count(said, meant):
        raise Unreadable("letters that differ in their capitals")
    if words == wanted and re.search("[-/!]", wanted or "") and notations.bracketed(said) != notations.bracketed(meant):
        raise Unreadable("the same words and signs in other brackets")
    if words != wanted and notations.bare(words) == notations.bare(wanted):
        raise Unreadable("nearly the same words, or the same around other signs")
    return words == wanted


def _check_doubts(said: str, meant: str) -> None:
    """
    Raises:
        Unreadable: words that differ, or words and the number zero, may say the same.
    """
    words = [notations.words(text) or "" for text in (said, meant)]
    nothing = [_NOTHING.fullmatch(each) is not None for each in words]
    if any(nothing) and all(no or notations.number(text) == 0 for no, text in zip(nothing, (said, meant), strict=True)):
        raise Unreadable("two ways of saying that there is nothing")
    if any(set(words) <= truth for truth in _TRUTHS):
        raise Unreadable("true, or yes")
    short, long = sorted(words, key=len)
    if long in _CALENDAR and len(short) > 2 and long.startswith(short):
        raise Unreadable("a day or month, or its abbreviation")
    if len(short) == 1 and long.endswith(f" {short}"):
        raise Unreadable("a letter or number with or without its noun")


def _truths(said: str, meant: str) -> tuple[Difference] | None:
    """ "Yes, it is possible" is more than "yes", and no list of words tells whether it takes that back.

    Raises:
        Unreadable: both begin with the same yes or no, and one of them goes on.
    """
    words = [notations.words(text) or "" for text in (said, meant)]
    first = {spoken.partition(" ")[0] for spoken in words}
    if len(first) == 1 and words[0] != words[1] and any(first <= truth for truth in _TRUTHS):
        raise Unreadable("the same yes or no, and more")
    return None


def _spoken(said: str, meant: str) -> tuple[Difference] | None:
    asked = notations.prose(meant)
    if not asked and not notations.prose(said):
        if notations.muddled(said, meant):
            raise Unreadable("letters in another order")
        return None
    words, wanted = notations.words(said), notations.words(meant)
    if words is not None and _same_words(said, meant):
        return ("",)
    if any(structure.row(text) or reals.describes(text) or len(structure.elements(text)) > 1 for text in (said, meant)):
        return None
    _check_doubts(said, meant)
    if not asked:
        if words is None or notations.NUMERAL.search(words) or f" {wanted} " in f" {words} ":
            raise Unreadable("words around a number")
        return ("words where none are asked for",)
    if words is None and (notations.number(said) is None or notations.NUMERAL.search(wanted or "")):
        raise Unreadable("more or less than words where words are asked for")
    if f" {wanted} " in f" {words} ":
        raise Unreadable("more than the words that are asked for")
    if _says_less(words or "", wanted or "") or _gist(words or "") == _gist(wanted or ""):
        raise Unreadable("more, fewer or similar words for what may be the same")
    return ("other words",)


def _says_less(one: str, other: str) -> bool:
    """Whether one of two sentences is the other without some words, none of them a "not"."""
    short, long = sorted((one.split(), other.split()), key=len)
    rest = iter(long)
    left_out = Counter(long) - Counter(short)
    return len(short) > 2 and all(word in rest for word in short) and not _DENIALS & left_out.keys()


def _gist(words: str) -> list[str]:
    """What is left of words without fillers and endings, days and months at length, places by their numbers."""
    said = [_PLACES.get(word, _at_length(word)) for word in words.split() if word not in _FILLERS]
    return (
        sorted(word[:_STEM] for word in said) if set(said) & set(_PLACES.values()) else [word[:_STEM] for word in said]
    )


def _at_length(word: str) -> str:
    """A day or month whose beginning a word of three letters or more is."""
    return next((day for day in _CALENDAR if len(word) > 2 and day.startswith(word)), word)


#: The kinds of answer that text decides, in this order.
_KINDS: tuple[_TextOnly, ...] = (
    _nothing,
    _infinities,
    _numbers,
    _number_words,
    _choices,
    _numerals,
    _times,
    _truths,
    _spoken,
)
