"""What will it take?

A forecast as a table, a row a stage, and under it everything that it goes by. Nothing is computed here but sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from rstar_math.forecast.machines import DEVICES, training_gb
from rstar_math.forecast.stages import Forecast, Given
from rstar_math.report.console import open_console
from rstar_math.report.published import beside_what_is_published
from rstar_math.report.quantities import NOTHING, count, in_bytes


@dataclass(frozen=True)
class Shown:
    """What a forecast was made from, to be shown with it. `source`: in words, where habits and speeds come from."""

    given: Given
    source: str


def show_forecast(made: Forecast, shown: Shown, console: Console | None = None) -> None:
    """Prints the stages of all rounds, their sums, the memory a GPU, and the assumptions."""
    out = console or open_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, heading in enumerate(
        ("forecast", "generated", "read", "trained on", "waits for", "GPU-hours", "time", "disk")
    ):
        table.add_column(heading, no_wrap=True, justify="right" if number else "left")
    timed = made.total("hours") is not None
    gpus = shown.given.config.forecast.hardware in DEVICES
    for stage in made.stages:
        trained = stage.name in ("policy", "ppm")
        table.add_row(
            f"round {stage.round} · {stage.name}",
            NOTHING if trained else count(stage.tokens),
            count(stage.read),
            count(stage.tokens) if trained else NOTHING,
            stage.bound or NOTHING,
            _hours(stage.gpu_hours) if gpus else NOTHING,
            _time(stage.hours),
            in_bytes(stage.disk),
        )
    grown = sum(stage.tokens for stage in made.stages if stage.name in ("trees", "scores"))
    table.add_section()
    table.add_row(
        "all rounds",
        count(grown),
        count(sum(stage.read for stage in made.stages)),
        count(sum(stage.tokens for stage in made.stages if stage.name in ("policy", "ppm"))),
        "",
        _hours(made.total("gpu_hours")) if gpus else NOTHING,
        _time(made.total("hours")),
        in_bytes(made.total("disk") or 0.0),
        style="bold",
    )
    out.print(table)
    out.print(f"In tokens; disk besides: up to {in_bytes(made.checkpoints)} of checkpoints while a model trains.")
    published = beside_what_is_published(made, shown.given)
    for line in (*_memory(shown), *_assumptions(shown), *published):
        out.print(line, soft_wrap=True, highlight=False)
    if not timed:
        out.print("No time: nothing was measured on this hardware; name a finished run with measured=runs/NAME.")


def _memory(shown: Shown) -> Sequence[str]:
    config, model = shown.given.config, shown.given.config.forecast.model
    device = DEVICES.get(config.forecast.hardware)
    if device is None or model is None:
        return ()
    plans = [config.plan(number) for number in range(1, config.rounds + 1)]
    policy = max(training_gb(model, plan.policy, logits=True) for plan in plans)
    ppm = max(training_gb(model, plan.ppm, logits=False) for plan in plans)
    taken = [device.memory_gb * engine.gpu_memory for engine in (config.engine, config.ppm_engine)]
    engines = f"policy {taken[0]:.0f}, PPM {taken[1]:.0f}"
    too_large = (
        " – MORE THAN IT HAS: a smaller micro_batch_size, more ranks, zero3 or offloading"
        if max(policy, ppm) > device.memory_gb
        else ""
    )
    return (
        f"Memory of a GPU ({device.memory_gb:g} GB): engines take what gpu_memory says ({engines}); a training rank "
        f"{policy:.0f} for the policy, {ppm:.0f} for the PPM{too_large}.",
    )


def _assumptions(shown: Shown) -> Sequence[str]:
    habits, sizes = shown.given.config.forecast, shown.given.sizes
    solved = ", ".join(f"{share:.0%}" for share in habits.solved)
    lines = [
        f"Goes by {shown.source}; every number is a knob (forecast.NAME).",
        f"Problems: {sizes.train:,} to learn from, {sizes.validation:,} for pairs, {sizes.held_out:,} held out.",
        f"Policy: {habits.steps:.1f} steps of {habits.step_tokens:.0f} tokens behind {habits.question_tokens:.0f} of the "
        f"question; a candidate leaves {habits.kept:.2f} children; solved by round: {solved}.",
    ]
    if habits.hardware in DEVICES:
        lines.append(
            f"Machine: {habits.hardware}; of its peak decoding reaches {habits.decoding_share:.0%}, the PPM "
            f"{habits.reading_share:.0%}, training {habits.training_share:.0%}; a search {habits.search_share:.0%} of its "
            "engines' speed."
        )
    return lines


def _hours(value: float | None) -> str:
    return NOTHING if not value else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _time(value: float | None) -> str:
    if not value:
        return NOTHING
    if value >= 48:
        return f"{value / 24:.1f} days"
    return f"{value:.1f} h" if value >= 1 else f"{value * 60:.1f} min"
