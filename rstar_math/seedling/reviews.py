"""solved problem -> the same solution with mistakes in it, and which of its steps are right.

Large language models have read corrected homework; the seedling reads some too, so that its state at the end of a step can
tell whether the step is right. That is where a PPM later reads. A mistake is a step as other problems have it, with this
problem's numbers: another operation, another number, an end too early or too late; or the right step without its checks.
Nothing is run or trained here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from rstar_math import text
from rstar_math.problems.wordproblems import WordProblem, answer_step
from rstar_math.problems.wordproblems_operations import MAX_QUANTITY
from rstar_math.records import Step

#: The chance that a step is wrong; of the wrong ones, how many lack a check, how many others only take a wrong number, how
#: many of the rest end rightly.
MISTAKE, UNCHECKED, WRONG_NUMBER, RIGHT_ENDING = 0.5, 0.2, 0.2, 0.8
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_GAP = re.compile(r"\{\d\}")
_CHECK = re.compile(r"\nassert [^\n]+")
_ENDING = re.compile(rf"(?:\nassert x % 10 == \S+)?\n(?:print\(x\)\n)?(?:{text.STEP_END}|{text.CODE_END})$")


class Review(NamedTuple):
    """Steps, and whether each is right; the one that ends the code and the one that states the answer stand for all."""

    steps: tuple[Step, ...]
    right: tuple[bool, ...]


class Reviewer:
    """Makes mistakes out of the steps that it has seen, first steps and later ones apart."""

    def __init__(self, solved: Sequence[WordProblem]) -> None:
        blank = [[_blank(step, problem) for step in problem.steps[:-1]] for problem in solved]
        self._first = [steps[0] for steps in blank]
        self._later = [step for steps in blank for step in steps[1:]]

    def review(self, problem: WordProblem, draws: random.Random) -> Review:
        """The problem's steps with mistakes. A step before the last is right if it is the reference's, whatever went before.

        What a wrong program prints is drawn at random: a model this small does not check sums.
        """
        steps: list[Step] = []
        right: list[bool] = []
        for index, step in enumerate(problem.solution[:-1]):
            right.append(draws.random() >= MISTAKE)
            written = step.text if right[-1] else self._mistake(problem, index, draws)
            ends = written.endswith(text.CODE_END)
            if ends:
                right[-1] = all(right)
                answer = problem.problem.answer if right[-1] else str(draws.randint(2, MAX_QUANTITY))
                steps += [Step(written, answer), Step(answer_step(answer))]
                right.append(right[-1])
                break
            steps.append(Step(written))
        return Review(tuple(steps), tuple(right))

    def _mistake(self, problem: WordProblem, index: int, draws: random.Random) -> str:
        truth = problem.steps[index]
        numbers = _NUMBER.findall(problem.problem.question)
        own = [number for number in _NUMBER.findall(truth) if number in numbers]
        if draws.random() < UNCHECKED and (unchecked := _CHECK.sub("", truth)) != truth:
            return unchecked
        while True:
            others = draws.sample(numbers, len(numbers))
            if draws.random() < WRONG_NUMBER:
                frame, fillings = _blank(truth, problem), others
            else:
                frame, fillings = draws.choice(self._later if index else self._first), own + others
                if draws.random() < RIGHT_ENDING:
                    frame = _ENDING.sub("", frame) + _ENDING.findall(truth)[0]
            if len(set(_GAP.findall(frame))) <= len(fillings) and (written := frame.format(*fillings)) != truth:
                return written


def _blank(step: str, problem: WordProblem) -> str:
    """The step with a gap for every number that the question gives: `{0}` wherever the first of them stands, and so on."""
    given = set(_NUMBER.findall(problem.problem.question))
    gaps: dict[str, str] = {}

    def gap(found: re.Match[str]) -> str:
        number = found.group()
        return gaps.setdefault(number, f"{{{len(gaps)}}}") if number in given else number

    return _NUMBER.sub(gap, step)
