"""solved word problems -> the seedling, the small language model that the embedded demo evolves.

A Qwen2-architecture model is trained from scratch with the rounds' own objective, loss on the policy's right steps, until
more training on the same problems brings nothing. Its solved problems keep to the schoolbook wordings, and some words of
every question are swapped for random ones while it learns, so that it stays unsure about words it does not know instead
of betting on one meaning. It does no search and never sees an answer of the demo's problems.

Two things give so small a model what large ones have, an idea of whether a step that is written is right. Half of the
solutions are under review: some steps are wrong, they carry no loss, and after each step's delimiter, where a policy never
writes, stands the verdict. And the next token must be readable after half of the layers already, so that the other half can
compare it with the token that came.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

from rstar_math import text
from rstar_math.problems.wordproblems import LEVELS, WordProblem, generate
from rstar_math.records import mean
from rstar_math.rng import derive, stream
from rstar_math.seedling import SEED, SOLVED_COUNT, SOLVED_SEED, solved_problems
from rstar_math.seedling.card import model_card
from rstar_math.seedling.reviews import Review, Reviewer
from rstar_math.seedling.tokenizer import RIGHT, WRONG, grow_tokenizer

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

#: Questions (without answers) that only the tokenizer reads, so that rare words are tokens too.
READ_COUNT = 4000
#: A seed that no preset uses: the card's accuracy is measured on problems that are never trained or evaluated on.
JUDGED_SEED = 4242
CONTEXT_TOKENS = 512
#: The label of a token that is not learnt.
IGNORED = -100
#: Batches are cut from chunks of this many batches sorted by length, so that little of a batch is padding.
_CHUNK_BATCHES = 8
#: Matrices this small keep no third thread busy; the second brings 12 batches a second where one makes 8 to 9.
THREADS = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the seedling is grown.

    Small batches form copying heads far sooner than large ones. `swapped_words` is the share of a question's words that
    is replaced at random in training, `reviewed` the share of solutions that are shown with mistakes and verdicts,
    `verdict_weight` what the verdicts' loss counts beside the next token's, `solved` how many of the solved problems are
    used, from the first on.
    """

    solved: int = SOLVED_COUNT
    batches: int = 6000
    batch_size: int = 10
    reviewed: float = 0.5
    verdict_weight: float = 0.5
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    warmup: float = 0.02
    swapped_words: float = 0.08
    hidden: int = 128
    layers: int = 6
    heads: int = 4
    feed_forward: int = 256


class Example(NamedTuple):
    """Token ids; for each its label, and the verdict on a step that it ends (-100: none); where the question's words are."""

    ids: list[int]
    labels: list[int]
    verdicts: list[int]
    words: list[int]


#: Hears the batches done, the batches in all, and the last one's loss.
Progress = Callable[[int, int, float], None]


def grow_seedling(
    out: Path, *, seed: int = SEED, recipe: Recipe = Recipe(), judged: int = 600, progress: Progress | None = None
) -> dict[str, float]:
    """Train tokenizer and model from scratch; save them in `out` as a Hugging Face folder (bfloat16) with a model card.

    Returns batches, seconds, the mean loss of the first and the last 50 batches, and the greedy accuracy (0..1) on
    `judged` fresh problems, by level and over all levels.
    """
    torch.manual_seed(derive(seed, "seedling"))
    torch.set_num_threads(min(THREADS, os.cpu_count() or 1))
    solved = solved_problems()[: recipe.solved]
    readings = (unsolved.problem.question for unsolved in generate(SOLVED_SEED, READ_COUNT, split="train"))
    tokenizer = grow_tokenizer(_transcripts(solved), readings, context_tokens=CONTEXT_TOKENS)
    model = architecture(tokenizer, recipe)
    started = time.monotonic()
    losses = []
    draws = stream(seed, "seedling", "batches")
    for loss in train(model, tokenizer, _batches(solved, tokenizer, recipe, draws), recipe, draws):
        losses.append(loss)
        if progress is not None:
            progress(len(losses), recipe.batches, loss)
    metrics = {
        "parameters": float(model.num_parameters()),
        "batches": float(len(losses)),
        "seconds": time.monotonic() - started,
        "loss/first": mean(losses[:50]),
        "loss/last": mean(losses[-50:]),
    }
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    metrics |= greedy_accuracy(model.float(), tokenizer, generate(JUDGED_SEED, judged, split="heldout"))
    (out / "README.md").write_text(model_card(metrics, recipe))
    return metrics


def encode(problem: WordProblem, tokenizer: Qwen2Tokenizer, review: Review | None = None) -> Example:
    """The transcript of a solved problem, or of its review; each piece is tokenised by itself.

    A right step is learnt, and of every step the verdict; after a right answer it is the end-of-text.
    """
    steps, right = review or (problem.solution, (True,) * len(problem.solution))
    example = Example([], [], [], [])
    verdicts, verdict = iter(right), {True: _id(tokenizer, RIGHT), False: _id(tokenizer, WRONG)}
    for piece in text.transcript(problem.problem.question, steps, for_next=False):
        tokens = tokenizer.encode(piece.text, add_special_tokens=False)
        if not example.ids:
            example.words.extend(at for at, token in enumerate(tokens) if _is_word(tokenizer, token))
        good = piece.by_policy and next(verdicts)
        example.ids.extend(tokens)
        example.labels.extend(tokens if good else [IGNORED] * len(tokens))
        example.verdicts.extend([IGNORED] * len(tokens))
        if piece.by_policy:
            example.verdicts[-1] = verdict[good]
    if right[-1] and steps[-1].text.endswith(text.ANSWER_END):
        end = _id(tokenizer, str(tokenizer.eos_token))
        example.ids.append(end)
        example.labels.append(end)
        example.verdicts[-1:] = [IGNORED, IGNORED]
    return example


@torch.no_grad()
def greedy_accuracy(
    model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, problems: Sequence[WordProblem]
) -> dict[str, float]:
    """Share of problems that greedy decoding solves with exactly the reference steps, in all and by level.

    Greedy decoding writes the reference if, and only if, each of its tokens is the most likely one after those before
    it; so one pass over the reference tells, and nothing is generated or run.
    """
    model.eval()
    solved: dict[str, list[float]] = {name: [] for name in ("greedy/all", *(f"greedy/level-{k}" for k in LEVELS))}
    for problem in problems:
        ids, labels, _ = _padded([encode(problem, tokenizer)])
        best = model(input_ids=ids).logits[:, :-1].argmax(-1)
        wanted = labels[:, 1:]
        exact = float(((best == wanted) | (wanted == IGNORED)).all())
        solved["greedy/all"].append(exact)
        solved[f"greedy/level-{problem.problem.level}"].append(exact)
    return {name: mean(flags) for name, flags in solved.items()}


def _transcripts(solved: Sequence[WordProblem]) -> list[str]:
    whole = (text.transcript(problem.problem.question, problem.solution, for_next=False) for problem in solved)
    return [piece.text for pieces in whole for piece in pieces]


def _id(tokenizer: Qwen2Tokenizer, token: str) -> int:
    return int(tokenizer.convert_tokens_to_ids(token))


def _is_word(tokenizer: Qwen2Tokenizer, token: int) -> bool:
    return str(tokenizer.convert_ids_to_tokens(token)).removeprefix("Ġ").isalpha()


def architecture(tokenizer: Qwen2Tokenizer, recipe: Recipe) -> Qwen2ForCausalLM:
    """A fresh model of the recipe's size."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads // 2,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def train(
    model: Qwen2ForCausalLM,
    tokenizer: Qwen2Tokenizer,
    batches: Iterator[list[Example]],
    recipe: Recipe,
    draws: random.Random,
) -> Iterator[float]:
    """The loss of each batch, in turn: AdamW, short warm-up, then a linear schedule down to 0."""
    vocabulary = [token for token in range(len(tokenizer)) if _is_word(tokenizer, token)]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
    )
    warmup = max(1, round(recipe.warmup * recipe.batches))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda batch: min(1.0, (batch + 1) / warmup) * (1 - batch / recipe.batches)
    )
    model.train()
    for _ in range(recipe.batches):
        ids, labels, verdicts = _padded(
            [_swapped(each, vocabulary, recipe.swapped_words, draws) for each in next(batches)]
        )
        states = model.model(input_ids=ids, output_hidden_states=True)
        late = states.last_hidden_state
        halfway = model.model.norm(states.hidden_states[recipe.layers // 2])  # as the last state is, for the same head
        loss = _next_token_loss(model, late, labels)
        learnt = loss + _next_token_loss(model, halfway, labels)
        learnt = learnt + recipe.verdict_weight * _loss(model, late, verdicts)
        optimizer.zero_grad()
        learnt.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield loss.item()


def _next_token_loss(model: Qwen2ForCausalLM, states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return _loss(model, states[:, :-1], labels[:, 1:])


def _loss(model: Qwen2ForCausalLM, states: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy where something is wanted; logits are computed for those states alone."""
    own = wanted != IGNORED
    if not own.any():
        return states.new_zeros(())
    return functional.cross_entropy(model.lm_head(states[own]), wanted[own])


def _batches(
    solved: Sequence[WordProblem], tokenizer: Qwen2Tokenizer, recipe: Recipe, draws: random.Random
) -> Iterator[list[Example]]:
    """Endless batches; every problem comes once an epoch, clean or under a review of its own."""
    reviewer, size = Reviewer(solved), recipe.batch_size
    clean = [encode(problem, tokenizer) for problem in solved]
    while True:
        order = [
            encode(problem, tokenizer, reviewer.review(problem, draws)) if draws.random() < recipe.reviewed else example
            for problem, example in draws.sample(list(zip(solved, clean, strict=True)), len(solved))
        ]
        cut: list[list[Example]] = []
        for start in range(0, len(order), size * _CHUNK_BATCHES):
            chunk = sorted(order[start : start + size * _CHUNK_BATCHES], key=lambda example: len(example.ids))
            cut += [chunk[at : at + size] for at in range(0, len(chunk), size)]
        draws.shuffle(cut)
        yield from cut


def _swapped(example: Example, vocabulary: Sequence[int], share: float, draws: random.Random) -> Example:
    ids = list(example.ids)
    for at in example.words:
        if draws.random() < share:
            ids[at] = draws.choice(vocabulary)
    return example._replace(ids=ids)


def _padded(examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(ids, labels, verdicts), each [examples, longest]; padded on the right, which causal attention never sees."""
    shape = (len(examples), max(len(example.ids) for example in examples))
    ids, labels, verdicts = (
        torch.zeros(shape, dtype=torch.long),
        torch.full(shape, IGNORED),
        torch.full(shape, IGNORED),
    )
    for row, example in enumerate(examples):
        for padded, values in ((ids, example.ids), (labels, example.labels), (verdicts, example.verdicts)):
            padded[row, : len(values)] = torch.tensor(values)
    return ids, labels, verdicts
