"""Who generates, scores, runs code and compares answers, and where?"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from rstar_math.config.kinds import STRICT, Count, Natural, NotNegative, Positive, Share

SandboxPromise = Literal["network", "writes", "secrets", "names", "fork", "kill", "memory", "time", "output"]
SandboxWall = Literal["namespaces", "root", "landlock", "seccomp", "cgroup"]


@dataclass(frozen=True, config=STRICT)
class PolicyConfig:
    """The policy that generates in round 1 (the bootstrap model) or for one command; rStar's second model."""

    #: "local": an engine of this run. "endpoint": a server that is there already.
    kind: Literal["local", "endpoint"] = "local"
    #: Model folder or Hugging Face name; None: the base model.
    path: str | None = None
    #: OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1, and the name it serves the model under.
    url: str | None = None
    model: str | None = None
    #: Environment variable that holds the server's key.
    key_variable: str = "OPENAI_API_KEY"
    #: Most requests under way at once and most started a minute (None: no such limit), of all search workers together, each
    #: of which has an equal share, and at least one; tries a request, seconds a try.
    concurrency: Count = 64
    requests_per_minute: Count | None = None
    tries: Count = 6
    timeout_seconds: Positive = 120.0
    #: Worked examples, a name in conf/prompts or a file: they stand before the problem where a model was never trained in the
    #: text format, so for all but the embedded one and those that a training of ours has made. null: none.
    few_shot: str | None = "bootstrap"

    @model_validator(mode="after")
    def _reachable(self) -> PolicyConfig:
        if self.kind == "endpoint" and not (self.url and self.model):
            raise ValueError("an endpoint needs url=http://HOST:PORT/v1 and model=NAME (policy.url=…, policy.model=…)")
        return self


@dataclass(frozen=True, config=STRICT)
class EngineConfig:
    """A vLLM engine: generation (policy) or pooling (PPM)."""

    #: Those that decide what comes out; a stage that was begun keeps to them.
    RULES: ClassVar[tuple[str, ...]] = ("dtype", "max_model_tokens")

    #: Engines of this kind; each is one Ray actor.
    replicas: Count = 1
    #: GPUs that one engine spreads its model over.
    tensor_parallel: Count = 1
    #: GPUs that each of a replica's `tensor_parallel` shards asks Ray for when there are GPUs; part of one where engines
    #: share it. And its CPUs.
    gpus: NotNegative = 1.0
    cpus: NotNegative = 1.0
    #: Share of a GPU's memory vLLM takes.
    gpu_memory: Share = 0.9
    #: Gigabytes of key-value cache on a CPU.
    cpu_cache_gb: Count = 1
    #: Threads of a CPU engine; 0: one core's worth for the embedded model, vLLM's own choice otherwise.
    cpu_threads: Natural = 0
    #: Numbers that the weights are held in; "auto": those of the model's folder.
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    #: Longest text in tokens, the prompt included.
    max_model_tokens: Count = 4096
    #: Sequences decoded at once.
    max_sequences: Count = 256
    #: Extra keyword arguments for vLLM's engine, as they are.
    extra: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _placeable(self) -> EngineConfig:
        if self.gpus % 1 and (self.gpus > 1 or self.tensor_parallel > 1):
            raise ValueError(
                f"gpus={self.gpus:g} with tensor_parallel={self.tensor_parallel}: only one that takes no more than a GPU "
                "can take part of one; set gpus=1"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class SandboxConfig:
    """What one generated program may use up."""

    #: Those that decide whether a program runs; a stage that was begun keeps to them.
    RULES: ClassVar[tuple[str, ...]] = (
        "wall_seconds",
        "cpu_seconds",
        "memory_mb",
        "output_bytes",
        "processes",
        "file_mb",
    )

    #: Programs run at once by one search worker; 0: one a core of its machine.
    workers: Natural = 0
    #: One that runs for longer than a quarter of a second gives its place to the next and goes on beside: so many may for
    #: each of `workers`, and no more of one call than are left for others. 0: none.
    slow: Natural = 4
    #: Time on the clock and on processors, of all steps of the program together.
    wall_seconds: Positive = 5.0
    cpu_seconds: Positive = 5.0
    #: Memory that it may ask for.
    memory_mb: Count = 1024
    #: What it may print; more ends it.
    output_bytes: Count = 16_384
    #: Processes and threads that it may have beside its own (the promise `fork` is that there are no more), and megabytes of
    #: files that it may write; 0: none.
    processes: Natural = 0
    file_mb: Natural = 0
    #: Promises without which nothing runs; `rstar-math doctor` shows all, and by what wall each is kept here.
    require: tuple[SandboxPromise, ...] = ("network", "writes", "secrets", "fork", "kill", "memory", "time")
    #: Walls left out, to see what the others hold and what each costs.
    without: tuple[SandboxWall, ...] = ()
    #: Processes kept where a path's steps ended, for the next step to run in a fork of. 0: none.
    snapshots: Natural = 64
    #: Memory of all of them together.
    snapshot_mb: Count = 1024
    #: A path is worth one if it cost so many forks, which are measured at the start: cheaper ones are run again.
    snapshot_forks: Positive = 3.0


@dataclass(frozen=True, config=STRICT)
class GradingConfig:
    """How answers are compared: exactly, unless a benchmark says otherwise."""

    #: Those that decide which answers are right; a stage that was begun keeps to them.
    RULES: ClassVar[tuple[str, ...]] = ("rounded_digits", "tolerance")

    #: Limit of one comparison on the clock; a process that got less than half of it on a processor is given up to 8 times
    #: as long. The kernel ends it after so much processor time too, where nobody is left to kill it.
    timeout_seconds: Positive = 3.0
    #: Processes that compare, a judge.
    workers: Count = 1
    #: Accept a decimal of so many digits that is the exact value, correctly rounded (at least 4); 0: never.
    rounded_digits: Literal[0] | Annotated[int, Field(ge=4)] = 0
    #: Accept numbers this far from the ground truth, relative to it: for benchmarks that state one for all. 0: none. What a
    #: problem's own row says counts beside it (the column `tolerance`).
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True, config=STRICT)
class ClusterConfig:
    """Where it runs."""

    #: Ray cluster to join ("auto": the one RAY_ADDRESS names or that runs here); None: a local one for this run only.
    address: str | None = None
    #: Minutes that nodes of such a cluster may take to join before a run that it cannot hold yet is refused.
    join_minutes: NotNegative = 0.0
    #: Ask for GPUs even where the cluster has none yet: a run that comes before its nodes, or stands on the wrong machine,
    #: would else begin on CPUs.
    needs_gpus: bool = False
    #: Search workers (Ray actors), and trees that each grows at once; "auto": as many as keep full what they all wait for (an
    #: engine's batch, or the workers' sandboxes or judges), found out while they grow.
    search_workers: Count = 1
    trees_in_flight: Count | Literal["auto"] = 128
    #: CPUs a search worker asks Ray for.
    search_cpus: NotNegative = 0.5
    #: Keep engines and training ranks between stages, and give them other weights or another job. Right where neither needs
    #: the other's GPU.
    keep_engines: bool = False
    #: Seconds that a stopped run may take to save what it has and to end (Slurm and Kubernetes kill after 30 by default).
    shutdown_grace_seconds: Positive = 30.0
    #: A part of the trees is written once it holds so many, or so many seconds after the first of them came; a kill loses no
    #: more than that.
    trees_per_part: Count = 64
    part_seconds: Positive = 60.0
    #: Deaths of its workers and engines after which a problem is set aside, the last time with it alone; deaths of any at
    #: which the stage stops, one more for every hundred problems that it has grown.
    deaths_per_problem: Count = 3
    deaths_per_stage: Count = 50
    #: Seconds without a finished tree after which everybody is asked what they do, and who hangs is ended and started anew;
    #: what has found its place in the cluster and is not ready after three times as long hangs as well.
    silence_seconds: Positive = 600.0
    #: Seconds in which no rank of a training has done anything (a micro-batch, a checkpoint, a row, a model opened), after
    #: which who hangs is named and the training started again from its last checkpoint: more than the slowest of these takes.
    training_silence_seconds: Positive = 1800.0
