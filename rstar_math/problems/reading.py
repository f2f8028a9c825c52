"""Where do problems come from?

rows of a file or data set -> problems, under the names that such files use. Everything that can be wrong with a row is
said with its number and the way out; nothing is skipped silently. It does not solve or grade.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from rstar_math import boxes
from rstar_math.config import ProblemsConfig
from rstar_math.errors import InputError
from rstar_math.problems.rows import LINE_FORMATS, Row, read_dataset, read_rows, unusable
from rstar_math.records import Problem

#: Names under which each field is found, first come first served; the first two are required.
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "question": ("question_concat", "question", "problem", "query", "input"),
    "answer": ("answer", "final_answer", "final_ans", "expected_answer", "ground_truth", "target", "solution"),
    "id": ("id", "unique_id", "uid"),
    "level": ("level", "difficulty"),
    "subject": ("subject", "type", "topic"),
    "source": ("source", "data_source"),
    "tolerance": ("tolerance",),
    "synthetic": ("synthetic", "is_synthetic"),
}
#: Of these the rows that are read may lack the column that was named: few problems have any.
_SELDOM = ("tolerance", "synthetic")
_REQUIRED = ("question", "answer")
_YES_OR_NO = {"": None, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_FINAL = re.compile(r"####\s*(.+?)\s*$")
_WAY_OUT = "Correct or remove these rows and start again."


def normalised(question: str) -> str:
    """The text by which two questions are the same: case and white space do not count."""
    return " ".join(question.casefold().split())


def read_problems(config: ProblemsConfig, repeats: list[str] | None = None, *, answered: bool = True) -> list[Problem]:
    """The problems that `config` names, in their order; at most `config.limit`.

    Args:
        answered: without it they are questions alone, whose answer is "" whatever stands beside them.
        repeats: where given, a question or id that was there before is no error: it counts once more, a repeated id gets a
            number behind it, and each is said here.

    An answer may be a final answer, GSM8K's "... #### 72", or a solution with a \\boxed{...}. Ids are the rows' own,
    else made of the source and the question, so that they survive a change of order.

    Raises:
        InputError: the source cannot be read, lacks a column, or has rows that cannot be used; the message names up to
            five of them.
    """
    if config.path:
        name, rows = config.path, read_rows(Path(config.path))
    elif config.dataset:
        name, rows = config.dataset, read_dataset(config.dataset, config.subset, config.split)
    else:
        raise InputError("neither problems.path nor problems.dataset is set; set one of them")
    limited = list(islice(rows, config.limit))
    if not limited:
        what = "a question and an answer" if answered else "a question"
        raise InputError(f"{name}: no problems at all; expected at least one row with {what}")
    columns = _columns(name, limited, config.columns, _REQUIRED if answered else _REQUIRED[:1])
    return _Reader(name, columns, config, repeats).read(limited)


def _columns(name: str, rows: Iterable[Row], chosen: Mapping[str, str], required: Sequence[str]) -> dict[str, str]:
    """Field of ours -> column of theirs, for the fields that the rows have."""
    if unknown := sorted(set(chosen) - set(USUAL_NAMES)):
        raise InputError(f"problems.columns: got {', '.join(unknown)}; expected fields among {', '.join(USUAL_NAMES)}")
    present = list(dict.fromkeys(column for row in rows for column in row.fields))
    if not present:
        return {field: chosen.get(field, field) for field in required}
    spelled = {column.strip().lower(): column for column in reversed(present)}
    columns = {}
    for field, usual in USUAL_NAMES.items():
        if field in (*_REQUIRED, *_SELDOM) and not {field, "answer"} & set(required):
            continue  # questions alone have no answers, nor what is said of them
        found = chosen.get(field) or next((spelled[column] for column in usual if column in spelled), None)
        if found in present:
            columns[field] = str(found)
        elif (field in chosen and field not in _SELDOM) or field in required:
            expected = repr(chosen[field]) if field in chosen else f"one of {', '.join(usual)}"
            raise InputError(
                f"{name}: no column for the {field}: got {', '.join(map(str, present))}; expected {expected}; "
                f"name it with problems.columns.{field}=NAME"
            )
    return columns


class _Reader:
    """Turns rows into problems, and remembers what is wrong and what was seen before."""

    def __init__(
        self, name: str, columns: Mapping[str, str], config: ProblemsConfig, repeats: list[str] | None
    ) -> None:
        self._repeats = repeats
        self._name, self._columns, self._synthetic = name, columns, config.synthetic
        self._place = "line" if Path(config.path or "").suffix.lower() in LINE_FORMATS else "row"
        # A column found under the name "solution" holds more than the answer; one the user named is taken at its word.
        self._worked_out = columns.get("answer", "").lower() == "solution" and "answer" not in config.columns
        self._complaints: list[str] = []
        self._ids: dict[str, int] = {}
        self._questions: dict[str, int] = {}

    def read(self, rows: list[Row]) -> list[Problem]:
        problems = [problem for row in rows if (problem := self._problem(row)) is not None]
        if self._complaints:
            raise unusable(self._name, self._complaints, len(rows), _WAY_OUT)
        return problems

    def _problem(self, row: Row) -> Problem | None:
        try:
            if row.complaint:
                raise _RowError(row.complaint)
            problem = self._parse(row)
        except _RowError as error:
            self._complaints.append(f"{self._place} {row.number}: {error}")
            return None
        if repeated := self._repeated(problem, row):
            if self._repeats is None:
                self._complaints.append(f"{repeated}; remove one of the two")
                return None
            self._repeats.append(repeated)
            problem = problem._replace(id=self._free(problem.id))
        self._ids.setdefault(problem.id, row.number)
        return problem

    def _repeated(self, problem: Problem, row: Row) -> str | None:
        """What of it was there before, and where."""
        first = self._questions.setdefault(normalised(problem.question), row.number)
        what = f"the question {problem.question[:60]!r}"
        if first == row.number:
            first, what = self._ids.get(problem.id, row.number), f"the id {problem.id!r}"
        if first == row.number:
            return None
        return f"{self._place} {row.number}: {what} was there before, in {self._place} {first}"

    def _free(self, name: str) -> str:
        """The id, with the first number behind it that makes it one of its own."""
        return next(free for free in chain([name], (f"{name}-{n}" for n in count(2))) if free not in self._ids)

    def _parse(self, row: Row) -> Problem:
        question = self._value(row, "question")
        if not isinstance(question, str):
            raise _RowError(f"{self._columns['question']}: got {_shown(question)}, expected text")
        if not question.strip():
            raise _RowError(f"{self._columns['question']}: the question is empty")
        optional = {
            field: _label(row.fields.get(self._columns.get(field, ""))) for field in ("level", "subject", "source")
        }
        source = optional["source"] or Path(self._name).stem
        digest = hashlib.blake2b(f"{source} {normalised(question)}".encode(), digest_size=8).hexdigest()
        return Problem(
            id=_label(row.fields.get(self._columns.get("id", ""))) or f"{source}-{digest}",
            question=question.strip(),
            answer=self._answer(row),
            level=optional["level"].removeprefix("Level ").strip(),
            subject=optional["subject"],
            source=source,
            synthetic=self._is_synthetic(row.fields.get(self._columns.get("synthetic", ""))),
            tolerance=_tolerance(row.fields.get(self._columns.get("tolerance", "")), self._columns),
        )

    def _answer(self, row: Row) -> str:
        if "answer" not in self._columns:
            return ""
        return final_answer(self._value(row, "answer"), self._columns["answer"], self._worked_out)

    def _is_synthetic(self, value: Any) -> bool:
        """What the row says, else what is said of all of them: a file may hold both kinds."""
        written = _label(value).lower()
        if written not in _YES_OR_NO:
            raise _RowError(f"{self._columns['synthetic']}: got {_shown(value)}, expected true or false")
        told = _YES_OR_NO[written]
        return self._synthetic if told is None else told

    def _value(self, row: Row, field: str) -> Any:
        column = self._columns[field]
        if column not in row.fields:
            raise _RowError(f"no {column!r}: got {', '.join(map(str, row.fields)) or 'nothing'}")
        return row.fields[column]


class _RowError(ValueError):
    """What is wrong with one row."""


def final_answer(value: Any, column: str, worked_out: bool = False) -> str:
    """The final answer that a field states, as exact text. `worked_out`: the field holds a solution around it.

    Raises:
        ValueError: it is no text and no number, or a solution without a final answer.
    """
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _exact(value, column)
    if not isinstance(value, str):
        raise _RowError(f"{column}: got {_shown(value)}, expected text or a number")
    if found := _FINAL.search(value):
        return found[1]
    if boxes.stated(value) is None:
        raise _RowError(f"{column}: the answer is empty, or a box in it is, or is never closed: {_shown(value)}")
    boxed = boxes.boxed(value)
    if boxed is not None:
        value = boxed
    elif worked_out:
        raise _RowError(
            f"{column}: got a solution without \\boxed{{...}} or '#### ...': {_shown(value)}; if it is the "
            f"answer itself, say so with problems.columns.answer={column}"
        )
    return str(value).strip()


def _tolerance(value: Any, columns: Mapping[str, str]) -> float:
    """How far from its answer a number may lie; of several, one for each of several answers, the least counts for all.

    Raises:
        ValueError: it is no number, or below zero.
    """
    if value is None or not str(value).strip():
        return 0.0
    try:
        found = [float(part) for part in str(value).split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0 <= each < math.inf for each in found):
        raise _RowError(
            f"{columns['tolerance']}: got {_shown(value)}, expected how far a number may be off, such as 1e-1"
        )
    return min(found)


def _exact(value: float | Decimal, column: str) -> str:
    number = Decimal(str(value))
    if not number.is_finite():
        raise _RowError(f"{column}: got {value}, expected text or a number")
    return format(number, "f") if abs(number.adjusted()) < 40 else str(number)


def _label(value: Any) -> str:
    """An optional field as text; "" where it says nothing."""
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()


def _shown(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true/false", type(None): "null"}
    shown = repr(value)
    return kinds.get(type(value), "a number" if not isinstance(value, str) else "text") + f" ({shown[:60]})"
