"""Which random stream is mine?

(seed, names...) -> an independent `random.Random`. Every random draw of the project comes from a stream named after what
it is for (`stream(seed, problem.id, rollout, depth)`), so results do not depend on which coroutine drew first.
"""

from __future__ import annotations

import hashlib
import random


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed that depends on `seed` and every name, stable across processes, machines and Python versions."""
    digest = hashlib.blake2b(repr((seed, *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def stream(seed: int, *names: str | int) -> random.Random:
    """The random stream of that name."""
    return random.Random(derive(seed, *names))
