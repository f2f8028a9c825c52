"""question -> answer, with the path that leads to it.

One question by any way of answering (paper §4.1: System 2), read out for a person. Which models, if none are named: those of
the run's last finished round. By which knobs: those of the run that made them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import click

from rstar_math.cli.compose import compose, compose_again
from rstar_math.cli.launch import open_fleet
from rstar_math.cluster.dispatch import Poisoned
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.config import PolicyConfig, RunConfig, SearchConfig
from rstar_math.errors import ConfigError, EngineError
from rstar_math.evaluation.choice import Choice, choose, solutions
from rstar_math.evaluation.strategies import Strategy, strategies
from rstar_math.evaluation.worths import weigh, with_worths
from rstar_math.evolution.answering import second_model
from rstar_math.evolution.models import examples_for, model_or_server, resolve
from rstar_math.evolution.store import MANIFEST, check_inputs
from rstar_math.grading import ProcessJudge
from rstar_math.mutual.choice import choose_consistent
from rstar_math.mutual.discriminator import Discriminator
from rstar_math.mutual.tasks import read_task, task_folder
from rstar_math.mutual.ways import is_way, ways
from rstar_math.ports import Judge
from rstar_math.records import Problem, Tree
from rstar_math.report.solution import show_solution
from rstar_math.sandbox import ProcessSandbox
from rstar_math.search.agreement import alike
from rstar_math.search.task import Task


def solve_one(question: str, overrides: Sequence[str], given: Mapping[str, str], *, as_json: bool) -> bool:
    """Searches, chooses, prints; whether there is an answer.

    Raises:
        ConfigError: no models were named and the run has no finished round, a PPM was named without a policy, or the way of
            answering lacks one.
        StageError: a model that a stage made is damaged.
    """
    config, models, discriminator = asked_models(overrides, given)
    name = given.get("strategy", "mcts" if models.ppm else "mcts-majority")
    asking = _Asking(config, models, discriminator, Problem("question", question, ""))
    strategy = asking.strategy(name)
    with open_fleet(config) as fleet:
        tree, choice = asyncio.run(asking.answer(fleet, strategy))
    if as_json:
        click.echo(json.dumps(_object(tree, choice), ensure_ascii=False))
    elif choice:
        scores = [tree.nodes[index].prior if strategy.scored else None for index in tree.path(choice.leaf)]
        show_solution(tree.steps(choice.leaf), scores, choice.answer, choice.score if strategy.scored else None)
    if choice is None:
        more = _more(name, strategy.plan.rollouts, config)
        click.echo(f"No answer: none of {len(tree.rollouts)} rollouts reached one; try more, with {more}", err=True)
    return choice is not None


def asked_models(
    overrides: Sequence[str], given: Mapping[str, str]
) -> tuple[RunConfig, Models, str | PolicyConfig | None]:
    """Who is asked, a second model too if one is named, and the knobs of the run that made the policy.

    Raises:
        ConfigError: no models were named and the run has no finished round, or a PPM was named without a policy.
        StageError: a model that a stage made is damaged.
    """
    config = compose(overrides)
    models = _models(config, given)
    if isinstance(models.policy, str) and (record := _record(models.policy)):
        config = compose_again(record, overrides)
    second = given.get("discriminator")
    discriminator = model_or_server("discriminator", second, config.discriminator) if second else None
    check_inputs([models.policy, models.ppm, discriminator])
    return config, models, discriminator


def _more(name: str, rollouts: int, config: RunConfig) -> str:
    """How to ask for four times as many."""
    way, _, number = name.partition("@")
    if number or way == "self-consistency":
        return f"strategy={way}@{4 * rollouts}"
    if way == "greedy" or way.endswith("-cot"):
        return "strategy=majority@8 or another one that draws more than one"
    return (
        f"{'mutual' if is_way(name) else f'round.{config.plan_name(config.rounds)}.evaluation'}.rollouts={4 * rollouts}"
    )


@dataclass(frozen=True)
class _Asking:
    """One question, and who is asked."""

    config: RunConfig
    models: Models
    discriminator: str | PolicyConfig | None
    problem: Problem

    def strategy(self, name: str) -> Strategy:
        """The way of answering; a search without a PPM goes by the most frequent answer of all trajectories.

        Raises:
            ConfigError: there is none of that name, or it needs a model that is not there.
        """
        if is_way(name):
            mutual = replace(self.config.mutual, strategies=(name,))
            known = ways(mutual, self._task(), second=self.discriminator is not None)
            return next(strategy for strategy in known if strategy.name == name)
        evaluation, scored = self.config.plan(self.config.rounds).evaluation, self.models.ppm is not None
        (found,) = strategies([name], evaluation, guided=scored or name.startswith("mcts-majority"))
        return found if scored else replace(found, scored=False, top=found.plan.rollouts)

    async def answer(self, fleet: Fleet, strategy: Strategy) -> tuple[Tree, Choice | None]:
        """The tree, and the choice among its trajectories."""
        async with ProcessJudge(self.config.grading) as judge:
            if is_way(strategy.name):
                tree = await self._grown(fleet, strategy.plan, Models(self.models.policy))
                consistent = await self._consistent(fleet, tree, judge) if strategy.name == "mutual" else []
                return tree, choose_consistent(tree, consistent, await _alike(tree, judge), drawn=strategy.drawn)
            guide = self.models.ppm if strategy.guided else None
            shown = examples_for(self.models.policy, self.config.policy)
            tree = await self._grown(fleet, replace(strategy.plan, few_shot=shown), Models(self.models.policy, guide))
            if strategy.scored and not strategy.guided and self.models.ppm:
                weighed = await weigh(tree, await fleet.scorer(self.models.ppm))
                (tree,) = with_worths([tree], {tree.problem.id: weighed})
                tree = replace(tree, cost=weighed.added_to(tree.cost))
            return tree, await choice_of(tree, strategy, judge)

    def _task(self) -> Task:
        """The kind of question: a word problem where nothing else is said."""
        return read_task(task_folder(self.config.mutual.task or "gsm8k"))

    async def _grown(self, fleet: Fleet, plan: SearchConfig, models: Models) -> Tree:
        (found,) = [
            each async for each in fleet.grow([self.problem], models, plan, seed=self.config.seed, graded=False)
        ]
        if isinstance(found, Poisoned):
            raise EngineError(f"its search worker or engine died {found.deaths} times on this question: {found.cause}")
        (tree,) = found
        return tree

    async def _consistent(self, fleet: Fleet, tree: Tree, judge: Judge) -> list[int]:
        if self.discriminator is None:
            raise TypeError("mutual reasoning was begun without a second model")
        mutual, config = self.config.mutual, self.config
        task = self._task()
        async with (
            second_model(fleet, self.discriminator, config.seed) as second,
            ProcessSandbox(config.sandbox) if task.code else nullcontext() as sandbox,
        ):
            looking = Discriminator(second, judge, task, mutual.masking, config.seed, sandbox)
            return (await looking.judge(tree)).consistent(mutual.agreement)


async def choice_of(tree: Tree, strategy: Strategy, judge: Judge) -> Choice | None:
    """What the strategy's rule chooses."""
    found, same = solutions(tree, drawn=strategy.drawn), await _alike(tree, judge)
    return choose(found, strategy.rule, strategy.top, same, drawn=strategy.drawn)


async def _alike(tree: Tree, judge: Judge) -> dict[str, str]:
    return await alike([choice.answer for choice in solutions(tree, drawn=False)], judge)


def _record(policy: str) -> Path | None:
    """The record of the run that made a policy, RUN/round-N/policy or RUN/policy; None where no run made it."""
    folders = list(Path(policy).absolute().parents)[:2]
    return next((folder / "run.json" for folder in folders if (folder / "run.json").is_file()), None)


def _object(tree: Tree, choice: Choice | None) -> dict[str, object]:
    nodes = [tree.nodes[index] for index in tree.path(choice.leaf)] if choice else []
    path = [{"step": node.step.text, "output": node.step.output, "score": node.prior} for node in nodes]
    return {
        "question": tree.problem.question,
        "answer": choice.answer if choice else None,
        "score": choice.score if choice else None,
        "path": path,
        "rollouts": len(tree.rollouts),
    }


def _models(config: RunConfig, given: Mapping[str, str]) -> Models:
    if "policy" in given:
        ppm = resolve(given["ppm"], "ppm") if "ppm" in given else None
        return Models(model_or_server("policy", given["policy"], config.policy), ppm)
    if "ppm" in given:
        raise ConfigError(
            f"ppm={given['ppm']}: whose steps is it to score? Name policy=MODEL too, or neither of them to take both from "
            "the run's last round"
        )
    root = Path(config.runs) / config.name
    rounds = sorted(root.glob("round-*"), key=lambda path: int(path.name[6:]), reverse=True)
    for folder in rounds:
        if (folder / "policy" / MANIFEST).is_file() and (folder / "ppm" / MANIFEST).is_file():
            return Models(str(folder / "policy"), str(folder / "ppm"))
    raise ConfigError(
        f"{root} has no finished round to take the models from; run `rstar-math evolve` first, or name them: "
        "policy=FOLDER ppm=FOLDER"
    )
