"""JSONL in, JSONL out: grading and running code, row by row.

The same judge and the same sandbox as in a run. Order is kept; a row that cannot be read ends the command with its number.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, Any, NamedTuple

import click

from rstar_math.config import GradingConfig, SandboxConfig
from rstar_math.errors import InputError
from rstar_math.grading import ProcessJudge
from rstar_math.sandbox import ProcessSandbox
from rstar_math.together import in_order

_AT_ONCE = 64


def grade_rows(file: IO[bytes], config: GradingConfig) -> None:
    """`{prediction, answer}` -> `{verdict, reason}`, other fields of the row kept."""

    async def work() -> None:
        async with ProcessJudge(config) as judge:

            async def grade(row: Mapping[str, Any]) -> dict[str, Any]:
                verdict, reason = await judge.grade(str(row["prediction"]), str(row["answer"]))
                return {**row, "verdict": verdict.value, "reason": reason}

            await _print_all(_rows(file, {"prediction": _ANSWER, "answer": _ANSWER}), grade)

    asyncio.run(work())


def run_rows(file: IO[bytes], config: SandboxConfig) -> None:
    """`{id, steps: [code, ...]}` -> `{id, status, stdout, error}`."""

    async def work() -> None:
        async with ProcessSandbox(config) as sandbox:

            async def run(row: Mapping[str, Any]) -> dict[str, Any]:
                steps = tuple(step if step.endswith("\n") else f"{step}\n" for step in row["steps"])
                (execution,) = await sandbox.run([steps])
                shown = {"status": execution.status.value, "stdout": execution.stdout, "error": execution.error}
                return {"id": row["id"], **shown}

            await _print_all(_rows(file, {"id": _ANYTHING, "steps": _STEPS}), run)

    asyncio.run(work())


def open_rows(words: Sequence[str]) -> tuple[IO[bytes], list[str]]:
    """The FILE among a command's words (none, or `-`: standard input), and the overrides, which are all the others.

    Raises:
        InputError: it cannot be read, or there are several.
    """
    files = [word for word in words if "=" not in word or Path(word).is_file()]
    if len(files) > 1:
        raise InputError(f"one FILE at a time; got {' '.join(files)}")
    name = files[0] if files else "-"
    try:
        opened: IO[bytes] = click.open_file(name, "rb")
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}; name a JSONL file, or nothing for standard input") from None
    return opened, [word for word in words if word not in files]


class _Kind(NamedTuple):
    """What a field of a row may hold, and how that is said."""

    fits: Callable[[Any], bool]
    words: str


_ANYTHING = _Kind(lambda _: True, "anything")
_ANSWER = _Kind(lambda value: isinstance(value, str | int | float) and not isinstance(value, bool), "text or a number")
_STEPS = _Kind(
    lambda value: isinstance(value, list) and all(isinstance(step, str) for step in value), "a list of code texts"
)


def _rows(file: IO[bytes], fields: Mapping[str, _Kind]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield _row(line, fields, f"{file.name}, line {number}")


def _row(line: bytes, fields: Mapping[str, _Kind], where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not in UTF-8 ({error.reason}); write the file in it") from None
    except ValueError as error:
        raise InputError(f"{where}: no JSON object ({error}); write one object a line") from None
    missing = [field for field in fields if not isinstance(row, dict) or field not in row]
    if missing:
        raise InputError(f"{where}: no field {' and no '.join(missing)}; got {line.decode().strip()[:80]}")
    for field, kind in fields.items():
        if not kind.fits(row[field]):
            raise InputError(f"{where}: '{field}' is {kind.words}; got {json.dumps(row[field])[:80]}")
    found: dict[str, Any] = row
    return found


async def _print_all(
    rows: Iterable[dict[str, Any]], work: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
) -> None:
    async with aclosing(in_order(rows, work, _AT_ONCE)) as results:
        async for result in results:
            click.echo(json.dumps(result, ensure_ascii=False))
