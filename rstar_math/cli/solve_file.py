"""a file of questions -> their answers, whoever may know them.

What `solve` does for one question, for as many as there are, with what `evaluate` does it with: stages in a folder, so the
same command goes on where it was stopped. No ground truth is asked for, and none is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rstar_math.cli.compose import compose
from rstar_math.cli.evaluate import Measuring, measure
from rstar_math.cli.launch import open_run
from rstar_math.cli.solve import asked_models
from rstar_math.errors import InputError
from rstar_math.evaluation.strategies import Strategy, strategies
from rstar_math.mutual.ways import is_way, ways
from rstar_math.problems.sets import read_set
from rstar_math.search.task import Task

#: What is left of it all, in OUT, and the folder of its stages there.
ANSWERS, _QUESTIONS = "answers.jsonl", "questions"


def solve_file(file: Path, out: Path, overrides: Sequence[str], given: Mapping[str, str]) -> bool:
    """Answers every question into OUT/answers.jsonl, in the file's order; whether any has an answer.

    Raises:
        ConfigError: as for one question, or the way of answering lacks a model.
        InputError: the file's rows hold no questions, or it is where the answers are written.
    """
    answers = out / ANSWERS
    if answers.exists() and answers.samefile(file):
        raise InputError(f"the answers to {file} would be written over it; name another out=FOLDER")
    config, models, discriminator = asked_models(overrides, given)
    number = config.rounds
    evaluation = config.plan(number).evaluation
    name = given.get("strategy", "mcts" if models.ppm else "majority")
    mutual = replace(config.mutual, strategies=(name,) if is_way(name) else ())
    found: Sequence[Strategy] = (
        ways(mutual, Task("any"), second=discriminator is not None)
        if is_way(name)
        else strategies([name], evaluation, guided=models.ppm is not None)
    )
    # The knobs are those of the run that made the policy; what it was trained on is no affair of these questions.
    questions = replace(compose(overrides).problems, path=str(file), dataset=None)
    asked = Measuring(
        out,
        models.policy,
        Path(models.ppm) if models.ppm else None,
        number,
        evaluation,
        {_QUESTIONS: questions},
        found,
        1,
        discriminator=discriminator,
        mutual=mutual,
        known=False,
    )
    with open_run(replace(config, cluster=replace(config.cluster, keep_engines=True)), out) as run:
        answers.unlink(missing_ok=True)  # those of another way of answering must not look like this one's
        run.fleet.to_come = asked.demand()
        ((scores,),) = measure(run, asked).values()
        rows = list(_rows(out / _QUESTIONS / "problems", scores, name, scored=models.ppm is not None))
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        answers.with_suffix(".partial").write_text("".join(lines), encoding="utf-8")
        answers.with_suffix(".partial").replace(answers)
        answered = sum(row["answer"] is not None for row in rows)
        run.progress.say(f"{answered} of {len(rows)} questions have an answer: {answers}")
    return answered > 0


def _rows(problems: Path, scores: Path, strategy: str, *, scored: bool) -> Iterator[dict[str, Any]]:
    """One a question, in the file's order. `scored`: a PPM was asked, so there is a score in [-1, 1]."""
    lines = map(json.loads, (scores / "answers.jsonl").read_text(encoding="utf-8").splitlines())
    found = {row["id"]: row for row in lines if row["strategy"] == strategy}
    for problem in read_set(problems / "held_out.jsonl"):
        row = found[problem.id]
        yield {
            "id": problem.id,
            "question": problem.question,
            "answer": row["answer"],
            "score": row["score"] if scored else None,
            "path": row["path"],
        }
