"""`majority@8` -> the search that it is, and how its trees are read.

Search is the only place where text is generated; ways of answering differ in the plan they give it and in who reads the
trees afterwards. Strategies that differ in the reading alone share their trees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rstar_math.config import EvaluationConfig, SearchConfig
from rstar_math.errors import ConfigError
from rstar_math.evaluation.choice import Rule


class _Kind(NamedTuple):
    kind: Literal["mcts", "sample", "beam"]
    rule: Rule | None
    guided: bool
    says: str


#: name -> its search, its rule (None: the evaluation's `choose`), and whether it needs a PPM.
KINDS: Mapping[str, _Kind] = {
    "greedy": _Kind("sample", "best", False, "one solution at temperature 0"),
    "majority": _Kind("sample", "majority", False, "@k solutions drawn, the most frequent answer"),
    "weighted-majority": _Kind("sample", "weighted", True, "the same, with the PPM's scores as votes"),
    "best-of-n": _Kind("sample", "best", True, "@n solutions drawn, the one that the PPM scores highest"),
    "beam": _Kind("beam", "best", True, "step beam search, @w paths wide"),
    "mcts": _Kind("mcts", None, True, "PPM-guided search, @t trajectories (System 2)"),
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way of answering.

    name:   as it was asked for, such as `majority@8`.
    search: names the trees that it reads.
    plan:   how they are grown.
    rule, top: which trajectory is chosen, and among how many of the best.
    drawn:  the rollouts are independent draws.
    guided: a PPM scores what is grown.
    """

    name: str
    search: str
    plan: SearchConfig
    rule: Rule
    top: int
    drawn: bool

    @property
    def guided(self) -> bool:
        """See above."""
        return self.plan.annotation != "terminal"


def all_readings(asked: Iterable[Strategy], evaluation: EvaluationConfig) -> list[Strategy]:
    """The same strategies, each with all other readings of its trees, in one order whatever was asked for: they cost nothing
    more, and a search is known by what reads it."""
    found: dict[str, list[Strategy]] = {}
    for strategy in asked:
        found.setdefault(strategy.search, _readings(strategy, evaluation))
    return [strategy for readings in found.values() for strategy in readings]


def _readings(strategy: Strategy, evaluation: EvaluationConfig) -> list[Strategy]:
    if not strategy.search.startswith("sample"):
        return [strategy]
    names = [name for name, kind in KINDS.items() if kind.kind == "sample" and name != "greedy"]
    wanted = [f"{name}@{strategy.plan.rollouts}" for name in names]
    return strategies(possible(wanted, guided=strategy.guided), evaluation, guided=strategy.guided)


def possible(names: Iterable[str], *, guided: bool) -> list[str]:
    """The names without those that need a PPM where there is none."""
    return [
        name
        for name in names
        if guided or name.partition("@")[0] not in KINDS or not KINDS[name.partition("@")[0]].guided
    ]


def strategies(names: Iterable[str], evaluation: EvaluationConfig, *, guided: bool) -> list[Strategy]:
    """The strategies by their names; a number behind `@` takes the place of `evaluation.rollouts`.

    Args:
        guided: there is a PPM. Drawn solutions are then scored at their end, so that all their readings share them.

    Raises:
        ConfigError: there is no such strategy, the number is none, or it needs a PPM that is not there.
    """
    return [_strategy(name, evaluation, guided) for name in dict.fromkeys(names)]


def _strategy(written: str, evaluation: EvaluationConfig, guided: bool) -> Strategy:
    name, _, number = written.partition("@")
    if name not in KINDS or (number and (not number.isdecimal() or int(number) < 1 or name == "greedy")):
        known = "; ".join(f"{known} ({kind.says})" for known, kind in KINDS.items())
        raise ConfigError(f"strategy={written}: choose from {known}")
    kind = KINDS[name]
    if kind.guided and not guided:
        raise ConfigError(f"strategy={written} needs a PPM; name one with ppm=FOLDER, or take greedy or majority@k")
    count = int(number or evaluation.rollouts)
    plan = _plan(name, kind, count, evaluation, guided)
    # Drawn solutions that a PPM scored are other trees than those that none did.
    sampled = f"sample@{count}" + ("-scored" if guided else "")
    named = f"{name}@{count}" if number else name
    search = sampled if name != "greedy" and kind.kind == "sample" else named
    top = evaluation.top if kind.rule is None else count
    return Strategy(written, search, plan, kind.rule or evaluation.choose, top, kind.kind == "sample")


def _plan(name: str, kind: _Kind, count: int, evaluation: EvaluationConfig, guided: bool) -> SearchConfig:
    greedy, drawn = name == "greedy", kind.kind == "sample"
    unscored: Literal["terminal", "answers"] = "answers" if guided and not greedy else "terminal"
    return SearchConfig(
        kind=kind.kind,
        rollouts=1 if greedy else count,
        candidates=1 if drawn else evaluation.candidates,
        temperature=0.0 if greedy else evaluation.temperature,
        top_p=1.0 if greedy else evaluation.top_p,
        annotation=unscored if drawn else "ppm",
        depth=evaluation.depth,
        max_step_tokens=evaluation.max_step_tokens,
        descents=1 if drawn or kind.kind == "beam" else evaluation.descents,
    )
