"""Do two answers mean the same?

answer, gold -> Verdict. Lists, tuples, intervals, equations and inequalities are taken apart here; their parts are
compared as formulas. Runs in a process that may be killed: some answers never finish.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import sympy
from latex2sympy2_extended.math_normalization import extract_boxed_content

from rstar_math.grading import structure, surface
from rstar_math.grading.atoms import EXACT, Unreadable, equal, parse, points, read, same_atom, value_at
from rstar_math.records import Verdict

_SINGLE = (
    r"(?:\\?[A-Za-z]+(?:_(?:\{[^{}]*\}|\w))?'*\s*(?:\([A-Za-z,\s\\]*\))?"
    r"|\\(?:overline|angle|triangle|text)\s*\{?[A-Za-z\s]+\}?\s*|\|[A-Z]+\||\\frac\{[A-Z]+\}\{[A-Z]+\})"
)
#: What stands left of "=" when the answer is given a name: x, f(x), S_{ABC}, AB:CD, \angle ABC.
_NAME = re.compile(rf"{_SINGLE}(?::{_SINGLE})?\s*")
_MEMBER = re.compile(r"^\s*[A-Za-z]\s*\\in(?![a-z])\s*")
_SUCH_THAT = re.compile(
    r"^\\\{\s*[A-Za-z](?:\s*\\in\s*\\(?:mathbb|mathbf|Bbb)\s*\{?[A-Z]\}?)?\s*(?:\||:|\\mid)\s*(.*)\\\}$"
)
_RELATION = re.compile(r"<|>|\\(?:le|ge|lt|gt|leq|geq|ne|neq|approx)(?![a-z])")
_OR = re.compile(r"(?<![A-Za-z])or(?![A-Za-z])|\\(?:lor|vee)(?![a-z])")
_REALS = re.compile(r"\\(?:mathbb|text|Bbb)?\s*\{?\\?R\}?$|\\mathbb\{R\}$")


def compare(answer: str, gold: str) -> Verdict:
    """The verdict on two texts as they were given; boxes in `answer` are opened."""
    if "\\boxed" in answer or "\\fbox" in answer:
        answer = extract_boxed_content(answer, mode="last")
    answer, gold = surface.clean(answer), surface.clean(gold)
    verdict = surface.quick(answer, gold)
    if verdict is not None:
        return verdict
    try:
        return Verdict.CORRECT if same_lists(_distinct(answer), _distinct(gold)) else Verdict.WRONG
    except Unreadable:
        return Verdict.UNDECIDED


def _distinct(text: str) -> list[str]:
    """The members of an answer, repeated ones once; but "4 and 4" stays a list of two, for it hedges or adds up."""
    members = _members(text)
    distinct = list({member.replace(" ", ""): member for member in members}.values())
    return distinct if len(distinct) > 1 else members


def _members(text: str) -> list[str]:
    """The members of an unordered answer, "±" written out and braces of a set opened."""
    if _SUCH_THAT.match(text):
        return [text]
    parts = structure.elements(text)
    if len(parts) > 1 and all(_RELATION.search(part) for part in parts) and _OR.search(text):
        return [" \\cup ".join(parts)]
    members: list[str] = []
    for part in parts:
        opened = structure.brackets(part)
        if opened and opened[0] in ("\\{", "{") and not _SUCH_THAT.match(part):
            members.extend(_members(opened[1]))
        elif "\\pm" in part or "\\mp" in part:
            members.append(part.replace("\\pm", "+").replace("\\mp", "-"))
            members.append(part.replace("\\pm", "-").replace("\\mp", "+"))
        else:
            members.append(part)
    return members


def same_lists(answer: Sequence[str], gold: Sequence[str]) -> bool:
    """Whether the lists are equally long and each member of one has its equal in the other, in any order."""
    if len(answer) != len(gold):
        return False
    if len(answer) == 1:
        return same(answer[0], gold[0])
    pairs = [[_same_member(said, meant, answer, gold) for meant in gold] for said in answer]
    return all(any(row) for row in pairs) and all(any(column) for column in zip(*pairs, strict=True)) and bool(pairs)


def _same_member(said: str, meant: str, answer: Sequence[str], gold: Sequence[str]) -> bool:
    """Two members of lists; "AB=4, CD=5" may be answered by "4, 5", in that order only."""
    names = (_named(said)[0], _named(meant)[0])
    if (names[0] is None) != (names[1] is None):
        different = len({_named(text)[0] for text in (*answer, *gold)} - {None}) > 1
        if different and answer.index(said) != gold.index(meant):
            return False
    return same(said, meant)


def _named(text: str) -> tuple[str | None, str]:
    """Name and value of "x = 5", the value being the last side; no name where the left side is a formula."""
    sides = structure.equation(text)
    if len(sides) > 1 and (_NAME.fullmatch(sides[0]) or _is_name_tuple(sides[0])):
        return re.sub(r"\s|\\left|\\right", "", sides[0]), sides[-1]
    return None, text


def _is_name_tuple(text: str) -> bool:
    opened = structure.brackets(text)
    return opened is not None and all(_NAME.fullmatch(part) for part in structure.split(opened[1], ","))


def same(answer: str, gold: str) -> bool:
    """Whether two members mean the same."""
    answer, gold = _MEMBER.sub("", answer), _MEMBER.sub("", gold)
    (said_name, said), (meant_name, meant) = _named(answer), _named(gold)
    if said_name and meant_name and said_name != meant_name:
        return _same_equation(answer, gold)
    if said_name is not None or meant_name is not None:
        if (said_name is None and "=" in answer) or (meant_name is None and "=" in gold):
            return _same_equation(answer, gold)
        if _holds_unless_trivial(answer) and _holds_unless_trivial(gold):
            return same(said, meant)
        return False
    if "=" in answer and "=" in gold and not _RELATION.search(answer + gold):
        return _same_equation(answer, gold)
    if re.search(r"(?<!\\)=", answer) or re.search(r"(?<!\\)=", gold):
        return False
    return _same_shape(answer, gold)


def _holds_unless_trivial(text: str) -> bool:
    """Whether the sides of "x = 1 = 2" agree, as far as they are numbers."""
    sides = structure.equation(text)[1:]
    return all(_same_shape(left, right) for left, right in pairwise(sides))


def _same_shape(answer: str, gold: str) -> bool:
    verdict = surface.quick(answer, gold) if answer and gold else Verdict.WRONG
    if verdict is Verdict.UNDECIDED:
        raise Unreadable
    if verdict is not None:
        return verdict is Verdict.CORRECT
    if any("\\cup" in text or _RELATION.search(text) or "\\setminus" in text for text in (answer, gold)):
        return _same_set(answer, gold)
    rows = [_row(text) for text in (answer, gold)]
    if rows[0] and rows[1]:
        return _same_row(rows[0], rows[1])
    if rows[0] or rows[1]:
        return False
    return same_atom(answer, gold)


_Row = tuple[str, list[str], str]


def _row(text: str) -> _Row | None:
    """Brackets and at least two members of a tuple or interval."""
    opened = structure.brackets(text)
    if opened is None or opened[0] not in "([":
        return None
    members = structure.split(opened[1], ",;")
    return (opened[0], members, opened[2]) if len(members) > 1 else None


def _same_row(answer: _Row, gold: _Row) -> bool:
    """Tuples member by member; with two members the brackets count, for they tell [1,2) from (1,2]."""
    if len(answer[1]) != len(gold[1]) or (len(gold[1]) == 2 and (answer[0], answer[2]) != (gold[0], gold[2])):
        return False
    return all(same(said, meant) for said, meant in zip(answer[1], gold[1], strict=True))


def _same_set(answer: str, gold: str) -> bool:
    try:
        said, meant = _set(answer), _set(gold)
        if said is None or meant is None or _other_symbol(answer, gold):
            return False
        return bool(said == meant or said.symmetric_difference(meant).is_empty)
    # Sympy's ways of saying that it cannot build or compare these sets; the verdict is then `undecided`.
    except (NotImplementedError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable from error


def _other_symbol(answer: str, gold: str) -> bool:
    """Whether two inequalities speak of different symbols; a set speaks of none."""
    symbols = [set(re.findall(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])", text)) for text in (answer, gold)]
    return all(_RELATION.search(text) for text in (answer, gold)) and symbols[0] != symbols[1]


def _set(text: str) -> Any:
    """The set of reals that an interval, a union, a difference or an inequality of one symbol describes."""
    text = text.strip()
    if found := _SUCH_THAT.match(text):
        text = found[1]
    for mark, combine in (("\\cup", sympy.Union), ("\\setminus", sympy.Complement)):
        if mark in text:
            left, _, right = text.rpartition(mark)
            sides = (_set(left), _set(right))
            return None if None in sides else combine(*sides)
    if _REALS.match(text):
        return sympy.S.Reals
    if row := _row(text):
        if len(row[1]) != 2:
            return None
        start, end = (read(member) for member in row[1])
        return sympy.Interval(start, end, row[0] == "(", row[2] == ")")
    if (opened := structure.brackets(text)) and opened[0] == "\\{":
        return sympy.FiniteSet(*(read(member) for member in _members(text)))
    parsed = parse(text)
    return parsed.as_set() if getattr(parsed, "is_Boolean", False) or parsed.is_Relational else None


def _same_equation(answer: str, gold: str) -> bool:
    """Whether two equations have the same solutions: proportional, or solved for a symbol they share."""
    said, meant = (_difference(text) for text in (answer, gold))
    if said is None or meant is None or not said.free_symbols or said.free_symbols != meant.free_symbols:
        return False
    ratios = [value_at(said / meant, point) for point in points(said, meant)[:2]]
    if None not in ratios and ratios[0] != 0 and abs(ratios[0] - ratios[1]) <= EXACT * abs(ratios[0]):
        return True
    for symbol in sorted(said.free_symbols, key=str):
        try:
            solved = [sympy.solve(side, symbol) for side in (said, meant)]
        except NotImplementedError:  # sympy knows no way to solve it for this symbol; another may do
            continue
        if solved[0] and solved[1]:
            rows = [[equal(left, right) for right in solved[1]] for left in solved[0]]
            return all(any(row) for row in rows) and all(any(column) for column in zip(*rows, strict=True))
    return False


def _difference(text: str) -> Any:
    sides = structure.equation(text)
    if len(sides) != 2:
        return None
    return read(sides[0]) - read(sides[1])
