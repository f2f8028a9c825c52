"""path -> what may follow it: which of rStar's five actions, and what do they say? (arXiv 2408.06195 §3.1, 3.2)

A1 one thought, A2 all that is left, A3 a sub-question with its answer, A4 that answer once more, A5 the question as a list of
conditions. Where an action needs one line, several are drawn and the one that most agree with is kept. An answer is worth the
share of the drawn lines that state it: nobody knows the ground truth. MCTS itself is `mcts`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from rstar_math.config import MutualConfig, SearchConfig
from rstar_math.config.mutual import ActionName
from rstar_math.records import End, Sampling, Step, Transcript
from rstar_math.search.agreement import alike
from rstar_math.search.expansion import Doors, Moves
from rstar_math.search.mcts import mcts
from rstar_math.search.sampling import sample
from rstar_math.search.sums import worked_out
from rstar_math.search.task import (
    AGAIN,
    CONDITIONS,
    LINE_END,
    SOLUTION,
    SUBANSWER,
    SUBQUESTION,
    THOUGHT,
    Task,
)
from rstar_math.search.tree import GrowingTree


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Reasoning(SearchConfig):
    """A search over actions: the knobs of `SearchConfig` that MCTS reads, the task, and rStar's own (`MutualConfig`)."""

    kind: Literal["actions", "solutions"] = "actions"  # type: ignore[assignment]
    task: Task = Field(default_factory=lambda: Task("none"))
    thoughts: int = MutualConfig.thoughts
    subquestions: int = MutualConfig.subquestions
    votes: int = MutualConfig.votes
    actions: tuple[ActionName, ...] = MutualConfig.actions


class Candidate(NamedTuple):
    """A child to be: its lines, the answer that ends the trajectory, the share of the drawn lines that agree with it."""

    lines: str
    answer: str | None = None
    confidence: float | None = None


class Drawn(NamedTuple):
    """The lines that came to an end and whose code runs, and how many were drawn in all."""

    lines: Sequence[str]
    of: int


class Asking:
    """One node that is being expanded: asks the policy for lines that may follow its path."""

    def __init__(self, tree: GrowingTree, index: int, doors: Doors, plan: SearchConfig) -> None:
        if not isinstance(plan, Reasoning):
            raise TypeError(f"a search over actions goes by a Reasoning plan, not by {type(plan).__name__}")
        self.plan, self.task, self.path = plan, plan.task, tree.steps(index)
        self._tree, self._doors = tree, doors
        self._sampling = Sampling(plan.temperature, plan.top_p, plan.max_step_tokens, (LINE_END,))

    async def lines(self, mark: str, count: int, before: Sequence[Step] = ()) -> Drawn:
        """`count` samples of the line with this mark; at its end is one with a line break, or with an answer."""
        seen: Transcript = self.task.transcript(self._tree.problem.question, (*self.path, *before), mark)
        proposals = await self._doors.policy.propose(seen, count, self._sampling)
        self._tree.expansions += 1
        self._tree.tokens += sum(proposal.tokens for proposal in proposals)
        said = [proposal.text for proposal in proposals]
        whole = [
            line.strip() for line in said if line.strip() and (line.endswith(LINE_END) or self.task.answer_in(line))
        ]
        return Drawn(await self._worked_out(whole, before) if self.task.code else whole, len(said))

    async def _worked_out(self, lines: list[str], before: Sequence[Step]) -> list[str]:
        found = await worked_out(lines, (*self.path, *before), self._doors.sandbox)
        ran = {line: came_to for line, came_to in zip(lines, found, strict=True) if "`" in line}  # equal ones once
        self._tree.executions += len(ran)
        self._tree.failed_executions += list(ran.values()).count(None)
        return [line for line in found if line is not None]

    async def vote(self, drawn: Drawn) -> Mapping[str, tuple[str, float]]:
        """Each line that states an answer, with the answer and the share of all drawn lines that agree with it.

        A line that states none, or was dropped, agrees with nobody: an answer that came once in five is no certain one.
        """
        if self._doors.comparing is None:
            raise TypeError("a search over actions needs a judge that compares its answers")
        stated = [(line, answer) for line in drawn.lines if (answer := self.task.answer_in(line)) is not None]
        same = await alike([answer for _, answer in stated], self._doors.comparing)
        votes = Counter(same[answer] for _, answer in stated)
        return {line: (answer, votes[same[answer]] / drawn.of) for line, answer in stated}

    async def best(self, mark: str, before: Sequence[Step] = ()) -> tuple[str, str, float] | None:
        """The line that most of the drawn ones agree with, its answer and their share; None if none states an answer."""
        voted = await self.vote(await self.lines(mark, self.plan.votes, before))
        return max(((line, *vote) for line, vote in voted.items()), key=lambda each: each[2], default=None)


async def _thought(asking: Asking) -> list[Candidate]:
    """A1; a thought that states the answer ends the path."""
    drawn = await asking.lines(THOUGHT, asking.plan.thoughts)
    voted = await asking.vote(drawn)
    return [Candidate(f"{THOUGHT} {line}\n", *voted.get(line, (None, None))) for line in dict.fromkeys(drawn.lines)]


async def _solution(asking: Asking) -> list[Candidate]:
    """A2: the rest in one line, which ends the path."""
    best = await asking.best(SOLUTION)
    return [Candidate(f"{SOLUTION} {best[0]}\n", *best[1:])] if best else []


async def _subquestion(asking: Asking) -> list[Candidate]:
    """A3; the sub-question that asks for the answer itself ends the path."""

    async def answered(question: str) -> Candidate | None:
        asked = f"{SUBQUESTION} {question}\n"
        best = await asking.best(SUBANSWER, [Step(asked)])
        if best is None:
            return None
        ends = best[1:] if asking.task.is_final(question) else (None, None)
        return Candidate(f"{asked}{SUBANSWER} {best[0]}\n", *ends)

    questions = dict.fromkeys((await asking.lines(SUBQUESTION, asking.plan.subquestions)).lines)
    return [found for found in await asyncio.gather(*map(answered, questions)) if found is not None]


async def _again(asking: Asking) -> list[Candidate]:
    """A4: the last sub-question answered once more."""
    best = await asking.best(AGAIN)
    return [Candidate(f"{AGAIN} {best[0]}\n")] if best else []


async def _conditions(asking: Asking) -> list[Candidate]:
    """A5: the question as a list of conditions."""
    drawn = await asking.lines(CONDITIONS, 1)
    return [Candidate(f"{CONDITIONS} {line}\n") for line in drawn.lines[:1]]


class _Action(NamedTuple):
    draw: Callable[[Asking], Awaitable[list[Candidate]]]
    may_follow: Callable[[Sequence[Step]], bool]


#: What each action draws, and after which path it may stand (paper §3.1).
ACTIONS: Mapping[str, _Action] = {
    "thought": _Action(_thought, lambda _: True),
    "solution": _Action(_solution, lambda _: True),
    "subquestion": _Action(_subquestion, lambda _: True),
    "again": _Action(_again, lambda path: bool(path) and path[-1].text.startswith(SUBQUESTION)),
    "conditions": _Action(_conditions, lambda path: not path),
}


async def act(tree: GrowingTree, index: int, doors: Doors, plan: SearchConfig, _: int | None = None) -> Counter[int]:
    """Attaches what the actions that may stand here say below node `index`; child -> 1."""
    asking = Asking(tree, index, doors, plan)
    allowed = [ACTIONS[name] for name in asking.plan.actions if ACTIONS[name].may_follow(asking.path)]
    drawn = await asyncio.gather(*(action.draw(asking) for action in allowed))
    tree.nodes[index].children = []
    return Counter(_attach(tree, index, candidate) for candidates in drawn for candidate in candidates)


async def solve_once(
    tree: GrowingTree, index: int, doors: Doors, plan: SearchConfig, count: int | None
) -> Counter[int]:
    """`count` solutions in one line each below node `index`: chain of thought; child -> how many of them said it."""
    asking = Asking(tree, index, doors, plan)
    said = Counter((await asking.lines(SOLUTION, count or 1)).lines)
    tree.nodes[index].children = []
    children: Counter[int] = Counter()
    for line, times in said.items():
        if answer := asking.task.answer_in(line):
            children[_attach(tree, index, Candidate(f"{SOLUTION} {line}\n", answer))] = times
    return children


async def confidence(tree: GrowingTree, leaf: int, end: End, _: Doors) -> float:
    """What a trajectory's end is worth: the share of the drawn lines that agree with it; nothing without an answer."""
    return tree.nodes[leaf].prior or 0.0 if end is End.ANSWER else 0.0


def _attach(tree: GrowingTree, index: int, candidate: Candidate) -> int:
    return tree.attach(index, Step(candidate.lines), prior=candidate.confidence, answer=candidate.answer)


#: Searches over actions: MCTS over all of them, and solutions drawn one by one.
ACTION_SEARCHES: Mapping[str, Any] = {
    "actions": partial(mcts, moves=Moves(act, confidence)),
    "solutions": partial(sample, moves=Moves(solve_once, confidence)),
}
