"""texts -> the seedling's tokenizer: Qwen2's byte-level BPE with single digits, and the idioms of its solutions.

An idiom (a delimiter with its line break, a comment line, `x = x + `) is one token, so a step costs about four. Idioms are
added, non-special tokens: transformers gives every Qwen2 folder Qwen2's own pre-tokenisation, which would never merge them,
but leaves added tokens alone. They are plain text like any other, and all text can still be written in bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import Qwen2Tokenizer

EOS, PAD = "<|end|>", "<|pad|>"
#: A reviewer's verdict on the step just ended. No policy writes them.
RIGHT, WRONG = "<right>", "<wrong>"
#: Words, digits, signs and bytes; the idioms come on top.
VOCABULARY = 1472
#: Markup with its line breaks, a comment line, the boxed answer's frame, the call that prints, a division and what checks
#: it, an assignment up to its first operator, an operator with its blanks.
_IDIOM = re.compile(
    r"\n?<[a-z_|]+>(?::[^\n]*)?\n?"
    r"|# [a-z ]+\n"
    r"|The answer is \\boxed\{|\}\."
    r"|\nprint\([a-z]\)"
    r"|[a-z]+, rest = divmod\((?:x(?:, | \* ))?|(?:, 100)?\)\nassert not rest(?:\nx = (?:x (?:\+|-) part)?)?|, "
    r"| (?:\+|-) part|\nassert [a-z] > 0|\nassert x % 10 == "
    r"|[a-z] = (?:x (?:\+|-|\*) )?"
    r"| (?:\+|-|\*) "
)


def grow_tokenizer(solutions: Sequence[str], readings: Iterable[str], *, context_tokens: int) -> Qwen2Tokenizer:
    """A tokenizer whose idioms are those of `solutions` and whose words those of both; equal texts give an equal one."""
    from tokenizers import AddedToken, Tokenizer, models, trainers
    from transformers import Qwen2Tokenizer

    idioms = Counter(idiom for solution in solutions for idiom in _IDIOM.findall(solution))
    words = Tokenizer(models.BPE())
    frame = Qwen2Tokenizer(vocab={EOS: 0, PAD: 1}, merges=[], eos_token=EOS, pad_token=PAD, unk_token=EOS)
    words.pre_tokenizer = frame.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[EOS, PAD], initial_alphabet=_alphabet(), show_progress=False
    )
    words.train_from_iterator((part for text in (*solutions, *readings) for part in _IDIOM.split(text)), trainer)
    vocabulary, merges = _learnt(words)
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=EOS,
        model_max_length=context_tokens,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens(
        [AddedToken(idiom, special=False, normalized=False) for idiom in sorted({*idioms, RIGHT, WRONG})]
    )
    return tokenizer


def _alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _learnt(words: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = json.loads(words.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]
