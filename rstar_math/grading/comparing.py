r"""prediction, ground truth -> grade

The ground truth decides what kind of answer is asked for: letters and words are compared as text, numbers exactly, lists and
tuples member by member, and what is left are formulas, for which somebody else answers (`formulas.Formulas`). Nothing is
computed here, and nothing is guessed: what has no reading, or two, is `unreadable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rstar_math import boxes
from rstar_math.grading import (
    doubts,
    families,
    guards,
    listing,
    matrices,
    notations,
    outline,
    quantities,
    ratios,
    reals,
    structure,
    surface,
    systems,
)
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.formulas import Formulas, fraction
from rstar_math.grading.kinds import Difference, by_text
from rstar_math.grading.naming import Named, as_named, as_rows, named
from rstar_math.records import Grade, Verdict


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
        said = _readable(answered)
        difference = Comparison(formulas).of(said, meant)
        if not (difference or notations.prose(meant) or notations.choice(meant) or notations.option(meant)):
            outline.check(answered, asked or "")
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


#: So many comparisons of members are made without looking for equal texts first, and so many at most.
_MANY, _MOST = 100, 1_000


class Comparison:
    """Compares two cleaned texts with one set of formulas."""

    def __init__(self, formulas: Formulas) -> None:
        self._formulas = formulas

    def of(self, said: str, meant: str) -> Difference:
        """Why two whole answers differ.

        Raises:
            Unreadable: one of them has no reading.
        """
        if option := notations.option(meant):
            return self._option(said, option)
        if by_text_alone := by_text(said, meant):
            return by_text_alone[0]
        said = doubts.constants_as_in(meant, said)
        said, meant, numbered = families.settled(said, meant)
        difference = self._answers(said, meant)
        if difference and numbered:
            raise Unreadable("values for every integer, which may be numbered otherwise")
        if difference:
            doubts.check(said, meant, lambda other: not self._answers(other, meant))
        return difference

    def _answers(self, said: str, meant: str) -> Difference:
        """Why two answers that are no choice differ: as lists, where one is one."""
        said, meant = as_named(said), as_named(meant)
        said, meant = as_rows(said, meant), as_rows(meant, said)
        listing.check_joined(said, meant)
        said, meant = listing.unnamed(said, meant)
        wanted, given = listing.members(meant), listing.members(said)
        if len(wanted.texts) > 1 and len(given.texts) != len(wanted.texts):
            ungrouped = listing.members(said, grouping=False)
            given = ungrouped if len(ungrouped.texts) == len(wanted.texts) else given
        return self._members(given, wanted)

    def _option(self, said: str, meant: notations.Option) -> Difference:
        """The ground truth states a choice and its value: either will do, and if both are stated both have to be right."""
        letter, own = notations.choice(said), notations.option(said)
        if letter is not None:
            return "" if letter == meant.letter else "another choice"
        if own is None:
            return self.of(said, meant.value)
        differs = self.of(own.value, meant.value)
        if bool(differs) != (own.letter != meant.letter):
            raise Unreadable("the letter of one choice with the value of another")
        return differs and "another choice"

    def _members(self, given: listing.Members, wanted: listing.Members) -> Difference:
        counts = len(given.texts), len(wanted.texts)
        if counts == (1, 1):
            return self._single(given.texts[0], wanted.texts[0])
        sets = (given.is_set or wanted.is_set) and (wanted.is_set or wanted.distinct())
        if counts[0] == counts[1] or sets:
            return self._lists(given.texts, wanted.texts, sets=sets)
        if not self._lists(given.texts, wanted.texts, sets=True):
            if all(map(structure.row, wanted.texts)):
                return ""  # solutions are a set, however often one is stated
            raise Unreadable("a value that is stated more than once")
        if counts[1] == 1 and structure.row(wanted.texts[0]) and not structure.row(given.texts[0]):
            raise Unreadable("a bare list where a tuple or an interval is asked for")
        return f"{counts[0]} values where {counts[1]} are right"

    def _lists(self, given: Sequence[str], wanted: Sequence[str], *, sets: bool) -> Difference:
        """Every member of one has its equal in the other, in any order; in sets repeated ones count once."""
        in_order = listing.order_counts(given, wanted)
        unread: list[Unreadable] = []
        if len(given) * len(wanted) > _MANY and not (sets or in_order):
            both, given, wanted = listing.twins(given, wanted)
            if not given:
                return next(filter(None, (self._single(twin, twin) for twin in both)), "")
        if len(given) * len(wanted) > _MOST:
            raise Unreadable("more members than anybody wants to compare")

        def alike(i: int, j: int) -> bool:
            try:
                return (i == j or not in_order) and not self._single(given[i], wanted[j])
            except Unreadable as reason:
                unread.append(reason)
                return False

        pairs = [[alike(i, j) for j in range(len(wanted))] for i in range(len(given))]
        if in_order and not listing.matched(pairs):
            in_order = False
            if listing.matched([[alike(i, j) for j in range(len(wanted))] for i in range(len(given))]):
                raise Unreadable("values in another order than their names")
        matched = all(map(any, pairs)) and all(map(any, zip(*pairs, strict=True))) if sets else listing.matched(pairs)
        if not matched and unread:
            raise unread[0]
        return "" if matched else "a value that is not among the right ones, or one of them missing"

    def _single(self, said: str, meant: str) -> Difference:
        """Why two members of lists, or two answers that are no lists, differ."""
        if by_text_alone := by_text(said, meant):
            return by_text_alone[0]
        return self._equations(named(said, self._formulas.rounds), named(meant, self._formulas.rounds))

    def _equations(self, said: Named, meant: Named) -> Difference:
        """A name before "=" is no part of the answer, unless both have one; other equations stand as a whole."""
        said, meant = self._settled(said, meant), self._settled(meant, said)
        if said.name != meant.name and (said.misplaced() or meant.misplaced(asked=True)):
            raise Unreadable("names in another order than the alphabet's")
        if not meant.name and said.is_misleading():
            raise Unreadable("the value of something else than a symbol")
        if said.name and meant.name and not said.called_like(meant):
            return self._proportional(said, meant)
        if (said.sides and not said.name) or (meant.sides and not meant.name):
            if not (said.sides and meant.sides):
                if not self._value(
                    said.value if meant.sides else said.sides[-1], meant.sides[-1] if meant.sides else meant.value
                ):
                    if said.sum_of_symbols() and notations.number(meant.value) is not None:
                        return ""
                    raise Unreadable("a value beside what is no name")
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
        if not self._formulas.proportional(*sides):
            return "another equation"
        if meant.name and not (said.name or reals.symbols(meant.value)):
            raise Unreadable("an equation that is yet to be solved")
        return ""

    def _value(self, said: str, meant: str) -> Difference:
        """Why two values without a name differ: sets of reals, matrices, tuples, ratios, quantities."""
        if by_text_alone := by_text(said, meant):
            return by_text_alone[0]
        if listing.braced(said) or listing.braced(meant):
            return self._sets(said, meant)
        if reals.describes(said) or reals.describes(meant):
            return self._described(said, meant)
        if "\\begin{" in said + meant:
            return matrices.differ(said, meant, self._value)
        rows = structure.row(said), structure.row(meant)
        if rows[0] and rows[1]:
            if len(rows[0].members) != len(rows[1].members):
                return self._ungrouped(said, meant, rows[1])
            return self._rows(rows[0], rows[1])
        if rows[0] or rows[1]:
            if fraction(said if rows[1] else meant) is None:
                raise Unreadable("a tuple or an interval beside what is none")
            return "a tuple or interval on one side only"
        if ":" in said or ":" in meant:
            return ratios.differ(said, meant, self._formulas)
        return quantities.differ(structure.unwrapped(said), structure.unwrapped(meant), self._formulas)

    def _described(self, said: str, meant: str) -> Difference:
        """Inequalities and other sets of reals; those of symbols that have nothing to do with each other one by one."""
        own = systems.by_symbol(said), systems.by_symbol(meant)
        if own[0] and own[1]:
            if own[0].keys() != own[1].keys():
                return "inequalities of different symbols"
            return next(filter(None, (self._reals(own[0][symbol], own[1][symbol]) for symbol in own[1])), "")
        return self._regions(said, meant) if reals.many_symbols(said, meant) else self._reals(said, meant)

    def _reals(self, said: str, meant: str) -> Difference:
        answers = []
        for line in self._formulas.lines():
            reader = reals.Reader(line)
            sets = reader.read(said), reader.read(meant)
            bound = all(map(reals.SUCH_THAT.match, (said, meant)))
            if sets[0].symbol and sets[1].symbol and sets[0].symbol != sets[1].symbol and not bound:
                return "inequalities of different symbols"
            answers.append(sets[0].same(sets[1]))
            if answers[-1] and sets[1].solved and not sets[0].solved:
                raise Unreadable("inequalities that are yet to be solved")
        if len(set(answers)) > 1:
            raise Unreadable("two ways of placing the boundaries disagree")
        return "" if answers[0] else "another set of real numbers"

    def _regions(self, said: str, meant: str) -> Difference:
        """Inequalities of several symbols, link by link: the same if their sides differ by positive multiples."""
        links = reals.falling(said), reals.falling(meant)
        if [link.sign for link in links[0]] != [link.sign for link in links[1]]:
            return "another kind of inequality"
        for one, other in zip(*links, strict=True):
            if not self._formulas.proportional(one.sides, other.sides, positive=True):
                return "another inequality"
        return ""

    def _sets(self, said: str, meant: str) -> Difference:
        """Sets by their members; plain braces may only hold a formula together."""
        if listing.braced(said) and listing.braced(meant):
            return self._members(listing.members(said), listing.members(meant))
        if reals.describes(said) or reals.describes(meant):
            raise Unreadable("the members of a set beside a condition")
        if said.startswith("\\{") or meant.startswith("\\{"):
            return "a set on one side only"
        return quantities.differ(structure.unwrapped(said), structure.unwrapped(meant), self._formulas)

    def _ungrouped(self, said: str, meant: str, wanted: structure.Row) -> Difference:
        """Tuples of different lengths, where commas that seem to group digits may part members of the answer."""
        rows = structure.row(said, grouping=False), structure.row(meant, grouping=False)
        assert rows[0] and rows[1]
        if len(rows[0].members) == len(wanted.members):
            return self._rows(rows[0], wanted)
        if not self._rows(rows[0], rows[1]):
            raise Unreadable("commas that group digits, or part members")
        return "a tuple of another length"

    def _rows(self, said: structure.Row, meant: structure.Row) -> Difference:
        """Tuples member by member; with two members the brackets count, for they tell [1,2) from (1,2]."""
        if len(said.members) != len(meant.members):
            return "a tuple of another length"
        if len(meant.members) == 2 and (said.opening, said.closing) != (meant.opening, meant.closing):
            return "an end that is open in one and closed in the other"
        if len(meant.members) != 2 and any((row.opening == "(") != (row.closing == ")") for row in (said, meant)):
            raise Unreadable("a tuple that opens with one kind of bracket and closes with another")
        listing.order_counts(said.members, meant.members)
        for one, other in zip(said.members, meant.members, strict=True):
            if self._single(one, other):
                return "a tuple with another member"
        return ""
