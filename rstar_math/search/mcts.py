"""problem -> trees: how does search find a solution?

Monte Carlo tree search over steps (paper §3.2): select by UCT, expand with the policy, keep only what runs, value the end,
back it up. Every problem is its own coroutine, so none waits for another. It does not decide which problems are searched,
nor what is learnt from their trees.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rstar_math import text
from rstar_math.config import SearchConfig
from rstar_math.ports import Judge, Policy, Sandbox, Scorer
from rstar_math.records import End, Problem, Proposal, Sampling, Status, Step, Tree, Verdict
from rstar_math.rng import derive, stream
from rstar_math.search.tree import GrowingTree, choose


@dataclass(frozen=True, slots=True)
class Doors:
    """The outside world of a search. `scorer` None: no PPM. `judge` None: test time, the ground truth is not consulted."""

    policy: Policy
    sandbox: Sandbox
    scorer: Scorer | None = None
    judge: Judge | None = None


async def grow(problem: Problem, doors: Doors, plan: SearchConfig, seed: int) -> list[Tree]:
    """All trees of one problem under a round's plan.

    A problem that no trajectory solved (a hard one) goes on to the totals in `plan.escalate_to`; one that is still unsolved
    then gets another tree with another seed, up to `plan.trees` (paper §3.4). Without a judge nothing counts as unsolved.
    """
    trees: list[Tree] = []
    for number in range(plan.trees):
        started = time.perf_counter()
        tree = GrowingTree(problem, derive(seed, problem.id, number))
        for total in (plan.rollouts, *plan.escalate_to):
            await extend(tree, total, doors, plan)
            if tree.solved or doors.judge is None:
                break
        trees.append(tree.freeze(time.perf_counter() - started))
        if tree.solved or doors.judge is None:
            break
    return trees


async def extend(tree: GrowingTree, rollouts: int, doors: Doors, plan: SearchConfig) -> None:
    """Adds rollouts until the tree has `rollouts` of them."""
    while len(tree.rollouts) < rollouts:
        leaf, end = await _descend(tree, doors, plan)
        tree.back_up(leaf, end, await _value(tree, leaf, end, doors))


async def _descend(tree: GrowingTree, doors: Doors, plan: SearchConfig) -> tuple[int, End]:
    """Selection and expansion from the root down to where this rollout ends."""
    index = 0
    while True:
        node = tree.nodes[index]
        if node.answer is not None:
            return index, End.ANSWER
        if node.depth == plan.depth:
            return index, End.DEPTH
        if node.children is None:
            await _expand(tree, index, doors, plan)
        if not node.children:
            if index == 0:
                node.children = None  # a root where nothing ran is asked again: there is nowhere else to go
            return index, End.DEAD_END
        draw = stream(tree.seed, "select", len(tree.rollouts), node.depth)
        index = choose(tree, node.children, plan.exploration, plan.unvisited, draw)


async def _expand(tree: GrowingTree, index: int, doors: Doors, plan: SearchConfig) -> None:
    """Samples candidates below node `index` and attaches those whose code runs; the PPM scores them in one batch."""
    question, path = tree.problem.question, tree.steps(index)
    answering = bool(path) and path[-1].output is not None
    count = plan.answer_candidates if answering else plan.candidates
    sampling = Sampling(plan.temperature, plan.top_p, plan.max_step_tokens)
    proposals = await doors.policy.propose(text.transcript(question, path, for_next=True), count, sampling)
    tree.expansions += 1
    tree.tokens += sum(proposal.tokens for proposal in proposals)
    candidates = _well_formed(proposals, answering)
    kept = [Step(candidate) for candidate in candidates] if answering else await _run(tree, path, candidates, doors)
    priors = await _score(tree, path, kept, doors, plan)
    tree.nodes[index].children = []
    for step, prior in zip(kept, priors, strict=True):
        child = tree.attach(index, step, prior=prior, answer=text.answer_of(step.text) if answering else None)
        if (
            prior is not None and not answering
        ):  # q(s) starts at the PPM's score, as one visit; an end has its own value
            tree.nodes[child].value, tree.nodes[child].visits = prior, 1


def _well_formed(proposals: Sequence[Proposal], answering: bool) -> list[str]:
    """The distinct candidates that may follow: a boxed answer once the code has ended, code with a delimiter before."""
    distinct = dict.fromkeys(proposal.text for proposal in proposals)
    if answering:
        return [t for t in distinct if t.endswith(text.ANSWER_END) and text.answer_of(t) is not None]
    return [t for t in distinct if t.endswith((text.STEP_END, text.CODE_END)) and text.ANSWER_START not in t]


async def _run(tree: GrowingTree, path: Sequence[Step], candidates: Sequence[str], doors: Doors) -> list[Step]:
    """The candidates whose code runs after the code of all previous steps (paper §3.2: code-augmented CoT)."""
    before = tuple(text.code_of(step.text) for step in path)
    executions = await doors.sandbox.run([(*before, text.code_of(candidate)) for candidate in candidates])
    kept = [
        Step(candidate, execution.stdout.strip() if candidate.endswith(text.CODE_END) else None)
        for candidate, execution in zip(candidates, executions, strict=True)
        if execution.status is Status.OK
    ]
    tree.executions += len(candidates)
    tree.failed_executions += len(candidates) - len(kept)
    return kept


async def _score(
    tree: GrowingTree, path: Sequence[Step], kept: Sequence[Step], doors: Doors, plan: SearchConfig
) -> Sequence[float | None]:
    """The PPM's score of each kept step, or None for each where the plan asks for none."""
    if plan.annotation == "terminal" or doors.scorer is None or not kept:
        return [None] * len(kept)
    tree.scores += len(kept)
    question = tree.problem.question
    return await doors.scorer.score([text.transcript(question, (*path, step), for_next=False) for step in kept])


async def _value(tree: GrowingTree, leaf: int, end: End, doors: Doors) -> float:
    """What this rollout's end is worth: +1 right, -1 otherwise; at test time the PPM's score of the whole trajectory.

    An answer that nobody could decide is -1 for the search and is left out of the harvest: it is never rewarded.
    """
    node = tree.nodes[leaf]
    if end is not End.ANSWER or node.answer is None:
        return -1.0
    if doors.judge is None:
        return node.prior if node.prior is not None else 0.0
    if node.verdict is None:
        node.verdict = (await doors.judge.grade(node.answer, tree.problem.answer)).verdict
    return 1.0 if node.verdict is Verdict.CORRECT else -1.0
