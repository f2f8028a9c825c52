"""Does a second model come to the same answer? (rStar §3.3)

Part of a trajectory's reasoning is given, the second model writes the rest; where its answer is the trajectory's, the two are
mutually consistent. It is given reasoning alone, never the first model's answer nor the ground truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rstar_math.config import MaskingConfig
from rstar_math.ports import Judge, Policy, Sandbox
from rstar_math.records import Sampling, Transcript, Tree
from rstar_math.rng import stream
from rstar_math.search.agreement import alike
from rstar_math.search.sums import worked_out
from rstar_math.search.task import LINE_END, SOLUTION, Task


class Completion(NamedTuple):
    """What the second model made of a trajectory: words given, words in all, its line, and whether it agrees."""

    given: int
    of: int
    line: str
    agrees: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """The trajectories of one tree (last nodes), each with its completions, and the tokens that these took."""

    problem_id: str
    completions: Mapping[int, Sequence[Completion]]
    tokens: int

    def consistent(self, agreement: str) -> list[int]:
        """The trajectories that enough completions agree with: one ("loose"), more than half ("middle"), all ("strict")."""
        return [leaf for leaf, found in self.completions.items() if _enough(agreement, [each.agrees for each in found])]


def _enough(agreement: str, agrees: Sequence[bool]) -> bool:
    if agreement == "middle":
        return sum(agrees) * 2 > len(agrees)
    return any(agrees) if agreement == "loose" else all(agrees)


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
        leaves = list(dict.fromkeys(rollout.leaf for rollout in tree.rollouts))
        asked = [
            (leaf, number)
            for leaf in leaves
            if tree.nodes[leaf].answer is not None
            for number in range(self.plan.masks)
        ]
        done = await asyncio.gather(*(self._complete(tree, leaf, number) for leaf, number in asked))
        completions: dict[int, list[Completion]] = {leaf: [] for leaf, _ in asked}
        for (leaf, _), (completion, _) in zip(asked, done, strict=True):
            completions[leaf].append(completion)
        return Judged(tree.problem.id, completions, sum(tokens for _, tokens in done))

    async def _complete(self, tree: Tree, leaf: int, number: int) -> tuple[Completion, int]:
        words = " ".join(self.task.sentences(tree.steps(leaf))).split()
        draw = stream(self.seed, "mask", tree.problem.id, leaf, number)
        least, most, masks = self.plan.least_given, self.plan.most_given, self.plan.masks
        # The masks of one trajectory share the range out among themselves, so that one of them gives little.
        share = least + (most - least) * (number + draw.random()) / masks
        given = cut(words, share, self.task.answer)
        seen: Transcript = self.task.transcript(tree.problem.question, (), SOLUTION, " ".join(words[:given]))
        sampling = Sampling(self.plan.completion_temperature, 1.0, self.plan.max_line_tokens, (LINE_END,))
        proposals = await self.policy.propose(seen, 1, sampling)
        line = proposals[0].text.strip() if proposals else ""
        answer, own = await self._answer(" ".join((*words[:given], line))), tree.nodes[leaf].answer or ""
        agrees = answer is not None and len(set((await alike([own, answer], self.comparing)).values())) == 1
        return Completion(given, len(words), line, agrees), sum(proposal.tokens for proposal in proposals)

    async def _answer(self, solution: str) -> str | None:
        if not self.task.code:
            return self.task.answer_in(solution)
        if self.sandbox is None:
            raise TypeError("a task with code needs a sandbox for the second model's lines too")
        (ran,) = await worked_out([solution], (), self.sandbox)
        return self.task.answer_in(ran) if ran is not None else None


def cut(words: Sequence[str], share: float, statement: str) -> int:
    """How many words are given: that share of them, but nothing from the first `statement` on, behind which an answer stands.

    So whatever answer the completed solution states, the second model has stated. Words, not sentences: of the two sentences
    of a short solution the first holds all of its reasoning, and a second model given all of it can only say the same.
    """
    whole_words_before = " ".join(words).partition(statement)[0].count(" ")
    return min(round(share * len(words)), whole_words_before)
