"""trees grown without the ground truth -> rows and metrics.

The only place of an evaluation where the ground truth is looked at, after every answer was chosen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from rstar_math.evaluation.choice import Choice
from rstar_math.evaluation.metrics import accuracy
from rstar_math.ports import Judge
from rstar_math.records import Grade, Tree, Verdict, mean


class Scored(NamedTuple):
    """One problem's outcome. `oracle`: some trajectory was right, chosen or not."""

    tree: Tree
    choice: Choice | None
    grade: Grade
    oracle: bool

    @property
    def right(self) -> bool:
        """Whether the chosen answer is right."""
        return self.grade.verdict is Verdict.CORRECT


async def grade_choices(
    trees: Iterable[Tree], choose: Callable[[Tree], Awaitable[Choice | None]], judge: Judge
) -> list[Scored]:
    """Chooses an answer from every tree, then grades it; a tree without any has no answer."""
    scored = []
    for tree in trees:
        choice = await choose(tree)
        gold = tree.problem.answer
        none = Grade(Verdict.NO_ANSWER, "no rollout reached an answer")
        grade = await judge.grade(choice.answer, gold) if choice else none
        answers = dict.fromkeys(tree.nodes[leaf].answer or "" for leaf in tree.answers())
        verdicts = [(await judge.grade(answer, gold)).verdict for answer in answers]
        scored.append(Scored(tree, choice, grade, Verdict.CORRECT in verdicts))
    return scored


def score_metrics(strategy: str, scored: Sequence[Scored], *, resamples: int, seed: int) -> dict[str, float]:
    """`STRATEGY/pass@1` with its 95% interval, by level too, the oracle, what nobody could decide, and the cost."""
    metrics: dict[str, float] = {}
    by_level: dict[str, list[Scored]] = {"": list(scored)}
    for row in scored:
        if row.tree.problem.level:
            by_level.setdefault(row.tree.problem.level, []).append(row)
    for level in sorted(by_level):
        share = accuracy([row.right for row in by_level[level]], resamples=resamples, seed=seed)
        key = f"{strategy}/pass@1" + (f"/level_{level}" if level else "")
        metrics |= {
            key: share.value,
            f"{key}/low": share.low,
            f"{key}/high": share.high,
            f"{key}/count": share.problems,
        }
    metrics[f"{strategy}/oracle"] = mean([float(row.oracle) for row in scored])
    metrics[f"{strategy}/undecided"] = sum(row.choice is not None and not row.grade.verdict.decided for row in scored)
    metrics[f"{strategy}/tokens_a_problem"] = mean([row.tree.cost.tokens for row in scored])
    return metrics


def answer_row(strategy: str, scored: Scored) -> dict[str, Any]:
    """One line of `answers.jsonl`: what was answered, what it should have been, and along which path."""
    choice, tree = scored.choice, scored.tree
    return {
        "id": tree.problem.id,
        "strategy": strategy,
        "answer": choice.answer if choice else None,
        "gold": tree.problem.answer,
        "verdict": scored.grade.verdict.value,
        "reason": scored.grade.reason,
        "score": choice.score if choice else None,
        "path": [step.text for step in tree.steps(choice.leaf)] if choice else [],
    }
