r"""prediction, ground truth -> grade

The ground truth decides what kind of answer is asked for: letters and words are compared as text, numbers exactly, lists and
tuples member by member, and what is left are formulas, for which somebody else answers (`formulas.Formulas`). Nothing is
computed here, and nothing is guessed: what has no reading, or two, is `unreadable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from rstar_math.grading import boxes, guards, notations, reals, structure, surface
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.formulas import Formulas
from rstar_math.grading.naming import Named, as_rows, named
from rstar_math.grading.units import Quantity, quantity
from rstar_math.records import Grade, Verdict

#: Why two answers differ; "" where they do not.
Difference = str


def compare(prediction: str, gold: str, formulas: Formulas) -> Grade:
    """The grade of a reply, or of the bare text of an answer.

    Raises:
        NeedsAlgebra: `formulas` cannot tell.
    """
    values = notations.number(prediction), notations.number(gold)
    if values[0] is not None and values[1] is not None and values[0] == values[1]:
        return Grade(Verdict.CORRECT, "the same number")
    asked = boxes.stated(gold)
    try:
        meant = _readable(asked)
    except Unreadable as reason:
        return Grade(Verdict.GOLD_UNREADABLE, str(reason))
    answered = boxes.stated(prediction)
    if answered is None or surface.clean(answered[:80]).lower() in ("", *notations.NOTHING):
        return Grade(Verdict.NO_ANSWER, "an empty answer, or a box that is empty or not closed")
    try:
        difference = Comparison(formulas).of(_readable(answered), meant)
    except Unreadable as reason:
        try:
            Comparison(formulas).of(meant, meant)
        except Unreadable as own:
            return Grade(Verdict.GOLD_UNREADABLE, str(own))
        return Grade(Verdict.UNREADABLE, str(reason))
    return Grade(Verdict.WRONG, difference) if difference else Grade(Verdict.CORRECT, "the same")


def _readable(text: str | None) -> str:
    """A cleaned text that is worth reading.

    Raises:
        Unreadable: it is empty, too much, or its brackets do not pair up.
    """
    if text is None:
        raise Unreadable("an empty text, or a box that is empty or not closed")
    guards.check(text, guards.READING)
    cleaned = surface.clean(text)
    if cleaned.lower() in ("", *notations.NOTHING):
        raise Unreadable("nothing is stated")
    if not structure.balanced(cleaned) and notations.chosen(cleaned) is None:
        raise Unreadable("brackets that do not pair up")
    return cleaned


class Comparison:
    """Compares two cleaned texts with one set of formulas."""

    def __init__(self, formulas: Formulas) -> None:
        self._formulas = formulas

    def of(self, said: str, meant: str) -> Difference:
        """Why two whole answers differ.

        Raises:
            Unreadable: one of them has no reading.
        """
        if by_text := _by_text(said, meant):
            return by_text[0]
        said, meant = as_rows(said, meant), as_rows(meant, said)
        wanted, as_set = self._members(meant)
        given, set_given = self._members(said)
        if len(wanted) > 1 and len(given) != len(wanted):
            ungrouped = self._members(said, grouping=False)[0]
            given = ungrouped if len(ungrouped) == len(wanted) else given
        if len(given) == len(wanted) == 1:
            return self._single(given[0], wanted[0])
        if len(given) == len(wanted) or as_set or set_given:
            return self._lists(given, wanted, sets=as_set or set_given)
        if len(wanted) == 1 and structure.row(wanted[0]) and not structure.row(given[0]):
            raise Unreadable("a bare list where a tuple or an interval is asked for")
        return f"{len(given)} values where {len(wanted)} are right"

    def _members(self, text: str, *, grouping: bool = True) -> tuple[list[str], bool]:
        r"""The members of an unordered answer, `\pm` written out, and whether braces made it a set."""
        if reals.relational(text) or _is_matrix(text):
            return [text], False
        text = reals.membership(text)
        members: list[str] = []
        is_set = False
        for part in structure.elements(text, grouping=grouping) or [text]:
            part = reals.membership(part)
            opened = structure.brackets(part)
            if opened and opened[0] in ("\\{", "{") and not _EMPTY_SET.fullmatch(opened[1] or part) and not reals.describes(part):
                inner, _ = self._members(opened[1], grouping=grouping)
                members += inner
                is_set = True
            else:
                members += _both_signs(part)
        distinct = list({member.replace(" ", ""): member for member in members}.values())
        # "4 and 4" stays a list of two: it hedges, or adds up.
        return (distinct if len(distinct) > 1 or is_set else members), is_set

    def _lists(self, given: Sequence[str], wanted: Sequence[str], *, sets: bool) -> Difference:
        """Every member of one has its equal in the other, in any order; in sets repeated ones count once."""
        in_order = _order_counts(given, wanted)
        unread: list[Unreadable] = []

        def alike(i: int, j: int) -> bool:
            try:
                return (i == j or not in_order) and not self._single(given[i], wanted[j])
            except Unreadable as reason:
                unread.append(reason)
                return False

        pairs = [[alike(i, j) for j in range(len(wanted))] for i in range(len(given))]
        matched = _matched(pairs) or (sets and all(map(any, pairs)) and all(map(any, zip(*pairs, strict=True))))
        if not matched and unread:
            raise unread[0]
        return "" if matched else "a value that is not among the right ones, or one of them missing"

    def _single(self, said: str, meant: str) -> Difference:
        """Why two members of lists, or two answers that are no lists, differ."""
        if by_text := _by_text(said, meant):
            return by_text[0]
        return self._equations(named(said, self._rounds), named(meant, self._rounds))

    def _rounds(self, decimal: str, formula: str) -> bool:
        return self._formulas.rounds(decimal, formula)

    def _equations(self, said: Named, meant: Named) -> Difference:
        """A name before "=" is no part of the answer, unless both have one; other equations stand as a whole."""
        said, meant = self._settled(said, meant), self._settled(meant, said)
        if said.name and meant.name and said.name != meant.name:
            return self._proportional(said, meant)
        if (said.sides and not said.name) or (meant.sides and not meant.name):
            if not (said.sides and meant.sides):
                return "an equation on one side only"
            return self._proportional(said, meant)
        for one, other in (*said.chain(), *meant.chain()):
            if self._value(one, other):
                return "an equation that does not hold"
        return self._value(said.value, meant.value)

    def _settled(self, one: Named, other: Named) -> Named:
        """ "3 + 2 = 5" states 5, if it is so; where both are equations of two sides, they are compared as such."""
        if one.name or not one.sides or (len(one.sides) == 2 and other.sides):
            return one
        if any(self._value(left, right) for left, right in pairwise(one.sides)):
            return one
        return Named("", (), one.sides[-1])

    def _proportional(self, said: Named, meant: Named) -> Difference:
        if len(said.sides) != 2 or len(meant.sides) != 2:
            raise Unreadable("a chain of equations")
        if any(reals.relational(side) for side in (*said.sides, *meant.sides)):
            raise Unreadable("an equation and an inequality at once")
        sides = (said.sides[0], said.sides[1]), (meant.sides[0], meant.sides[1])
        return "" if self._formulas.proportional(*sides) else "another equation"

    def _value(self, said: str, meant: str) -> Difference:
        """Why two values without a name differ: sets of reals, matrices, tuples, ratios, quantities."""
        if by_text := _by_text(said, meant):
            return by_text[0]
        if reals.describes(said) or reals.describes(meant):
            return self._reals(said, meant) if not reals.many_symbols(said, meant) else self._regions(said, meant)
        matrices = structure.matrix(said), structure.matrix(meant)
        if matrices[0] and matrices[1]:
            return self._matrices(matrices[0], matrices[1])
        if _is_matrix(said) or _is_matrix(meant):
            raise Unreadable("a matrix beside something else")
        rows = structure.row(said), structure.row(meant)
        if rows[0] and rows[1]:
            if len(rows[0].members) != len(rows[1].members):
                rows = structure.row(said, grouping=False), structure.row(meant, grouping=False)
            assert rows[0] and rows[1]
            return self._rows(rows[0], rows[1])
        if rows[0] or rows[1]:
            return "a tuple or interval on one side only"
        if ":" in said or ":" in meant:
            return self._ratios(said, meant)
        return self._quantities(quantity(structure.unwrapped(said)), quantity(structure.unwrapped(meant)))

    def _reals(self, said: str, meant: str) -> Difference:
        answers = []
        for line in self._formulas.lines():
            reader = reals.Reader(line)
            sets = reader.read(said), reader.read(meant)
            if sets[0].symbol and sets[1].symbol and sets[0].symbol != sets[1].symbol:
                return "inequalities of different symbols"
            answers.append(sets[0].same(sets[1]))
        if len(set(answers)) > 1:
            raise Unreadable("two ways of placing the boundaries disagree")
        return "" if answers[0] else "another set of real numbers"

    def _regions(self, said: str, meant: str) -> Difference:
        """Inequalities of several symbols, link by link: the same if their sides differ by a positive multiple of the same."""
        links = reals.falling(said), reals.falling(meant)
        if [link.sign for link in links[0]] != [link.sign for link in links[1]]:
            return "another kind of inequality"
        for one, other in zip(*links, strict=True):
            if not self._formulas.proportional(one.sides, other.sides, positive=True):
                return "another inequality"
        return ""

    def _matrices(self, said: structure.Matrix, meant: structure.Matrix) -> Difference:
        if [len(row) for row in said.rows] != [len(row) for row in meant.rows]:
            return "a matrix of another shape"
        for rows in zip(said.rows, meant.rows, strict=True):
            for cells in zip(*rows, strict=True):
                one, other = (
                    f"({side.factor})({cell})" if side.factor else cell
                    for side, cell in zip((said, meant), cells, strict=True)
                )
                if self._value(one, other):
                    return "a matrix with another entry"
        return ""

    def _rows(self, said: structure.Row, meant: structure.Row) -> Difference:
        """Tuples member by member; with two members the brackets count, for they tell [1,2) from (1,2]."""
        if len(said.members) != len(meant.members):
            return "a tuple of another length"
        if len(meant.members) == 2 and (said.opening, said.closing) != (meant.opening, meant.closing):
            return "an end that is open in one and closed in the other"
        for one, other in zip(said.members, meant.members, strict=True):
            if self._single(one, other):
                return "a tuple with another member"
        return ""

    def _ratios(self, said: str, meant: str) -> Difference:
        """1:2 is 2:4 and one half; three numbers are compared one by one."""
        parts = [structure.split(text, ":") for text in (said, meant)]
        if len(parts[0]) == len(parts[1]) == 2 or 1 in map(len, parts):
            quotients = [f"({part[0]})/({part[1]})" if len(part) == 2 else part[0] for part in parts]
            if max(map(len, parts)) > 2:
                return "a ratio of three numbers on one side only"
            alike = self._formulas.same(*quotients)
            if alike and all(notations.time_of_day(text) for text in (said, meant)):
                raise Unreadable("a time or a ratio")
            return "" if alike else "another ratio"
        if len(parts[0]) != len(parts[1]):
            return "a ratio of another length"
        products = [
            self._formulas.same(f"({one})({parts[1][0]})", f"({other})({parts[0][0]})")
            for one, other in zip(parts[0][1:], parts[1][1:], strict=True)
        ]
        return "" if all(products) else "another ratio"

    def _quantities(self, said: Quantity, meant: Quantity) -> Difference:
        """Numbers with percent signs, degree signs and units; what one leaves out the other may state."""
        same = self._formulas.same
        if said.percent != meant.percent:
            if said.unit or meant.unit:
                return "a percentage and a unit"
            whole, part = (said.text, meant.text) if meant.percent else (meant.text, said.text)
            percent = f"({part})/100"
            return "" if same(said.text, meant.text) or same(whole, percent) else "another percentage"
        if said.unit and meant.unit and said.unit != meant.unit:
            if same(said.text, meant.text):
                return "another unit"
            raise Unreadable("a value in another unit")
        if same(said.text, meant.text):
            return ""
        if "degree" in (said.unit, meant.unit) and said.unit != meant.unit and "\\pi" in said.text + meant.text:
            one, other = (f"({side.text})\\pi/180" if side.unit else side.text for side in (said, meant))
            return "" if same(one, other) else "another angle"
        return "another value"


_EMPTY_SET = re.compile(r"\\emptyset|\\\{\s*\\\}|\{\s*\}")
_TextOnly = Callable[[str, str], "tuple[Difference] | None"]


def _by_text(said: str, meant: str) -> tuple[Difference] | None:
    """The difference, in a tuple, where text alone decides; None where it does not."""
    for kind in _KINDS:
        if (decided := kind(said, meant)) is not None:
            return decided
    return None


def _nothing(said: str, meant: str) -> tuple[Difference] | None:
    sets = [_EMPTY_SET.fullmatch(text) is not None for text in (said, meant)]
    return None if not any(sets) else ("" if all(sets) else "the empty set on one side only",)


def _numbers(said: str, meant: str) -> tuple[Difference] | None:
    values = notations.number(said), notations.number(meant)
    if values[0] is None or values[1] is None or values[0] != values[1]:
        return None
    return ("",)


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
    if times[0] is None or times[1] is None:
        if times[1] and times[1].half:
            raise Unreadable("no time of day")
        return None
    if times[0] == times[1]:
        return ("",)
    if not (times[0].half or times[1].half):
        return ("another time",) if re.search(r":0\d", said + meant) else None
    if times[0].minutes_of_day() == times[1].minutes_of_day() and max(time.hour for time in times if time) > 12:
        return ("",)
    if times[0][:3] == times[1][:3] and "" in (times[0].half, times[1].half):
        raise Unreadable("half of the day is not stated")
    return ("another time",)


def _spoken(said: str, meant: str) -> tuple[Difference] | None:
    asked = notations.prose(meant)
    if not asked and not notations.prose(said):
        if notations.muddled(said, meant):
            raise Unreadable("letters in another order")
        return None
    words, wanted = notations.words(said), notations.words(meant)
    if words is not None and words == wanted:
        return ("",)
    if any(structure.row(text) or len(structure.elements(text)) > 1 for text in (said, meant)):
        return None
    if not asked:
        if words is None or notations.NUMERAL.search(words):
            raise Unreadable("words around a number")
        return ("words where none are asked for",)
    if words is None and notations.number(said) is None:
        raise Unreadable("more or less than words where words are asked for")
    if f" {wanted} " in f" {words} ":
        raise Unreadable("more than the words that are asked for")
    return ("other words",)


#: The kinds of answer that text decides, in this order.
_KINDS: tuple[_TextOnly, ...] = (_nothing, _numbers, _choices, _numerals, _times, _spoken)


def _is_matrix(text: str) -> bool:
    return "\\begin{" in text


def _both_signs(text: str) -> list[str]:
    r"""`\pm` and `\mp` written out.

    Raises:
        Unreadable: there is more than one; whether they go together nobody can tell.
    """
    signs = len(re.findall(r"\\(?:pm|mp)(?![a-z])", text))
    if signs == 0:
        return [text]
    if signs > 1:
        raise Unreadable("more than one plus-minus sign")
    return [re.sub(r"\\(?:pm|mp)(?![a-z])\s*", sign, text) for sign in ("+", "-")]


def _matched(pairs: Sequence[Sequence[bool]]) -> bool:
    """Whether every member has one of its own on the other side; equals of the same are equal to each other."""
    free = set(range(len(pairs[0])))
    for row in pairs:
        found = next((column for column in free if row[column]), None)
        if found is None:
            return False
        free.discard(found)
    return not free


def _order_counts(given: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether one list has names and the other has none: "AB=4, CD=5" is answered by "4, 5", in that order only."""
    names = [[named(member).name for member in members] for members in (given, wanted)]
    if bool(any(names[0])) == bool(any(names[1])):
        return False
    return len({name for name in (*names[0], *names[1]) if name}) > 1
