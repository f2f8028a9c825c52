"""Does a second model come to the same answer? (rStar §3.3)

Part of a trajectory's reasoning is given, the second model writes the rest; where its answer is the trajectory's, the two are
mutually consistent. It is given reasoning alone, never the first model's answer nor the ground truth.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import NamedTuple

from rstar_math.config import MaskingConfig
from rstar_math.ports import Judge, Policy, Sandbox
from rstar_math.records import Cost, Sampling, Transcript, Tree
from rstar_math.rng import stream
from rstar_math.search.agreement import alike
from rstar_math.search.sums import worked_out
from rstar_math.search.task import LINE_END, SOLUTION, Task
from rstar_math.together import together


class Completion(NamedTuple):
    """What the second model made of a trajectory: words given, words in all, its line, and whether it agrees."""

    given: int
    of: int
    line: str
    agrees: bool


class Spent(NamedTuple):
    """What the second model took for one tree."""

    tokens: int
    executions: int
    seconds: float

    def added_to(self, cost: Cost) -> Cost:
        """What the tree cost and this together."""
        return replace(
            cost,
            tokens=cost.tokens + self.tokens,
            executions=cost.executions + self.executions,
            seconds=cost.seconds + self.seconds,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """The trajectories of one tree (last nodes), each with its completions, and what these took."""

    problem_id: str
    completions: Mapping[int, Sequence[Completion]]
    cost: Spent

    def consistent(self, agreement: str) -> list[int]:
        """The trajectories that enough completions agree with: one ("loose"), more than half ("middle"), all ("strict")."""
        return [leaf for leaf, found in self.completions.items() if _enough(agreement, [each.agrees for each in found])]


def _enough(agreement: str, agrees: Sequence[bool]) -> bool:
    if agreement == "middle":
        return sum(agrees) * 2 > len(agrees)
    return any(agrees) if agreement == "loose" else all(agrees)


class _Looked(NamedTuple):
    completions: Sequence[Completion]
    tokens: int
    executions: int


@dataclass(frozen=True, slots=True)
class Discriminator:
    """The second model, behind the door that any policy stands behind."""

    policy: Policy
    comparing: Judge
    task: Task
    plan: MaskingConfig
    seed: int
    #: Where the task's lines hold code.
    sandbox: Sandbox | None = None

    async def judge(self, tree: Tree) -> Judged:
        """Every trajectory of the tree that states an answer, completed `plan.masks` times, whatever its rollouts were."""
        started = time.perf_counter()
        leaves = dict.fromkeys(rollout.leaf for rollout in tree.rollouts)
        asked = [leaf for leaf in leaves if tree.nodes[leaf].answer is not None]
        looked = await together(self._look_at(tree, leaf) for leaf in asked)
        tokens, executions = sum(found.tokens for found in looked), sum(found.executions for found in looked)
        completions = {leaf: found.completions for leaf, found in zip(asked, looked, strict=True)}
        return Judged(tree.problem.id, completions, Spent(tokens, executions, time.perf_counter() - started))

    async def _look_at(self, tree: Tree, leaf: int) -> _Looked:
        """A trajectory's completions, one for each mask. Masks that leave the same words are one question."""
        words = " ".join(self.task.sentences(tree.steps(leaf))).split()
        given = [self._given(tree, leaf, number, words) for number in range(self.plan.masks)]
        times = Counter(given)
        looked = await together(self._complete(tree, leaf, words, given, count) for given, count in times.items())
        completions = {given: cycle(found.completions) for given, found in zip(times, looked, strict=True)}
        tokens, executions = sum(found.tokens for found in looked), sum(found.executions for found in looked)
        return _Looked([next(completions[count]) for count in given], tokens, executions)

    def _given(self, tree: Tree, leaf: int, number: int, words: Sequence[str]) -> int:
        """The words that a mask leaves. The masks of one trajectory share the range out among themselves, so that one of
        them gives little."""
        draw = stream(self.seed, "mask", tree.problem.id, leaf, number)
        least, most, masks = self.plan.least_given, self.plan.most_given, self.plan.masks
        return cut(words, least + (most - least) * (number + draw.random()) / masks, self.task.answer)

    async def _complete(self, tree: Tree, leaf: int, words: Sequence[str], given: int, count: int) -> _Looked:
        """The rest after the words that are given, `count` times; at temperature 0 once, for it would be the same."""
        seen: Transcript = self.task.transcript(tree.problem.question, (), SOLUTION, " ".join(words[:given]))
        temperature = self.plan.completion_temperature
        sampling = Sampling(temperature, 1.0, self.plan.max_line_tokens, (LINE_END,))
        proposals = await self.policy.propose(seen, count if temperature else 1, sampling)
        lines = [proposal.text.strip() for proposal in proposals] or [""]
        solutions = [" ".join((*words[:given], line)) for line in lines]
        answers, own = await self._answers(solutions), tree.nodes[leaf].answer or ""
        same = await alike([own, *(answer for answer in answers if answer is not None)], self.comparing)
        completions = [
            Completion(given, len(words), line, answer is not None and same[answer] == same[own])
            for line, answer in zip(lines, answers, strict=True)
        ]
        executions = len({solution for solution in solutions if "`" in solution}) if self.task.code else 0
        return _Looked(completions, sum(proposal.tokens for proposal in proposals), executions)

    async def _answers(self, solutions: Sequence[str]) -> list[str | None]:
        if not self.task.code:
            return [self.task.answer_in(solution) for solution in solutions]
        if self.sandbox is None:
            raise TypeError("a task with code needs a sandbox for the second model's lines too")
        ran = await worked_out(solutions, (), self.sandbox)
        return [self.task.answer_in(line) if line is not None else None for line in ran]


def cut(words: Sequence[str], share: float, statement: str) -> int:
    """How many words are given: that share of them, but nothing from the first `statement` on, behind which an answer stands.

    So whatever answer the completed solution states, the second model has stated. Words, not sentences: of the two sentences
    of a short solution the first holds all of its reasoning, and a second model given all of it can only say the same.
    """
    whole_words_before = " ".join(words).partition(statement)[0].count(" ")
    return min(round(share * len(words)), whole_words_before)
