"""What did a run leave, and is it whole? Checks and digests of a finished run's folder, for the tests that interrupt runs."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rstar_math.cluster.growth import poisoned
from rstar_math.evolution.places import ORDER
from rstar_math.evolution.store import MANIFEST, check_whole
from rstar_math.problems.sets import read_set
from rstar_math.search.storage import read_trees

#: A file of every kind that a stage reads from another, and the stage that reads it.
READ_BY = {
    "round-0/problems/train.jsonl": "round-1.trees",
    "round-0/problems/validation.jsonl": "round-1.trees",
    "round-0/problems/held_out.jsonl": "round-1.scores",
    "round-1/trees/train/part-*.parquet": "round-1.harvest",
    "round-1/trees/validation/part-*.parquet": "round-1.harvest",
    "round-1/trees/manifest.json": "round-1.harvest",
    "round-1/harvest/policy.parquet": "round-1.policy",
    "round-1/harvest/pairs.parquet": "round-1.ppm",
    "round-1/harvest/validation_pairs.parquet": "round-1.ppm",
    "round-1/policy/model.safetensors": "round-1.ppm",
    "round-1/policy/tokenizer.json": "round-1.scores",
    "round-1/policy/manifest.json": "round-1.scores",
    "round-1/ppm/model.safetensors": "round-2.trees",
    "round-1/ppm/config.json": "round-2.trees",
}


def check_promises(root: Path, rounds: int) -> list[str]:
    """Of a finished run: every problem has its trees, each once, or is listed with three deaths; no file differs from its
    manifest, nothing is half done. Returns those that are listed so: killed at random, an innocent problem may be.

    Raises:
        AssertionError, StageError: a promise is broken.
    """
    aside = []
    for number in range(1, rounds + 1):
        for name in ("train", "validation"):
            wanted = {problem.id for problem in read_set(root / "round-0" / "problems" / f"{name}.jsonl")}
            folder = root / f"round-{number}" / "trees" / name
            trees = Counter((tree.problem.id, tree.seed) for tree in read_trees(folder))
            listed = {
                row["id"]: f"round {number}, {row['id']}, {row['deaths']} deaths: {row['cause'][:99]}"
                for row in poisoned(folder)
                if row["deaths"] >= 3
            }
            there = {problem for problem, _ in trees}
            assert not listed.keys() & there, f"round {number}, {name}: set aside, and grown: {listed}"
            odd = wanted ^ there ^ listed.keys()
            assert not odd, f"round {number}, {name}: problems are missing, or foreign: {sorted(odd)[:5]}"
            aside += listed.values()
            assert set(trees.values()) == {1}, f"round {number}, {name}: twice: {trees.most_common(1)}"
    for manifest in root.rglob(MANIFEST):
        check_whole(manifest.parent)
    assert not list(root.rglob("*.partial")), "a finished run holds a stage that is not"
    return aside


def digests(root: Path) -> dict[str, str]:
    """stage's file -> digest of what it holds, without how long it took and in what order the problems finished."""
    found = {str(file.relative_to(root)): file.read_bytes() for file in _finished(root, "model.safetensors")}
    for kind in ("policy", "pairs", "validation_pairs"):
        for file in _finished(root, f"{kind}.parquet"):
            found[str(file.relative_to(root))] = _unordered(pq.read_table(file).to_pylist())
    for file in _finished(root, "answers.jsonl"):
        found[str(file.relative_to(root))] = _unordered(map(json.loads, file.read_text().splitlines()))
    for folder in {part.parent for part in _finished(root, "part-*.parquet")}:
        trees = [asdict(tree) for tree in read_trees(folder)]
        for tree in trees:
            del tree["cost"]["seconds"]
        found[str(folder.relative_to(root))] = _unordered(trees)
    return {name: sha256(content).hexdigest() for name, content in sorted(found.items())}


def flip_a_bit(file: Path, at: float) -> None:
    """Inverts the bit that stands at this share of the file: what a decoder would find is not all that happens."""
    content = bytearray(file.read_bytes())
    byte, bit = divmod(int(at * 8 * len(content)), 8)
    content[byte] ^= 1 << bit
    file.write_bytes(content)


def _finished(root: Path, pattern: str) -> list[Path]:
    """Files of the run's own stages, without those that `from=` set aside under a dated name."""
    found = sorted(root.glob(f"round-?/**/{pattern}"))
    return [file for file in found if file.is_file() and file.relative_to(root).parts[1] in ORDER]


def _unordered(rows: Iterable[Any]) -> bytes:
    return "\n".join(sorted(json.dumps(row, sort_keys=True) for row in rows)).encode()
