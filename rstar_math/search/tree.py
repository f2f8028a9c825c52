"""What has been tried so far, and where to look next?

The tree while it grows: mutable, one object a problem. Selection (UCT), attaching and back-up live here; asking models and
running code does not (`expansion`). `freeze` turns it into the record that the other rooms read.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from rstar_math.records import Cost, End, Node, Problem, Rollout, Step, Tree, Verdict


@dataclass(slots=True)
class Sprout:
    """A node while its tree grows. `children` is None until the node was expanded, empty if nothing ran."""

    parent: int
    step: Step
    depth: int
    visits: int = 0
    value: float = 0.0
    prior: float | None = None
    answer: str | None = None
    verdict: Verdict | None = None
    children: list[int] | None = None
    #: Rollouts that came by and have not ended yet: each counts as a visit that lost (virtual loss).
    pending: int = 0


@dataclass(slots=True)
class GrowingTree:
    """A problem's tree while it grows. Row 0 is the root: the problem, no step."""

    problem: Problem
    seed: int
    nodes: list[Sprout] = field(default_factory=lambda: [Sprout(parent=-1, step=Step(""), depth=0)])
    rollouts: list[Rollout] = field(default_factory=list)
    tokens: int = 0
    expansions: int = 0
    executions: int = 0
    failed_executions: int = 0
    scores: int = 0
    #: Nodes that a descent is expanding, with what tells the others that it has.
    expanding: dict[int, asyncio.Event] = field(default_factory=dict)

    def steps(self, index: int) -> tuple[Step, ...]:
        """The steps from the first down to node `index`."""
        return tuple(node.step for node in self.path(index))

    def path(self, index: int) -> list[Sprout]:
        """The nodes from the first step (not the root) down to node `index`."""
        found: list[Sprout] = []
        while index > 0:
            found.append(self.nodes[index])
            index = self.nodes[index].parent
        found.reverse()
        return found

    def attach(self, parent: int, step: Step, *, prior: float | None, answer: str | None) -> int:
        """Adds a child below `parent`, whose `children` must be a list already. A prior counts as one visit (§3.2)."""
        siblings = self.nodes[parent].children
        if siblings is None:
            raise ValueError(f"node {parent} is not being expanded")
        child = Sprout(parent, step, self.nodes[parent].depth + 1, prior=prior, answer=answer)
        self.nodes.append(child)
        siblings.append(len(self.nodes) - 1)
        return siblings[-1]

    def back_up(self, leaf: int, end: End, value: float) -> None:
        """Adds a rollout's value to q of every node on its path, root included, and gives each one visit."""
        self.rollouts.append(Rollout(leaf, end, value))
        index = leaf
        while index >= 0:
            node = self.nodes[index]
            node.visits += 1
            node.value += value
            node.pending = max(node.pending - 1, 0)
            index = node.parent

    @property
    def solved(self) -> bool:
        """Whether some rollout ended in an answer that is right."""
        return any(self.nodes[rollout.leaf].verdict is Verdict.CORRECT for rollout in self.rollouts)

    def freeze(self, seconds: float) -> Tree:
        """The finished record. `undecided` counts trajectories whose answer nobody could decide."""
        nodes = tuple(Node(s.parent, s.step, s.visits, s.value, s.prior, s.answer, s.verdict) for s in self.nodes)
        undecided = sum(node.verdict is not None and not node.verdict.decided for node in nodes)
        cost = Cost(
            self.tokens, self.expansions, self.executions, self.failed_executions, self.scores, undecided, seconds
        )
        return Tree(self.problem, self.seed, nodes, tuple(self.rollouts), cost)


def uct(child: Sprout, parent_visits: int, exploration: float, unvisited: Literal["first", "no-bonus"]) -> float:
    """UCT(s) = Q(s) + c * sqrt(ln N_parent(s) / N(s)) (paper §3.2, eq. 1).

    An unvisited child is infinitely attractive ("first", textbook) or has its Q of 0 and no bonus ("no-bonus", released).
    """
    visits = child.visits + child.pending
    if visits == 0:
        return math.inf if unvisited == "first" else 0.0
    q = (child.value - child.pending) / visits
    return q + exploration * math.sqrt(math.log(max(parent_visits, 1)) / visits)


def choose(
    tree: GrowingTree, children: Sequence[int], exploration: float, unvisited: Literal["first", "no-bonus"], rng: Random
) -> int:
    """The child with the highest UCT; ties are broken at random from the tree's own stream."""
    pending = sum(tree.nodes[child].pending for child in children)
    parent_visits = tree.nodes[tree.nodes[children[0]].parent].visits + pending
    scores = [uct(tree.nodes[child], parent_visits, exploration, unvisited) for child in children]
    best = max(scores)
    return rng.choice([child for child, score in zip(children, scores, strict=True) if score == best])
