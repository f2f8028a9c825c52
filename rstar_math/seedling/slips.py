"""a clean solution, and what the model would have written -> the solution with slips of the model's own in it.

A PPM has to tell a round's right steps from those that its policy wrote instead, which are near misses. So a base also reads
near misses: some steps take, at one place, a token that the model itself holds for likely there. Nothing is trained here.
"""

from __future__ import annotations

import random

import torch

from rstar_math.seedling.examples import IGNORED, Example
from rstar_math.seedling.reviews import MISTAKE

#: A slip takes one of so many tokens, those that are likeliest besides the right one.
_OTHERS = 8
#: What every place and every token counts at least, so that a sure model slips as well.
_LEAST_PLACE, _LEAST_TOKEN = 2e-4, 1e-6


def slip(example: Example, likely: torch.Tensor, wrong: int, draws: random.Random) -> Example:
    """The clean example with slips in some of its steps, verdict `wrong` on each; the first may come at any step.

    `likely`: (tokens, vocabulary), the probability of every token at each place, given those before it. The less sure the
    model is of the right token, the likelier it slips there. Wrong steps carry no loss. The step that ends the code and the
    one that states the answer stand for all, as under review; what the code printed stays as it was.
    """
    ids, labels, verdicts, astray = (list(values) for values in example[:4])
    *code, answer = example.steps
    any_wrong = False
    for begin, end in code:
        slips = draws.random() < MISTAKE
        place = _slip_in(ids, likely, begin, end - 1, draws) if slips else end
        astray[begin:end] = [int(at >= place) for at in range(begin, end)]
        any_wrong |= slips
        if slips or (any_wrong and end == code[-1][1]):
            labels[begin:end] = [IGNORED] * (end - begin)
            verdicts[end - 1] = wrong
    if any_wrong:
        begin, end = answer
        labels[begin:end] = [IGNORED] * (end - begin)
        verdicts[end - 1] = wrong
        # No end-of-text follows a wrong answer.
        ids, labels, verdicts, astray = ids[:end], labels[:end], verdicts[:end], astray[:end]
    return example._replace(ids=ids, labels=labels, verdicts=verdicts, astray=astray)


def _slip_in(ids: list[int], likely: torch.Tensor, begin: int, end: int, draws: random.Random) -> int:
    """Replaces one of the tokens from `begin` up to `end`; where."""
    doubts = [1 - float(likely[at, ids[at]]) + _LEAST_PLACE for at in range(begin, end)]
    (place,) = draws.choices(range(begin, end), doubts)
    others = likely[place].clone()
    others[ids[place]] = -1
    chances, tokens = others.topk(_OTHERS)
    (ids[place],) = draws.choices(tokens.tolist(), [float(chance) + _LEAST_TOKEN for chance in chances])
    return place
