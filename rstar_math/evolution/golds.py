"""Which problems can be graded?

problems -> those whose ground truth has a reading; the others are set aside, listed with the reason. Looked at before any
GPU-hour is spent: whatever a policy answers to them, nobody could tell whether it is right. No answer is repaired.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rstar_math.config import GradingConfig
from rstar_math.errors import InputError
from rstar_math.grading import ProcessJudge, at_once
from rstar_math.records import Grade, Problem, Verdict

#: The list of what was set aside, in the stage's folder.
UNGRADABLE = "ungradable.jsonl"


def gradable(
    sets: Mapping[str, Sequence[Problem]], folder: Path, grading: GradingConfig, say: Callable[[str], None]
) -> dict[str, list[Problem]]:
    """The problems of each set that can be graded; the others are written to `folder` and counted in one sentence.

    Raises:
        InputError: none is left of the first set.
    """
    problems = [problem for chosen in sets.values() for problem in chosen]
    faults = {
        answer: grade for answer, grade in _read(problems, grading).items() if grade.verdict is not Verdict.CORRECT
    }
    aside = [problem for problem in problems if problem.answer in faults]
    kept = {name: [problem for problem in chosen if problem.answer not in faults] for name, chosen in sets.items()}
    if not aside:
        return kept
    with (folder / UNGRADABLE).open("w", encoding="utf-8") as file:
        for problem in aside:
            row = {"id": problem.id, "answer": problem.answer, "reason": faults[problem.answer].reason}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    first = next(iter(kept))
    if not kept[first]:
        example = f"{aside[0].id!r} has {aside[0].answer[:60]!r}: {faults[aside[0].answer].reason}"
        raise InputError(
            f"no problem of {len(sets[first])} has an answer that could be graded; {example}; give final answers, "
            "or name the column that holds them with problems.columns.answer=NAME"
        )
    say(
        f"{len(aside)} of {len(problems)} problems are set aside, for no answer to them could be graded: "
        f"{UNGRADABLE} lists them with the reason."
    )
    return kept


def _read(problems: Sequence[Problem], grading: GradingConfig) -> dict[str, Grade]:
    """Each ground truth graded against itself; a process is started only for what text and exact arithmetic leave open."""
    grades: dict[str, Grade] = {}
    rest: list[str] = []
    for answer in dict.fromkeys(problem.answer for problem in problems):
        grade = at_once(answer, answer, grading)
        if grade is None:
            rest.append(answer)
        else:
            grades[answer] = grade
    return grades | (asyncio.run(_compared(rest, grading)) if rest else {})


async def _compared(answers: Sequence[str], grading: GradingConfig) -> dict[str, Grade]:
    workers = min(os.cpu_count() or 1, len(answers))
    async with ProcessJudge(replace(grading, workers=max(workers, grading.workers))) as judge:
        grades = await asyncio.gather(*(judge.grade(answer, answer) for answer in answers))
    return dict(zip(answers, grades, strict=True))
