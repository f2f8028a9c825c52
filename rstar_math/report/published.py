"""How does a forecast stand beside what is published of such a run, and why does it differ?

By round, on as many accelerators as were published; then what the difference can lie in: how much of the time is search, what
each assumption would have to be instead, and which engines wait for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from rstar_math.config import ForecastConfig, PublishedConfig, RunConfig
from rstar_math.forecast.machines import model_share, speeds
from rstar_math.forecast.stages import Forecast, Given, Stage, forecast


class _Assumed(NamedTuple):
    """An assumption of a search that nothing is published of: in words, the habits with another value of it, and between
    which values one is looked for."""

    words: str
    instead: Callable[[ForecastConfig, float], ForecastConfig]
    low: float
    high: float


_ASSUMED = {
    "step_tokens": _Assumed(
        "steps of {:.0f} tokens", lambda habits, value: replace(habits, step_tokens=value), 5.0, 2000.0
    ),
    "search_share": _Assumed(
        "a search that reaches {:.0%} of its engines' speed",
        lambda habits, value: replace(habits, search_share=value),
        0.02,
        1.0,
    ),
}
#: How often the interval is halved.
_HALVINGS = 40


def beside_what_is_published(made: Forecast, given: Given) -> Iterator[str]:
    """The lines; none where nothing is published, or of other hardware, another model or other problems."""
    config, known = given.config, given.config.forecast.published
    if known is None or not _alike(known, given) or made.total("hours") is None:
        return
    rounds = {number: days for number, days in enumerate(known.days, start=1) if days and number <= config.rounds}
    ours = {number: _days(made, config, known, number) for number in rounds}
    factors = _listed(f"{ours[number] / days:.2f}" for number, days in rounds.items())
    yield (
        f"Published, on {known.gpus} {known.hardware}: {_listed(f'{days:g}' for days in rounds.values())} days for "
        f"{_rounds(rounds)}. This forecast, on as many: {_listed(f'{days:.1f}' for days in ours.values())} days, "
        f"{factors} times as long."
    )
    yield f"Why it differs: {_search_part(made, rounds)} of it is search, and what that goes by is assumed, not published."
    for number, days in rounds.items():
        if instead := list(_instead(given, known, number)):
            yield f"Round {number} would take the published {days:g} days with {' or with '.join(instead)}."
    for number in rounds:
        yield from _waiting(_stage(made, number, "trees"), config)
    if known.days and not known.days[0]:
        yield f"Round 1 is not comparable: {known.otherwise}."


def _alike(known: PublishedConfig, given: Given) -> bool:
    config = given.config
    same = known.hardware == config.forecast.hardware and known.base == config.base
    return same and known.problems == sum(given.sizes)


def _days(made: Forecast, config: RunConfig, known: PublishedConfig, number: int) -> float:
    """A round's days if the same work were spread over as many accelerators as were published."""
    return sum(stage.hours or 0.0 for stage in made.stages if stage.round == number) * _held(config) / known.gpus / 24


def _held(config: RunConfig) -> float:
    """GPUs that the engines hold, whether both kinds are asked or not."""
    return sum(engine.replicas * model_share(engine) for engine in (config.engine, config.ppm_engine))


def _search_part(made: Forecast, rounds: dict[int, float]) -> str:
    parts = []
    for number in rounds:
        hours = {stage.name: stage.hours or 0.0 for stage in made.stages if stage.round == number}
        parts.append(hours["trees"] / sum(hours.values()))
    low, high = f"{min(parts):.0%}", f"{max(parts):.0%}"
    return low if low == high else f"{low} to {high}"


def _instead(given: Given, known: PublishedConfig, number: int) -> Iterator[str]:
    """What each assumption would have to be for the published days, where there is such a value."""
    config = given.config
    for knob, assumed in _ASSUMED.items():

        def days(value: float, instead: Callable[..., ForecastConfig] = assumed.instead) -> float:
            other = replace(config, forecast=instead(config.forecast, value))
            return _days(forecast(given._replace(config=other)), other, known, number)

        value = _where(days, known.days[number - 1], assumed.low, assumed.high)
        if value is not None:
            yield f"{assumed.words.format(value)} (forecast.{knob}, {getattr(config.forecast, knob):g} here)"


def _where(function: Callable[[float], float], wanted: float, low: float, high: float) -> float | None:
    """Where a function that only rises, or only falls, has a value; None where it has it nowhere in between."""
    rises = function(high) > function(low)
    if not min(function(low), function(high)) <= wanted <= max(function(low), function(high)):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if (function(middle) < wanted) == rises else (low, middle)
    return (low + high) / 2


def _waiting(trees: Stage, config: RunConfig) -> Iterator[str]:
    """Which engines wait for the others, and what an even split of the GPUs would save."""
    assert config.forecast.model is not None
    rates = speeds(config.forecast, config.forecast.model, config.engine, config.ppm_engine)
    if rates is None or not trees.hours:
        return
    work = {"policy": trees.tokens / rates.generated / 3600, "PPM": trees.read / rates.read / 3600}
    held = {"policy": config.engine.replicas, "PPM": config.ppm_engine.replicas}
    idle, all_of_them = "PPM" if trees.bound == "policy" else "policy", sum(held.values())
    busy = work[idle] / held[idle] / trees.hours
    what = f"have work for {busy:.0%} of that time" if busy else "are asked nothing"
    way = f"with the {all_of_them} split so that none waits" if busy else f"with {all_of_them} of the first kind"
    yield (
        f"Round {trees.round}'s search waits for the {trees.bound} engines, {trees.hours / 24:.1f} days; the {held[idle]} of "
        f"the {idle} {what}: {way} it would take {sum(work.values()) / all_of_them / 24:.1f}."
    )


def _stage(made: Forecast, number: int, name: str) -> Stage:
    return next(stage for stage in made.stages if (stage.round, stage.name) == (number, name))


def _rounds(rounds: dict[int, float]) -> str:
    return f"round{'s' if len(rounds) > 1 else ''} {_listed(map(str, rounds))}"


def _listed(words: Iterator[str] | map[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
