"""Training problems that a benchmark also has are found, counted and listed."""

import json

from rstar_math.config import ProblemsConfig
from rstar_math.evolution import stages
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
    rest = stages._uncontaminated(train, problems, tmp_path, said.append)
    assert [found.id for found in rest] == ["t2"]
    assert said == ["1 of 2 training problems match a benchmark's and are left out: contaminated.jsonl"]
    row = json.loads((tmp_path / "contaminated.jsonl").read_text())
    assert row == {"id": "t1", "benchmark": str(file), "like": "b1", "why": "the same text"}
