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
    rule: Rule
    guided: bool
    says: str


#: name -> its search, its rule, and whether it needs a PPM.
KINDS: Mapping[str, _Kind] = {
    "greedy": _Kind("sample", "best", False, "one solution at temperature 0"),
    "majority": _Kind("sample", "majority", False, "@k solutions drawn, the most frequent answer"),
    "weighted-majority": _Kind("sample", "weighted", True, "the same, with the PPM's scores as votes"),
    "best-of-n": _Kind("sample", "best", True, "@n solutions drawn, the one that the PPM scores highest"),
    "beam": _Kind("beam", "best", True, "step beam search, @w paths wide"),
    "mcts": _Kind(
        "mcts", "best", True, "PPM-guided search, @t trajectories (System 2), the one that the PPM scores highest"
    ),
    "mcts-majority": _Kind("mcts", "majority", True, "of the same trees the most frequent answer of the best few"),
    "mcts-weighted": _Kind("mcts", "weighted", True, "the same, with the PPM's scores as votes"),
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way of answering.

    name:   as it was asked for, such as `majority@8`.
    search: names the trees that it reads.
    plan:   how they are grown.
    rule, top: which trajectory is chosen, and among how many of the best.
    drawn:  the rollouts are independent draws.
    scored: a PPM says what each solution is worth.
    """

    name: str
    search: str
    plan: SearchConfig
    rule: Rule
    top: int
    drawn: bool
    scored: bool = False

    @property
    def guided(self) -> bool:
        """Whether the PPM guides the search; drawn solutions are scored once they are there, whoever scores them."""
        return self.plan.annotation == "ppm"

    @property
    def asks_afterwards(self) -> bool:
        """Whether it goes by what a PPM says of drawn solutions; a plain majority does not, whoever has asked."""
        return self.drawn and self.scored and self.rule != "majority"


def all_readings(asked: Iterable[Strategy], evaluation: EvaluationConfig) -> list[Strategy]:
    """The same strategies, each with all other readings of its trees, in one order whatever was asked for: they cost nothing
    more, and asked for later they are there."""
    found: dict[str, list[Strategy]] = {}
    for strategy in asked:
        found.setdefault(strategy.search, _readings(strategy, evaluation))
    return [strategy for readings in found.values() for strategy in readings]


def _readings(strategy: Strategy, evaluation: EvaluationConfig) -> list[Strategy]:
    name, _, number = strategy.name.partition("@")
    if name == "greedy":
        return [strategy]
    names = [other for other, kind in KINDS.items() if kind.kind == KINDS[name].kind and other != "greedy"]
    wanted = [f"{other}@{number}" if number else other for other in names]
    return strategies(possible(wanted, guided=strategy.scored), evaluation, guided=strategy.scored)


def possible(names: Iterable[str], *, guided: bool) -> list[str]:
    """The names without those that need a PPM where there is none."""
    return [
        name
        for name in names
        if guided or name.partition("@")[0] not in KINDS or not KINDS[name.partition("@")[0]].guided
    ]


def strategies(names: Iterable[str], evaluation: EvaluationConfig, *, guided: bool) -> list[Strategy]:
    """The strategies by their names, each once however its number is written; it takes the place of `evaluation.rollouts`.

    Args:
        guided: there is a PPM.

    Raises:
        ConfigError: there is no such strategy, the number is none, or it needs a PPM that is not there.
    """
    found = [_strategy(name, evaluation, guided) for name in names]
    return list({strategy.name: strategy for strategy in found}.values())


def by_search(evaluation: EvaluationConfig, *, scored: bool) -> dict[str, list[Strategy]]:
    """Those of `evaluation.strategies` that are possible, with a PPM (`scored`) or without, by the trees that they read."""
    found: dict[str, list[Strategy]] = {}
    for strategy in strategies(possible(evaluation.strategies, guided=scored), evaluation, guided=scored):
        found.setdefault(strategy.search, []).append(strategy)
    return found


def _strategy(written: str, evaluation: EvaluationConfig, guided: bool) -> Strategy:
    name, _, number = written.partition("@")
    if name not in KINDS or (number and (not number.isdecimal() or int(number) < 1 or name == "greedy")):
        known = "; ".join(f"{known} ({kind.says})" for known, kind in KINDS.items())
        raise ConfigError(f"strategy={written}: choose from {known}")
    kind = KINDS[name]
    if kind.guided and not guided:
        raise ConfigError(f"strategy={written} needs a PPM; name one with ppm=FOLDER, or take greedy or majority@k")
    count, greedy, drawn = int(number or evaluation.rollouts), name == "greedy", kind.kind == "sample"
    # Drawn solutions are written with their number always, for they go by nothing else.
    named = f"{name}@{count}" if number or (drawn and not greedy) else name
    search = name if greedy else named.replace(name, kind.kind)
    top = evaluation.top if kind.kind == "mcts" else count
    return Strategy(named, search, _plan(name, kind, count, evaluation), kind.rule, top, drawn, guided and not greedy)


def _plan(name: str, kind: _Kind, count: int, evaluation: EvaluationConfig) -> SearchConfig:
    greedy, drawn = name == "greedy", kind.kind == "sample"
    return SearchConfig(
        kind=kind.kind,
        rollouts=1 if greedy else count,
        candidates={"sample": 1, "beam": evaluation.beam_candidates, "mcts": evaluation.candidates}[kind.kind],
        temperature=0.0 if greedy else evaluation.temperature,
        top_p=1.0 if greedy else evaluation.top_p,
        annotation="terminal" if drawn else "ppm",
        depth=evaluation.depth,
        max_step_tokens=evaluation.max_step_tokens,
        descents=1 if drawn or kind.kind == "beam" else evaluation.descents,
        few_shot=evaluation.few_shot,
    )
