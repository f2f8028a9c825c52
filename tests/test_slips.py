"""Are the seedling's own slips what the model would have written, and are the verdicts on them true?"""

from __future__ import annotations

import random

import pytest
import torch
from transformers import AutoTokenizer

from rstar_math.problems.wordproblems import generate
from rstar_math.seedling import MODEL_PATH
from rstar_math.seedling.examples import IGNORED, Example, encode, token_id
from rstar_math.seedling.slips import slip
from rstar_math.seedling.tokenizer import RIGHT, WRONG

TOKENIZER = AutoTokenizer.from_pretrained(MODEL_PATH)
R, W = token_id(TOKENIZER, RIGHT), token_id(TOKENIZER, WRONG)
CLEAN = [encode(problem, TOKENIZER) for problem in generate(5, 60, split="solved")]


def _unsure_at(example: Example, unsure: dict[int, dict[int, float]]) -> torch.Tensor:
    """A model that is sure of every token, but for some places."""
    likely = torch.zeros(len(example.ids), len(TOKENIZER))
    likely[torch.arange(len(example.ids)), torch.tensor(example.ids)] = 1.0
    for place, chances in unsure.items():
        likely[place] = 0.0
        for token, chance in chances.items():
            likely[place, token] = chance
    return likely


def _slipped(seed: int, example: Example) -> Example:
    return slip(example, _unsure_at(example, {}), W, random.Random(seed))


@pytest.fixture(scope="module")
def slipped() -> list[tuple[Example, Example]]:
    return [(example, _slipped(seed, example)) for seed, example in enumerate(CLEAN * 5)]


def test_a_slip_is_what_the_model_holds_for_likely_where_it_is_unsure() -> None:
    example = next(each for each in CLEAN if len(each.steps) == 3)
    places = [begin + 1 for begin, _ in example.steps[:-1]]
    other = next(token for token in range(50, 99) if token not in example.ids)
    likely = _unsure_at(example, {at: {example.ids[at]: 0.1, other: 0.9} for at in places})
    drawn = [slip(example, likely, W, random.Random(seed)) for seed in range(300)]
    changed = [[at for at, token in enumerate(each.ids) if token != example.ids[at]] for each in drawn]
    assert {at for ats in changed for at in ats if at in places} == set(places)
    odd = sum(at not in places for ats in changed for at in ats)
    assert odd <= 0.02 * sum(map(len, changed))
    assert all(each.ids[at] == other for each, ats in zip(drawn, changed, strict=True) for at in ats if at in places)


def test_half_of_the_steps_slip_at_one_place_each_and_never_in_the_delimiter(slipped) -> None:
    per_step = []
    for clean, each in slipped:
        for begin, end in clean.steps[:-1]:
            changed = [at for at in range(begin, end) if each.ids[at] != clean.ids[at]]
            per_step.append(len(changed))
            assert end - 1 not in changed
    assert set(per_step) == {0, 1}
    assert sum(per_step) / len(per_step) == pytest.approx(0.5, abs=0.05)


def test_the_verdict_and_the_loss_follow_the_slip(slipped) -> None:
    for clean, each in slipped:
        any_wrong = False
        for begin, end in clean.steps[:-1]:
            wrong = each.ids[begin:end] != clean.ids[begin:end]
            any_wrong |= wrong
            called_wrong = wrong or (any_wrong and end == clean.steps[-2][1])
            assert each.verdicts[end - 1] == (W if called_wrong else R)
            expected = [IGNORED] * (end - begin) if called_wrong else clean.ids[begin:end]
            assert each.labels[begin:end] == expected


def test_after_a_slip_the_answer_is_wrong_and_no_text_ends(slipped) -> None:
    begin, end = CLEAN[0].steps[-1]
    assert CLEAN[0].ids[end:] == [token_id(TOKENIZER, TOKENIZER.eos_token)]
    for clean, each in slipped:
        begin, end = clean.steps[-1]
        if each.ids[:end] == clean.ids[:end]:
            assert each[:3] == clean[:3]
        else:
            assert (len(each.ids), each.verdicts[-1]) == (end, W)
            assert each.labels[begin:] == [IGNORED] * (end - begin)
            assert len({len(values) for values in each[:4]}) == 1


def test_a_step_is_astray_from_the_slip_on(slipped) -> None:
    for clean, each in slipped:
        for begin, end in clean.steps[:-1]:
            changed = [at for at in range(begin, end) if each.ids[at] != clean.ids[at]]
            assert each.astray[begin:end] == [int(bool(changed) and at >= changed[0]) for at in range(begin, end)]
        begin = clean.steps[-1][0]
        assert set(each.astray[begin:]) | set(each.astray[: clean.steps[0][0]]) == {IGNORED}


def test_the_clean_example_is_left_as_it_was() -> None:
    before = [list(values) for values in CLEAN[1][:4]]
    for seed in range(20):
        _slipped(seed, CLEAN[1])
    assert [list(values) for values in CLEAN[1][:4]] == before
