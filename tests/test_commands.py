"""What the commands do where nothing more is said."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from planting import plant

from rstar_math.cli import alone
from rstar_math.cli.compose import compose
from rstar_math.cli.main import main
from rstar_math.cli.solve import choice_of
from rstar_math.config import EvaluationConfig
from rstar_math.records import End, Rollout
from rstar_math.scripted import ExactJudge
from rstar_math.seedling import MODEL_PATH, SEED


async def test_solving_without_a_ppm_takes_the_most_frequent_answer() -> None:
    drawn = plant("a answer=4\nb answer=5\nc answer=5\nd answer=6")
    nodes = tuple(node._replace(prior=0.0) for node in drawn.nodes)
    tree = replace(drawn, nodes=nodes, rollouts=tuple(Rollout(leaf, End.ANSWER, 0.0) for leaf in range(1, 5)))
    unguided = await choice_of(tree, EvaluationConfig(choose="best"), ExactJudge(), guided=False)
    assert unguided is not None
    assert unguided.answer == "5"
    scored = replace(tree, nodes=(*nodes[:4], nodes[4]._replace(prior=0.7)))
    guided = await choice_of(scored, EvaluationConfig(choose="best"), ExactJudge(), guided=True)
    assert guided is not None
    assert guided.answer == "6"


@pytest.mark.parametrize(("given", "planned"), [({}, 4), ({"plan": "r2"}, 2)])
def test_an_evaluation_follows_the_last_rounds_plan_unless_told(given, planned, monkeypatch, tmp_path) -> None:
    asked = []

    def note(place, out, work, **inputs):
        asked.append((place, inputs))
        (tmp_path / "metrics.json").write_text("{}")
        return tmp_path

    @contextmanager
    def run(config, out):
        yield SimpleNamespace(alone=note, progress=SimpleNamespace(say=str))

    monkeypatch.setattr(alone, "open_run", run)
    config = compose(["preset=demo", "round.r4.evaluation.rollouts=5", "round.r2.evaluation.rollouts=3"])
    alone.evaluate_alone(config, {"policy": str(MODEL_PATH), "out": str(tmp_path), **given})
    place, inputs = asked[-1]
    assert (place.round, inputs["evaluation"].rollouts) == (planned, {4: 5, 2: 3}[planned])


@pytest.mark.parametrize(("given", "seed"), [([], SEED), (["seed=7"], 7)])
def test_the_seedling_is_made_from_the_shipped_ones_seed_unless_told(given, seed, monkeypatch, tmp_path) -> None:
    made = []
    monkeypatch.setattr(alone, "grow_seedling_alone", lambda out, seed: made.append((out, seed)))
    result = CliRunner().invoke(main, ["seedling", f"out={tmp_path}", *given])
    assert result.exit_code == 0, result.output
    assert made == [(tmp_path, seed)]
