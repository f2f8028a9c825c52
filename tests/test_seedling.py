"""Can the seedling be grown, does the shipped one know what it should, and is it cheap to read and write?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rstar_math import text
from rstar_math.problems.wordproblems import generate
from rstar_math.seedling import MODEL_PATH, solved_problems
from rstar_math.seedling.recipe import Recipe, encode, greedy_accuracy, grow_seedling


def test_a_short_training_makes_the_loss_fall_and_saves_a_folder_that_loads(tmp_path: Path) -> None:
    heard: list[int] = []
    tiny = Recipe(solved=480, batches=120, hidden=64, layers=2, heads=2, feed_forward=128)
    metrics = grow_seedling(tmp_path, recipe=tiny, judged=6, progress=lambda done, _, loss: heard.append(done))
    assert heard == list(range(1, 121))
    assert metrics["loss/last"] < 0.6 * metrics["loss/first"], metrics
    assert set(metrics) >= {"greedy/all", "greedy/level-1", "greedy/level-6"}
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.dtype == torch.bfloat16
    assert "seedling" in (tmp_path / "README.md").read_text()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    question = text.prompt(generate(1, 1)[0].problem.question)
    assert tokenizer.decode(tokenizer.encode(question, add_special_tokens=False)) == question


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    return AutoTokenizer.from_pretrained(MODEL_PATH)


@pytest.mark.parametrize(
    "piece",
    ["\n<end_of_step>", "\n<end_of_code>", "\n<end_of_answer>", "\n\n", "# more\n", "\n<output>", "<end_of_output>\n"],
)
def test_markup_costs_one_token_and_no_special_one(tokenizer, piece: str) -> None:  # type: ignore[no-untyped-def]
    ids = tokenizer.encode(piece, add_special_tokens=False)
    assert len(ids) == 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == piece


def test_digits_stand_alone_and_only_end_and_padding_are_special(tokenizer) -> None:  # type: ignore[no-untyped-def]
    assert len(tokenizer.encode("4807", add_special_tokens=False)) == 4
    assert sorted(tokenizer.all_special_tokens) == ["<|end|>", "<|pad|>"]


def test_any_text_survives_the_tokenizer(tokenizer) -> None:  # type: ignore[no-untyped-def]
    strange = "été — 数学 \\frac{1}{2}\n\tx_1 <= 3<end_of_step>"
    assert tokenizer.decode(tokenizer.encode(strange, add_special_tokens=False)) == strange


def test_texts_are_short(tokenizer) -> None:  # type: ignore[no-untyped-def]
    for level, question_tokens, own_tokens in ((3, 60, 45), (6, 110, 75)):
        problems = generate(11, 60, levels=(level,), split="heldout")
        questions = [len(tokenizer.encode(each.problem.question, add_special_tokens=False)) for each in problems]
        own = [sum(label >= 0 for label in encode(each, tokenizer).labels) for each in problems]
        assert sum(questions) / 60 < question_tokens
        assert sum(own) / 60 < own_tokens


def test_only_the_policys_own_tokens_and_the_end_carry_loss(tokenizer) -> None:  # type: ignore[no-untyped-def]
    problem = generate(1, 1, levels=(2,))[0]
    example = encode(problem, tokenizer)
    learnt = [label for label in example.labels if label >= 0]
    assert tokenizer.decode(learnt) == "".join(problem.steps) + tokenizer.eos_token
    assert tokenizer.decode(example.ids).startswith("<|user|>:\n")


def test_the_shipped_seedling_computes_what_it_was_shown_but_lacks_words() -> None:
    model = AutoModelForCausalLM.from_pretrained(MODEL_PATH, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_PATH)
    book = greedy_accuracy(model, tokenizer, generate(77, 120, split="solved"))
    world = greedy_accuracy(model, tokenizer, generate(77, 240, split="heldout"))
    assert book["greedy/all"] > 0.75
    assert 0.15 < world["greedy/all"] < 0.45
    assert world["greedy/level-1"] > world["greedy/level-6"]


def test_the_shipped_folder_is_small_and_explains_itself() -> None:
    files = [path for path in MODEL_PATH.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert "Greedy accuracy" in (MODEL_PATH / "README.md").read_text()


def test_the_solved_problems_are_the_same_every_time_and_cover_all_levels() -> None:
    solved = solved_problems()
    assert solved == solved_problems()
    assert {each.problem.level for each in solved} == {"1", "2", "3", "4", "5", "6"}


def test_importing_the_seedling_loads_no_torch() -> None:
    code = "import sys, rstar_math.seedling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
