"""Are the mistakes that the seedling is shown mistakes, and are the verdicts on them true?"""

from __future__ import annotations

import random
import re

import pytest
from transformers import AutoTokenizer

from rstar_math import text
from rstar_math.boxes import boxed
from rstar_math.problems.wordproblems import generate
from rstar_math.seedling import MODEL_PATH
from rstar_math.seedling.recipe import encode
from rstar_math.seedling.reviews import Review, Reviewer

SOLVED = generate(5, 120, split="solved")


@pytest.fixture(scope="module")
def reviewed() -> list[tuple]:  # type: ignore[type-arg]
    reviewer, draws = Reviewer(SOLVED), random.Random(1)
    return [(problem, reviewer.review(problem, draws)) for problem in SOLVED * 5]


def test_a_step_is_called_right_where_it_is_the_references(reviewed) -> None:
    for problem, review in reviewed:
        for index, (step, right) in enumerate(zip(review.steps, review.right, strict=True)):
            if step.text.endswith(text.STEP_END):
                assert right is (step.text == problem.steps[index])


def test_the_end_of_the_code_and_the_answer_are_right_only_if_the_whole_program_is(reviewed) -> None:
    ends = [(problem, review) for problem, review in reviewed if review.steps[-1].text.endswith(text.ANSWER_END)]
    for problem, review in ends:
        whole = tuple(step.text for step in review.steps) == problem.steps
        assert review.right[-2:] == (whole, whole)
        assert boxed(review.steps[-1].text) == review.steps[-2].output
    assert {review.right[-1] for _, review in ends} == {True, False}


def test_mistakes_are_as_frequent_as_right_steps_and_of_every_kind(reviewed) -> None:
    middle = [
        right
        for _, review in reviewed
        for step, right in zip(review.steps, review.right, strict=True)
        if step.text.endswith(text.STEP_END)
    ]
    assert sum(middle) / len(middle) == pytest.approx(0.5, abs=0.05)
    stated = [(problem, review) for problem, review in reviewed if review.steps[-1].text.endswith(text.ANSWER_END)]
    early = sum(len(review.steps) < len(problem.steps) for problem, review in stated)
    late = sum(review.steps[-1].text.endswith(text.STEP_END) for _, review in reviewed)
    assert early > 10
    assert late > 10


def test_a_mistake_uses_the_problems_own_numbers(reviewed) -> None:
    known = {"0", "2", "3", "100"}  # of `assert x > 0`, `double`, `triple` and percents
    for problem, review in reviewed:
        given = set(re.findall(r"\d+(?:\.\d+)?", problem.problem.question))
        for step in review.steps:
            if step.text.endswith(text.STEP_END):
                assert set(re.findall(r"\d+(?:\.\d+)?", step.text)) - known <= given


def test_a_number_that_a_step_names_twice_is_the_same_in_both_places_of_a_mistake(reviewed) -> None:
    """Gaps once had no names: `divmod(40 * 25, 100)` went with `x = 17 - part`."""
    named = [
        found.groups()
        for _, review in reviewed
        for step in review.steps
        for found in re.finditer(r"divmod\((\d+) \* \d+, \d+\)\nassert not rest\nx = (\d+) [+-] part", step.text)
    ]
    assert len(named) > 10
    assert all(first == second for first, second in named)


def test_a_wrong_step_carries_no_loss_and_every_code_step_a_verdict() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_PATH)
    problem = next(problem for problem in SOLVED if problem.problem.level == "3")
    first, second, third = problem.solution[:-1]
    review = Review((first, second._replace(text=second.text.replace("x =", "y =")), third), (True, False, False))
    example = encode(problem, tokenizer, review)
    assert tokenizer.decode([label for label in example.labels if label >= 0]) == first.text
    judged = [(tokenizer.decode([token]), tokenizer.decode([verdict]))
              for token, verdict in zip(example.ids, example.verdicts, strict=True) if verdict >= 0]  # fmt: skip
    assert judged == [
        ("\n<end_of_step>", "<right>"),
        ("\n<end_of_step>", "<wrong>"),
        ("\n<end_of_code>", "<wrong>"),
    ]


def test_a_wrong_answer_is_called_wrong_and_a_right_one_ends_the_text() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_PATH)
    problem = next(problem for problem in SOLVED if problem.problem.level == "1")
    wrong = encode(problem, tokenizer, Review(problem.solution, (False, False)))
    assert tokenizer.decode([wrong.ids[-1]]) == "\n<end_of_answer>"
    assert tokenizer.decode([wrong.verdicts[-1]]) == "<wrong>"
    right = encode(problem, tokenizer)
    assert right.ids[-1] == right.labels[-1] == tokenizer.eos_token_id
    assert right.verdicts[-2:] == [-100, -100]
