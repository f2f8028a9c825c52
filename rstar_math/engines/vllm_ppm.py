"""What is a path worth?

transcript -> reward in [-1, 1], from a vLLM engine that pools the PPM's one raw score at the last token; `reward` turns it
into the reward. It compares nothing and knows nothing of trees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rstar_math.config import EngineConfig
from rstar_math.engines.loop import EngineLoop
from rstar_math.records import Transcript
from rstar_math.reward import reward
from rstar_math.tokens import encode

#: A path longer than the PPM's context can neither be scored nor continued: it is worth what a dead end is.
_TOO_LONG = -1.0


class VllmScorer:
    """`ports.Scorer` on vLLM. Many small `score` calls at once share one batch; call `close` when done."""

    def __init__(self, path: str, config: EngineConfig) -> None:
        """Starts the engine; see `EngineLoop`."""
        self._engine = EngineLoop(path, config, "ppm")
        #: Paths that are asked for and have no score yet.
        self.under_way = 0

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """The reward of each transcript, in the order given; -1 for one longer than the PPM's context.

        Raises:
            EngineError, EngineLost: the engine refuses a request, or has died.
        """
        self.under_way += len(transcripts)
        try:
            return list(await asyncio.gather(*map(self._score, transcripts)))
        finally:
            self.under_way -= len(transcripts)

    @property
    def is_broken(self) -> bool:
        """See `EngineLoop`."""
        return self._engine.is_broken

    @property
    def getting_nowhere_seconds(self) -> float:
        """See `EngineLoop`."""
        return self._engine.getting_nowhere_seconds

    async def load(self, path: str) -> None:
        """Serves other weights of the same architecture from now on; see `EngineLoop.load`."""
        await self._engine.load(path)

    def close(self) -> None:
        """Ends the engine."""
        self._engine.close()

    async def _score(self, transcript: Transcript) -> float:
        from vllm import PoolingParams

        tokens = encode(self._engine.tokenizer, transcript)
        if len(tokens) > self._engine.max_tokens:
            return _TOO_LONG
        # The activation that a PPM's folder names is not ours: training and serving share one tanh.
        output = await self._engine.ask(tokens, PoolingParams(task="classify", use_activation=False))
        return float(reward(float(output.outputs.data.item())))
