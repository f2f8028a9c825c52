"""file or data set -> its rows, each with the number a person would look it up by.

Knows formats (JSONL, JSON, CSV, TSV, Parquet, Hugging Face data sets), not what the columns mean. A broken row is
returned with its complaint, so that the reader can show several at once; a broken file is an error.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from rstar_math.errors import InputError

#: Broken rows shown in one message; the rest is counted.
SHOWN = 5
#: Formats whose rows are found by the number of a line; the others are counted.
LINE_FORMATS = (".jsonl", ".ndjson", ".csv", ".tsv")


class Row(NamedTuple):
    """One row: the number of its line (`LINE_FORMATS`) or its place from 1, its fields, and what is wrong with it."""

    number: int
    fields: dict[str, Any]
    complaint: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, by its extension.

    Raises:
        InputError: the file is missing, of no known kind, or cannot be decoded.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no such file (seen from {Path.cwd()}); check problems.path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file; for a Hugging Face data set use problems.dataset={path}")
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json, ".csv": _csv, ".tsv": _csv}
    readers[".parquet"] = _parquet
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path}: got a file ending in {path.suffix or 'nothing'!r}; expected one of {', '.join(readers)}; "
            "rename or convert it"
        )
    return reader(path)


def unusable(name: str, complaints: list[str], total: int, way_out: str) -> InputError:
    """One error for several broken rows: the first of them in words, and how many there are."""
    shown = [f"  {complaint}" for complaint in complaints[:SHOWN]]
    if len(complaints) > SHOWN:
        shown.append(f"  ... and {len(complaints) - SHOWN} more")
    return InputError("\n".join([f"{name}: {len(complaints)} of {total} rows cannot be used", *shown, way_out]))


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: line {line}: got byte 0x{content[error.start]:02x}, which is no UTF-8 text; "
            "save the file as UTF-8 (is it binary or compressed?)"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{path}: line {line}: got a NUL byte, expected text; is the file binary, or UTF-16?")
    return text


def _loads(text: str) -> Any:
    # Decimals keep the digits as they were written.
    return json.loads(text, parse_float=Decimal)


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = _loads(line)
        except ValueError as error:
            yield Row(number, {}, f"got {line.strip()[:60]!r}, which is no JSON ({error})")
            continue
        yield _row(number, fields)


def _row(number: int, fields: Any) -> Row:
    if isinstance(fields, dict):
        return Row(number, fields)
    return Row(number, {}, f'got a JSON {_kind(fields)}, expected an object such as {{"question": ..., "answer": ...}}')


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "list", str: "text", bool: "true/false", type(None): "null"}
    return kinds.get(type(value), "number")


def _json(path: Path) -> Iterator[Row]:
    text = _text(path)
    if not text.strip():
        return
    try:
        content = _loads(text)
    except ValueError as error:
        raise InputError(f"{path}: is no JSON: {error}; if it has one object a line, name it .jsonl") from error
    if isinstance(content, dict):
        lists = [name for name, value in content.items() if isinstance(value, list)]
        if len(lists) != 1:
            raise InputError(
                f"{path}: got an object with {len(lists)} lists ({', '.join(lists) or 'none'}); expected a list of "
                "rows, or an object with exactly one; keep the list of problems alone in the file"
            )
        content = content[lists[0]]
    if not isinstance(content, list):
        raise InputError(f"{path}: got a JSON {_kind(content)}; expected a list of rows, or an object with one list")
    yield from (_row(number, fields) for number, fields in enumerate(content, 1))


def _csv(path: Path) -> Iterator[Row]:
    lines = io.StringIO(_text(path), newline="")
    reader = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
    try:
        width = len(reader.fieldnames or ())
        for fields in reader:
            extra = fields.pop(None, [])
            values = [value for value in fields.values() if value is not None]
            number = reader.line_num - sum(value.count("\n") for value in (*values, *extra))
            got = len(values) + len(extra)
            complaint = f"got {got} fields, expected {width}; quote a field that contains the separator"
            yield Row(number, fields, complaint if got != width else "")
    except csv.Error as error:
        raise InputError(
            f"{path}: near line {reader.line_num}: {error}; quote fields and double the quotes inside"
        ) from error


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise InputError(f"{path}: is no readable Parquet file ({error}); write it again, or use JSONL") from error
    yield from (Row(number, fields) for number, fields in enumerate(table.to_pylist(), 1))


def read_dataset(name: str, subset: str | None, split: str) -> Iterator[Row]:
    """The rows of a Hugging Face data set: a name on the hub, a folder of data files, or one that was saved to disk.

    Raises:
        InputError: there is no such data set, subset or split, or the hub cannot be reached.
    """
    import datasets

    try:
        if (Path(name) / "state.json").exists() or (Path(name) / "dataset_dict.json").exists():
            loaded = datasets.load_from_disk(name)
            table = loaded[split] if isinstance(loaded, datasets.DatasetDict) else loaded
        else:
            table = datasets.load_dataset(name, subset, split=split)
    # What `datasets` raises for names, subsets, splits and files it cannot serve, and for a network that is not there.
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
        wanted = f"{name} (subset {subset}, split {split})"
        raise InputError(
            f"data set {wanted} cannot be loaded: {str(error).strip() or type(error).__name__}; check "
            "problems.dataset, problems.subset and problems.split, or download it and give its folder"
        ) from error
    yield from (Row(number, dict(fields)) for number, fields in enumerate(table, 1))
