"""path -> the steps that may follow it: which candidates become children?

One expansion, whatever search asks for it: sample candidates from the policy, merge equal ones, keep those whose code runs
after the code of the path so far, and have the PPM score them in one batch (paper §3.2). Where to expand is not decided here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rstar_math import boxes, text
from rstar_math.config import SearchConfig
from rstar_math.ports import Judge, Policy, Sandbox, Scorer
from rstar_math.records import End, Proposal, Sampling, Segment, Status, Step, Verdict
from rstar_math.search.tree import GrowingTree


@dataclass(frozen=True, slots=True)
class Doors:
    """The outside world of a search. `scorer` None: no PPM. `judge` None: test time, the ground truth is not consulted.
    `comparing` tells which of the policy's own answers mean the same, and is never shown the ground truth."""

    policy: Policy
    sandbox: Sandbox
    scorer: Scorer | None = None
    judge: Judge | None = None
    comparing: Judge | None = None


class Moves(NamedTuple):
    """What a search does at a node: attach what may follow (child -> how many samples said it), and value an end."""

    expand: Callable[[GrowingTree, int, Doors, SearchConfig, int | None], Awaitable[Counter[int]]]
    value: Callable[[GrowingTree, int, End, Doors], Awaitable[float]]


async def expand(
    tree: GrowingTree, index: int, doors: Doors, plan: SearchConfig, count: int | None = None
) -> Counter[int]:
    """Attaches the candidates that run below node `index`; child -> how many of the samples said it.

    `count`: samples to draw; None: as many as the plan has for such a step.
    """
    question, path = tree.problem.question, tree.steps(index)
    answering = bool(path) and path[-1].output is not None
    if count is None:
        count = plan.answer_candidates if answering else plan.candidates
    sampling = Sampling(plan.temperature, plan.top_p, plan.max_step_tokens)
    seen = text.transcript(question, path, for_next=True)
    if plan.few_shot:
        seen = (Segment(plan.few_shot, by_policy=False), *seen)
    proposals = await doors.policy.propose(seen, count, sampling)
    tree.expansions += 1
    tree.tokens += sum(proposal.tokens for proposal in proposals)
    said = _well_formed(proposals, answering)
    kept = [Step(candidate) for candidate in said] if answering else await _run(tree, path, list(said), doors)
    priors = await _score(tree, path, kept, doors) if plan.annotation == "ppm" else [None] * len(kept)
    tree.nodes[index].children = []
    children: Counter[int] = Counter()
    for step, prior in zip(kept, priors, strict=True):
        child = tree.attach(index, step, prior=prior, answer=boxes.boxed(step.text) if answering else None)
        children[child] = said[step.text]
        if (
            prior is not None and not answering
        ):  # q(s) starts at the PPM's score, as one visit; an end has its own value
            tree.nodes[child].value, tree.nodes[child].visits = prior, 1
    return children


async def value(tree: GrowingTree, leaf: int, end: End, doors: Doors) -> float:
    """What a trajectory's end is worth: +1 right, -1 otherwise; at test time the PPM's score of the whole trajectory.

    An answer that nobody could decide is -1 for the search and is left out of the harvest: it is never rewarded.
    """
    node = tree.nodes[leaf]
    if end is not End.ANSWER or node.answer is None:
        return -1.0
    if doors.judge is None:
        return node.prior if node.prior is not None else 0.0
    if node.verdict is None:
        node.verdict = (await doors.judge.grade(node.answer, tree.problem.answer, tree.problem.tolerance)).verdict
    return 1.0 if node.verdict is Verdict.CORRECT else -1.0


#: Those of rStar-Math: code-augmented steps.
STEPS = Moves(expand, value)


def _well_formed(proposals: Sequence[Proposal], answering: bool) -> Counter[str]:
    """The candidates that may follow, each with how often it was said: a boxed answer once the code has ended, code with a
    delimiter before."""
    said = Counter(proposal.text for proposal in proposals)
    return Counter({candidate: times for candidate, times in said.items() if _may_follow(candidate, answering)})


def _may_follow(candidate: str, answering: bool) -> bool:
    if answering:
        return candidate.endswith(text.ANSWER_END) and boxes.boxed(candidate) is not None
    return candidate.endswith((text.STEP_END, text.CODE_END)) and text.ANSWER_START not in candidate


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


async def _score(tree: GrowingTree, path: Sequence[Step], kept: Sequence[Step], doors: Doors) -> Sequence[float | None]:
    """The PPM's score of each kept step, or None for each where there is no PPM."""
    if doors.scorer is None or not kept:
        return [None] * len(kept)
    tree.scores += len(kept)
    question = tree.problem.question
    return await doors.scorer.score([text.transcript(question, (*path, step), for_next=False) for step in kept])
