"""a solved problem, clean or under review -> token ids, and what is to be learnt at each. Nothing is trained here."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from rstar_math import text
from rstar_math.problems.wordproblems import WordProblem
from rstar_math.seedling.reviews import Review
from rstar_math.seedling.tokenizer import RIGHT, WRONG

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

#: Where nothing is to be learnt.
IGNORED = -100


class Example(NamedTuple):
    """Token ids; for each its label, the verdict on a step that it ends, and whether its step has gone wrong by then (1, 0),
    each -100 where there is none; where the question's words are; where the steps of a clean solution begin and end."""

    ids: list[int]
    labels: list[int]
    verdicts: list[int]
    astray: list[int]
    words: list[int]
    steps: list[tuple[int, int]]


def encode(problem: WordProblem, tokenizer: Qwen2Tokenizer, review: Review | None = None) -> Example:
    """The transcript of a solved problem, or of its review; each piece is tokenised by itself.

    A right step is learnt, and of every step the verdict; after a right answer it is the end-of-text.
    """
    steps, right = review or (problem.solution, (True,) * len(problem.solution))
    example = Example([], [], [], [], [], [])
    verdicts, verdict = iter(right), {True: token_id(tokenizer, RIGHT), False: token_id(tokenizer, WRONG)}
    for piece in text.transcript(problem.problem.question, steps, for_next=False):
        tokens = tokenizer.encode(piece.text, add_special_tokens=False)
        if not example.ids:
            example.words.extend(at for at, token in enumerate(tokens) if is_word(tokenizer, token))
        good = piece.by_policy and next(verdicts)
        if piece.by_policy and review is None:
            example.steps.append((len(example.ids), len(example.ids) + len(tokens)))
        example.ids.extend(tokens)
        example.labels.extend(tokens if good else [IGNORED] * len(tokens))
        example.verdicts.extend([IGNORED] * len(tokens))
        if piece.by_policy:
            example.verdicts[-1] = verdict[good]
    if right[-1] and steps[-1].text.endswith(text.ANSWER_END):
        end = token_id(tokenizer, str(tokenizer.eos_token))
        example.ids.append(end)
        example.labels.append(end)
        example.verdicts[-1:] = [IGNORED, IGNORED]
    example.astray.extend([IGNORED] * len(example.ids))
    return example


def swapped(example: Example, vocabulary: Sequence[int], share: float, draws: random.Random) -> Example:
    """The example with a share of its question's words replaced at random."""
    ids = list(example.ids)
    for at in example.words:
        if draws.random() < share:
            ids[at] = draws.choice(vocabulary)
    return example._replace(ids=ids)


class Batch(NamedTuple):
    """Examples as tensors, each [examples, longest]; padded on the right, which causal attention never sees."""

    ids: torch.Tensor
    labels: torch.Tensor
    verdicts: torch.Tensor
    astray: torch.Tensor


def padded(examples: Sequence[Example]) -> Batch:
    """The examples side by side."""
    shape = (len(examples), max(len(example.ids) for example in examples))
    batch = Batch(torch.zeros(shape, dtype=torch.long), *(torch.full(shape, IGNORED) for _ in Batch._fields[1:]))
    for row, example in enumerate(examples):
        for rows, values in zip(batch, example[: len(Batch._fields)], strict=True):
            rows[row, : len(values)] = torch.tensor(values)
    return batch


def token_id(tokenizer: Qwen2Tokenizer, token: str) -> int:
    """The id of one token."""
    return int(tokenizer.convert_tokens_to_ids(token))


def is_word(tokenizer: Qwen2Tokenizer, token: int) -> bool:
    """Whether it consists of letters."""
    return str(tokenizer.convert_ids_to_tokens(token)).removeprefix("Ġ").isalpha()
