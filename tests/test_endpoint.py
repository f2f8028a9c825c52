"""A policy behind an OpenAI-compatible server: a scripted one for what can go wrong, vLLM's own for what it answers."""

import asyncio
import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp.test_utils
import httpx
import pytest
from aiohttp import web
from tiny_models import write_policy

from rstar_math import boxes, text
from rstar_math.config import PolicyConfig
from rstar_math.engines.endpoint import EndpointPolicy
from rstar_math.engines.environment import find_numa
from rstar_math.engines.few_shot import few_shot
from rstar_math.errors import ConfigError, EngineError
from rstar_math.records import Sampling, Step, Transcript

ROOT = text.transcript("What is 2 + 2?", [], for_next=True)
DEEPER = text.transcript("What is 2 + 2?", [Step("x = 2\n<end_of_step>")], for_next=True)
Answer = tuple[int, dict[str, Any], dict[str, str]]


def choices(*texts: str, tokens: int = 0, **fields: Any) -> Answer:
    listed = [
        {"index": n, "text": said, "logprobs": None, "finish_reason": "stop", **fields} for n, said in enumerate(texts)
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    body = {"id": "1", "object": "text_completion", "created": 0, "model": "tiny", "choices": listed, "usage": usage}
    return 200, body, {}


def failure(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    return status, {"error": {"message": message, "code": code}}, headers


class Server:
    """Answers requests by a script (the last answer for ever), and remembers what it was asked and when."""

    def __init__(self) -> None:
        self.script: list[Answer | Callable[[dict[str, Any]], Answer]] = []
        self.asked: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.pause_seconds = 0.0
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def complete(self, request: web.Request) -> web.Response:
        self.times.append(time.monotonic())
        self.asked.append(await request.json())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.pause_seconds)
        finally:
            self.at_once -= 1
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        status, body, headers = answer(self.asked[-1]) if callable(answer) else answer
        return web.json_response(body, status=status, headers=headers)

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "tiny", "object": "model"}]})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    app = web.Application()
    app.add_routes([web.post("/v1/completions", scripted.complete), web.get("/v1/models", scripted.models)])
    async with aiohttp.test_utils.TestServer(app) as running:
        scripted.url = str(running.make_url("/v1"))
        yield scripted


def policy(url: str, **knobs: Any) -> EndpointPolicy:
    return EndpointPolicy(PolicyConfig(kind="endpoint", url=url, model="tiny", **knobs))


async def propose(url: str, transcript: Transcript = ROOT, count: int = 2, **knobs: Any) -> list[tuple[str, int]]:
    async with policy(url, **knobs) as endpoint:
        return [(said.text, said.tokens) for said in await endpoint.propose(transcript, count, Sampling(max_tokens=9))]


async def test_the_request_is_the_transcript_and_tokens_are_shared_out(server: Server) -> None:
    server.script = [choices("x = 1\n<end_of_step>", "y = 2\n<end_of_code> more", tokens=9)]
    assert await propose(server.url) == [("x = 1\n<end_of_step>", 5), ("y = 2\n<end_of_code>", 4)]
    (asked,) = server.asked
    assert asked["prompt"] == text.join(ROOT)
    assert (asked["n"], asked["max_tokens"], asked["model"]) == (2, 9, "tiny")
    assert asked["stop"] == list(text.DELIMITERS)


async def test_tokens_are_drawn_by_the_search_s_knobs_alone_and_not_by_what_a_model_s_folder_says(
    server: Server,
) -> None:
    """A server took what it was not told from there: a penalty for names and numbers that come again, in code."""
    server.script = [choices("x = 1\n<end_of_step>")]
    await propose(server.url)
    (asked,) = server.asked
    assert (asked["top_k"], asked["min_p"], asked["repetition_penalty"]) == (-1, 0.0, 1.0)


async def test_a_line_ends_where_the_search_says_and_not_at_the_text_formats_delimiters(server: Server) -> None:
    server.script = [choices("two<end_of_step> of\nfive", "two", stop_reason="\n", tokens=4)]
    sampling = Sampling(stops=("\n",))
    async with EndpointPolicy(PolicyConfig(kind="endpoint", url=server.url, model="tiny")) as policy:
        said = await policy.propose(ROOT, 2, sampling)
    assert [proposal.text for proposal in said] == ["two<end_of_step> of\n", "two\n"]
    assert server.asked[0]["stop"] == ["\n"]


async def test_greedy_is_generated_once_and_paid_once(server: Server) -> None:
    server.script = [choices("x = 1\n<end_of_step>", tokens=7)]
    async with policy(server.url) as endpoint:
        proposals = await endpoint.propose(ROOT, 3, Sampling(temperature=0.0))
    assert [(said.text, said.tokens) for said in proposals] == [("x = 1\n<end_of_step>", n) for n in (7, 0, 0)]
    assert server.asked[0]["n"] == 1


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
async def test_a_delimiter_that_the_server_names_is_put_back(server: Server, field: str) -> None:
    server.script = [choices("x = 1\n", **{field: "<end_of_code>"}), choices("x = 1", **{field: None})]
    async with policy(server.url) as endpoint:
        assert (await endpoint.propose(ROOT, 1, Sampling()))[0].text == "x = 1\n<end_of_code>"
        assert (await endpoint.propose(ROOT, 1, Sampling()))[0].text == "x = 1"
    assert len(server.asked) == 2


async def test_a_server_that_hides_the_delimiter_is_asked_without_stops_and_cut(server: Server) -> None:
    def hides(asked: dict[str, Any]) -> Answer:
        return choices("x = 1\n" if "stop" in asked else "x = 1\n<end_of_step>\n\ny = 2\n<end_of_step>")

    server.script = [hides]
    async with policy(server.url) as endpoint:
        for _ in range(2):
            assert (await endpoint.propose(ROOT, 1, Sampling()))[0].text == "x = 1\n<end_of_step>"
    assert ["stop" in asked for asked in server.asked] == [True, False, False]


@pytest.mark.parametrize("name", ["include_stop_str_in_output", "top_k"])
async def test_a_server_that_refuses_an_extension_is_asked_without_them(server: Server, name: str) -> None:
    refusal = failure(400, f"Unrecognized request argument supplied: {name}")
    server.script = [refusal, choices("x = 1\n<end_of_step>")]
    assert (await propose(server.url))[0][0] == "x = 1\n<end_of_step>"


async def test_busy_and_broken_answers_are_tried_again(server: Server) -> None:
    done = choices("x = 1\n<end_of_step>")
    server.script = [failure(429, "slow down", **{"Retry-After": "0.3"}), failure(500, "oops"), done]
    assert (await propose(server.url))[0][0] == "x = 1\n<end_of_step>"
    assert len(server.asked) == 3
    assert server.times[1] - server.times[0] >= 0.3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failure(401, "no such key"), "environment variable NO_SUCH_KEY .it is not set"),
        (failure(404, "the model `tiny` does not exist"), "one that it serves: tiny"),
        (failure(429, "slow down", **{"Retry-After": "0.01"}), "2 times: .*slow down(.|\n)*policy.concurrency"),
        (failure(503, "loading", **{"Retry-After": "0.01"}), "2 times, last with status 503"),
        (failure(400, "This model's maximum context length is 4 tokens"), "longer context"),
        (failure(400, "top_k is no knob"), "top_k is no knob"),
        ((200, {"hello": "world"}, {}), "without choices"),
    ],
)
async def test_an_error_says_where_what_and_the_way_out(server: Server, answer: Answer, said: str) -> None:
    server.script = [answer]
    with pytest.raises(EngineError, match=said) as caught:
        await propose(server.url, tries=2, key_variable="NO_SUCH_KEY")
    assert server.url in str(caught.value)


async def test_an_error_names_the_knobs_of_the_model_that_is_meant(server: Server) -> None:
    server.script = [failure(404, "the model `tiny` does not exist")]
    second = PolicyConfig(kind="endpoint", url=server.url, model="tiny")
    async with EndpointPolicy(second, "discriminator") as endpoint:
        with pytest.raises(EngineError, match=r"Set discriminator\.model to one that it serves"):
            await endpoint.propose(ROOT, 1, Sampling())


async def test_a_server_that_is_down_or_silent_is_named(server: Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(EngineError, match="cannot be reached"):
            await propose(f"http://127.0.0.1:{unused.getsockname()[1]}/v1", tries=1)
    server.pause_seconds = 5.0
    with pytest.raises(EngineError, match=r"did not answer within 0\.2 s, 1 times"):
        await propose(server.url, tries=1, timeout_seconds=0.2)


async def test_steps_that_fill_the_context_are_a_dead_end(server: Server) -> None:
    server.script = [failure(400, "too long", code="context_length_exceeded")]
    assert await propose(server.url, DEEPER) == []


async def test_concurrency_and_rate_are_kept(server: Server) -> None:
    server.script = [choices("x = 1\n<end_of_step>")]
    server.pause_seconds = 0.02
    async with policy(server.url, concurrency=3) as endpoint:
        await asyncio.gather(*(endpoint.propose(ROOT, 1, Sampling()) for _ in range(12)))
    assert server.most_at_once == 3
    server.times.clear()
    async with policy(server.url, requests_per_minute=1200) as endpoint:
        await asyncio.gather(*(endpoint.propose(ROOT, 1, Sampling()) for _ in range(7)))
    assert server.times[-1] - server.times[0] >= 6 * 0.05 - 0.02


def test_the_bootstrap_examples_are_written_as_the_text_format_says_and_print_what_they_claim() -> None:
    _, *examples = few_shot("bootstrap").split("<|user|>:\n")
    assert len(examples) == 2
    for example in examples:
        question, reply = example.split("\n<|assistant|>: Let's think step by step and solve the problem with code.\n")
        steps = text.parse_reply(reply)
        assert text.join(text.transcript(question, steps, for_next=False)) == f"<|user|>:\n{example.rstrip()}"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec("".join(text.code_of(step.text) for step in steps), {})
        assert printed.getvalue().strip() == steps[-2].output == boxes.boxed(steps[-1].text)


def test_an_unknown_few_shot_prompt_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="bootstrap"):
        few_shot("nonsense")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's own server on a free port, in a process group that is always killed."""
    folder = tmp_path_factory.mktemp("served")
    model = write_policy(folder / "model", 1, "qwen2")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--enforce-eager"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny", "--max-num-seqs", "32"]
    find_numa()
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _await_health(process, port, folder / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_health(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(360):
        assert process.poll() is None, log.read_text()[-2000:]
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-2000:])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
async def test_vllm_serve_answers_as_the_door_promises(served: str) -> None:
    async with policy(served, tries=2) as endpoint:
        drawn = await asyncio.gather(*(endpoint.propose(ROOT, 8, Sampling(1.0, 1.0, 20)) for _ in range(4)))
        assert [len(proposals) for proposals in drawn] == [8] * 4
        assert all(said.text == text.cut(said.text) and said.tokens > 0 for proposals in drawn for said in proposals)
        assert len({said.text for proposals in drawn for said in proposals}) > 16
        greedy = await endpoint.propose(ROOT, 2, Sampling(0.0, 1.0, 20))
        assert greedy[0].text == greedy[1].text
        too_long = text.transcript("What is 2 + 2?", [Step("x = 1 + 1" * 80 + "\n<end_of_step>")], for_next=True)
        assert await endpoint.propose(too_long, 2, Sampling(max_tokens=20)) == []
    other = PolicyConfig(kind="endpoint", url=served, model="other")
    async with EndpointPolicy(other) as endpoint:
        with pytest.raises(EngineError, match="one that it serves: tiny"):
            await endpoint.propose(ROOT, 1, Sampling())
