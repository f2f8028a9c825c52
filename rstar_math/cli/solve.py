"""question -> answer, with the path that leads to it.

System 2 on one question (paper §4.1): the search of a run's evaluation, read out for a person. Which models, if none are
named: those of the run's last finished round. By which knobs: those of the run that made them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from rstar_math.cli.compose import compose, compose_again
from rstar_math.cli.launch import open_fleet
from rstar_math.cluster.fleet import Fleet, Models, Poisoned
from rstar_math.config import EvaluationConfig, RunConfig
from rstar_math.errors import ConfigError, EngineError
from rstar_math.evaluation.choice import Choice, choose, solutions
from rstar_math.evaluation.strategies import strategies
from rstar_math.evolution.models import resolve
from rstar_math.evolution.store import MANIFEST
from rstar_math.grading import ProcessJudge
from rstar_math.ports import Judge
from rstar_math.records import Problem, Tree
from rstar_math.report.solution import show_solution
from rstar_math.search.agreement import alike


def solve_one(question: str, overrides: Sequence[str], given: Mapping[str, str], *, as_json: bool) -> bool:
    """Searches, chooses by the PPM (without one: the answer that most trajectories reach), prints; whether there is one.

    Raises:
        ConfigError: no models were named and the run has no finished round.
    """
    config = compose(overrides)
    models = _models(config, given)
    record = _record(str(models.policy))
    if record:
        config = compose_again(record, overrides)
    plan = config.plan(config.rounds)

    async def work(fleet: Fleet) -> tuple[Tree, Choice | None]:
        (system2,) = strategies(["mcts"], plan.evaluation, guided=True)
        grown = fleet.grow([Problem("question", question, "")], models, system2.plan, seed=config.seed, graded=False)
        (found,) = [found async for found in grown]
        if isinstance(found, Poisoned):
            raise EngineError(f"the search worker died {found.deaths} times on this question: {found.cause}")
        (tree,) = found
        async with ProcessJudge(config.grading) as judge:
            return tree, await choice_of(tree, plan.evaluation, judge, guided=models.ppm is not None)

    with open_fleet(config) as fleet:
        tree, choice = asyncio.run(work(fleet))
    if as_json:
        click.echo(json.dumps(_object(tree, choice), ensure_ascii=False))
    elif choice:
        scores = [tree.nodes[index].prior for index in tree.path(choice.leaf)]
        show_solution(tree.steps(choice.leaf), scores, choice.answer, choice.score)
    if choice is None:
        more = f"round.{config.plan_name(config.rounds)}.evaluation.rollouts={4 * plan.evaluation.rollouts}"
        click.echo(f"No answer: none of {len(tree.rollouts)} rollouts reached one; try more, with {more}", err=True)
    return choice is not None


async def choice_of(tree: Tree, evaluation: EvaluationConfig, judge: Judge, *, guided: bool) -> Choice | None:
    """The evaluation's choice. Unguided, every trajectory scores 0, so only their number can tell answers apart."""
    found = solutions(tree, drawn=False)
    same = await alike([choice.answer for choice in found], judge)
    rule, top = (evaluation.choose, evaluation.top) if guided else ("majority", len(found))
    return choose(found, rule, top, same)


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
        return Models(resolve(given["policy"]), resolve(given["ppm"], "ppm") if "ppm" in given else None)
    root = Path(config.runs) / config.name
    rounds = sorted(root.glob("round-*"), key=lambda path: int(path.name[6:]), reverse=True)
    for folder in rounds:
        if (folder / "policy" / MANIFEST).is_file() and (folder / "ppm" / MANIFEST).is_file():
            return Models(str(folder / "policy"), str(folder / "ppm"))
    raise ConfigError(
        f"{root} has no finished round to take the models from; run `rstar-math evolve` first, or name them: "
        "policy=FOLDER ppm=FOLDER"
    )
