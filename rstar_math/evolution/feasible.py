"""Can the whole plan be done?

What a late stage would stumble over, looked at before the first one starts: files and arithmetic alone. It starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rstar_math.config import ProblemsConfig, RoundConfig, RunConfig
from rstar_math.engines.few_shot import few_shot
from rstar_math.errors import ConfigError, InputError
from rstar_math.evaluation.strategies import strategies
from rstar_math.problems.benchmarks import benchmarks_of
from rstar_math.training.job import batch_of, deepspeed_config

_T = TypeVar("_T")


def check_plan(config: RunConfig) -> None:
    """Whether every round that will be done can be.

    Raises:
        ConfigError: a knob is impossible; the message names it and the way out.
    """
    if config.policy.few_shot is not None:
        few_shot(config.policy.few_shot)
    for name in dict.fromkeys(map(config.plan_name, range(1, config.rounds + 1))):
        _check_round(f"round.{name}", config.round[name])
    if config.plan(1).search.annotation == "ppm":
        raise ConfigError(
            "round.r1.search.annotation=ppm: there is no PPM before round 1 has trained one; take terminal there"
        )


def check_problems(problems: ProblemsConfig) -> None:
    """Whether the files of problems that it names are there.

    Raises:
        ConfigError, InputError: one is not.
    """
    for knob, path in (("problems.path", problems.path), ("problems.held_out_path", problems.held_out_path)):
        if path and not Path(path).exists():
            raise InputError(f"{path}: there is no such file (seen from {Path.cwd()}); check {knob}")
    benchmarks_of(problems)


def _check_round(name: str, plan: RoundConfig) -> None:
    for kind, training in (("policy", plan.policy), ("ppm", plan.ppm)):
        _as_knob(f"{name}.{kind}", batch_of, training)
        _as_knob(f"{name}.{kind}.deepspeed", deepspeed_config, training.deepspeed)
    _as_knob(f"{name}.evaluation.strategies", _strategies, plan)


def _strategies(plan: RoundConfig) -> None:
    strategies(plan.evaluation.strategies, plan.evaluation, guided=True)


def _as_knob(knob: str, check: Callable[[_T], object], value: _T) -> None:
    """The check's message with the knob before it: those who check know a training or a list, not whose it is."""
    try:
        check(value)
    except ConfigError as error:
        raise ConfigError(f"{knob}: {error}") from None
