"""transcript -> token ids. How does a model read a transcript?

Every segment is tokenised by itself, without special tokens, and the ids are joined. A tokenizer would otherwise merge
characters across the border of two steps, and the tokens that a policy is trained on would differ from those that it
is prompted with. Training and serving both call `encode`; nothing here knows models, batches or torch.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rstar_math.errors import ConfigError
from rstar_math.records import Transcript

#: Distinct segments remembered. The transcripts of a tree share their prompt and most of their steps; a segment takes
#: well under a kilobyte, so this is some tens of megabytes at most.
_REMEMBERED = 65_536


#: What SentencePiece writes for a space, and what stands before a text that should begin without one.
_SPACE, _ANCHOR = "\u2581", "\n"


@lru_cache(maxsize=_REMEMBERED)
def _segment(tokenizer: Any, text: str) -> tuple[int, ...]:
    anchor = _anchor(tokenizer)
    tokens = _tokens(tokenizer, _ANCHOR + text if anchor else text)
    if tokens[: len(anchor)] != anchor:
        raise ConfigError(
            f"the tokenizer of {tokenizer.name_or_path} puts a space before every text and joins line breaks with what "
            "follows them, so no step can be written in it as it is; take another model"
        )
    return tokens[len(anchor) :]


@lru_cache(maxsize=8)
def _anchor(tokenizer: Any) -> tuple[int, ...]:
    """The tokens of a line break at the beginning of a text, where this tokenizer puts a space before every text, as Llama's
    and Phi-3's do; else none. Taken for a text of its own, every step would begin with that space: a policy learns to write
    it, has it before what it wrote, and from the second round on its code is indented where it may not be."""
    (first, *_) = tokenizer.convert_ids_to_tokens(_tokens(tokenizer, "x"))
    return _tokens(tokenizer, _ANCHOR) if first.startswith(_SPACE) else ()


def _tokens(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False, verbose=False))


def encode(tokenizer: Any, transcript: Transcript) -> list[int]:
    """The token ids of a transcript; `tokenizer` is any of Hugging Face's."""
    return [token for segment in transcript for token in _segment(tokenizer, segment.text)]


def encode_with_mask(tokenizer: Any, transcript: Transcript) -> tuple[list[int], list[bool]]:
    """The same ids, and for each whether the policy wrote it (both of one length)."""
    ids: list[int] = []
    by_policy: list[bool] = []
    for segment in transcript:
        tokens = _segment(tokenizer, segment.text)
        ids.extend(tokens)
        by_policy.extend([segment.by_policy] * len(tokens))
    return ids, by_policy
