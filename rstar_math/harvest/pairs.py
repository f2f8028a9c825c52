"""trees of one problem -> preference pairs for the PPM (paper §3.3).

A middle step: among the children of one node, those with the highest Q that lead to a correct answer against those with the
lowest Q that lead to wrong ones only. The final step: the shared prefix is relaxed, whole trajectories stand against each
other. It never compares text with a model and keeps no state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from rstar_math.config import HarvestConfig
from rstar_math.harvest.trajectories import Trajectory
from rstar_math.records import End, Problem, Step, Tree, Verdict


class Pair(NamedTuple):
    """Two continuations of the same prefix; `chosen` is the better. `group` names the step whose up to 2x2 pairs it is of."""

    problem: Problem
    prefix: tuple[Step, ...]
    chosen: tuple[Step, ...]
    rejected: tuple[Step, ...]
    q_chosen: float
    q_rejected: float
    kind: Literal["middle", "final"]
    group: str


class Pairing(NamedTuple):
    """Pairs of one problem, and how many each filter took."""

    pairs: list[Pair]
    dropped: Counter[str]


def pair_up(trees: Sequence[Tree], found: Sequence[Trajectory], plan: HarvestConfig) -> Pairing:
    """All pairs of one problem that pass the filters; none where all trajectories are right, or none is."""
    outcomes = [{trajectory.verdict for trajectory in found}, *(_leads_to(tree, plan)[0] for tree in trees)]
    if not {Verdict.CORRECT, Verdict.WRONG} <= set[Verdict]().union(*outcomes):
        return Pairing([], Counter({"problems_all_alike": 1}))
    candidates = [pair for tree in trees for pair in _middle(tree, plan)]
    candidates += _final(found, plan)
    dropped: Counter[str] = Counter()
    kept = []
    for pair in candidates:
        reason = _flaw(pair, plan)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(pair)
    return Pairing(kept, dropped)


def _middle(tree: Tree, plan: HarvestConfig) -> Iterator[Pair]:
    leads = _leads_to(tree, plan)
    siblings: dict[int, list[int]] = {}
    for index, node in enumerate(tree.nodes):
        if index > 0 and node.answer is None:
            siblings.setdefault(node.parent, []).append(index)
    for parent, children in siblings.items():
        ranked = sorted(children, key=lambda child: -tree.nodes[child].q)
        right = [child for child in ranked if Verdict.CORRECT in leads[child]][: plan.pairs_per_side]
        wrong = [child for child in reversed(ranked) if leads[child] == {Verdict.WRONG}][: plan.pairs_per_side]
        prefix = tree.steps(parent)
        for good, bad in product(right, wrong):
            chosen, rejected = tree.nodes[good], tree.nodes[bad]
            group = f"{tree.problem.id}/{tree.seed}/{parent}"
            steps = (chosen.step,), (rejected.step,)
            yield Pair(tree.problem, prefix, *steps, chosen.q, rejected.q, "middle", group)


def _leads_to(tree: Tree, plan: HarvestConfig) -> list[set[Verdict]]:
    """For each node, the verdicts of the answers that rollouts through it reached; a dead end is wrong where the plan says
    so. Parents come before children."""
    leads: list[set[Verdict]] = [{node.verdict} if node.verdict else set() for node in tree.nodes]
    if plan.dead_ends:
        for rollout in tree.rollouts:
            if rollout.end is not End.ANSWER:
                leads[rollout.leaf].add(Verdict.WRONG)
    for index in range(len(tree.nodes) - 1, 0, -1):
        leads[tree.nodes[index].parent] |= leads[index]
    return leads


def _final(found: Sequence[Trajectory], plan: HarvestConfig) -> Iterator[Pair]:
    right = [trajectory for trajectory in found if trajectory.verdict is Verdict.CORRECT][: plan.pairs_per_side]
    wrong = [trajectory for trajectory in found if trajectory.verdict is Verdict.WRONG][-plan.pairs_per_side :]
    for good, bad in product(right, wrong):
        group = f"{good.problem.id}/final"
        yield Pair(good.problem, (), good.steps, bad.steps, good.average_q, bad.average_q, "final", group)


def _flaw(pair: Pair, plan: HarvestConfig) -> str | None:
    """Why a pair is left out; None if it stays."""
    if plan.min_q_gap and pair.q_chosen - pair.q_rejected < plan.min_q_gap:
        return "pairs_q_gap"
    if plan.min_edit_distance and _edit_distance(pair) < plan.min_edit_distance:
        return "pairs_too_alike"
    return None


def _edit_distance(pair: Pair) -> int:
    """Characters to change, delete or insert to turn one side into the other (Levenshtein)."""
    chosen, rejected = ("".join(step.text for step in side) for side in (pair.chosen, pair.rejected))
    return Levenshtein.distance(chosen, rejected)
