"""The released training files -> typed rows.

rStar-Math's SFT rows {query, response} and PPM rows {prompt, pos, neg, pos_count, neg_count}, checked as problems are.
Texts are kept byte for byte: a leading line break is part of what was trained on. It renders and tokenizes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from rstar_math.errors import InputError
from rstar_math.problems.rows import LINE_FORMATS, Row, read_rows, unusable


class SftRow(NamedTuple):
    """A question and a whole reply to it."""

    query: str
    response: str


class PairRow(NamedTuple):
    """A path, a preferred and a rejected continuation, and how many of each it had (weight: 1 / their product)."""

    prompt: str
    pos: str
    neg: str
    pos_count: int
    neg_count: int


_T = TypeVar("_T")


def read_sft_rows(path: str | Path) -> list[SftRow]:
    """The rows of a policy training file.

    Raises:
        InputError: the file cannot be read, or has rows without a text for query or response.
    """
    return _read(Path(path), SftRow, ("query", "response"), ())


def read_pair_rows(path: str | Path) -> list[PairRow]:
    """The rows of a PPM training file.

    Raises:
        InputError: the file cannot be read, or has rows without texts for prompt, pos and neg, or whole counts >= 1.
    """
    return _read(Path(path), PairRow, ("prompt", "pos", "neg"), ("pos_count", "neg_count"))


def _read(path: Path, make: Callable[..., _T], texts: Sequence[str], counts: Sequence[str]) -> list[_T]:
    rows = list(read_rows(path))
    names = (*texts, *counts)
    if not rows:
        raise InputError(f"{path}: no rows at all; expected rows with {', '.join(names)}")
    place = "line" if path.suffix.lower() in LINE_FORMATS else "row"
    complaints = [f"{place} {row.number}: {wrong}" for row in rows if (wrong := _wrong(row, texts, counts))]
    if complaints:
        raise unusable(str(path), complaints, len(rows), f"Expected fields: {', '.join(names)}. Correct these rows.")
    return [make(*(row.fields[name] for name in texts), *(int(row.fields[name]) for name in counts)) for row in rows]


def _wrong(row: Row, texts: Sequence[str], counts: Sequence[str]) -> str:
    """What is wrong with a row; "" if nothing is."""
    if row.complaint:
        return row.complaint
    missing = [name for name in (*texts, *counts) if name not in row.fields]
    if missing:
        return f"no {', '.join(missing)}: got {', '.join(row.fields) or 'nothing'}"
    for name in texts:
        if not isinstance(row.fields[name], str) or not row.fields[name].strip():
            return f"{name}: got {str(row.fields[name])[:60]!r}, expected text"
    for name in counts:
        if not str(row.fields[name]).isdigit() or int(row.fields[name]) < 1:
            return f"{name}: got {str(row.fields[name])[:60]!r}, expected a whole number of at least 1"
    return ""
