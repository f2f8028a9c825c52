"""configuration -> the forecast of its run: how many problems, how large a model, whose habits?

It starts nothing and downloads nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rstar_math.checkpoints import shape_of
from rstar_math.config import EvaluationConfig, ModelConfig, RunConfig, SearchConfig
from rstar_math.errors import ConfigError
from rstar_math.evaluation.strategies import by_search
from rstar_math.evolution.habits import measured
from rstar_math.forecast.stages import Forecast, Given, Sizes, forecast
from rstar_math.problems.splitting import LARGEST_SHARE, problem_sets
from rstar_math.report.forecast import Shown
from rstar_math.seedling import MODEL_PATH


def foresee(config: RunConfig, run: Path | None = None) -> tuple[Forecast, Shown]:
    """The forecast, by what the run in `run` showed or, without one, by `config.forecast`.

    Raises:
        ConfigError: the size of the model or the number of problems is not known here.
        InputError: the problems cannot be read, or `run` is none.
    """
    habits = replace(config.forecast, model=_model(config))
    source = "what `forecast.*` assumes"
    if run is not None:
        habits, source = measured(run, habits), f"what {run} showed"
    known = replace(config, forecast=habits)
    plans = [config.plan(number) for number in range(1, config.rounds + 1)]
    given = Given(known, _sizes(config), tuple(_measuring(plan.evaluation) for plan in plans))
    return forecast(given), Shown(given, source)


def _measuring(evaluation: EvaluationConfig) -> tuple[SearchConfig, ...]:
    """The searches of a round's scores; of those that are drawn, what the PPM scores says `annotation` too."""
    searches = [readings[0] for readings in by_search(evaluation, scored=True).values()]
    return tuple(replace(each.plan, annotation="ppm") if each.scored else each.plan for each in searches)


def _model(config: RunConfig) -> ModelConfig:
    folder = MODEL_PATH if config.base == "seedling" else Path(config.base)
    if folder.is_dir():
        try:
            return ModelConfig(**shape_of(folder))
        except ConfigError:
            if config.forecast.model is None:
                raise
    if config.forecast.model is None:
        raise ConfigError(
            f"No forecast: the size of base={config.base} is not known here; name a model's folder, or set "
            "forecast.model={parameters: …, layers: …, hidden: …, kv_width: …, vocabulary: …}"
        )
    return config.forecast.model


def _sizes(config: RunConfig) -> Sizes:
    problems, count = config.problems, config.forecast.problems
    if problems.path:
        train, held_out, validation, _ = problem_sets(problems, config.seed)
        return Sizes(len(train), len(validation), len(held_out))
    if count is not None:
        held, checked = (
            min(own, count // LARGEST_SHARE) for own in (problems.held_out_count, problems.validation_count)
        )
        return Sizes(count - held - checked, checked, held)
    if problems.dataset:
        raise ConfigError(f"No forecast: say how many problems {problems.dataset} has with forecast.problems=NUMBER")
    return Sizes(problems.limit or problems.count, problems.validation_count, problems.held_out_count)
