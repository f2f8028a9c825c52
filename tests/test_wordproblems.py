"""Are the word problems exact, distinct, in the text format, and split cleanly?"""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from rstar_math import boxes, text
from rstar_math.problems import wordproblems_lexicon as lexicon
from rstar_math.problems.wordproblems import (
    LEVELS,
    SHARES,
    WordProblem,
    generate,
    normalised,
    schoolbook_size,
    split_of,
)
from rstar_math.problems.wordproblems_operations import OPERATIONS


def printed_by(problem: WordProblem) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec("".join(text.code_of(step) for step in problem.steps), {})  # our own arithmetic, not a model's
    return out.getvalue().strip()


@pytest.fixture(scope="module")
def drawn() -> list[WordProblem]:
    return generate(3, 1200)


def test_the_reference_code_prints_the_answer_and_the_last_step_states_it(drawn: list[WordProblem]) -> None:
    for problem in drawn:
        assert printed_by(problem) == problem.problem.answer
        assert boxes.boxed(problem.steps[-1]) == problem.problem.answer


def test_answers_are_clean_integers_or_short_decimals(drawn: list[WordProblem]) -> None:
    assert all(re.fullmatch(r"\d+|\d+\.\d{1,2}", problem.problem.answer) for problem in drawn)
    decimals = sum("." in problem.problem.answer for problem in drawn)
    assert 0.03 * len(drawn) < decimals < 0.3 * len(drawn)


def test_a_problem_of_level_k_takes_k_computing_steps_and_one_answer(drawn: list[WordProblem]) -> None:
    for problem in drawn:
        marks = [text.delimiter_of(step) for step in problem.steps]
        level = int(problem.problem.level)
        assert marks == [text.STEP_END] * (level - 1) + [text.CODE_END, text.ANSWER_END]
    assert {problem.problem.level for problem in drawn} == {str(level) for level in LEVELS}


def test_the_written_out_solution_reads_back_as_the_same_steps(drawn: list[WordProblem]) -> None:
    for problem in drawn[:100]:
        _, *reply = text.transcript(problem.problem.question, problem.solution, for_next=False)
        assert text.parse_reply("".join(piece.text for piece in reply)) == problem.solution


def test_no_number_occurs_twice_in_a_question(drawn: list[WordProblem]) -> None:
    for problem in drawn:
        numbers = re.findall(r"\d[\d./]*\d|\d", problem.problem.question)
        assert len(numbers) == len(set(numbers)) >= 1


def test_the_same_seed_gives_the_same_problems_and_a_larger_count_begins_with_the_smaller(
    drawn: list[WordProblem],
) -> None:
    assert generate(3, 200) == drawn[:200]
    assert [problem.problem.question for problem in generate(4, 50)] != [
        problem.problem.question for problem in drawn[:50]
    ]


def test_questions_and_ids_are_distinct_and_splits_share_none_whatever_the_seed() -> None:
    by_split = {split: generate(seed, 400, split=split) for seed, split in enumerate(SHARES)}
    questions = [normalised(each.problem.question) for problems in by_split.values() for each in problems]
    assert len(set(questions)) == len(questions) == 1600
    assert len({each.problem.id for problems in by_split.values() for each in problems}) == 1600
    for split, problems in by_split.items():
        assert all(split_of(each.problem.question) == split for each in problems)


def test_solved_problems_keep_to_the_schoolbook_and_the_others_do_not() -> None:
    def known_of(split: str) -> set[str]:
        told = " ".join(each.problem.question for each in generate(1, 1500, split=split))  # type: ignore[arg-type]
        return {wording for wording in lexicon.ADD if f" {wording.removesuffix('N')}" in told}

    assert known_of("solved") == set(lexicon.ADD[: schoolbook_size(len(lexicon.ADD))])
    assert len(known_of("train")) > 0.9 * len(lexicon.ADD)


def test_no_wording_stands_for_two_operations() -> None:
    lists = [
        wordings for name, wordings in vars(lexicon).items() if name.isupper() and name not in ("SHE", "HE", "KINDS")
    ]
    wordings = [wording for each in lists for wording in each if " " in wording]
    assert len(set(wordings)) == len(wordings) > 180


def test_levels_go_round_and_impossible_ones_are_refused() -> None:
    assert [each.problem.level for each in generate(1, 5, levels=(2, 2, 6))] == ["2", "2", "6", "2", "2"]
    with pytest.raises(ValueError, match=r"1\.\.6"):
        generate(1, 5, levels=(7,))


def test_a_hand_checked_story() -> None:
    first = generate(1, 1, split="heldout")[0]
    assert first == generate(1, 1, split="heldout")[0]
    assert first.steps[0].startswith("<code>\n# ")
    assert first.solution[-2].output == first.problem.answer


@pytest.mark.parametrize(
    ("comment", "number", "quantity"),
    [
        ("# equal parts", "5", "13"),
        ("# percent up", "30", "7"),
        ("# percent down", "30", "7"),
        ("# part kept", "2/3", "7"),
        ("# part lost", "2/3", "7"),
        ("# half", "2", "7"),
        ("# fewer", "9", "4"),
        ("# missing", "4", "9"),
        ("# the other has less", "9", "4"),
    ],
)
def test_code_that_misreads_the_story_stops_where_the_numbers_cannot_be(comment, number, quantity) -> None:
    line = next(line for operation in OPERATIONS for line in operation.lines if line.comment == comment)
    above, _, below = number.partition("/")
    with pytest.raises(AssertionError):
        exec(line.code.format(x=quantity, n=number, a=above, b=below), {})
