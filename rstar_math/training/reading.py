"""A file of examples or pairs -> transcripts. What stands in its rows, and is it fit to be trained on?

Two forms are known: the harvest's own, whose steps stand apart, and the released one, whose texts hold whole replies (SFT
rows {query, response}; PPM rows {prompt, pos, neg, pos_count, neg_count}). Rows are read one after the other, and one that is
of neither form is named with what is wrong. Nothing here tokenizes, or imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from rstar_math import text
from rstar_math.checkpoints import Kind
from rstar_math.config import Objective
from rstar_math.errors import InputError
from rstar_math.problems.rows import LINE_FORMATS, Row, unusable
from rstar_math.records import Step, Transcript

#: Rows of a Parquet file in memory at once.
_PART_ROWS = 1024
#: The columns of both forms, as messages name them.
EXPECTED: Mapping[Kind, str] = {
    "policy": "question, steps (a harvest's) or query, response (released)",
    "ppm": "problem_id, question, prefix, chosen, rejected, kind (a harvest's) or prompt, pos, neg, pos_count, neg_count "
    "(released)",
}

Fields = Mapping[str, Any]
T = TypeVar("T")


class Pair(NamedTuple):
    """Two continuations of one partial solution, as whole transcripts; `group` is equal for the pairs of one step. The
    Q-values are those of the steps they end with, None in released rows; these say the weight instead, whose sum over a
    group is 1, while the harvest's pairs of a group share theirs."""

    group: tuple[Any, ...]
    kind: str
    chosen: Transcript
    rejected: Transcript
    q: tuple[float | None, float | None] = (None, None)
    weight: float | None = None


def solution(row: Fields) -> Transcript:
    """The transcript of a policy example.

    Raises:
        ValueError: the row is of neither form, or its reply does not end as one should; the message says what it has.
    """
    if "query" in row or "response" in row:
        _need(row, texts=("query", "response"))
        return text.transcript(_question(row["query"])[0], text.parse_reply(row["response"]), for_next=False)
    _need(row, texts=("question",), steps=("steps",))
    return text.transcript(row["question"], _steps(row["steps"]), for_next=False)


def pairs(row: Fields) -> list[Pair]:
    """The pairs of a row: one of ours; of a released one, which may hold several texts a side, each with each.

    Raises:
        ValueError: the row is of neither form, or a reply in it does not end as one should; the message says what it has.
    """
    if "pos" in row or "neg" in row:
        return _released_pairs(row)
    sides = ("chosen", "rejected")
    _need(row, texts=("problem_id", "question", "kind"), steps=sides, prefix=("prefix",))
    prefix = _steps(row["prefix"])
    chosen, rejected = (
        text.transcript(row["question"], (*prefix, *_steps(row[side])), for_next=False) for side in sides
    )
    # Two trees of a problem may both have pairs at the root, one after the other: the harvest's own name tells them apart.
    group = (row["problem_id"], row["kind"], row["question"], prefix, row.get("group"))
    # A final pair's columns hold the average over each solution's steps; the Q of its last step is whether it is right.
    q = (1.0, -1.0) if row["kind"] == "final" else (row.get("q_chosen"), row.get("q_rejected"))
    return [Pair(group, row["kind"], chosen, rejected, q)]


def valued_pairs(row: Fields) -> list[Pair]:
    """The same, each side with its Q-value.

    Raises:
        ValueError: as above, or there are none.
    """
    found = pairs(row)
    if any(None in pair.q for pair in found):
        raise ValueError(
            "no q_chosen, q_rejected (released rows have none), which ppm.objective=pqm learns from; take pairwise, or rows "
            "of a harvest"
        )
    return found


def _released_pairs(row: Fields) -> list[Pair]:
    _need(row, texts=("prompt",), replies=("pos", "neg"), counts=("pos_count", "neg_count"))
    question, written = _question(row["prompt"])
    prefix = text.parse_reply(written)
    better, worse = (
        [text.transcript(question, (*prefix, *_continuation(reply)), for_next=False) for reply in _list(row[side])]
        for side in ("pos", "neg")
    )
    weight = 1 / (int(row["pos_count"]) * int(row["neg_count"]))
    return [
        Pair((row["prompt"],), "released", chosen, rejected, weight=weight) for chosen in better for rejected in worse
    ]


def converted(files: Sequence[Path], convert: Callable[[Fields], T]) -> Iterator[T]:
    """What `convert` makes of every row of the files.

    Raises:
        InputError: a file cannot be read, or a row cannot be converted; the message names it.
    """
    for file in files:
        for place, found, wrong in _tried(file, convert):
            if found is None:
                raise InputError(f"{file}: {place}: {wrong}")
            yield found


def check_rows(file: Path, kind: Kind, objective: Objective = "pairwise") -> None:
    """Whether a file can be trained on, before anything is started.

    Raises:
        InputError: it cannot be read, has no rows, or has some that cannot be trained on; the message names these.
    """
    complaints, total = [], 0
    convert: Callable[[Fields], object] = valued_pairs if objective == "pqm" else pairs
    for place, _, wrong in _tried(file, solution if kind == "policy" else convert):
        total += 1
        if wrong:
            complaints.append(f"{place}: {wrong}")
    if complaints:
        way_out = f"Expected for a {kind}: {EXPECTED[kind]}. Correct these rows, or leave them out."
        raise unusable(str(file), complaints, total, way_out)
    if not total:
        raise InputError(f"{file}: no rows at all; expected rows with {EXPECTED[kind]}")


def _tried(file: Path, convert: Callable[[Fields], T]) -> Iterator[tuple[str, T | None, str]]:
    """Of every row: its place, what it was converted to, and what is wrong with it if it was not."""
    place = "line" if file.suffix.lower() in LINE_FORMATS else "row"
    for row in _read(file):
        found, wrong = None, row.complaint
        if not wrong:
            try:
                found = convert(row.fields)
            except ValueError as error:
                wrong = str(error)
        yield f"{place} {row.number}", found, wrong


def _read(file: Path) -> Iterator[Row]:
    if not file.is_file():
        raise InputError(f"No training data in {file}: the file does not exist. Harvest first, or correct the path.")
    reader = {".parquet": _parquet, ".jsonl": _json_lines, ".json": _json}.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file} is no training data: expected .parquet, .jsonl or .json, got {file.suffix!r}.")
    return reader(file)


def _parquet(file: Path) -> Iterator[Row]:
    numbers = count(1)
    try:
        for batch in pq.ParquetFile(file).iter_batches(_PART_ROWS):
            for fields in batch.to_pylist():
                yield Row(next(numbers), fields)
    except pa.ArrowException as error:
        raise InputError(f"{file}: is no readable Parquet file ({error}); write it again, or use JSONL") from error


def _json_lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield _row(number, json.loads(line))
            except ValueError as error:
                begins = line.strip()[:60].decode(errors="replace")
                yield Row(number, {}, f"got {begins!r}, which is no JSON ({error})")


def _json(file: Path) -> Iterator[Row]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(f"{file}: is no JSON: {error}; if it has one object a line, name it .jsonl") from error
    if not isinstance(content, list):
        raise InputError(f"{file}: got a JSON {type(content).__name__}, expected a list of rows")
    yield from (_row(number, fields) for number, fields in enumerate(content, 1))


def _row(number: int, fields: Any) -> Row:
    if isinstance(fields, dict):
        return Row(number, fields)
    return Row(number, {}, f"got a JSON {type(fields).__name__}, expected an object")


#: What a column may have to hold -> whether it does, and how that is called.
_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "texts": (lambda value: _is_text(value), "text"),
    "replies": (lambda value: bool(_list(value)) and all(map(_is_text, _list(value))), "text"),
    "steps": (lambda value: _are_steps(value) and bool(value), "at least one step, {text, output}"),
    "prefix": (lambda value: _are_steps(value), "steps, {text, output}"),
    "counts": (lambda value: str(value).isdigit() and int(value) > 0, "a whole number of at least 1"),
}


def _need(row: Fields, **columns: tuple[str, ...]) -> None:
    missing = [name for names in columns.values() for name in names if name not in row]
    if missing:
        raise ValueError(f"no {', '.join(missing)}: got {', '.join(row) or 'nothing'}")
    for kind, names in columns.items():
        holds, called = _KINDS[kind]
        for name in names:
            if not holds(row[name]):
                raise ValueError(f"{name}: got {str(row[name])[:60]!r}, expected {called}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_steps(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(step, dict) and _is_text(step.get("text")) and isinstance(step.get("output"), str | None)
        for step in value
    )


def _steps(raw: Iterable[Fields]) -> tuple[Step, ...]:
    return tuple(Step(step["text"], step["output"]) for step in raw)


def _list(replies: Any) -> list[Any]:
    return replies if isinstance(replies, list) else [replies]


def _question(written: str) -> tuple[str, str]:
    """The question of a released prompt, bare or in the prompt's own format, and what is already solved of it."""
    before, after = text.prompt("\0").split("\0")
    if not written.startswith(before.strip()):
        return written, ""
    question, _, rest = written.removeprefix(before.strip()).partition(after.strip())
    return question.strip(), rest


def _continuation(reply: str) -> tuple[Step, ...]:
    """The steps of a released continuation; one that ends the code comes without what the code printed."""
    ends_code = reply.rstrip().endswith(text.CODE_END)
    return text.parse_reply(reply + (text.OUTPUT_START + text.OUTPUT_END if ends_code else ""))
