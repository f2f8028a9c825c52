"""a run -> the habits and speeds that it showed, to predict the next one by.

Reads what finished stages say of themselves, and some of their trees. It predicts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from rstar_math.config import ForecastConfig
from rstar_math.disk import unseal
from rstar_math.errors import InputError
from rstar_math.evolution.store import MANIFEST, read_manifest
from rstar_math.forecast.work import expansions
from rstar_math.records import Tree, mean
from rstar_math.search.storage import read_trees

_T = TypeVar("_T")
#: Where a run's record is damaged.
_WAY_OUT = "Put it back, or predict without measured="
#: Trees of a round that are looked at.
_LOOKED_AT = 2000


def measured(root: Path, assumed: ForecastConfig) -> ForecastConfig:
    """`assumed`, with what the finished rounds of the run in `root` show in its place.

    Raises:
        InputError: there is no run with a finished round.
    """
    found = sorted(root.glob("round-[1-9]*"), key=lambda folder: int(folder.name.removeprefix("round-")))
    rounds = [_Round(folder) for folder in found if (folder / "scores" / MANIFEST).is_file()]
    if not rounds:
        raise InputError(f"measured={root}: no run with a finished round is there; name a folder such as runs/demo")

    def average(value: Callable[[_Round], float]) -> float:
        return mean([value(each) for each in rounds])

    def rate(above: Callable[[_Round], float], below: Callable[[_Round], float], else_: _T) -> float | _T:
        """A sum over another; where that is 0 (nothing was solved, say), what is assumed."""
        under = sum(map(below, rounds))
        return sum(map(above, rounds)) / under if under else else_

    steps, kept = average(lambda each: each.steps), average(lambda each: each.kept)
    step_tokens = rate(lambda each: each.trees["tokens"], lambda each: each.drawn(steps, kept), assumed.step_tokens)
    solution = rate(lambda each: each.learnt("policy"), lambda each: each.policy["rows"], None)
    question = max(1.0, solution - steps * step_tokens) if solution else assumed.question_tokens
    speed = rate(lambda each: each.trees["tokens"], lambda each: each.seconds, None)
    # No slower than this, for it kept up.
    read = [each.trees["trees"] * question + each.trees["nodes"] * step_tokens for each in rounds]
    return replace(
        assumed,
        question_tokens=question,
        output_tokens=0.0,
        step_tokens=step_tokens,
        steps=steps,
        kept=min(1.0, kept),
        solved=tuple(each.crop["coverage"] for each in rounds),
        distinct=rate(lambda each: each.policy["rows"], lambda each: each.wanted, assumed.distinct),
        mixed=rate(lambda each: each.mixed, lambda each: each.crop["problems"], assumed.mixed),
        groups=rate(lambda each: each.ppm.get("rows", 0), lambda each: each.mixed, assumed.groups),
        generated_per_second=speed,
        read_per_second=max(tokens / each.seconds for tokens, each in zip(read, rounds, strict=True)),
        trained_per_second=rate(
            lambda each: each.policy.get("tokens", 0), lambda each: each.rank_seconds, assumed.trained_per_second
        ),
        start_seconds=0.0,
        node_bytes=rate(lambda each: each.size("trees"), lambda each: each.trees["nodes"], assumed.node_bytes),
        token_bytes=rate(
            lambda each: each.size("harvest"),
            lambda each: each.learnt("policy") + each.learnt("ppm"),
            assumed.token_bytes,
        ),
    )


class _Round:
    """One finished round: what its stages counted, and what its trees look like."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.trees, self.seconds = _told(folder / "trees")
        self.crop, _ = _told(folder / "harvest")
        self.policy, _ = _told(folder / "policy")
        self.ppm, _ = _told(folder / "ppm")
        number = int(folder.name.removeprefix("round-"))
        rounds: Mapping[str, Any] = unseal(folder.parent / "run.json", _WAY_OUT)["config"]["round"]
        plan = rounds[f"r{min(number, len(rounds))}"]
        self._candidates = plan["search"]["candidates"]
        self.rank_seconds = _whole_seconds(self.policy) * plan["policy"]["ranks"]
        self._batch = {kind: plan[kind]["batch_size"] for kind in ("policy", "ppm")}
        self.wanted = self.crop["coverage"] * self.crop["problems"] * plan["harvest"]["trajectories"]
        self.mixed = self.crop["problems"] - self.crop.get("problems_all_alike", 0)
        looked_at = list(islice(read_trees(folder / "trees" / "train"), _LOOKED_AT))
        self.steps = mean([len(tree.path(rollout.leaf)) for tree in looked_at for rollout in tree.rollouts])
        self.kept = mean([count for tree in looked_at for count in _children(tree)]) / self._candidates

    def drawn(self, steps: float, kept: float) -> float:
        """Candidates that all trees would draw by the rule of `forecast.work`, with the habits of the whole run."""
        rollouts = self.trees["rollouts"] / self.trees["trees"]
        code, answers = expansions(rollouts, max(1.0, kept * self._candidates), steps)
        return float(self.trees["trees"] * (code * self._candidates + answers))

    def learnt(self, kind: str) -> float:
        """Tokens of the rows that a model was trained on, each once; a training's own `tokens` are those of all its steps."""
        told = {"policy": self.policy, "ppm": self.ppm}[kind]
        if not told["steps"]:
            return 0.0
        return float(told["tokens"] / (told["steps"] * self._batch[kind]) * told["rows"])

    def size(self, stage: str) -> float:
        """Bytes of a stage's folder."""
        return float(sum(file.stat().st_size for file in (self._folder / stage).rglob("*") if file.is_file()))


def _whole_seconds(training: Mapping[str, Any]) -> float:
    """What all of a training's steps take, by those that its last start made: `seconds` are that start's alone."""
    steps, before = training.get("steps", 0), training.get("resumed_from_step", 0)
    return float(training.get("seconds", 0.0) * (steps / (steps - before) if before < steps else 1.0))


def _told(folder: Path) -> tuple[Mapping[str, Any], float]:
    manifest = read_manifest(folder)
    return manifest["metrics"], manifest["seconds"]


def _children(tree: Tree) -> Sequence[int]:
    """How many children each step has that was expanded and whose code goes on."""
    counts = [0] * len(tree.nodes)
    for node in tree.nodes[1:]:
        counts[node.parent] += 1
    return [count for count, node in zip(counts, tree.nodes, strict=True) if count and node.step.output is None]
