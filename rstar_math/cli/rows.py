"""JSONL in, JSONL out: grading and running code, row by row.

The same judge and the same sandbox as in a run. Order is kept; a row that cannot be read ends the command with its number.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TextIO

import click

from rstar_math.config import GradingConfig, SandboxConfig
from rstar_math.errors import InputError
from rstar_math.grading import ProcessJudge
from rstar_math.sandbox import ProcessSandbox

_AT_ONCE = 64


def grade_rows(file: TextIO) -> None:
    """`{prediction, answer}` -> `{verdict, reason}`, other fields of the row kept."""

    async def work() -> None:
        async with ProcessJudge(GradingConfig()) as judge:

            async def grade(row: Mapping[str, Any]) -> dict[str, Any]:
                verdict, reason = await judge.grade(str(row["prediction"]), str(row["answer"]))
                return {**row, "verdict": verdict.value, "reason": reason}

            await _print_all(_rows(file, ("prediction", "answer")), grade)

    asyncio.run(work())


def run_rows(file: TextIO, config: SandboxConfig) -> None:
    """`{id, steps: [code, ...]}` -> `{id, status, stdout, error}`."""

    async def work() -> None:
        async with ProcessSandbox(config) as sandbox:

            async def run(row: Mapping[str, Any]) -> dict[str, Any]:
                (execution,) = await sandbox.run([_program(row["steps"])])
                shown = {"status": execution.status.value, "stdout": execution.stdout, "error": execution.error}
                return {"id": row["id"], **shown}

            await _print_all(_rows(file, ("id", "steps")), run)

    asyncio.run(work())


def _program(steps: Any) -> tuple[str, ...]:
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise InputError(f"'steps' is a list of code texts; got {json.dumps(steps)[:80]}")
    return tuple(step if step.endswith("\n") else f"{step}\n" for step in steps)


def _rows(file: TextIO, fields: Iterable[str]) -> Iterable[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{file.name}, line {number}: no JSON object ({error}); write one object a line") from None
        missing = [field for field in fields if not isinstance(row, dict) or field not in row]
        if missing:
            raise InputError(
                f"{file.name}, line {number}: no field {' and no '.join(missing)}; got {line.strip()[:80]}"
            )
        yield row


async def _print_all(
    rows: Iterable[dict[str, Any]], work: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
) -> None:
    async for result in _in_order(rows, work):
        click.echo(json.dumps(result, ensure_ascii=False))


async def _in_order(
    rows: Iterable[dict[str, Any]], work: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
) -> AsyncIterator[dict[str, Any]]:
    """Results in the order of the rows, so many under way at once."""
    waiting: list[asyncio.Future[dict[str, Any]]] = []
    for row in rows:
        waiting.append(asyncio.ensure_future(work(row)))
        if len(waiting) == _AT_ONCE:
            yield await waiting.pop(0)
    for future in waiting:
        yield await future
