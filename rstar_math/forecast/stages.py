"""a run's plan -> tokens, GPU-hours, wall time and disk of every stage.

The search is as long as its slower kind of engine, for both work at once; a training as its tokens take on its ranks. It
prints nothing; where habits and speeds come from is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rstar_math.config import ForecastConfig, ModelConfig, RoundConfig, RunConfig, SearchConfig, TrainingConfig
from rstar_math.forecast.machines import Speeds, model_share, speeds
from rstar_math.forecast.work import Work, search_work

#: A model folder: bfloat16 weights, and tokenizer and card, whose size hardly depends on the model's.
WEIGHT_BYTES, _FOLDER_BYTES = 2, 600_000
#: In a checkpoint that a training goes on from: fp32 weights and two moments of Adam; the weights in training's own precision
#: are there twice, as DeepSpeed's and as a model.
_OPTIMISER_BYTES, _PRECISION_BYTES = 12, {"bf16": 2, "fp32": 4}
#: Two are kept, and a new one is whole before the older goes.
CHECKPOINTS = 3
#: What a group's row holds, in whole solutions: what its up to four paths begin with is read once.
_SOLUTIONS_A_GROUP = 1.3


class Sizes(NamedTuple):
    """Problems that are searched and learnt from, those that pairs are measured on, and those that rounds are."""

    train: int
    validation: int
    held_out: int


class Given(NamedTuple):
    """What a forecast is made from: the configuration, the model's shape and size in it, and, for each round, the searches
    that measure it."""

    config: RunConfig
    sizes: Sizes
    measuring: tuple[tuple[SearchConfig, ...], ...]


class Stage(NamedTuple):
    """What one stage takes. `tokens`: generated, or trained on. `hours`, `gpu_hours`: None where no speed is known. `bound`:
    the engines that it waits for."""

    round: int
    name: str
    tokens: float
    read: float
    hours: float | None
    gpu_hours: float | None
    disk: float
    bound: str = ""


class _Rows(NamedTuple):
    """Rows that a model is trained on, and the tokens of one."""

    number: float
    length: float

    @property
    def tokens(self) -> float:
        return self.number * self.length


@dataclass(frozen=True)
class Forecast:
    """The stages of all rounds, and what checkpoints take at most while one of them trains, in bytes."""

    stages: tuple[Stage, ...]
    checkpoints: float

    def total(self, field: str) -> float | None:
        """The sum over all stages; None where a stage does not know."""
        values = [getattr(stage, field) for stage in self.stages]
        return None if None in values else sum(values)


def forecast(given: Given) -> Forecast:
    """All rounds of the run, in their order."""
    config, model = given.config, given.config.forecast.model
    assert model is not None
    rates = speeds(config.forecast, model, config.engine, config.ppm_engine)
    found = [stage for number in range(1, config.rounds + 1) for stage in _Round(given, model, rates, number).stages()]
    plans = [config.plan(number) for number in range(1, config.rounds + 1)]
    largest = max(checkpoint_bytes(training) for plan in plans for training in (plan.policy, plan.ppm))
    return Forecast(tuple(found), CHECKPOINTS * largest * model.parameters)


def checkpoint_bytes(training: TrainingConfig) -> int:
    """Of one checkpoint, a parameter."""
    return _OPTIMISER_BYTES + 2 * _PRECISION_BYTES[training.precision]


@dataclass(frozen=True)
class _Round:
    given: Given
    model: ModelConfig
    rates: Speeds | None
    number: int

    @property
    def config(self) -> RunConfig:
        return self.given.config

    @property
    def habits(self) -> ForecastConfig:
        return self.config.forecast

    @property
    def plan(self) -> RoundConfig:
        return self.config.plan(self.number)

    @property
    def solved(self) -> float:
        return self.habits.solved[min(self.number, len(self.habits.solved)) - 1]

    def stages(self) -> list[Stage]:
        plan, sizes, habits = self.plan, self.given.sizes, self.habits
        grown = search_work(plan.search, habits, 1 - self.solved, sizes.train + sizes.validation)
        solution = habits.question_tokens + habits.output_tokens + habits.steps * habits.step_tokens
        solutions = _Rows(sizes.train * self.solved * plan.harvest.trajectories * habits.distinct, solution)
        groups = _Rows(sizes.train * habits.mixed * habits.groups, _SOLUTIONS_A_GROUP * solution)
        return [
            self._searched("trees", grown),
            Stage(self.number, "harvest", 0.0, 0.0, 0.0, 0.0, (solutions.tokens + groups.tokens) * habits.token_bytes),
            self._trained("policy", plan.policy, solutions),
            self._trained("ppm", plan.ppm, groups),
            self._searched("scores", self._evaluated()),
        ]

    def _evaluated(self) -> Work:
        """Whatever measures the round; drawn solutions that the PPM scores once they are there are read as well."""
        count = self.given.sizes.held_out
        works = (search_work(plan, self.habits, 0.0, count) for plan in self.given.measuring[self.number - 1])
        return sum(works, start=Work())

    def _searched(self, name: str, work: Work) -> Stage:
        disk = work.nodes * self.habits.node_bytes
        if self.rates is None:
            return Stage(self.number, name, work.generated, work.read, None, None, disk)
        engine, ppm = self.config.engine, self.config.ppm_engine
        policy_seconds = work.generated / (engine.replicas * self.rates.generated)
        ppm_seconds = work.read / (ppm.replicas * self.rates.read)
        hours = (max(policy_seconds, ppm_seconds) + self.habits.start_seconds) / 3600
        gpus = engine.replicas * model_share(engine) + (ppm.replicas * model_share(ppm) if work.read else 0.0)
        bound = "PPM" if ppm_seconds > policy_seconds else "policy"
        return Stage(self.number, name, work.generated, work.read, hours, hours * gpus, disk, bound)

    def _trained(self, name: str, training: TrainingConfig, rows: _Rows) -> Stage:
        seen = training.max_steps * training.batch_size if training.max_steps else rows.number * training.epochs
        tokens = seen * rows.length
        disk = WEIGHT_BYTES * self.model.parameters + _FOLDER_BYTES
        if self.rates is None:
            return Stage(self.number, name, tokens, 0.0, None, None, disk)
        hours = (tokens / (training.ranks * self.rates.trained) + self.habits.start_seconds) / 3600
        return Stage(self.number, name, tokens, 0.0, hours, hours * training.ranks, disk)
