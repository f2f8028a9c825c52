"""Solutions in plain words: are they right, and do they go as the search's actions go?"""

import random
import re

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rstar_math.problems.wordproblems import generate
from rstar_math.search.task import AGAIN, CONDITIONS, SOLUTION, SUBANSWER, SUBQUESTION, THOUGHT, Task
from rstar_math.seedling.mutual import DISCRIMINATOR, GENERATOR, encode, grow_one
from rstar_math.seedling.recipe import Recipe
from rstar_math.seedling.thoughts import facts, walk

PROBLEMS = generate(3, 300, split="train")
TASK = Task("wordproblems")
SUM = re.compile(r"(\S+) ([-+*/]) (\S+) = ([\d.]+)")


def test_every_sum_is_right_and_the_last_value_is_the_answer() -> None:
    seen = set()
    for problem in PROBLEMS:
        found = facts(problem)
        assert found[-1].value == problem.problem.answer
        for fact in found:
            done = SUM.findall(fact.sums)
            assert ", ".join(f"{a} {sign} {b} = {value}" for a, sign, b, value in done) == fact.sums
            assert done[-1][3] == fact.value
            for a, sign, b, value in done:
                assert float(value) == pytest.approx(eval(f"{a}{sign}{b}"))
                seen.add(sign)
    assert seen == set("+-*/")


def test_a_problem_by_hand() -> None:
    problem = next(each for each in PROBLEMS if "part lost" in str(each.steps))
    (lost,) = [fact for fact in facts(problem) if fact.about == "part lost"][:1]
    first, second, third = SUM.findall(lost.sums)
    assert [sign for _, sign, _, _ in (first, second, third)] == ["*", "/", "-"]
    assert second[0] == first[3]  # what was multiplied is divided
    assert third[0] == first[0]  # and taken from what there was
    assert third[2] == second[3]


def test_every_walk_ends_with_the_answer_and_each_action_stands_where_it_may() -> None:
    draws, marks = random.Random(0), set()
    for problem in PROBLEMS:
        lines = list(walk(problem, draws))
        marks |= {line.mark for line in lines}
        assert TASK.answer_in(lines[-1].said) == problem.problem.answer
        for number, line in enumerate(lines):
            assert "\n" not in line.said
            last = number + 1 == len(lines)
            if line.mark == CONDITIONS:
                assert number == 0
            if line.mark in (AGAIN, SUBANSWER):
                assert TASK.answer_in(line.said) == SUM.findall(line.said)[-1][3].removesuffix(".")
                assert lines[number - 1].mark == (SUBANSWER if line.mark == AGAIN else SUBQUESTION)
            if line.mark == SOLUTION:
                assert last
            if line.mark == THOUGHT:
                assert (TASK.answer_in(line.said) is not None) == last
            if line.mark == SUBQUESTION:
                assert TASK.is_final(line.said) == (number + 2 == len(lines))
    assert marks == {AGAIN, CONDITIONS, SOLUTION, SUBANSWER, SUBQUESTION, THOUGHT}


def test_the_two_models_differ_in_size_and_in_what_they_read() -> None:
    assert GENERATOR.recipe.layers != DISCRIMINATOR.recipe.layers
    assert GENERATOR.problems_seed != DISCRIMINATOR.problems_seed


def test_a_short_training_makes_the_loss_fall_and_only_what_follows_a_mark_is_learnt(tmp_path) -> None:
    tiny = Recipe(batches=160, batch_size=8, swapped_words=0.0, hidden=64, layers=2, heads=2, feed_forward=128)
    metrics = grow_one(tmp_path, GENERATOR._replace(problems=400, recipe=tiny), seed=0)
    assert metrics["loss/last"] < 0.7 * metrics["loss/first"], metrics
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    example = encode(PROBLEMS[0], tokenizer, random.Random(1))
    pieces = list(walk(PROBLEMS[0], random.Random(1)))
    learnt = [token for token, label in zip(example.ids, example.labels, strict=True) if label >= 0]
    assert tokenizer.decode(learnt) == "".join(f" {line.said}\n" for line in pieces)
    written = "".join(f"{line.mark} {line.said}\n" for line in pieces)
    assert tokenizer.decode(example.ids).endswith(f"\n{written}")
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.bfloat16
