"""Transcripts of a file's examples or pairs -> token rows. What exactly is trained on?

A policy row is a whole solution, with a loss on what the policy wrote and on the end-of-text token after its answer. A
group row holds one step group, that is all pairs with one prefix (up to 2 x 2, paper §3.3): what its sequences begin
with, once, each one's own rest, and which is preferred to which. Rows longer than allowed are left out and counted. The
rows lie in a memory-mapped Arrow file, so that every rank of a machine shares one copy. Nothing here batches, or imports
torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from rstar_math.disk import seal, unseal
from rstar_math.errors import InputError, StageError
from rstar_math.tokens import encode, encode_with_mask
from rstar_math.training.kept import known_by
from rstar_math.training.reading import Pair, converted, pairs, solution, valued_pairs

#: Labels of this value carry no loss (torch's and transformers' convention).
NO_LOSS = -100
#: Rows encoded and written at once: enough for Arrow, little enough for any memory.
_PART_ROWS = 1024

Row = dict[str, Any]


class Encoded(NamedTuple):
    """One row as stored (None: too long), and how many examples or pairs were left out of it."""

    row: Row | None
    left_out: int


class Counts(NamedTuple):
    """What the encoding found: rows kept, examples or pairs in them, those left out as too long, and all tokens."""

    rows: int
    examples: int
    left_out: int
    tokens: int


#: Every row's columns. key: what its place among the others goes by, drawn from what it holds.
_ALL = [("length", pa.int32()), ("examples", pa.int32()), ("key", pa.int64())]
POLICY_SCHEMA = pa.schema([("ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32())), *_ALL])
GROUP_SCHEMA = pa.schema(
    [
        ("prefix", pa.list_(pa.int32())),
        ("rests", pa.list_(pa.list_(pa.int32()))),
        ("chosen", pa.list_(pa.int32())),
        ("rejected", pa.list_(pa.int32())),
        ("q", pa.list_(pa.float32())),
        ("weight", pa.list_(pa.float32())),
        ("kind", pa.string()),
        *_ALL,
    ]
)


def policy_rows(files: Sequence[Path], tokenizer: Any, max_tokens: int) -> Iterator[Encoded]:
    """Policy rows of all files: ids, and labels that are `NO_LOSS` wherever the policy did not write."""
    for transcript in converted(files, solution):
        ids, by_policy = encode_with_mask(tokenizer, transcript)
        labels = [token if own else NO_LOSS for token, own in zip(ids, by_policy, strict=True)]
        ids.append(tokenizer.eos_token_id)
        labels.append(tokenizer.eos_token_id)
        kept = {"ids": ids, "labels": labels, "length": len(ids), "examples": 1}
        yield Encoded(kept, 0) if len(ids) <= max_tokens else Encoded(None, 1)


def group_rows(files: Sequence[Path], tokenizer: Any, max_tokens: int) -> Iterator[Encoded]:
    """Group rows of all files. The harvest writes the pairs of a group next to each other; those that stand alone name their
    weights."""
    yield from _groups((pair for found in converted(files, pairs) for pair in found), tokenizer, max_tokens)


def valued_rows(files: Sequence[Path], tokenizer: Any, max_tokens: int) -> Iterator[Encoded]:
    """Group rows, each of whose paths has a Q-value.

    Raises:
        InputError: a pair has none.
    """
    yield from _groups((pair for found in converted(files, valued_pairs) for pair in found), tokenizer, max_tokens)


def solution_rows(files: Sequence[Path], tokenizer: Any, max_tokens: int) -> Iterator[Encoded]:
    """Group rows of whole solutions alone, those that a harvest's final pairs hold.

    Raises:
        InputError: there is none.
    """
    final = (pair for row_pairs in converted(files, pairs) for pair in row_pairs if pair.kind == "final")
    found = False
    for encoded in _groups(final, tokenizer, max_tokens):
        found = True
        yield encoded
    if not found:
        raise InputError(
            f"{', '.join(map(str, files))}: no pair of whole solutions (kind: final), which ppm.objective=orm learns from; "
            "take pairwise or pqm, or harvest trees in which some problem has right and wrong answers"
        )


def _groups(found: Iterable[Pair], tokenizer: Any, max_tokens: int) -> Iterator[Encoded]:
    for _, members in groupby(found, key=lambda pair: pair.group):
        yield _group(list(members), tokenizer, max_tokens)


def _group(members: list[Pair], tokenizer: Any, max_tokens: int) -> Encoded:
    sequences: dict[tuple[int, ...], int] = {}
    chosen: list[int] = []
    rejected: list[int] = []
    weights: list[float | None] = []
    values: dict[int, float | None] = {}
    for pair in members:
        sides = [tuple(encode(tokenizer, side)) for side in (pair.chosen, pair.rejected)]
        if max(map(len, sides)) <= max_tokens:
            indices = [sequences.setdefault(side, len(sequences)) for side in sides]
            values |= zip(indices, pair.q, strict=True)
            chosen.append(indices[0])
            rejected.append(indices[1])
            weights.append(pair.weight)
    left_out = len(members) - len(chosen)
    if not chosen:
        return Encoded(None, left_out)
    shared = _shared(list(sequences))
    rests = [list(sequence[shared:]) for sequence in sequences]
    row = {
        "prefix": list(next(iter(sequences))[:shared]),
        "rests": rests,
        "chosen": chosen,
        "rejected": rejected,
        "q": [values[index] for index in range(len(sequences))],
        "kind": members[0].kind,
        "length": shared + sum(map(len, rests)),
        "examples": len(chosen),
    }
    if weights[0] is not None:
        row["weight"] = weights
    return Encoded(row, left_out)


def _shared(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens all sequences begin with; each has at least one more."""
    shortest = min(map(len, sequences))
    differing = (at for at in range(shortest - 1) if len({sequence[at] for sequence in sequences}) > 1)
    return next(differing, shortest - 1)


def write(encoded: Iterable[Encoded], schema: pa.Schema, file: Path) -> Counts:
    """Write rows to an Arrow file (complete once its `.json` with the counts stands beside it)."""
    rows = examples = left_out = tokens = 0
    stream = iter(encoded)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        while part := list(islice(stream, _PART_ROWS)):
            kept = [item.row | {"key": _key(item.row)} for item in part if item.row is not None]
            writer.write_batch(pa.RecordBatch.from_pylist(kept, schema=schema))
            rows += len(kept)
            examples += sum(row["examples"] for row in kept)
            left_out += sum(item.left_out for item in part)
            tokens += sum(_tokens(row) for row in kept)
    counts = Counts(rows, examples, left_out, tokens)
    seal(_counts_file(file), {"counts": counts, "known_by": known_by(file)})
    return counts


def written(file: Path) -> Counts | None:
    """The counts of rows that `write` completed; None if it did not, or if the rows or their counts are damaged."""
    try:
        found = unseal(_counts_file(file), "The rows are encoded anew.")
        return Counts(*found["counts"]) if known_by(file) == found["known_by"] else None
    except (StageError, FileNotFoundError):
        return None


def _counts_file(file: Path) -> Path:
    return file.with_suffix(".json")


def open_rows(file: Path) -> pa.Table:
    """The rows that `write` wrote, memory-mapped."""
    return pa.ipc.open_file(pa.memory_map(str(file))).read_all()


def _key(row: Row) -> int:
    """Equal for equal rows, wherever they stood: problems finish in another order each time, and training must not notice."""
    return int.from_bytes(blake2b(json.dumps(row).encode(), digest_size=8).digest(), signed=True)


def _tokens(row: Row) -> int:
    return int(row["length"])
