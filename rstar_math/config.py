"""What can be turned?

Every knob of every room, with its type, its default and the reason for it. The files in `conf/` carry only what a preset
changes. Nothing is read or started here: `rstar_math.cli.compose` fills these classes from hydra's groups, and pydantic
refuses unknown keys and impossible values before any model is loaded.

Defaults are the paper's where it states a number (arXiv 2501.04519), and sized for one machine otherwise."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

_HERE = Path(__file__).parent
#: The files behind these classes. In a checkout `conf/` stands beside the package, in an installed wheel inside it.
CONF = next(path for path in (_HERE / "conf", _HERE.parent / "conf") if path.is_dir())

_STRICT = ConfigDict(extra="forbid", validate_default=True)
Count = Annotated[int, Field(ge=1)]
SandboxPromise = Literal["network", "writes", "secrets", "names", "fork", "kill", "memory", "time", "output"]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=_STRICT)
class ProblemsConfig:
    """Where problems come from. Neither `path` nor `dataset`: the embedded word problems."""

    #: JSONL, JSON, CSV or Parquet file with a question and a final answer a row.
    path: str | None = None
    #: A Hugging Face data set (name or local folder), with its configuration and split.
    dataset: str | None = None
    subset: str | None = None
    split: str = "train"
    #: Field of ours -> column of theirs; fields left out are found under their usual names (problem/question, ...).
    columns: dict[str, str] = Field(default_factory=dict)
    #: Read only the first so many problems; None: all.
    limit: Count | None = None
    #: The problems were written by a model, so their answers are suspect and the noise filter applies (paper §3.4).
    synthetic: bool = False
    #: File of held-out problems; None: `held_out_count` are split off the problems themselves, at random by id.
    held_out_path: str | None = None
    held_out_count: Natural = 240
    #: Problems split off for measuring the PPM's pair accuracy; nothing is ever trained on them.
    validation_count: Natural = 100
    #: Number of embedded training problems (ignored with `path` or `dataset`), spread evenly over the six levels.
    count: Count = 1200

    @model_validator(mode="after")
    def _one_source(self) -> ProblemsConfig:
        if self.path and self.dataset:
            raise ValueError("problems.path and problems.dataset are both set; keep one of them")
        return self


@dataclass(frozen=True, config=_STRICT)
class SearchConfig:
    """One round's search of one problem (paper §3.2, §3.4)."""

    #: MCTS rollouts a problem; one rollout is one trajectory.
    rollouts: Count = 16
    #: Next steps sampled at an expansion.
    candidates: Count = 8
    #: Samples of the step that only words the final answer: its code has run already, so more bring nothing.
    answer_candidates: Count = 1
    temperature: Annotated[float, Field(ge=0)] = 1.0
    #: Tokens are drawn from the likeliest that hold this share of the probability together; 1: from all.
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: Longest step, in tokens; a longer one is cut off and dropped.
    max_step_tokens: Count = 512
    #: Steps from the root at which a trajectory is given up (counted as wrong).
    depth: Count = 16
    #: c of UCT(s) = Q(s) + c * sqrt(ln N_parent / N(s)).
    exploration: Annotated[float, Field(ge=0)] = 2.0
    #: An unvisited child: "first" goes there before any other (textbook UCT), "no-bonus" by its Q alone (released code).
    unvisited: Literal["first", "no-bonus"] = "first"
    #: "terminal": every q starts at 0 (rounds 1 and 2). "ppm": q starts at the PPM's score, as one visit (from round 3).
    annotation: Literal["terminal", "ppm"] = "terminal"
    #: While no trajectory is right (a hard problem): totals of rollouts to go on to. Rounds 2 and 3: 32. Round 4: 80, 128.
    escalate_to: tuple[int, ...] = ()
    #: Trees at most, each from its own random seed; the next is planted only if the one before did not solve it.
    trees: Count = 1

    @model_validator(mode="after")
    def _rising(self) -> SearchConfig:
        totals = (self.rollouts, *self.escalate_to)
        if any(later <= earlier for earlier, later in pairwise(totals)):
            raise ValueError(f"escalate_to={list(self.escalate_to)} must rise from rollouts={self.rollouts}")
        return self


@dataclass(frozen=True, config=_STRICT)
class HarvestConfig:
    """What is worth learning from (paper §3.3, §3.4)."""

    #: Correct trajectories kept a problem: those with the highest average Q over their steps.
    trajectories: Count = 2
    #: A synthetic problem whose trajectories are right less often than this is dropped.
    noise_threshold: Share = 0.5
    #: Chosen and rejected steps a prefix: up to this many squared pairs.
    pairs_per_side: Count = 2
    #: A step that led to nothing but dead ends counts as one that leads to wrong answers; off: only answers tell (paper).
    dead_ends: bool = False
    #: The released scripts also ask Q(chosen) - Q(rejected) >= 0.5 and >= 20 characters of edit distance; 0 turns it off.
    min_q_gap: Annotated[float, Field(ge=0)] = 0.0
    min_edit_distance: Natural = 0


@dataclass(frozen=True, config=_STRICT)
class TrainingConfig:
    """How data become weights. The paper: 2 epochs, 4096 tokens, batch 128, AdamW, linear, lr 7e-6, weight decay 0.1."""

    epochs: Positive = 2.0
    #: Exactly so many optimiser steps, whatever the epochs say; None: as many as the epochs take.
    max_steps: Count | None = None
    #: Rows (policy), or steps with all of their up to 2 x 2 pairs (PPM), in an optimiser step, over all ranks.
    batch_size: Count = 128
    #: How many of them one rank holds at once; the rest is gradient accumulation.
    micro_batch_size: Count = 4
    learning_rate: Positive = 7e-6
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    warmup_ratio: Share = 0.0
    max_grad_norm: Positive = 1.0
    #: Longest row in tokens; longer rows are left out and counted.
    max_tokens: Count = 4096
    precision: Literal["bf16", "fp32"] = "bf16"
    gradient_checkpointing: bool = True
    #: Name of a file in conf/deepspeed (zero1, zero2, zero3, zero2-offload, zero3-offload) or a path to one.
    deepspeed: str = "zero2"
    #: Training ranks; on a machine with GPUs each takes one.
    ranks: Count = 1
    threads_per_rank: Natural = 0
    #: A checkpoint to resume from after a kill, every so many optimiser steps and/or minutes (None: not by that measure).
    save_steps: Count | None = 200
    save_minutes: Positive | None = 10.0
    #: Optimiser steps between two logged losses.
    log_steps: Count = 10


@dataclass(frozen=True, config=_STRICT)
class EvaluationConfig:
    """How the round's policy and PPM are measured on held-out problems."""

    #: Candidates a step and trajectories of System 2 (paper: 32 and 8; headline 64 trajectories).
    candidates: Count = 32
    rollouts: Count = 8
    temperature: Annotated[float, Field(ge=0)] = 1.0
    #: Tokens are drawn from the likeliest that hold this share of the probability together; 1: from all.
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: Steps from the root at which a trajectory is given up, and the longest step in tokens; greedy decoding's too.
    depth: Count = 16
    max_step_tokens: Count = 512
    #: "best": the trajectory with the highest PPM score (paper). "majority": over the `top` best (released code).
    choose: Literal["best", "majority"] = "best"
    top: Count = 8
    #: Resamples behind a 95% interval.
    bootstrap: Count = 1000


@dataclass(frozen=True, config=_STRICT)
class RoundConfig:
    """One round of self-evolution: conf/round/r1.yaml ... r4.yaml."""

    search: SearchConfig = SearchConfig()
    harvest: HarvestConfig = HarvestConfig()
    policy: TrainingConfig = TrainingConfig()
    ppm: TrainingConfig = TrainingConfig(epochs=1.0, batch_size=512)
    evaluation: EvaluationConfig = EvaluationConfig()


@dataclass(frozen=True, config=_STRICT)
class PolicyConfig:
    """The policy that generates in round 1 (the bootstrap model), or the one a single command is given."""

    kind: Literal["local", "endpoint"] = "local"
    #: Model folder or Hugging Face name; None: the base model.
    path: str | None = None
    #: OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1, and the name it serves the model under.
    url: str | None = None
    model: str | None = None
    #: Environment variable that holds the server's key.
    key_variable: str = "OPENAI_API_KEY"
    #: Most requests under way at once, most started a minute (None: no such limit), tries a request, seconds a try.
    concurrency: Count = 64
    requests_per_minute: Count | None = None
    tries: Count = 6
    timeout_seconds: Positive = 120.0
    #: File with the few-shot prompt that stands before the problem: the bootstrap model has never seen the text format.
    few_shot: str | None = None

    @model_validator(mode="after")
    def _reachable(self) -> PolicyConfig:
        if self.kind == "endpoint" and not (self.url and self.model):
            raise ValueError("policy=endpoint needs policy.url=http://HOST:PORT/v1 and policy.model=NAME")
        if self.kind == "local" and self.few_shot:
            raise ValueError("policy.few_shot goes with policy=endpoint; serve the model with vLLM and name its url")
        return self


@dataclass(frozen=True, config=_STRICT)
class EngineConfig:
    """A vLLM engine: generation (policy) or pooling (PPM)."""

    #: Engines of this kind; each is one Ray actor.
    replicas: Count = 1
    tensor_parallel: Count = 1
    #: Share of a GPU each replica asks Ray for when there are GPUs (two engines may share one).
    gpus: Annotated[float, Field(ge=0)] = 1.0
    cpus: Annotated[float, Field(ge=0)] = 1.0
    #: Share of a GPU's memory vLLM takes.
    gpu_memory: Share = 0.9
    #: Gigabytes of key-value cache on a CPU.
    cpu_cache_gb: Count = 1
    #: Threads of a CPU engine; 0: one core's worth for the embedded model, vLLM's own choice otherwise.
    cpu_threads: Natural = 0
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_model_tokens: Count = 4096
    #: Sequences decoded at once.
    max_sequences: Count = 256
    #: Extra keyword arguments for vLLM's engine, as they are.
    extra: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class SandboxConfig:
    """What one generated program may use up."""

    #: Programs run at once by one search worker; 0: one a core of its machine.
    workers: Natural = 0
    wall_seconds: Positive = 5.0
    cpu_seconds: Positive = 5.0
    memory_mb: Count = 1024
    output_bytes: Count = 16_384
    processes: Natural = 0
    file_mb: Natural = 0
    #: Promises without which nothing runs; `rstar-math doctor` shows all, and by what wall each is kept here.
    require: tuple[SandboxPromise, ...] = ("network", "writes", "secrets", "fork", "kill", "memory", "time")
    #: Walls left out, to see what the others hold and what each costs.
    without: tuple[Literal["namespaces", "root", "landlock", "seccomp", "cgroup"], ...] = ()
    #: Processes kept where a path's steps ended, for the next step to run in a fork of. 0: none.
    snapshots: Natural = 64
    snapshot_mb: Count = 1024
    #: A path is worth one if it cost so many forks, which are measured at the start: cheaper ones are run again.
    snapshot_forks: Positive = 3.0


@dataclass(frozen=True, config=_STRICT)
class GradingConfig:
    """How long an answer may take to compare."""

    #: Processor time of one comparison; then it is killed, and undecided. Six times as much on the wall ends it too.
    timeout_seconds: Positive = 5.0
    workers: Count = 1


@dataclass(frozen=True, config=_STRICT)
class ClusterConfig:
    """Where it runs."""

    #: Ray cluster to join ("auto": the one RAY_ADDRESS names or that runs here); None: a local one for this run only.
    address: str | None = None
    #: Search workers (Ray actors), and trees that each grows at once.
    search_workers: Count = 1
    trees_in_flight: Count = 128
    #: CPUs a search worker asks Ray for.
    search_cpus: Annotated[float, Field(ge=0)] = 0.5
    #: Keep the engines between stages and only swap their weights. Right where training does not need their GPU.
    keep_engines: bool = False
    #: Seconds that a stopped run may take to save what it has.
    shutdown_grace_seconds: Positive = 30.0
    #: A part of the trees is written once it holds so many, or so many seconds after the last; a kill loses no part.
    trees_per_part: Count = 64
    part_seconds: Positive = 60.0
    #: Deaths of a worker on one problem after which it is set aside.
    deaths_per_problem: Count = 3


@dataclass(frozen=True, config=_STRICT)
class TrackingConfig:
    """Who watches: metrics.jsonl always; wandb offline without a key, online with one."""

    wandb: bool = True
    project: str = "rstar-math"
    entity: str | None = None


@dataclass(frozen=True, config=_STRICT)
class RunConfig:
    """A whole run."""

    name: str = "demo"
    #: Folder that holds the run directories.
    runs: str = "runs"
    seed: int = 0
    #: Rounds to run; beyond r4, r4's plan is used again.
    rounds: Count = 4
    #: The base model that every round fine-tunes; "seedling": the embedded one.
    base: str = "seedling"
    #: Train the base on its own solved problems for as many steps as the last round's policy (embedded default only).
    control: bool = False
    problems: ProblemsConfig = ProblemsConfig()
    policy: PolicyConfig = PolicyConfig()
    engine: EngineConfig = EngineConfig()
    ppm_engine: EngineConfig = EngineConfig()
    sandbox: SandboxConfig = SandboxConfig()
    grading: GradingConfig = GradingConfig()
    cluster: ClusterConfig = ClusterConfig()
    tracking: TrackingConfig = TrackingConfig()
    #: Round plans by name, "r1" to "r4".
    round: dict[str, RoundConfig] = Field(default_factory=lambda: {f"r{n}": RoundConfig() for n in range(1, 5)})

    def plan(self, number: int) -> RoundConfig:
        """The plan of round `number` (from 1); rounds beyond the last file use the last file's plan."""
        return self.round[f"r{min(number, len(self.round))}"]
