"""Which training problems are also in a benchmark?

problems, benchmarks -> the problems that match none, and those that do with what they match: the same text, or a run of 13
words in common (Brown et al. 2020, appendix C). Words are compared without case and punctuation; of the same text the signs
of its formulas are a part, for "x + 1" is another problem than "x - 1".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rstar_math.records import Problem

_RUN = 13
_WORD = re.compile(r"\w+")
#: A number with what it holds inside, a word, or a sign by itself.
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)+|\w+|[^\w\s]")
#: Signs that say nothing in a formula. An exclamation mark and an apostrophe do: 5! and f'(x).
_PUNCTUATION = frozenset('.,;:?"\u201c\u201d\u201e$')
#: Signs that are written in several ways.
_ALIKE = str.maketrans({"\u2019": "'", "\u2212": "-", "\u2013": "-", "\u2014": "-"})


class Match(NamedTuple):
    """A training problem, and the benchmark's problem that it matches."""

    problem: Problem
    benchmark: str
    like: Problem
    why: str


def decontaminate(
    problems: Sequence[Problem], benchmarks: Mapping[str, Iterable[Problem]]
) -> tuple[list[Problem], list[Match]]:
    """The problems that match no benchmark's, and a match for each of the others."""
    texts: dict[tuple[str, ...], tuple[str, Problem]] = {}
    runs: dict[tuple[str, ...], tuple[str, Problem]] = {}
    for name, measured in benchmarks.items():
        for problem in measured:
            texts.setdefault(_text(problem.question), (name, problem))
            for run in _runs(problem.question):
                runs.setdefault(run, (name, problem))
    kept: list[Problem] = []
    matches: list[Match] = []
    for problem in problems:
        same = texts.get(_text(problem.question))
        shared = next((runs[run] for run in _runs(problem.question) if run in runs), None)
        if same:
            matches.append(Match(problem, *same, "the same text"))
        elif shared:
            matches.append(Match(problem, *shared, f"{_RUN} words in a row"))
        else:
            kept.append(problem)
    return kept, matches


def _text(question: str) -> tuple[str, ...]:
    tokens = _TOKEN.findall(question.casefold().translate(_ALIKE))
    return tuple(token for token in tokens if token not in _PUNCTUATION)


def _runs(question: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(question.casefold())
    return (tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1))
