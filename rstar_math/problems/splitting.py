"""Which problems are trained on, and which are only measured on?

problems -> disjoint sets, the same whatever the order of the file. Held-out problems measure a round, validation
problems measure the PPM's pair accuracy; nothing is trained on either. It reads no files itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from rstar_math.config import ProblemsConfig
from rstar_math.errors import InputError
from rstar_math.problems.reading import normalised, read_problems
from rstar_math.problems.wordproblems import LEVELS, generate
from rstar_math.records import Problem
from rstar_math.rng import derive

#: Of the user's own problems at most this share is held out, and as much kept for validation: training needs the rest.
LARGEST_SHARE = 10


class ProblemSets(NamedTuple):
    """Three sets, disjoint by the text of their questions, and what the user should know about how they came about."""

    train: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    validation: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    def named(self) -> Iterator[tuple[str, tuple[Problem, ...]]]:
        """Each set with its name."""
        return zip(self._fields[:3], (self.train, self.held_out, self.validation), strict=True)


def split_off(problems: Sequence[Problem], count: int, seed: int, name: str) -> tuple[list[Problem], list[Problem]]:
    """(the rest in its order, `count` chosen ones in an order of their own); the file's order decides nothing."""
    ranked = sorted(problems, key=lambda problem: (derive(seed, name, problem.id), problem.id))
    chosen = ranked[:count]
    ids = {problem.id for problem in chosen}
    return [problem for problem in problems if problem.id not in ids], chosen


def problem_sets(config: ProblemsConfig, seed: int) -> ProblemSets:
    """The three sets of a run: of the user's problems, or of the embedded word problems.

    Raises:
        InputError: the problems cannot be read, or none is left to train on.
    """
    if not (config.path or config.dataset):
        return _embedded(config, seed)
    notes: list[str] = []
    problems = read_problems(config)
    if config.held_out_path:
        held_out = read_problems(replace(config, path=config.held_out_path, dataset=None, limit=None, synthetic=False))
        problems, dropped = _without(problems, held_out)
        if dropped:
            notes.append(f"{dropped} training problems are also in {config.held_out_path}; they are not trained on")
        rest = problems
    else:
        count = _capped("held_out_count", config.held_out_count, len(problems), notes)
        rest, held_out = split_off(problems, count, seed, "heldout")
    count = _capped("validation_count", config.validation_count, len(problems), notes)
    train, validation = split_off(rest, count, seed, "ppm-validation")
    if not train:
        raise InputError(
            f"{config.path or config.dataset}: no problem is left to train on; give more problems, "
            "or held-out problems that are not the training problems"
        )
    return ProblemSets(tuple(train), tuple(held_out), tuple(validation), tuple(notes))


def _embedded(config: ProblemsConfig, seed: int) -> ProblemSets:
    held_out = read_problems(replace(config, path=config.held_out_path, limit=None)) if config.held_out_path else None
    if held_out is None:
        held_out = [row.problem for row in generate(seed, config.held_out_count, LEVELS, "heldout")]
    train = [row.problem for row in generate(seed, config.limit or config.count, LEVELS, "train")]
    validation = [row.problem for row in generate(seed, config.validation_count, LEVELS, "ppm-validation")]
    return ProblemSets(tuple(train), tuple(held_out), tuple(validation))


def _capped(knob: str, wanted: int, available: int, notes: list[str]) -> int:
    cap = available // LARGEST_SHARE
    if wanted > cap:
        notes.append(f"problems.{knob}={wanted} is more than a tenth of {available} problems; {cap} are taken")
    return min(wanted, cap)


def _without(problems: Sequence[Problem], taken: Sequence[Problem]) -> tuple[list[Problem], int]:
    """The problems whose question is not among `taken`, and how many were left out."""
    texts = {normalised(problem.question) for problem in taken}
    kept = [problem for problem in problems if normalised(problem.question) not in texts]
    return kept, len(problems) - len(kept)
