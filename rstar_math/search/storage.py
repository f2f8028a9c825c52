"""trees -> parquet, and back.

One row a tree, nodes and rollouts as lists of structs, so any data tool opens them. A part's name ends with a checksum of
its bytes: until its stage is finished nothing else knows them, and Parquet decodes many a flipped bit to another tree. A
folder of parts is read as a stream: whoever reads trees never holds them all. It does not decide when a part is written
(`cluster.growth` does).
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rstar_math.errors import StageError
from rstar_math.records import Cost, End, Node, Problem, Rollout, Step, Tree, Verdict

_STEP = [("text", pa.string()), ("output", pa.string())]
_NODE = pa.struct(
    [
        ("parent", pa.int32()),
        *_STEP,
        ("visits", pa.int32()),
        ("value", pa.float64()),
        ("prior", pa.float64()),
        ("answer", pa.string()),
        ("verdict", pa.string()),
    ]
)
_ROLLOUT = pa.struct([("leaf", pa.int32()), ("end", pa.string()), ("value", pa.float64())])
_PROBLEM = pa.struct(
    [
        *((name, pa.string()) for name in ("id", "question", "answer", "level", "subject", "source")),
        ("synthetic", pa.bool_()),
        ("tolerance", pa.float64()),
    ]
)
_COST = pa.struct([(name, pa.float64() if name == "seconds" else pa.int64()) for name in asdict(Cost())])
SCHEMA = pa.schema(
    [
        ("problem", _PROBLEM),
        ("seed", pa.int64()),
        ("nodes", pa.list_(_NODE)),
        ("rollouts", pa.list_(_ROLLOUT)),
        ("cost", _COST),
    ]
)


def write_trees(folder: Path, number: int, trees: Sequence[Tree]) -> None:
    """Writes one part whole or not at all: under another name first, on disk before it is renamed."""
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([_row(tree) for tree in trees], schema=SCHEMA), content, compression="zstd")
    unfinished = folder / f"part-{number:05d}.unfinished"
    with unfinished.open("wb") as file:
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(folder / f"part-{number:05d}-{_checksum(content.getbuffer())}.parquet")


def next_number(folder: Path) -> int:
    """What the next part of `folder` is to be numbered."""
    return 1 + max((int(part.stem.split("-")[1]) for part in folder.glob("part-*.parquet")), default=-1)


def count_trees(folder: Path) -> int:
    """How many trees stand in all parts below `folder`, of which only the ends are read."""
    return sum(pq.read_metadata(part).num_rows for part in folder.glob("part-*.parquet"))


def read_trees(folder: Path) -> Iterator[Tree]:
    """The trees of all parts below `folder`, in the order of their parts' names.

    Raises:
        StageError: a part is damaged.
    """
    for _, trees in read_parts(folder):
        yield from trees


def read_parts(folder: Path) -> Iterator[tuple[Path, list[Tree]]]:
    """The same part by part, each with its file."""
    for part in sorted(folder.glob("part-*.parquet")):
        yield part, _read(part)


def _read(part: Path) -> list[Tree]:
    try:
        content = part.read_bytes()
        if not part.stem.endswith(f"-{_checksum(content)}"):
            raise ValueError("its bytes do not have the checksum that its name ends with")
        return [_tree(row) for row in pq.read_table(pa.BufferReader(content)).to_pylist()]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StageError(f"{part} is damaged ({error}); delete it and start again to grow its trees anew") from error


def _checksum(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _row(tree: Tree) -> dict[str, Any]:
    return {
        "problem": tree.problem._asdict(),
        "seed": tree.seed,
        "nodes": [
            {
                "parent": node.parent,
                "text": node.step.text,
                "output": node.step.output,
                "visits": node.visits,
                "value": node.value,
                "prior": node.prior,
                "answer": node.answer,
                "verdict": node.verdict,
            }
            for node in tree.nodes
        ],
        "rollouts": [rollout._asdict() for rollout in tree.rollouts],
        "cost": asdict(tree.cost),
    }


def _tree(row: dict[str, Any]) -> Tree:
    nodes = tuple(
        Node(
            node["parent"],
            Step(node["text"], node["output"]),
            node["visits"],
            node["value"],
            node["prior"],
            node["answer"],
            Verdict(node["verdict"]) if node["verdict"] else None,
        )
        for node in row["nodes"]
    )
    rollouts = tuple(Rollout(r["leaf"], End(r["end"]), r["value"]) for r in row["rollouts"])
    return Tree(Problem(**row["problem"]), row["seed"], nodes, rollouts, Cost(**row["cost"]))
