"""What can be turned?

Every knob of every room, with its type, its default and the reason for it. The files in `conf/` carry only what a preset
changes. Nothing is read or started here: `rstar_math.cli.compose` fills these classes from hydra's groups, and pydantic
refuses unknown keys and impossible values before any model is loaded.

Defaults are the paper's where it states a number (arXiv 2501.04519), and sized for one machine otherwise.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from rstar_math.config.forecast import ForecastConfig, Hardware, ModelConfig, PublishedConfig
from rstar_math.config.kinds import STRICT, Count, Positive
from rstar_math.config.machines import (
    ClusterConfig,
    EngineConfig,
    GradingConfig,
    PolicyConfig,
    SandboxConfig,
    SandboxPromise,
    SandboxWall,
)
from rstar_math.config.mutual import MaskingConfig, MutualConfig
from rstar_math.config.problems import BenchmarkConfig, ProblemsConfig
from rstar_math.config.rounds import (
    EvaluationConfig,
    HarvestConfig,
    Objective,
    PPMConfig,
    RoundConfig,
    SearchConfig,
    TrainingConfig,
)

__all__ = [
    "CONF", "BenchmarkConfig", "ClusterConfig", "EngineConfig", "EvaluationConfig", "ForecastConfig", "GradingConfig",
    "Hardware", "HarvestConfig", "MaskingConfig", "MirrorConfig", "ModelConfig", "MutualConfig", "Objective", "PPMConfig",
    "PolicyConfig", "ProblemsConfig", "PublishedConfig", "RoundConfig", "RunConfig", "SandboxConfig", "SandboxPromise",
    "SandboxWall", "SearchConfig", "TrackingConfig", "TrainingConfig",
]  # fmt: skip
_PACKAGE = Path(__file__).parents[1]
#: The files behind these classes. In a checkout `conf/` stands beside the package, in an installed wheel inside it.
CONF = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())


@dataclass(frozen=True, config=STRICT)
class TrackingConfig:
    """Who watches: metrics.jsonl always; wandb offline without a key, online with one."""

    #: Whether wandb is told as well.
    wandb: bool = True
    #: The project, and the user or team, that wandb files the run under; None: the key's own.
    project: str = "rstar-math"
    entity: str | None = None


@dataclass(frozen=True, config=STRICT)
class MirrorConfig:
    """A copy of the run on an object store, for machines that share no disk: any of them goes on from it."""

    #: Address of the copy, `s3://BUCKET/PATH` or `gs://BUCKET/PATH`; None: no copy. One run each.
    url: str | None = None
    #: The copy is brought up to date at least so often; a start that was not heard of for three times as long is dead.
    minutes: Positive = 5.0


@dataclass(frozen=True, config=STRICT)
class RunConfig:
    """A whole run."""

    #: The run's folder below `runs`, and what wandb calls it.
    name: str = "demo"
    #: Folder that holds the run directories.
    runs: str = "runs"
    #: Every random stream of the run is drawn from it: the split of the problems, searches, trainings, intervals.
    seed: int = 0
    #: Rounds to run; beyond r4, r4's plan is used again.
    rounds: Count = 4
    #: The base model that every round fine-tunes; "seedling": the embedded one.
    base: str = "seedling"
    #: Train the base on its own solved problems for as many steps as the last round's policy (embedded default only).
    control: bool = False
    #: What is trained on and what is held out.
    problems: ProblemsConfig = ProblemsConfig()
    #: Who generates in round 1, or for one command.
    policy: PolicyConfig = PolicyConfig()
    #: rStar's second model where it stands behind a server (`rstar-math evaluate discriminator=endpoint`).
    discriminator: PolicyConfig = PolicyConfig()
    #: The engines that serve the policy, and those that serve the PPM.
    engine: EngineConfig = EngineConfig()
    ppm_engine: EngineConfig = EngineConfig()
    #: What a generated program may do and use up.
    sandbox: SandboxConfig = SandboxConfig()
    #: When two answers are the same.
    grading: GradingConfig = GradingConfig()
    #: Machines, search workers, and what becomes of those that fail.
    cluster: ClusterConfig = ClusterConfig()
    #: Who else is told the numbers.
    tracking: TrackingConfig = TrackingConfig()
    #: A copy for machines that share no disk.
    mirror: MirrorConfig = MirrorConfig()
    #: rStar: answers of two models without training; a run of `evolve` does not look at it.
    mutual: MutualConfig = MutualConfig()
    #: What `rstar-math plan` predicts by; a run does not look at it.
    forecast: ForecastConfig = ForecastConfig()
    #: Round plans by name, "r1" to "r4".
    round: dict[str, RoundConfig] = Field(default_factory=lambda: {f"r{n}": RoundConfig() for n in range(1, 5)})

    @field_validator("runs")
    @classmethod
    def _is_a_folder(cls, runs: str) -> str:
        if "://" in runs:
            raise ValueError(
                f"no folder of this machine; leave runs= out, and write mirror.url={runs.rstrip('/')}/NAME for a copy of the "
                "run on an object store"
            )
        return runs

    @property
    def has_control(self) -> bool:
        """Whether one is trained: of the embedded base alone it is known which problems it saw solved."""
        return self.control and self.base == "seedling"

    def plan(self, number: int) -> RoundConfig:
        """The plan of round `number` (from 1); rounds beyond the last file use the last file's plan."""
        return self.round[self.plan_name(number)]

    def plan_name(self, number: int) -> str:
        """The name of that plan, below which its knobs stand: "r4" for round 4, and for round 5."""
        return f"r{min(number, len(self.round))}"
