"""solved word problems -> the seedling, the small language model that the embedded demo evolves.

A Qwen2-architecture model is trained from scratch with the rounds' own objective, loss on the policy's steps alone, until
more training on the same problems brings nothing. Its solved problems keep to the schoolbook wordings, and some words of
every question are swapped for random ones while it learns, so that it stays unsure about words it does not know instead
of betting on one meaning. It does no search and never sees an answer of the demo's problems.
"""

from __future__ import annotations

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
from rstar_math.seedling import SEED, SOLVED_COUNT, solved_problems
from rstar_math.seedling.card import model_card
from rstar_math.seedling.tokenizer import grow_tokenizer

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

#: Questions (without answers) that only the tokenizer reads, so that rare words are tokens too.
READ_COUNT = 4000
#: A seed that no preset uses: the card's accuracy is measured on problems that are never trained or evaluated on.
JUDGED_SEED = 4242
CONTEXT_TOKENS = 512
_IGNORED = -100
#: Batches are cut from chunks of this many batches sorted by length, so that little of a batch is padding.
_CHUNK_BATCHES = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the seedling is grown.

    Batches of 8 form copying heads far sooner than large ones. `swapped_words` is the share of a question's words that
    is replaced at random in training, `solved` how many of the solved problems are used, from the first on.
    """

    solved: int = SOLVED_COUNT
    batches: int = 5500
    batch_size: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    warmup: float = 0.02
    swapped_words: float = 0.08
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 256


class Example(NamedTuple):
    """Token ids, their labels (-100: no loss), and the positions of the question's words."""

    ids: list[int]
    labels: list[int]
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
    torch.set_num_threads(1)  # matrices this small lose more to waiting for a second thread than they win by it
    solved = solved_problems()[: recipe.solved]
    readings = (unsolved.problem.question for unsolved in generate(SEED, READ_COUNT, split="train"))
    tokenizer = grow_tokenizer(_transcripts(solved), readings, context_tokens=CONTEXT_TOKENS)
    model = _architecture(tokenizer, recipe)
    started = time.monotonic()
    losses = []
    for loss in _train(model, tokenizer, solved, recipe, stream(seed, "seedling", "batches")):
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


def encode(problem: WordProblem, tokenizer: Qwen2Tokenizer) -> Example:
    """The transcript of a solved problem; each piece is tokenised by itself, and an end-of-text follows the answer."""
    ids: list[int] = []
    labels: list[int] = []
    words: list[int] = []
    for piece in text.transcript(problem.problem.question, problem.solution, for_next=False):
        tokens = tokenizer.encode(piece.text, add_special_tokens=False)
        if not ids:
            words = [at for at, token in enumerate(tokens) if _is_word(tokenizer, token)]
        ids += tokens
        labels += tokens if piece.by_policy else [_IGNORED] * len(tokens)
    end = tokenizer.convert_tokens_to_ids(str(tokenizer.eos_token))
    return Example([*ids, end], [*labels, end], words)


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
        ids, labels = _padded([encode(problem, tokenizer)])
        best = model(input_ids=ids).logits[:, :-1].argmax(-1)
        wanted = labels[:, 1:]
        exact = float(((best == wanted) | (wanted == _IGNORED)).all())
        solved["greedy/all"].append(exact)
        solved[f"greedy/level-{problem.problem.level}"].append(exact)
    return {name: mean(flags) for name, flags in solved.items()}


def _transcripts(solved: Sequence[WordProblem]) -> list[str]:
    whole = (text.transcript(problem.problem.question, problem.solution, for_next=False) for problem in solved)
    return [piece.text for pieces in whole for piece in pieces]


def _is_word(tokenizer: Qwen2Tokenizer, token: int) -> bool:
    return str(tokenizer.convert_ids_to_tokens(token)).removeprefix("Ġ").isalpha()


def _architecture(tokenizer: Qwen2Tokenizer, recipe: Recipe) -> Qwen2ForCausalLM:
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


def _train(
    model: Qwen2ForCausalLM,
    tokenizer: Qwen2Tokenizer,
    solved: Sequence[WordProblem],
    recipe: Recipe,
    draws: random.Random,
) -> Iterator[float]:
    """The loss of each batch, in turn: AdamW, short warm-up, then a linear schedule down to 0."""
    examples = [encode(problem, tokenizer) for problem in solved]
    vocabulary = [token for token in range(len(tokenizer)) if _is_word(tokenizer, token)]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
    )
    warmup = max(1, round(recipe.warmup * recipe.batches))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda batch: min(1.0, (batch + 1) / warmup) * (1 - batch / recipe.batches)
    )
    batches = _batches(examples, recipe.batch_size, draws)
    model.train()
    for _ in range(recipe.batches):
        ids, labels = _padded([_swapped(each, vocabulary, recipe.swapped_words, draws) for each in next(batches)])
        loss = _loss(model, ids, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield loss.item()


def _loss(model: Qwen2ForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the tokens with a label; logits are computed for those alone."""
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    own = wanted != _IGNORED
    return functional.cross_entropy(model.lm_head(hidden[own]), wanted[own])


def _batches(examples: Sequence[Example], size: int, draws: random.Random) -> Iterator[list[Example]]:
    """Endless batches; every example comes once an epoch."""
    while True:
        order = draws.sample(examples, len(examples))
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


def _padded(examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, labels), each [examples, longest]; padded on the right, where causal attention never looks back from."""
    longest = max(len(example.ids) for example in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    labels = torch.full((len(examples), longest), _IGNORED)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        labels[row, : len(example.labels)] = torch.tensor(example.labels)
    return ids, labels
