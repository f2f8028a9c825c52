"""The whole story: problems in, a better policy and a better PPM out, round after round (paper §3.4, figure 1).

    problems ─grow─▶ trees ─harvest─▶ policy examples ─▶ policy ─┐
        ▲                └──harvest─▶ preference pairs ─▶ PPM ───┤
        └──────────────────── next round ◀───────────────────────┘

Every `once` below is a stage that happens once: what is finished is returned unread, what was stopped is continued. Between
stages only paths travel. What a stage does stands in `stages`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from rstar_math.config import PolicyConfig
from rstar_math.evolution.feasible import check_plan, check_problems
from rstar_math.evolution.models import examples_for
from rstar_math.evolution.room import say_if_short
from rstar_math.evolution.run import Run, UntilReached
from rstar_math.evolution.scoring import score
from rstar_math.evolution.stages import (
    gather_problems,
    grow,
    harvest,
    train_control,
    train_policy,
    train_ppm,
)


def evolve(run: Run, start: str | None = None) -> None:
    """Does every stage of the plan that is not done yet, up to `until`; with `start` (`from=`) that stage and all later ones
    again.

    Raises:
        ConfigError, InputError: a stage to come could not be done; nothing was started, and nothing set aside.
        StageError: `start` names nothing that would be done again.
        RstarError: a stage cannot be done; everything finished before it stays.
    """
    check_plan(run.config)
    check_problems(run.config.problems)
    if start:
        run.start_over(start)
    try:
        _rounds(run)
    except UntilReached:
        run.progress.say("Stopped where until= says; the same command without it goes on.")


def _rounds(run: Run) -> None:
    once, plan = run.once, run.config.plan
    generator: str | Path | PolicyConfig = run.bootstrap
    base = run.base  # a folder that is no model is refused here, before any work
    problems = once(0, "problems", gather_problems, problems=run.config.problems)
    say_if_short(run)
    shown = partial(examples_for, asked=run.config.policy)
    if shown(generator):
        run.progress.say(
            "Round 1's model was not trained in the text format here: worked examples stand before every problem "
            "(policy.few_shot=FILE: others; null: none)."
        )
    evaluation = replace(plan(1).evaluation, few_shot=shown(base))
    once(0, "scores", score, evaluation=evaluation, problems=problems, policy=base, ppm=None)

    policy = ppm = None
    for number in range(1, run.config.rounds + 1):
        this = plan(number)
        search = replace(this.search, few_shot=shown(generator))
        trees = once(number, "trees", grow, search=search, problems=problems, policy=generator, ppm=ppm)
        crop = once(number, "harvest", harvest, harvest=this.harvest, trees=trees)
        policy = once(number, "policy", train_policy, training=this.policy, base=base, crop=crop)
        ppm = once(number, "ppm", train_ppm, training=this.ppm, policy=policy, crop=crop)
        once(number, "scores", score, evaluation=this.evaluation, problems=problems, policy=policy, ppm=ppm)
        generator = policy

    if run.config.has_control and policy is not None:
        _control(run, problems, policy)


def _control(run: Run, problems: Path, policy: Path) -> None:
    """What the base gains from its own solved problems in as many steps: self-evolution's gain is the gain over it."""
    last = run.config.plan(run.config.rounds)
    number = run.config.rounds
    control = run.once(number, "control", train_control, training=last.policy, base=run.base, like=policy)
    evaluation = last.evaluation
    run.once(number, "control-scores", score, evaluation=evaluation, problems=problems, policy=control, ppm=None)
