r"""What looks different and may be the same?

Answers that were found to differ, and that people write in two ways or read in two: `20, 280` beside 20,280, one amount
in two units, a constant of integration under another name. Such a pair is no example of a wrong answer. Texts in, reasons and
texts out; nothing is compared here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

from rstar_math.grading import notations, structure
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.units import quantity

_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+", re.ASCII)
_CONSTANT = re.compile(r"(.*\S)\s*\+\s*[CcKk](?:_(?:\d|\{\w+\}))?", re.DOTALL)
_LOGARITHM = re.compile(r"\\(?:log|lg)(?![a-z_])(?!\s*_)")
_COMMAND = re.compile(r"\\[A-Za-z]+")
#: A constant of integration with an index, as solutions of differential equations have them.
_INDEXED = re.compile(r"(?<![A-Za-z\\])([Cc])(?=\s*_\s*\{?\s*\d)")
#: "f(5) = 2", where 5 may be the answer.
_AT_A_NUMBER = re.compile(r"\s*[A-Za-z]\(-?\d+\)\s*=")
#: What stands for a constant or a whole number, and so many of them are looked at under each other's names.
_NUMBERED = r"(?:_(?:\d|\{\w+\}))?"
_FREE = re.compile(rf"(?<![A-Za-z\\])(?:[ABCK]{_NUMBERED}(?!_|[A-Za-z]{{3}})|(?:[ck]{_NUMBERED}|[j-n])(?![A-Za-z_]))")
_WORDS = re.compile(r"\\text\{[^{}]*\}")
_MOST_RENAMED = 2
#: Letters of choices, and what may stand between them.
_LETTERS = re.compile(r"[A-J](?:(?:\s|[,;&]|and|\\text\{\s*and\s*\})*[A-J])+")


def check(said: str, meant: str, same: Callable[[str], bool]) -> None:
    """
    Args:
        same: whether another text is the same answer as `meant`.

    Raises:
        Unreadable: two whole answers that differ may be the same.
    """
    if doubt := _of_texts(said, meant):
        raise Unreadable(doubt)
    if not all(map(_LETTERS.fullmatch, (said, meant))) and any(map(same, _renamed(said, meant))):
        raise Unreadable("a constant or a whole number under another name")


def _renamed(said: str, meant: str) -> Iterator[str]:
    """`said` with its constants, and letters for whole numbers, under the names that they have in `meant` alone."""
    letters = [dict.fromkeys(_FREE.findall(_WORDS.sub("", text))) for text in (said, meant)]
    own, others = ([letter for letter in one if letter not in other] for one, other in (letters, letters[::-1]))
    if not 0 < len(own) == len(others) <= _MOST_RENAMED:
        return
    for names in permutations(others):
        new = dict(zip(own, names, strict=True))
        yield _FREE.sub(lambda found, new=new: new.get(found[0], found[0]), said)  # type: ignore[misc]


def _of_texts(said: str, meant: str) -> str:
    """Why two whole answers that differ may be the same; "" if nothing speaks for it."""
    if said.replace(" ", "") == meant.replace(" ", ""):
        return "the same but for its blanks" if said != meant else "not the same as itself"
    for one, other in ((said, meant), (meant, said)):
        if _GROUPED.fullmatch(one) and sorted(one.split(",")) == sorted(
            quantity(member).text for member in structure.elements(other)
        ):
            return "a list, or a number whose digits are grouped"
        if _DECIMAL_COMMA.fullmatch(one) and notations.number(one.replace(",", ".")) == notations.number(other):
            return "a list, or a decimal written with a comma"
        members = structure.elements(one)
        if len(members) > 1 and len(structure.elements(other)) == 1 and _in_two_units(members):
            return "one amount in two units, or two amounts"
    if all(map(_LETTERS.fullmatch, (said, meant))) and _letters(said) == _letters(meant):
        return "the letters of several choices, or of a product"
    if _AT_A_NUMBER.match(said) and not _AT_A_NUMBER.match(meant):
        return "the value of a function at a number, which may be what is asked for"
    return ""


def constants_as_in(meant: str, said: str) -> str:
    """`said` with its constants C_1, C_2, … in the case of those of `meant`, where one letter stands for them all."""
    letters = [set(_INDEXED.findall(text)) for text in (said, meant)]
    if len(letters[0]) == len(letters[1]) == 1 and letters[0] != letters[1]:
        (own,), (other,) = letters
        return _INDEXED.sub(other, said) if own.lower() == other.lower() else said
    return said


def _in_two_units(members: Sequence[str]) -> bool:
    units = [quantity(member).unit for member in members]
    return "" not in units and len(set(units)) > 1


def _letters(text: str) -> list[str]:
    return sorted(re.findall("[A-J]", text))


def of_formulas(said: str, meant: str) -> Iterator[tuple[str, str, str]]:
    """Readings under which two formulas that differ may be the same: the reason, and what has to be equal for it."""
    constants = _CONSTANT.fullmatch(said), _CONSTANT.fullmatch(meant)
    if any(constants):
        rests = [found[1] if found else text for found, text in zip(constants, (said, meant), strict=True)]
        yield "a constant under another name, or on one side only", rests[0], rests[1]
    if said != meant and _small(said) == _small(meant):
        yield "symbols that differ in their capitals", meant, meant
    if "\\ln" in said + meant and any(map(_LOGARITHM.search, (said, meant))):
        natural = [_LOGARITHM.sub(r"\\ln", text) for text in (said, meant)]
        yield "logarithms of no stated base", natural[0], natural[1]


def _small(text: str) -> str:
    return "".join(_COMMAND.findall(text)) + _COMMAND.sub("", text).lower().replace(" ", "")
