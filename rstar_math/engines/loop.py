"""How do many coroutines share one vLLM engine?

(token ids, parameters) -> vLLM's output. Requests of any number of coroutines are handed to the engine between two of its
steps, so they all run in one continuous batch. The engine lives on a thread of its own and works only while something is
asked, so an idle engine costs nothing and keeps no process from ending. Nothing here knows steps, samples or rewards.
"""

from __future__ import annotations

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from rstar_math.checkpoints import Kind, check_model_folder, locate, open_tokenizer
from rstar_math.config import EngineConfig
from rstar_math.engines.environment import on_cpu, own_preload, prepare
from rstar_math.errors import EngineError, EngineLost

#: Below this size a step is too short for a second thread to pay.
_SMALL_MODEL_BYTES = 64 << 20
#: Where configurations may differ though the weights fit the same engine.
_NEUTRAL = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "initializer_range"}
_NEUTRAL |= {"bos_token_id", "pad_token_id"}


class _Request(NamedTuple):
    name: str
    tokens: list[int]
    params: Any


class EngineLoop:
    """One vLLM engine of this process.

    Attributes:
        tokenizer: the model's tokenizer.
        max_tokens: longest sequence, prompt and answer together.
    """

    def __init__(self, path: str, config: EngineConfig, kind: Kind) -> None:
        """Starts the engine (seconds for a small model, minutes for a large one).

        Args:
            path: model folder or Hugging Face name.

        Raises:
            ConfigError, InputError: there is no whole model of this kind at `path`.
            EngineError: vLLM cannot serve it.
        """
        prepare(config)
        self._kind: Kind = kind
        self._folder = locate(path)
        check_model_folder(self._folder, kind)
        self.tokenizer = open_tokenizer(self._folder)
        # All of vLLM runs on one thread: what it keeps by thread (CUDA device, OpenMP threads) is set once and stays.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vllm")
        self._engine = self._thread.submit(_start, self._folder, config, kind).result()
        # Half a million objects of the libraries never die; looking at them again and again took 5% of the engine's time.
        gc.collect()
        gc.freeze()
        self.max_tokens: int = self._engine.model_config.max_model_len
        self._asked = 0
        self._arrived: list[_Request] = []
        self._cancelled: list[str] = []
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._broken: EngineLost | None = None
        self._loads = False
        self._moved = time.monotonic()

    async def ask(self, tokens: list[int], params: Any) -> Any:
        """vLLM's finished output for one request; `params` are SamplingParams or PoolingParams.

        Raises:
            EngineError: vLLM refuses this request.
            EngineLost: the engine is broken for good (out of memory, an error of the device) or closed.
        """
        if self._broken is not None:
            raise self._broken
        name = str(self._asked)
        self._asked += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._moved = time.monotonic()
        self._waiting[name] = future
        self._arrived.append(_Request(name, tokens, params))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
            self._pump.add_done_callback(self._ended)
        try:
            return await future
        except asyncio.CancelledError:
            self._cancelled.append(name)
            raise
        finally:
            self._waiting.pop(name, None)

    @property
    def is_broken(self) -> bool:
        """Whether it answers nothing any more, so that another has to take its place."""
        return self._broken is not None and not self._loads

    @property
    def getting_nowhere_seconds(self) -> float:
        """How long somebody has waited without the engine taking a step; 0 while nobody waits."""
        return time.monotonic() - self._moved if self._waiting else 0.0

    async def load(self, path: str) -> None:
        """Serves the weights at `path` from now on and forgets every cached prefix; requests under way end before that.

        Raises:
            ConfigError, InputError: there is no whole model of this kind at `path`.
            EngineError: it has another architecture or tokenizer; such a model needs an engine of its own.
        """
        if self._broken is not None:
            raise self._broken
        folder = locate(path)
        check_model_folder(folder, self._kind)
        _check_alike(folder, self._folder)
        if open_tokenizer(folder).get_vocab() != self.tokenizer.get_vocab():
            raise EngineError(f"{folder} has another tokenizer than {self._folder}. Start an engine of its own for it.")
        while self._pump is not None and not self._pump.done():
            await asyncio.wait([self._pump])
        self._broken, self._loads = EngineLost(f"Loading {folder} failed half-way. Start the engine again."), True
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._reload, folder)
        finally:
            self._loads = False
        self._broken, self._folder = None, folder

    def close(self) -> None:
        """Ends the engine and gives its memory back. What is still asked fails with an EngineLost."""
        self._fail(EngineLost(f"The engine of {self._folder} is closed."))
        self._thread.submit(_stop, self._engine).result()
        self._thread.shutdown()

    async def _run(self) -> None:
        """Steps the engine until nobody waits."""
        here = asyncio.get_running_loop()
        while (self._waiting or self._cancelled) and self._broken is None:
            arrived, self._arrived = self._arrived, []
            cancelled, self._cancelled = self._cancelled, []
            for name, answer in await here.run_in_executor(self._thread, self._turn, arrived, cancelled):
                self._answer(name, answer)
            self._moved = time.monotonic()

    def _answer(self, name: str, answer: Any) -> None:
        future = self._waiting.get(name)
        if future is None or future.done():
            return
        if isinstance(answer, EngineError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def _ended(self, pump: asyncio.Task[None]) -> None:
        error = None if pump.cancelled() else pump.exception()
        if error is not None:
            said = str(error).partition("\n")[0]  # torch adds advice in further lines
            died = EngineLost(f"The engine of {self._folder} died: {type(error).__name__}: {said}")
            died.__cause__ = error
            self._fail(died)

    def _fail(self, error: EngineLost) -> None:
        self._broken = error
        for name in list(self._waiting):
            self._answer(name, error)

    def _turn(self, arrived: list[_Request], cancelled: list[str]) -> list[tuple[str, Any]]:
        """One step of the engine, on its thread: what became ready, by name. A refused request harms no other."""
        from vllm.exceptions import VLLMClientError

        ready: list[tuple[str, Any]] = []
        for name, tokens, params in arrived:
            try:
                self._engine.add_request(name, {"prompt_token_ids": tokens}, params)
            except (VLLMClientError, ValueError) as error:  # vLLM's others mean that the engine itself is dead
                ready.append((name, EngineError(f"vLLM refuses a request of {len(tokens)} tokens: {error}")))
        if cancelled:
            self._engine.abort_request(cancelled)
        if self._engine.has_unfinished_requests():
            ready.extend((output.request_id, output) for output in self._engine.step() if output.finished)
        return ready

    def _reload(self, folder: Path) -> None:
        self._engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        if not self._engine.reset_prefix_cache():
            raise EngineError(f"vLLM kept prefixes of the old weights while loading {folder}. Start the engine again.")


def load_libraries(config: EngineConfig) -> None:
    """Imports what an engine takes most of a small start for; without it the engine does so itself."""
    prepare(config)
    import vllm.v1.engine.llm_engine  # noqa: F401


def _start(folder: Path, config: EngineConfig, kind: Kind) -> Any:
    import torch
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    if on_cpu() and (config.cpu_threads or _is_small(folder)):
        torch.set_num_threads(config.cpu_threads or 1)
    try:
        with own_preload():
            engine = LLMEngine.from_engine_args(EngineArgs(**_arguments(folder, config, kind)))
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        knobs = "engine.*" if kind == "policy" else "ppm_engine.*"
        raise EngineError(
            f"vLLM cannot serve {folder}: {error}\nLook at the engine's knobs, {knobs}; VLLM_LOGGING_LEVEL=INFO shows "
            "what vLLM did until then."
        ) from error
    if on_cpu() and _is_small(folder):
        from rstar_math.engines.cpu import even_out

        engine.apply_model(even_out)
    return engine


def _stop(engine: Any) -> None:
    engine.engine_core.shutdown()
    engine.renderer.shutdown()


def _arguments(folder: Path, config: EngineConfig, kind: Kind) -> dict[str, Any]:
    """vLLM's keyword arguments; `config.extra` has the last word."""
    arguments: dict[str, Any] = {
        "model": str(folder),
        "runner": "generate" if kind == "policy" else "pooling",
        "dtype": config.dtype,
        "max_model_len": min(config.max_model_tokens, _context(folder)),
        "max_num_seqs": config.max_sequences,
        "tensor_parallel_size": config.tensor_parallel,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if on_cpu():
        from rstar_math.engines import cpu

        arguments |= {"kv_cache_memory_bytes": config.cpu_cache_gb << 30, "block_size": cpu.BLOCK_TOKENS}
        # Compiling brought the embedded model 3% more tokens a second and takes longer than a small engine's start.
        arguments |= {"enforce_eager": True, "kernel_config": cpu.KERNELS}
    else:
        arguments |= {"gpu_memory_utilization": config.gpu_memory}
    return arguments | config.extra


def _is_small(folder: Path) -> bool:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) < _SMALL_MODEL_BYTES


def _context(folder: Path) -> int:
    """The longest sequence the model was made for, in tokens."""
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(folder).get_text_config().max_position_embeddings)


def _check_alike(new: Path, old: Path) -> None:
    from transformers import AutoConfig

    theirs, ours = (AutoConfig.from_pretrained(folder).to_dict() for folder in (new, old))
    differing = [key for key in sorted(theirs | ours) if key not in _NEUTRAL and theirs.get(key) != ours.get(key)]
    if differing:
        what = ", ".join(f"{key}={theirs.get(key)} (engine: {ours.get(key)})" for key in differing)
        raise EngineError(f"The engine of {old} cannot serve {new}: {what}. Start an engine of its own for it.")
