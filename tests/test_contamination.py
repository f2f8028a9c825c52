"""Training problems that a benchmark also has are found, counted and listed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rstar_math.config import ProblemsConfig
from rstar_math.errors import ConfigError
from rstar_math.evolution import stages
from rstar_math.evolution.inputs import files_of
from rstar_math.problems.contamination import decontaminate
from rstar_math.records import Problem

LONG = "Tom has twelve red apples and Ann has thirty green ones; how many do they have together?"


def problem(name: str, question: str) -> Problem:
    return Problem(name, question, "1")


def kept(*questions: str) -> list[str]:
    problems = [problem(str(number), question) for number, question in enumerate(questions)]
    rest, matches = decontaminate(problems, {"bench": [problem("b1", LONG), problem("b2", "What is 2 + 2?")]})
    assert len(rest) + len(matches) == len(problems)
    return [found.question for found in rest]


def desk(said: list[str]) -> Any:
    return SimpleNamespace(config=SimpleNamespace(seed=0), progress=SimpleNamespace(say=said.append))


def test_the_same_text_is_found_whatever_its_case_and_spaces() -> None:
    assert kept("what  IS 2 + 2?", "What is 2 + 3?") == ["What is 2 + 3?"]


def test_thirteen_words_in_a_row_are_a_match_and_twelve_are_none() -> None:
    words = LONG.split()
    assert kept("Yesterday, " + " ".join(words[:13]) + " Nobody knows.") == []
    twelve = "Yesterday, " + " ".join(words[:12]) + " Nobody knows."
    assert kept(twelve) == [twelve]


def test_punctuation_does_not_hide_a_match() -> None:
    assert kept(LONG.replace(";", " -").upper()) == []


def test_what_is_left_out_is_listed_and_said(tmp_path) -> None:
    file = tmp_path / "bench.jsonl"
    file.write_text(json.dumps({"question": LONG, "answer": "42", "id": "b1"}) + "\n")
    said: list[str] = []
    problems = ProblemsConfig(decontaminate=(str(file),))
    train = [problem("t1", LONG), problem("t2", "What is 2 + 2?")]
    rest = stages._uncontaminated(train, problems, tmp_path, desk(said))
    assert [found.id for found in rest] == ["t2"]
    assert said == ["1 of 2 training problems match a benchmark's and are left out: contaminated.jsonl"]
    row = json.loads((tmp_path / "contaminated.jsonl").read_text())
    assert row == {"id": "t1", "benchmark": str(file), "like": "b1", "why": "the same text"}


def test_punctuation_does_not_hide_a_short_question_either() -> None:
    """The whole text was compared with its punctuation, which the docstring had as not counting."""
    assert kept("What is $2 + 2$ ?", "What is: 2 + 2", "What, is 2 + 2.") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Solve x + 1 = 3.", "Solve x - 1 = 3."),
        ("What is 3.5 + 1?", "What is 35 + 1?"),
        ("What is 5!?", "What is 5?"),
        ("Find f(2).", "Find f'(2)."),
        ("Is 2 < 3?", "Is 2 > 3?"),
    ],
)
def test_questions_that_differ_in_a_sign_of_their_formula_are_two(one: str, other: str) -> None:
    rest, _ = decontaminate([problem("t", one)], {"bench": [problem("b", other)]})
    assert len(rest) == 1
    assert decontaminate([problem("t", one.replace("-", "\u2212"))], {"bench": [problem("b", one)]})[0] == []


def raw_benchmarks(folder: Path) -> None:
    """As they are published: one question twice, and columns under their own names."""
    rows = [{"question": question, "answer": "1"} for question in (LONG, "What is 2 + 2?", LONG)]
    (folder / "gsm8k_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "gsm_hard.jsonl").write_text(json.dumps({"input": "What is 7 + 7?", "code": "", "target": 14.0}) + "\n")


def test_benchmarks_are_found_by_name_and_read_as_they_are(tmp_path) -> None:
    raw_benchmarks(tmp_path)
    knobs = ProblemsConfig(decontaminate=("gsm8k", "gsm-hard"), benchmarks=str(tmp_path))
    train = [problem("t1", LONG), problem("t2", "What is 7 + 7?"), problem("t3", "What is 9 + 7?")]
    assert [found.id for found in stages._uncontaminated(train, knobs, tmp_path, desk([]))] == ["t3"]
    rows = [json.loads(line) for line in (tmp_path / "contaminated.jsonl").read_text().splitlines()]
    assert [(row["id"], row["benchmark"]) for row in rows] == [("t1", "gsm8k"), ("t2", "gsm-hard")]


def test_what_a_benchmark_is_read_from_is_an_input_of_the_stage(tmp_path) -> None:
    raw_benchmarks(tmp_path)
    knobs = ProblemsConfig(decontaminate=("gsm8k",), benchmarks=str(tmp_path))
    before = files_of(knobs)
    assert list(before) == ["problems.decontaminate.gsm8k"]
    (tmp_path / "gsm8k_test.jsonl").write_text(json.dumps({"question": "Another?", "answer": "1"}) + "\n")
    assert files_of(knobs) != before


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"decontaminate": ("gsm9k",)}, "got gsm9k; expected a file of problems, or one of aime2024"),
        (
            {"decontaminate": ("gsm8k",), "benchmarks": "nowhere"},
            r"problems\.benchmarks=nowhere: there is no such folder",
        ),
        ({"decontaminate": ("collegemath",)}, "collegemath: there is no collegemath.jsonl"),
    ],
)
def test_a_benchmark_that_is_not_there_is_said_with_those_that_are(knobs, said) -> None:
    with pytest.raises(ConfigError, match=said):
        files_of(ProblemsConfig(**knobs))
