"""Which training problems are also in a benchmark?

problems, benchmarks -> the problems that match none, and those that do with what they match: the same normalised text, or a
run of 13 words in common (Brown et al. 2020, appendix C). Words are compared without case and punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rstar_math.problems.reading import normalised
from rstar_math.records import Problem

_RUN = 13
_WORD = re.compile(r"\w+")


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
    texts: dict[str, tuple[str, Problem]] = {}
    runs: dict[tuple[str, ...], tuple[str, Problem]] = {}
    for name, measured in benchmarks.items():
        for problem in measured:
            texts.setdefault(normalised(problem.question), (name, problem))
            for run in _runs(problem.question):
                runs.setdefault(run, (name, problem))
    kept: list[Problem] = []
    matches: list[Match] = []
    for problem in problems:
        same = texts.get(normalised(problem.question))
        shared = next((runs[run] for run in _runs(problem.question) if run in runs), None)
        if same:
            matches.append(Match(problem, *same, "the same text"))
        elif shared:
            matches.append(Match(problem, *shared, f"{_RUN} words in a row"))
        else:
            kept.append(problem)
    return kept, matches


def _runs(question: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(question.casefold())
    return (tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1))
