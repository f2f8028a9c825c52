"""transcript -> token ids. How does a model read a transcript?

Every segment is tokenised by itself, without special tokens, and the ids are joined. A tokenizer would otherwise merge
characters across the border of two steps, and the tokens that a policy is trained on would differ from those that it
is prompted with. Training and serving both call `encode`; nothing here knows models, batches or torch.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rstar_math.records import Transcript

#: Distinct segments remembered. The transcripts of a tree share their prompt and most of their steps; a segment takes
#: well under a kilobyte, so this is some tens of megabytes at most.
_REMEMBERED = 65_536


@lru_cache(maxsize=_REMEMBERED)
def _segment(tokenizer: Any, text: str) -> tuple[int, ...]:
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
