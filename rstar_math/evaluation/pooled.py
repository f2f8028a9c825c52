"""scores of several seeds and searches -> one row a strategy.

Reads what finished stages left (`answers.jsonl`, `metrics.json`). A problem's outcome is the share of the seeds in which it
was answered right, so an interval over problems holds whatever the number of seeds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rstar_math.evaluation.metrics import accuracy
from rstar_math.records import Verdict, mean

#: What is averaged over the seeds besides the accuracy.
COSTS = ("oracle", "undecided", "tokens_a_problem", "ppm_calls_a_problem", "executions_a_problem", "seconds_a_problem")


#: The parts of a benchmark that an accuracy is measured of, as their metrics' names begin.
_PARTS = ("level_", "subject_")


def pool(benchmark: str, folders: Sequence[Path], resamples: int, seed: int) -> list[dict[str, Any]]:
    """A row for each strategy of a benchmark, in the order of the folders: accuracy with its 95% interval, that of each seed,
    the oracle, what nobody could decide, the cost a problem, pass@k of drawn solutions, and the accuracy of each part."""
    right: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    metrics: dict[str, list[dict[str, float]]] = defaultdict(list)
    for folder in folders:
        numbers = json.loads((folder / "metrics.json").read_text())
        names = set()
        for line in (folder / "answers.jsonl").read_text().splitlines():
            row = json.loads(line)
            names.add(row["strategy"])
            right[row["strategy"]][row["id"]].append(float(row["verdict"] == Verdict.CORRECT))
        for name in names:
            metrics[name].append(numbers)
    rows = []
    for name, problems in right.items():
        share = accuracy([mean(outcomes) for outcomes in problems.values()], resamples=resamples, seed=seed)
        own = metrics[name]
        rows.append(
            {
                "benchmark": benchmark,
                "strategy": name,
                **share._asdict(),
                "seeds": [numbers[f"{name}/pass@1"] for numbers in own],
                **{cost: mean([numbers[f"{name}/{cost}"] for numbers in own]) for cost in COSTS},
                "pass@k": _drawn(own),
                "parts": _parts(name, own),
            }
        )
    return rows


def _drawn(own: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """k -> pass@k over the seeds; nothing where no solutions were drawn. A search's folder holds one kind of draws alone."""
    keys = [key for key in own[0] if key.startswith("sample@") and "/pass@" in key]
    return {key.rpartition("@")[2]: mean([numbers[key] for numbers in own]) for key in keys}


def _parts(name: str, own: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """`level_3` -> its accuracy over the seeds, and how many problems it has."""
    above = f"{name}/pass@1/"
    parts = {key.removeprefix(above).removesuffix("/count") for key in own[0] if key.endswith("/count")}
    return {
        part: {
            "value": mean([numbers[above + part] for numbers in own]),
            "problems": own[0][f"{above}{part}/count"],
        }
        for part in sorted(parts)
        if part.startswith(_PARTS)
    }
