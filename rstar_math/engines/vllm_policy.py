"""What would the policy say next?

transcript -> sampled next steps, from a vLLM engine in this process. It draws steps and cuts them at their delimiter; it
neither merges equal ones nor judges any.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rstar_math import text
from rstar_math.config import EngineConfig
from rstar_math.engines.loop import EngineLoop
from rstar_math.records import Proposal, Sampling, Segment, Transcript
from rstar_math.tokens import encode


class VllmPolicy:
    """`ports.Policy` on vLLM. Many `propose` calls at once share one batch; call `close` when done."""

    def __init__(self, path: str, config: EngineConfig) -> None:
        """Starts the engine; see `EngineLoop`."""
        self._engine = EngineLoop(path, config, "policy")
        self._tokenizer = self._engine.tokenizer
        self._stop = delimiter_tokens(self._tokenizer)
        self._unwritten = unwritten_tokens(self._tokenizer)
        self._params = lru_cache(maxsize=1024)(self._fresh_params)
        #: Sequences that are asked for and have not ended.
        self.under_way = 0

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """`count` next steps; none where the transcript already fills the model's context, which is a dead end.

        Temperature 0 is greedy: one step is generated and stands `count` times, paid once.

        Raises:
            EngineError, EngineLost: the engine refuses the request, or has died.
        """
        tokens = encode(self._tokenizer, transcript)
        room = self._engine.max_tokens - len(tokens)
        if room < 1 or count < 1:
            return []
        drawn = count if sampling.temperature > 0 else 1
        self.under_way += drawn
        try:
            output = await self._engine.ask(tokens, self._params(drawn, min(sampling.max_tokens, room), sampling))
        finally:
            self.under_way -= drawn
        marks = sampling.stops or text.DELIMITERS
        by_token = self._stops_by_token(sampling)
        proposals = [
            Proposal(text.cut(self._read(sample, by_token), marks), len(sample.token_ids)) for sample in output.outputs
        ]
        return proposals + [Proposal(proposals[0].text, 0)] * (count - drawn)

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

    def _stops_by_token(self, sampling: Sampling) -> bool:
        return bool(self._stop) and not sampling.stops

    def _read(self, sample: Any, by_token: bool) -> str:
        if not by_token:
            return str(sample.text)
        tokens = [token for token in sample.token_ids if token not in self._unwritten]
        return str(self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False))

    def _fresh_params(self, drawn: int, max_tokens: int, sampling: Sampling) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        by_token = self._stops_by_token(sampling)
        return SamplingParams(
            n=drawn,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=max_tokens,
            stop_token_ids=self._stop if by_token else None,
            stop=None if by_token else list(sampling.stops or text.DELIMITERS),
            include_stop_str_in_output=not by_token,
            detokenize=not by_token,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )


def unwritten_tokens(tokenizer: Any) -> frozenset[int]:
    """The tokens that stand for no text, such as the one that ends it. The text format's own marks do, also where a model's
    trainer has made special tokens of them, as the released script does: left out, no step would ever have an end."""
    special = ((number, token.content) for number, token in tokenizer.added_tokens_decoder.items() if token.special)
    return frozenset(number for number, content in special if content not in text.MARKS)


def delimiter_tokens(tokenizer: Any) -> list[int]:
    """The tokens that end with a delimiter, where this tokenizer ends a step with one of them; else none.

    Such a model can be stopped by token, which spares vLLM from turning every token into text to look for the delimiter.
    A delimiter written in other tokens is then found only after the step's last token, and cut there.
    """
    vocabulary = sorted(tokenizer.get_vocab().values())
    ending = [token for token in vocabulary if tokenizer.decode([token]).endswith(text.DELIMITERS)]
    written = [encode(tokenizer, (Segment(f"x = 1\n{mark}", by_policy=True),))[-1] for mark in text.DELIMITERS]
    return ending if set(written) <= set(ending) else []
