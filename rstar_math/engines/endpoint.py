"""What would a model on some server say next?

transcript -> sampled next steps, from any server that speaks OpenAI's `/v1/completions` (vLLM, SGLang, llama.cpp, a hosted
one). Meant for round 1, where a larger model generates (paper §3.4). Failed requests are tried again by the openai client:
exponential pauses, or as long as the server asks.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, Self

import openai

from rstar_math import text
from rstar_math.config import PolicyConfig
from rstar_math.errors import EngineError
from rstar_math.records import Proposal, Sampling, Transcript

_LOG = logging.getLogger(__name__)
#: Extensions of vLLM's and SGLang's: the text keeps the delimiter that ended it, and all tokens are drawn by their
#: probabilities alone. Left unsaid, vLLM takes what the model's generation_config.json says, such as a penalty for what
#: comes again, as names and numbers do in code.
_EXTRA = {"include_stop_str_in_output": True, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
#: Where servers name the delimiter that ended a choice (vLLM, SGLang); null there means the model ended its text itself.
_NAMES_STOP = ("stop_reason", "matched_stop")


class EndpointPolicy:
    """`ports.Policy` on an OpenAI-compatible server; an async context manager.

    The concurrency and the rate are those of this object: where several workers ask, each is given its share.
    """

    def __init__(self, config: PolicyConfig, knobs: str = "policy") -> None:
        """Connects to nothing yet. `knobs`: what a user writes before the knobs in `config`."""
        self._config, self._knobs = config, knobs
        self._slots = asyncio.Semaphore(config.concurrency)
        self._next_start = 0.0
        #: Whether the server is asked to stop at delimiters: as long as it lets us know which one it met.
        self._stops = True
        self._client = openai.AsyncOpenAI(
            base_url=config.url,
            # A server of one's own asks for no key, the client for any.
            api_key=os.environ.get(config.key_variable) or "none",
            timeout=config.timeout_seconds,
            max_retries=config.tries - 1,
            # The hook runs before every try, so repeated requests keep to the rate as well.
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [self._pace]}),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """`count` next steps; none where the steps so far already fill the model's context, which is a dead end.

        Temperature 0 is greedy: one step is generated and stands `count` times, paid once. The server counts tokens for
        all candidates together, so each is given an equal share.

        Raises:
            EngineError: the server cannot be reached, refuses the request or keeps failing.
        """
        drawn = count if sampling.temperature > 0 else 1
        request = {
            "model": self._config.model,
            "prompt": text.join(transcript),
            "n": drawn,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
        }
        try:
            async with self._slots:
                steps, tokens = await self._draw(request, sampling.stops or text.DELIMITERS)
        except openai.OpenAIError as error:
            if _is_too_long(error) and any(segment.by_policy for segment in transcript):
                return []
            raise await self._explain(error) from error
        shares = [tokens // len(steps) + (position < tokens % len(steps)) for position in range(len(steps))]
        proposals = [Proposal(step, share) for step, share in zip(steps, shares, strict=True)]
        return proposals + [Proposal(steps[0], 0)] * (count - drawn)

    async def _draw(self, request: dict[str, Any], marks: tuple[str, ...]) -> tuple[list[str], int]:
        """The steps, each ended by one of `marks`, and the tokens paid for all of them."""
        if self._stops:
            stopping: dict[str, Any] = {"stop": list(marks), "extra_body": _EXTRA}
            try:
                completion = await self._client.completions.create(**request, **stopping)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not any(name in str(error) for name in _EXTRA):
                    raise
            else:
                read = [_read(choice, marks) for choice in self._choices(completion)]
                known = [step for step in read if step is not None]
                if len(known) == len(read):
                    return known, _paid(completion)
            self._give_up_stops()
        completion = await self._client.completions.create(**request)
        return [text.cut(choice.text, marks) for choice in self._choices(completion)], _paid(completion)

    def _choices(self, completion: Any) -> list[Any]:
        choices = getattr(completion, "choices", None)
        if not choices:
            got = str(completion)[:200]
            raise EngineError(
                f"{self._config.url} answered without choices: {got}\nDoes {self._knobs}.url end with /v1?"
            )
        return list(choices)

    def _give_up_stops(self) -> None:
        if self._stops:
            _LOG.warning(
                "%s does not say at which delimiter it stopped; from here on it generates max_step_tokens a step, "
                "which is cut here and costs more. vLLM and SGLang can say it.",
                self._config.url,
            )
        self._stops = False

    async def _pace(self, _: Any) -> None:
        """Waits until the next request may start."""
        if self._config.requests_per_minute is None:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._next_start)
        self._next_start = start + 60 / self._config.requests_per_minute
        await asyncio.sleep(start - now)

    async def _explain(self, error: openai.OpenAIError) -> EngineError:
        """What happened, where, and the way out."""
        config, own = self._config, self._knobs
        where = f"{config.url} (model {config.model})"
        match error:
            case openai.APITimeoutError():
                said = f"did not answer within {config.timeout_seconds:g} s, {config.tries} times"
                way = f"Raise {own}.timeout_seconds, or lower {own}.concurrency."
            case openai.APIConnectionError():
                said = f"cannot be reached: {error.__cause__ or error}"
                way = f"Start the server there, or correct {own}.url."
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                state = "is set, to another key" if os.environ.get(config.key_variable) else "is not set"
                said = f"refuses the key: {error.message}"
                way = f"Put its key in the environment variable {config.key_variable} (it {state})."
            case openai.NotFoundError():
                said, way = f"knows no such model or page: {error.message}", await self._served()
            case openai.RateLimitError():
                said = f"turned the request away {config.tries} times: {error.message}"
                way = f"Lower {own}.concurrency, set {own}.requests_per_minute, or raise {own}.tries."
            case openai.InternalServerError():
                said = f"failed {config.tries} times, last with status {error.status_code}: {error.message}"
                way = "Look at the server's own log; the run continues where it stopped once it answers again."
            case _ if _is_too_long(error):
                said = f"has too small a context for the few-shot prompt, the problem and one step: {error}"
                way = "Serve the model with a longer context, or lower max_step_tokens in the round's search."
            case openai.BadRequestError() | openai.UnprocessableEntityError():
                said = f"refuses the request: {error.message}"
                way = f"Change the knob that it names, in {own}, in the search, or in the server's own settings."
            case _:
                said, way = f"did not answer as expected: {error}", f"Does {own}.url end with /v1?"
        return EngineError(f"{where} {said}\n{way}")

    async def _served(self) -> str:
        try:
            names = [model.id async for model in self._client.with_options(max_retries=0).models.list()]
        except openai.OpenAIError as error:
            return f"Does {self._knobs}.url end with /v1? The list of its models cannot be read either: {error}"
        return f"Set {self._knobs}.model to one that it serves: {', '.join(names) or 'it lists none'}."


def _read(choice: Any, marks: tuple[str, ...]) -> str | None:
    """The step of one choice with its delimiter; None where it is not known which delimiter ended it."""
    step = text.cut(choice.text, marks)
    if step.endswith(marks) or choice.finish_reason != "stop":
        return step
    extra = choice.model_extra or {}
    for field in _NAMES_STOP:
        if field in extra:
            return step + extra[field] if extra[field] in marks else step
    return None


def _paid(completion: Any) -> int:
    return completion.usage.completion_tokens if completion.usage else 0


def _is_too_long(error: openai.OpenAIError) -> bool:
    if not isinstance(error, openai.BadRequestError):
        return False
    return error.code == "context_length_exceeded" or "context length" in str(error).lower()
