"""What will each round do?

RunConfig -> the resolved plan of all rounds, a column a round. It checks nothing and starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.table import Table

from rstar_math.config import RoundConfig, RunConfig, SearchConfig, TrainingConfig
from rstar_math.report.console import open_console

#: A knob's label and how a round's value is worded; None instead of the wording: a heading.
_Line = tuple[str, Callable[[RoundConfig], str] | None]


def show_plan(config: RunConfig, console: Console | None = None) -> None:
    """Prints where the run lives, then what each round searches, harvests, trains and measures.

    Rounds beyond the last plan share its column. No value is ever cut short: a narrow console breaks it over lines.
    """
    out = console or open_console()
    out.print(_origin(config), soft_wrap=True)
    plans = min(config.rounds, len(config.round))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("", *(_heading(config, number) for number in range(1, plans + 1))):
        table.add_column(heading, no_wrap=not heading, overflow="fold")
    table.add_row("policy", *(_policy(config, number) for number in range(1, plans + 1)))
    for label, words in _LINES:
        if words is None:
            table.add_section()
            table.add_row(label, style="bold")
        else:
            table.add_row(label, *(words(config.plan(number)) for number in range(1, plans + 1)))
    out.print(table)
    out.print("→: so many in all while no trajectory is right. trees: at most; the next only for an unsolved problem.")


def _training(training: Callable[[RoundConfig], TrainingConfig]) -> tuple[_Line, ...]:
    return (
        ("epochs", lambda plan: _epochs(training(plan))),
        ("batch", lambda plan: str(training(plan).batch_size)),
        ("learning rate", lambda plan: f"{training(plan).learning_rate:g} {training(plan).scheduler}"),
        ("warm-up, decay", lambda plan: f"{training(plan).warmup_ratio:g}, {training(plan).weight_decay:g}"),
        ("tokens a row", lambda plan: f"≤ {training(plan).max_tokens}"),
        ("DeepSpeed", lambda plan: f"{training(plan).deepspeed} {training(plan).precision}"),
        ("ranks", lambda plan: str(training(plan).ranks)),
    )


def _origin(config: RunConfig) -> str:
    problems = config.problems
    if problems.path or problems.dataset:
        first = f", the first {problems.limit}" if problems.limit else ""
        source = f"{problems.path or problems.dataset}{first}"
    else:
        source = f"{problems.count} embedded word problems"
    held_out = problems.held_out_path or f"{problems.held_out_count} of them"
    control = ", then the control" if config.control else ""
    return (
        f"run       {config.name}, in {config.runs}/{config.name}, seed {config.seed}\n"
        f"base      {config.base}\n"
        f"problems  {source}\n"
        f"held out  {held_out}, and {problems.validation_count} to measure the PPM's pairs\n"
        f"rounds    {config.rounds}{control}"
    )


def _heading(config: RunConfig, number: int) -> str:
    if number == len(config.round) < config.rounds:
        return f"rounds {number}–{config.rounds}"
    return f"round {number}"


def _policy(config: RunConfig, number: int) -> str:
    if number == 1:
        bootstrap = config.policy
        return str(bootstrap.model if bootstrap.kind == "endpoint" else bootstrap.path or config.base)
    before = f"r{number - 1}"
    if number == len(config.round) < config.rounds:
        before += f"…r{config.rounds - 1}"
    return f"policy {before}" + (f" + PPM {before}" if config.plan(number).search.annotation == "ppm" else "")


def _rollouts(search: SearchConfig) -> str:
    return " → ".join(map(str, (search.rollouts, *search.escalate_to)))


def _epochs(training: TrainingConfig) -> str:
    return f"{training.max_steps} steps" if training.max_steps else f"{training.epochs:g}"


_LINES: tuple[_Line, ...] = (
    ("annotation", lambda plan: plan.search.annotation),
    ("rollouts", lambda plan: _rollouts(plan.search)),
    ("candidates", lambda plan: str(plan.search.candidates)),
    ("trees", lambda plan: str(plan.search.trees)),
    ("temperature", lambda plan: f"{plan.search.temperature:g}"),
    ("depth", lambda plan: str(plan.search.depth)),
    ("train policy", None),
    ("paths a problem", lambda plan: f"best {plan.harvest.trajectories}"),
    *_training(lambda plan: plan.policy),
    ("train PPM", None),
    ("pairs a prefix", lambda plan: f"≤ {plan.harvest.pairs_per_side} × {plan.harvest.pairs_per_side}"),
    *_training(lambda plan: plan.ppm),
    ("System 2", None),
    ("rollouts", lambda plan: str(plan.evaluation.rollouts)),
    ("candidates", lambda plan: str(plan.evaluation.candidates)),
    ("temperature", lambda plan: f"{plan.evaluation.temperature:g}"),
    ("ways", lambda plan: ", ".join(plan.evaluation.strategies)),
)
