"""`self-consistency@32` -> the search that it is, and how its trees are read: rStar and what its tables set beside it.

None of them needs training, a PPM or the ground truth. The names with code-augmented steps stand in `evaluation.strategies`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rstar_math.config import MutualConfig
from rstar_math.errors import ConfigError
from rstar_math.evaluation.strategies import KINDS, Strategy
from rstar_math.search.actions import Reasoning
from rstar_math.search.task import Task

#: name -> what it is; a number behind `@` goes with self-consistency alone.
WAYS: Mapping[str, str] = {
    "zero-shot-cot": "one chain of thought at temperature 0, no examples",
    "few-shot-cot": "one chain of thought at temperature 0",
    "self-consistency": "@k chains of thought drawn, the most frequent answer",
    "generator-majority": "rStar's search, the answer of most trajectories",
    "mutual": "rStar: of its search's trajectories those that a second model completes to the same answer",
}
_DRAWN = 32


def is_way(written: str) -> bool:
    """Whether a strategy's name is one of these, and none of those with code-augmented steps.

    Raises:
        ConfigError: it is neither.
    """
    name = written.partition("@")[0]
    if name not in WAYS and name not in KINDS:
        known = {known: kind.says for known, kind in KINDS.items()} | dict(WAYS)
        listed = "; ".join(f"{each} ({says})" for each, says in known.items())
        raise ConfigError(f"strategy={written}: choose from {listed}")
    return name in WAYS


def ways(plan: MutualConfig, task: Task, *, second: bool) -> list[Strategy]:
    """The strategies that the plan names. `second`: there is a second model, so what is read as `mutual` is read as
    `generator-majority` as well.

    Raises:
        ConfigError: there is no such strategy, its number is none, or it needs a second model that is not there.
    """
    asked = list(dict.fromkeys(plan.strategies))
    if "mutual" in asked and not second:
        raise ConfigError("strategy=mutual needs a second model; name one with discriminator=MODEL")
    if second and {"mutual", "generator-majority"} & set(asked):
        asked = [name for name in asked if name not in ("mutual", "generator-majority")]
        asked += ["generator-majority", "mutual"]
    return [_way(name, plan, task) for name in asked]


def _way(written: str, plan: MutualConfig, task: Task) -> Strategy:
    name, _, number = written.partition("@")
    if name not in WAYS or (number and (name != "self-consistency" or not number.isdecimal() or int(number) < 1)):
        raise ConfigError(
            f"strategy={written}: choose from {'; '.join(f'{way} ({says})' for way, says in WAYS.items())}"
        )
    if name == "self-consistency":
        count = int(number or _DRAWN)
        return Strategy(
            written, f"{name}@{count}", _drawn(plan, task, count, plan.temperature), "majority", count, True
        )
    if name.endswith("-cot"):
        task = task.without_examples() if name == "zero-shot-cot" else task
        return Strategy(written, name, _drawn(plan, task, 1, 0.0), "best", 1, True)
    return Strategy(written, "generator", _tree(plan, task), "majority", plan.rollouts, False)


def _drawn(plan: MutualConfig, task: Task, count: int, temperature: float) -> Reasoning:
    top_p = plan.top_p if temperature else 1.0
    return Reasoning(
        kind="solutions",
        rollouts=count,
        temperature=temperature,
        top_p=top_p,
        max_step_tokens=plan.max_line_tokens,
        task=task,
    )


def _tree(plan: MutualConfig, task: Task) -> Reasoning:
    return Reasoning(
        rollouts=plan.rollouts,
        temperature=plan.temperature,
        top_p=plan.top_p,
        max_step_tokens=plan.max_line_tokens,
        depth=task.depth,
        exploration=plan.exploration,
        task=task,
        thoughts=plan.thoughts,
        subquestions=plan.subquestions,
        votes=plan.votes,
        actions=plan.actions,
    )
