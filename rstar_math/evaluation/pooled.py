"""scores of several seeds and searches -> one row a strategy.

Reads what finished stages left (`answers.jsonl`, `metrics.json`). A problem's outcome is the share of the seeds in which it
was answered right, so an interval over problems holds whatever the number of seeds; so it is with the oracle and pass@k.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rstar_math.evaluation.metrics import Accuracy, accuracy, doublings, pass_at
from rstar_math.records import Verdict, mean

#: What is averaged over the seeds besides the shares of the problems.
COSTS = ("undecided", "tokens_a_problem", "ppm_calls_a_problem", "executions_a_problem", "seconds_a_problem")


class _Answered(NamedTuple):
    """A problem with one seed: whether the answer is right, how many rollouts reached a right one, and what it belongs to."""

    correct: bool
    right: int
    level: str
    subject: str


#: A problem with every seed.
_Seeds = Sequence[_Answered]
_Share = Callable[[Sequence[float]], Accuracy]


def pool(benchmark: str, folders: Sequence[Path], resamples: int, seed: int) -> list[dict[str, Any]]:
    """A row for each strategy of a benchmark, in the order of the folders: accuracy with its 95% interval, that of each seed,
    the oracle, what nobody could decide, the cost a problem, pass@k of drawn solutions, and the accuracy of each part, all
    shares with their intervals."""
    answered: dict[str, dict[str, list[_Answered]]] = defaultdict(lambda: defaultdict(list))
    metrics: dict[str, list[dict[str, float]]] = defaultdict(list)
    for folder in folders:
        numbers = json.loads((folder / "metrics.json").read_text())
        names = set()
        for line in (folder / "answers.jsonl").read_text().splitlines():
            row = json.loads(line)
            names.add(row["strategy"])
            correct = row["verdict"] == Verdict.CORRECT
            answered[row["strategy"]][row["id"]].append(_Answered(correct, row["right"], row["level"], row["subject"]))
        for name in names:
            metrics[name].append(numbers)
    share = partial(accuracy, resamples=resamples, seed=seed)
    return [
        {"benchmark": benchmark, "strategy": name, **_row(name, list(problems.values()), metrics[name], share)}
        for name, problems in answered.items()
    ]


def _row(name: str, problems: Sequence[_Seeds], own: Sequence[Mapping[str, float]], share: _Share) -> dict[str, Any]:
    """One strategy's; `own`: the metrics of every seed."""
    drawn = _drawn(own[0])
    counts = doublings(drawn) if drawn else []
    return {
        **share(_correct(problems))._asdict(),
        "seeds": [numbers[f"{name}/pass@1"] for numbers in own],
        **share([mean([float(one.right > 0) for one in seeds]) for seeds in problems]).named("oracle"),
        **{cost: mean([numbers[f"{name}/{cost}"] for numbers in own]) for cost in COSTS},
        "pass@k": {str(k): share(_passing(k, drawn, problems))._asdict() for k in counts},
        "parts": {part: share(_correct(within))._asdict() for part, within in _parts(problems).items()},
    }


def _correct(problems: Iterable[_Seeds]) -> list[float]:
    return [mean([one.correct for one in seeds]) for seeds in problems]


def _passing(k: int, drawn: int, problems: Iterable[_Seeds]) -> list[float]:
    return [mean([pass_at(k, drawn=drawn, right=one.right) for one in seeds]) for seeds in problems]


def _drawn(metrics: Mapping[str, float]) -> int:
    """Solutions drawn a problem; 0 where none were. A search's folder holds one kind of draws alone."""
    searches = {key.partition("/")[0] for key in metrics if key.startswith("sample@")}
    return max((int(search.partition("@")[2]) for search in searches), default=0)


def _parts(problems: Iterable[_Seeds]) -> dict[str, list[_Seeds]]:
    """`level_3`, `subject_Algebra` -> the problems of it."""
    parts: dict[str, list[_Seeds]] = defaultdict(list)
    for seeds in problems:
        for kind, name in (("level", seeds[0].level), ("subject", seeds[0].subject)):
            if name:
                parts[f"{kind}_{name}"].append(seeds)
    return dict(sorted(parts.items()))
