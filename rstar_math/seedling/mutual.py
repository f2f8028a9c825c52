"""solved word problems -> two small models that reason in plain words: rStar's generator and its discriminator.

Both are grown from scratch, by the loop that grows the seedling, on walks of the five actions; the second is smaller, has
another seed and has read other problems. Unlike the seedling they do their sums themselves, so what they get wrong are
mostly sums: two models seldom get the same one wrong. Nothing is searched or compared here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from rstar_math.problems.wordproblems import WordProblem, generate
from rstar_math.records import mean
from rstar_math.rng import derive, stream
from rstar_math.search.task import Task
from rstar_math.seedling.recipe import CONTEXT_TOKENS, IGNORED, THREADS, Example, Progress, Recipe, architecture, train
from rstar_math.seedling.thoughts import walk
from rstar_math.seedling.tokenizer import grow_tokenizer

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

#: Walks that are read before the tokenizer is grown.
_READ_COUNT = 4000
_CHUNK_BATCHES = 8


class Kind(NamedTuple):
    """One of the two models: its folder's name, what its problems are drawn from, how it is grown."""

    name: str
    problems_seed: int
    problems: int
    recipe: Recipe


GENERATOR = Kind("generator", 11, 24_000, Recipe(batches=3600, batch_size=16, swapped_words=0.0))
DISCRIMINATOR = Kind(
    "discriminator",
    12,
    16_000,
    Recipe(batches=3600, batch_size=16, swapped_words=0.0, layers=4),
)


def grow_one(out: Path, kind: Kind, *, seed: int, progress: Progress | None = None) -> dict[str, float]:
    """Trains tokenizer and model from scratch; saves them in `out` as a Hugging Face folder (bfloat16) with a model card.

    Returns parameters, batches, and the mean loss of the first and the last 50 batches.
    """
    torch.manual_seed(derive(seed, kind.name))
    torch.set_num_threads(THREADS)
    draws = stream(seed, kind.name, "walks")
    problems = generate(kind.problems_seed, kind.problems, split="train")
    texts = ["".join(_pieces(problem, draws)) for problem in problems[:_READ_COUNT]]
    tokenizer = grow_tokenizer(texts, (), context_tokens=CONTEXT_TOKENS)
    model = architecture(tokenizer, kind.recipe)
    losses = []
    for loss in train(model, tokenizer, _batches(problems, tokenizer, kind.recipe, draws), kind.recipe, draws):
        losses.append(loss)
        if progress is not None:
            progress(len(losses), kind.recipe.batches, loss)
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    metrics = {
        "parameters": float(model.num_parameters()),
        "batches": float(len(losses)),
        "loss/first": mean(losses[:50]),
        "loss/last": mean(losses[-50:]),
    }
    (out / "README.md").write_text(_card(kind, metrics))
    return metrics


def _pieces(problem: WordProblem, draws: random.Random) -> list[str]:
    """The question, then each line in two pieces: its mark, and what the model writes."""
    (question, _) = Task("").transcript(problem.problem.question, (), "Thought:")
    pieces = [question.text]
    for line in walk(problem, draws):
        pieces += [line.mark, f" {line.said}\n"]
    return pieces


def encode(problem: WordProblem, tokenizer: Qwen2Tokenizer, draws: random.Random) -> Example:
    """A walk as token ids; what follows a mark is learnt."""
    question, *lines = _pieces(problem, draws)
    ids = tokenizer.encode(question, add_special_tokens=False)
    labels = [IGNORED] * len(ids)
    for number, piece in enumerate(lines):
        tokens = tokenizer.encode(piece, add_special_tokens=False)
        ids += tokens
        labels += tokens if number % 2 else [IGNORED] * len(tokens)
    return Example(ids, labels, [IGNORED] * len(ids), [])


def _batches(
    problems: Sequence[WordProblem], tokenizer: Qwen2Tokenizer, recipe: Recipe, draws: random.Random
) -> Iterator[list[Example]]:
    """Endless batches of like length; every problem comes once an epoch, on a walk of its own."""
    size = recipe.batch_size * _CHUNK_BATCHES
    while True:
        order = draws.sample(problems, len(problems))
        for start in range(0, len(order), size):
            chunk = [encode(problem, tokenizer, draws) for problem in order[start : start + size]]
            chunk.sort(key=lambda example: len(example.ids))
            cut = [chunk[at : at + recipe.batch_size] for at in range(0, len(chunk), recipe.batch_size)]
            draws.shuffle(cut)
            yield from cut


def _card(kind: Kind, metrics: dict[str, float]) -> str:
    return f"""---
library_name: transformers
pipeline_tag: text-generation
---
# The {kind.name} of the embedded mutual reasoning

A Qwen2-architecture model of {metrics["parameters"]:,.0f} parameters that writes the lines of rStar's five actions for small
word problems, and nothing else. Trained from scratch by `rstar_math/seedling/mutual.py` on {kind.problems:,} problems:
{metrics["batches"]:.0f} batches of {kind.recipe.batch_size}, loss {metrics["loss/first"]:.2f} → {metrics["loss/last"]:.3f}.
"""
