"""solved word problem -> the same solution in plain words, as rStar's five actions write it.

A walk takes an action after another at random, as the search does, and every line of it is right. It trains nothing; what the
marks mean stands in `search.task`.
"""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rstar_math import text
from rstar_math.problems.wordproblems import WordProblem
from rstar_math.search.task import AGAIN, CONDITIONS, SOLUTION, SUBANSWER, SUBQUESTION, THOUGHT

#: How often a walk begins with the conditions, ends with all that is left at once, asks a sub-question, answers it twice.
LISTED, ENDED, ASKED, TWICE = 0.2, 0.3, 0.5, 0.4
_SIGNS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_ASSIGNMENT = re.compile(r"(?P<name>[a-z]+)(?:, rest)? = (?P<value>.+)")
_DIVISION = re.compile(r"divmod\((?P<over>.+), (?P<under>\S+)\)")
_NAME = re.compile(r"\b[a-z]+\b")


class Fact(NamedTuple):
    """What one step finds out: what it is about, the sums it does, and the value it ends with."""

    about: str
    sums: str
    value: str


class Line(NamedTuple):
    """A line of a walk: the mark, which is given, and what is to be written after it."""

    mark: str
    said: str


def facts(problem: WordProblem) -> list[Fact]:
    """The steps of the solution, in order, with the numbers in place of the names."""
    known: dict[str, float] = {}
    return [_fact(text.code_of(step), known) for step in problem.steps if text.code_of(step)]


def walk(problem: WordProblem, draws: random.Random) -> Iterator[Line]:
    """Lines from the question to the answer."""
    found = facts(problem)
    if draws.random() < LISTED:
        yield Line(CONDITIONS, _conditions(problem.problem.question))
    for number, fact in enumerate(found):
        last = number + 1 == len(found)
        if draws.random() < ENDED:
            sums = " ".join(f"{each.about}: {each.sums}." for each in found[number:])
            yield Line(SOLUTION, f"{sums} The answer is {found[-1].value}.")
            return
        if draws.random() >= ASKED:
            yield Line(THOUGHT, f"{fact.about}: {fact.sums}." + (f" The answer is {fact.value}." if last else ""))
            continue
        yield Line(
            SUBQUESTION, f"Now we can answer the question: {fact.about}?" if last else f"How many: {fact.about}?"
        )
        yield Line(SUBANSWER, f"{fact.sums}. The answer is {fact.value}.")
        if not last and draws.random() < TWICE:
            yield Line(AGAIN, f"{fact.about}: {fact.sums}. The answer is {fact.value}.")


def _conditions(question: str) -> str:
    """All sentences but the one that asks."""
    return " ".join(re.split(r"(?<=[.?]) ", question)[:-1])


def _fact(code: str, known: dict[str, float]) -> Fact:
    about, sums = "", []
    for line in code.splitlines():
        if line.startswith("# "):
            about = line.removeprefix("# ")
        elif found := _ASSIGNMENT.fullmatch(line):
            done, value = _sums(
                _NAME.sub(lambda name: _written(known[name[0]]), found["value"].replace("divmod", "DIV"))
            )
            known[found["name"]] = value
            sums += done
    return Fact(about, ", ".join(sums), _written(value))


def _sums(expression: str) -> tuple[list[str], float]:
    """`119 * 2` -> ["119 * 2 = 238"], 238; a division with rest, which is none, as a division."""
    if division := _DIVISION.fullmatch(expression.replace("DIV", "divmod")):
        over, under = division["over"], division["under"]
        before, value = _sums(over)
        done, value = _sums(f"{_written(value)} / {under}")
        return [*before, *done], value
    if " " not in expression:
        return [], float(expression)
    one, sign, other = expression.split(" ")
    value = _SIGNS[sign](float(one), float(other))
    return [f"{expression} = {_written(value)}"], value


def _written(value: float) -> str:
    return f"{value:g}"
