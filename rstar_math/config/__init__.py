"""What can be turned?

Every knob of every room, with its type, its default and the reason for it. The files in `conf/` carry only what a preset
changes. Nothing is read or started here: `rstar_math.cli.compose` fills these classes from hydra's groups, and pydantic
refuses unknown keys and impossible values before any model is loaded.

Defaults are the paper's where it states a number (arXiv 2501.04519), and sized for one machine otherwise.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic.dataclasses import dataclass

from rstar_math.config.forecast import ForecastConfig, Hardware, ModelConfig
from rstar_math.config.kinds import STRICT, Count, Positive
from rstar_math.config.machines import (
    ClusterConfig,
    EngineConfig,
    GradingConfig,
    PolicyConfig,
    SandboxConfig,
    SandboxPromise,
)
from rstar_math.config.mutual import MutualConfig
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
    "Hardware", "HarvestConfig", "MirrorConfig", "ModelConfig", "MutualConfig", "Objective", "PPMConfig", "PolicyConfig",
    "ProblemsConfig", "RoundConfig", "RunConfig", "SandboxConfig", "SandboxPromise", "SearchConfig", "TrackingConfig",
    "TrainingConfig",
]  # fmt: skip
_PACKAGE = Path(__file__).parents[1]
#: The files behind these classes. In a checkout `conf/` stands beside the package, in an installed wheel inside it.
CONF = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())


@dataclass(frozen=True, config=STRICT)
class TrackingConfig:
    """Who watches: metrics.jsonl always; wandb offline without a key, online with one."""

    wandb: bool = True
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
    #: rStar's second model where it stands behind a server (`rstar-math evaluate discriminator=endpoint`).
    discriminator: PolicyConfig = PolicyConfig()
    engine: EngineConfig = EngineConfig()
    ppm_engine: EngineConfig = EngineConfig()
    sandbox: SandboxConfig = SandboxConfig()
    grading: GradingConfig = GradingConfig()
    cluster: ClusterConfig = ClusterConfig()
    tracking: TrackingConfig = TrackingConfig()
    mirror: MirrorConfig = MirrorConfig()
    mutual: MutualConfig = MutualConfig()
    #: What `rstar-math plan` predicts by; a run does not look at it.
    forecast: ForecastConfig = ForecastConfig()
    #: Round plans by name, "r1" to "r4".
    round: dict[str, RoundConfig] = Field(default_factory=lambda: {f"r{n}": RoundConfig() for n in range(1, 5)})

    def plan(self, number: int) -> RoundConfig:
        """The plan of round `number` (from 1); rounds beyond the last file use the last file's plan."""
        return self.round[f"r{min(number, len(self.round))}"]
