"""folder of trees -> policy.parquet, pairs.parquet, validation_pairs.parquet and the count of every filter.

Streams: one problem's trees are in memory at a time. It decides nothing itself; the rules stand in `trajectories` and
`pairs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rstar_math.config import HarvestConfig
from rstar_math.harvest.pairs import Pair, pair_up
from rstar_math.harvest.trajectories import Difficulty, Trajectory, best, correct_share, difficulty, trajectories
from rstar_math.records import Problem, Step, Tree, Verdict
from rstar_math.search.storage import read_trees

_STEPS = pa.list_(pa.struct([("text", pa.string()), ("output", pa.string())]))
POLICY_SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("question", pa.string()),
        ("steps", _STEPS),
        ("average_q", pa.float64()),
        ("tree_seed", pa.int64()),
    ]
)
PAIR_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("problem_id", "question")),
        *((name, _STEPS) for name in ("prefix", "chosen", "rejected")),
        *((name, pa.float64()) for name in ("q_chosen", "q_rejected")),
        *((name, pa.string()) for name in ("kind", "group")),
    ]
)
_ROWS_A_BATCH = 1024
#: The PPM is measured on the paper's pairs, whatever it is trained on: else its figure would move with the knobs.
_MEASURED = HarvestConfig()


def gather(trees: Path, validation: Path, out: Path, plan: HarvestConfig) -> dict[str, float]:
    """Reads all trees and writes what is worth learning from into `out`; returns the counts.

    Args:
        trees: folder with the parts of the training problems.
        validation: folder with the parts of problems kept for measuring the PPM; only pairs are taken from them, and
            those by the paper's rule (§3.3).
        out: an existing folder.
    """
    tally = Tally()
    with _Rows(out / "policy.parquet", POLICY_SCHEMA) as examples, _Rows(out / "pairs.parquet", PAIR_SCHEMA) as pairs:
        for grown in _by_problem(trees):
            found = trajectories(grown)
            tally.problem(grown, found)
            if _suspect(grown, plan):
                tally.counts["problems_noisy"] += 1
                continue
            chosen = best(found, plan.trajectories)
            examples.extend(_example_row(trajectory) for trajectory in chosen)
            tally.counts["trajectories_not_best"] += _correct(found) - len(chosen)
            pairing = pair_up(grown, found, plan)
            tally.counts.update(pairing.dropped)
            tally.pairs(pairing.pairs)
            pairs.extend(_pair_row(pair) for pair in pairing.pairs)
    with _Rows(out / "validation_pairs.parquet", PAIR_SCHEMA) as held_out:
        for grown in _by_problem(validation):
            if not _suspect(grown, plan):
                held_out.extend(_pair_row(pair) for pair in pair_up(grown, trajectories(grown), _MEASURED).pairs)
    tally.counts["policy_examples"], tally.counts["pairs"] = examples.written, pairs.written
    tally.counts["validation_pairs"] = held_out.written
    return tally.metrics()


def write_examples(path: Path, solved: Iterable[tuple[Problem, tuple[Step, ...]]]) -> int:
    """Writes already solved problems as policy examples; returns how many."""
    with _Rows(path, POLICY_SCHEMA) as examples:
        found = (Trajectory(problem, steps, 1.0, Verdict.CORRECT, 0) for problem, steps in solved)
        examples.extend(_example_row(trajectory) for trajectory in found)
    return examples.written


#: What each filter kept out. One that kept out nothing says so.
_FILTERS = (
    "problems_all_alike",
    "problems_noisy",
    "trajectories_repeated",
    "trajectories_not_best",
    "pairs_q_gap",
    "pairs_too_alike",
)


@dataclass
class Tally:
    """Counts while trees stream by."""

    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(_FILTERS, 0)))
    solved: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)

    def problem(self, grown: list[Tree], found: list[Trajectory]) -> None:
        """Counts one problem: its level, whether it is covered, its difficulty, its trajectories."""
        level, hardness = grown[0].problem.level, difficulty(grown)
        self.problems[level] += 1
        self.solved[level] += hardness is not Difficulty.HARD
        self.counts[f"problems_{hardness.value}"] += 1
        self.counts["rollouts"] += sum(len(tree.rollouts) for tree in grown)
        reached = sum(tree.nodes[leaf].verdict is not None for tree in grown for leaf in tree.answers())
        self.counts["trajectories_repeated"] += reached - len(found)
        self.counts["trajectories"] += len(found)
        self.counts["trajectories_correct"] += _correct(found)
        self.counts["trajectories_undecided"] += sum(not t.verdict.decided for t in found)

    def pairs(self, pairs: list[Pair]) -> None:
        """Counts the pairs that stay, by kind."""
        for pair in pairs:
            self.counts[f"pairs_{pair.kind}"] += 1

    def metrics(self) -> dict[str, float]:
        """All counts, and the coverage: the share of problems with a correct trajectory, whole and by level."""
        total = sum(self.problems.values())
        shares = {"coverage": sum(self.solved.values()) / total if total else 0.0}
        for level in sorted(self.problems):
            if level:
                shares[f"coverage/level_{level}"] = self.solved[level] / self.problems[level]
        return {"problems": total, **dict(sorted(self.counts.items())), **shares}


class _Rows:
    """A parquet file written batch by batch."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._schema, self._waiting, self.written = schema, list[dict[str, Any]](), 0

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def extend(self, rows: Iterator[dict[str, Any]]) -> None:
        before = len(self._waiting)
        self._waiting.extend(rows)
        self.written += len(self._waiting) - before
        if len(self._waiting) >= _ROWS_A_BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting = []


def _by_problem(folder: Path) -> Iterator[list[Tree]]:
    """The trees of each problem together; they are written next to each other."""
    for _, grown in groupby(read_trees(folder), key=lambda tree: tree.problem.id):
        yield list(grown)


def _suspect(grown: list[Tree], plan: HarvestConfig) -> bool:
    """Whether a synthetic problem is solved so rarely that its label is rather wrong than hard (paper §3.4)."""
    return grown[0].problem.synthetic and correct_share(grown) < plan.noise_threshold


def _correct(found: list[Trajectory]) -> int:
    return sum(trajectory.verdict is Verdict.CORRECT for trajectory in found)


def _example_row(trajectory: Trajectory) -> dict[str, Any]:
    return {
        "problem_id": trajectory.problem.id,
        "question": trajectory.problem.question,
        "steps": [step._asdict() for step in trajectory.steps],
        "average_q": trajectory.average_q,
        "tree_seed": trajectory.tree_seed,
    }


def _pair_row(pair: Pair) -> dict[str, Any]:
    sides = {name: [s._asdict() for s in getattr(pair, name)] for name in ("prefix", "chosen", "rejected")}
    return {
        "problem_id": pair.problem.id,
        "question": pair.problem.question,
        **sides,
        "q_chosen": pair.q_chosen,
        "q_rejected": pair.q_rejected,
        "kind": pair.kind,
        "group": pair.group,
    }
