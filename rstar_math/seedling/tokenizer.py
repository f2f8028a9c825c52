"""texts -> the seedling's tokenizer: byte-level BPE, digits single, delimiters and code idioms a single token each.

Markup costs one token because the pre-tokenisation keeps it in one piece and BPE then merges it, so no special token is
added beside end-of-text and padding, and any text can still be written in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

EOS, PAD = "<|end|>", "<|pad|>"
VOCABULARY = 1536
#: What BPE may merge at most, first match wins: markup with its line breaks, a comment line, the boxed answer's frame,
#: the call that prints, an assignment up to its first
#: operator, an operator with its blanks, one digit, a word with its blank, the rest.
PIECES = (
    r"\n?<[a-z_|]+>(?::[^\n]*)?\n?"
    r"|# [a-z ]+\n"
    r"|The answer is \\boxed\{|\}\."
    r"|\nprint\([a-z]\)"
    r"|[a-z] = (?:x (?:\+|-|\*|//) )?"
    r"| // 100| (?:\+|-|\*|//) "
    r"|[0-9]"
    r"| ?[A-Za-z]+"
    r"|\n\n|\s|[^\s]"
)


def grow_tokenizer(texts: Iterable[str], *, context_tokens: int) -> PreTrainedTokenizerFast:
    """A BPE tokenizer of at most `VOCABULARY` tokens from `texts`; the same texts give the same tokenizer."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=context_tokens,
        clean_up_tokenization_spaces=False,
    )
