"""a search plan and a policy's habits -> what the search of one problem costs, in nodes and tokens.

Every rollout passes each depth once, so below a depth with w nodes at most min(rollouts, w) of them are ever expanded, and a
textbook UCT, which tries what is unvisited first, expands as many. The width grows by the children that an expansion
leaves. Where the PPM's scores stand for a first visit, fewer are expanded: there the count is an upper bound (the demo's
rounds 3 and 4 expand 10 to 30% less). Nothing is measured here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from rstar_math.config import ForecastConfig, SearchConfig


@dataclass(frozen=True, slots=True)
class Work:
    """Of one problem, or of many: expansions, nodes kept, tokens generated, tokens that the PPM reads."""

    expansions: float = 0.0
    nodes: float = 0.0
    generated: float = 0.0
    read: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.expansions + other.expansions,
            self.nodes + other.nodes,
            self.generated + other.generated,
            self.read + other.read,
        )

    def times(self, count: float) -> Work:
        """The same for `count` problems."""
        return Work(self.expansions * count, self.nodes * count, self.generated * count, self.read * count)


def expansions(rollouts: float, branching: float, steps: float) -> tuple[float, float]:
    """Expansions of a tree: those that ask for steps, and those that ask for the answer, the last of `steps` levels."""

    def of(levels: float) -> float:
        return sum(min(1.0, levels - depth) * min(rollouts, branching**depth) for depth in range(ceil(levels)))

    return of(steps - 1), of(steps) - of(steps - 1)


def tree_work(plan: SearchConfig, habits: ForecastConfig, rollouts: int) -> Work:
    """One tree with so many rollouts; for drawn solutions and beams: so many paths, each of its own."""
    if plan.kind == "mcts":
        branching = max(1.0, habits.kept * plan.candidates)
        code, answers = expansions(rollouts, branching, habits.steps)
    else:
        branching = plan.candidates if plan.kind == "beam" else 1.0
        code, answers = rollouts * (habits.steps - 1), float(rollouts)
    nodes = code * branching + answers
    drawn = code * plan.candidates + answers * plan.answer_candidates
    scored = nodes if plan.annotation == "ppm" else 0.0
    # With prefix caching the PPM reads the problem once, then of every path its last step.
    read = habits.question_tokens + scored * habits.step_tokens if scored else 0.0
    return Work(code + answers, nodes, drawn * habits.step_tokens, read)


def search_work(plan: SearchConfig, habits: ForecastConfig, unsolved: float, problems: int) -> Work:
    """All problems: each gets `plan.rollouts`, the unsolved share goes on to the last total, in every tree."""
    first = tree_work(plan, habits, plan.rollouts)
    last = tree_work(plan, habits, max((plan.rollouts, *plan.escalate_to)))
    return first.times((1 - unsolved) * problems) + last.times(unsolved * plan.trees * problems)
