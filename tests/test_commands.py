"""What the commands do where nothing more is said."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from planting import plant

from rstar_math.cli import alone
from rstar_math.cli import evaluate as evaluating
from rstar_math.cli.compose import compose
from rstar_math.cli.main import main
from rstar_math.cli.solve import choice_of
from rstar_math.config import EvaluationConfig, PolicyConfig, RunConfig
from rstar_math.errors import ConfigError
from rstar_math.problems.benchmarks import benchmark_names, compose_benchmark
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


@dataclass(frozen=True)
class NotedRun:
    """A run that does no stage but notes which ones are asked for."""

    config: RunConfig
    asked: list[Any]
    label: str = ""

    def alone(self, place, out, work, **inputs):
        self.asked.append((place, out, inputs, self.config.seed))
        out.mkdir(parents=True)
        (out / "answers.jsonl").write_text("")
        for name in ("metrics.json", "scaling.json"):
            (out / name).write_text("[]")
        return out

    @property
    def progress(self):
        return SimpleNamespace(say=str)


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """Runs the command with what is given; the stages it asked for."""

    def evaluate(*overrides: str, **given: str):
        asked: list[Any] = []

        @contextmanager
        def noted(config, out):
            yield NotedRun(config, asked)

        monkeypatch.setattr(evaluating, "open_run", noted)
        plans = ("round.r4.evaluation.rollouts=5", "round.r2.evaluation.rollouts=3")
        config = compose(["preset=demo", *plans, *overrides])
        evaluating.evaluate(config, {"policy": str(MODEL_PATH), "out": str(tmp_path / "out"), **given})
        return [(place, out.relative_to(tmp_path / "out"), inputs, seed) for place, out, inputs, seed in asked]

    return evaluate


@pytest.mark.parametrize(("given", "planned"), [({}, 4), ({"plan": "r2"}, 2)])
def test_an_evaluation_follows_the_last_rounds_plan_unless_told(given, planned, measure) -> None:
    place, _, inputs, _ = measure(**given)[-1]
    assert (place.round, inputs["evaluation"].rollouts) == (planned, {4: 5, 2: 3}[planned])


def test_every_benchmark_seed_and_search_is_a_stage_of_its_own(measure, tmp_path) -> None:
    (tmp_path / "gsm8k_test.jsonl").write_text("")
    stages = measure(
        benchmark="gsm8k,held-out", benchmarks=str(tmp_path), strategy="greedy,majority@8", seeds="2", limit="9"
    )
    assert [(str(out), seed) for _, out, _, seed in stages] == [
        (f"{name}/{folder}", seed)
        for name in ("gsm8k", "held-out")
        for folder, seed in (
            ("problems", 0), ("seed-0/greedy", 0), ("seed-0/sample@8", 0), ("seed-1/greedy", 1), ("seed-1/sample@8", 1),
        )
    ]  # fmt: skip
    problems = stages[0][2]["problems"]
    assert (problems.path, problems.limit) == (str(tmp_path / "gsm8k_test.jsonl"), 9)
    assert stages[5][2]["problems"].path is None


def test_ways_in_plain_words_are_asked_for_beside_the_others_each_with_its_benchmarks_kind_of_question(
    measure, tmp_path
):
    for name in ("strategyqa_dev", "math500"):
        (tmp_path / f"{name}.jsonl").write_text("")
    stages = measure(
        benchmark="strategyqa,math500,held-out",
        benchmarks=str(tmp_path),
        strategy="greedy,self-consistency@4,mutual",
        discriminator=str(MODEL_PATH),
    )
    asked = {str(out): inputs for _, out, inputs, _ in stages if "seed-0" in str(out)}
    assert list(asked)[:3] == [f"strategyqa/seed-0/{name}" for name in ("greedy", "self-consistency@4", "mutual")]
    assert asked["strategyqa/seed-0/greedy"].keys() == {"evaluation", "problems", "policy", "ppm"}
    assert {name: inputs["mutual"].task for name, inputs in asked.items() if name.endswith("mutual")} == {
        "strategyqa/seed-0/mutual": "strategyqa",
        "math500/seed-0/mutual": "math",
        "held-out/seed-0/mutual": "wordproblems",
    }
    assert asked["held-out/seed-0/mutual"]["mutual"].strategies == ("generator-majority", "mutual")
    assert asked["held-out/seed-0/mutual"]["discriminator"] == str(MODEL_PATH)
    assert asked["held-out/seed-0/self-consistency@4"]["discriminator"] is None


def test_the_second_model_may_stand_behind_a_server_of_its_own(measure) -> None:
    server = ("discriminator.url=http://127.0.0.1:8000/v1", "discriminator.model=second", "discriminator.tries=2")
    stages = measure(*server, strategy="mutual", discriminator="endpoint")
    (second,) = (inputs["discriminator"] for _, out, inputs, _ in stages if out.name == "mutual")
    assert second == PolicyConfig("endpoint", url="http://127.0.0.1:8000/v1", model="second", tries=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"benchmark": "gsm9k"}, "benchmark=gsm9k: choose from .*gsm8k"),
        ({"benchmark": "strategyqa"}, r"no strategyqa_dev.jsonl named: benchmarks=FOLDER"),
        ({"benchmark": "gsm8k", "benchmarks": "nowhere"}, "there is no such folder"),
        ({"strategy": "mcts"}, "needs a PPM"),
        ({"strategy": "mutual"}, "discriminator=MODEL"),
        ({"strategy": "self-consistency@x"}, "self-consistency@x: choose from"),
        ({"policy": "endpoint"}, r"policy\.url="),
        ({"strategy": "mutual", "discriminator": "endpoint"}, r"discriminator\.url="),
        ({"limit": "0"}, "limit=0"),
        ({"seeds": "-1"}, "seeds=-1"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_starts(given, said, measure) -> None:
    with pytest.raises(ConfigError, match=said):
        measure(**given)


def test_every_benchmark_can_be_read() -> None:
    for name in benchmark_names():
        compose_benchmark(name)


@pytest.mark.parametrize(("given", "seed"), [([], SEED), (["seed=7"], 7)])
def test_the_seedling_is_made_from_the_shipped_ones_seed_unless_told(given, seed, monkeypatch, tmp_path) -> None:
    made = []
    monkeypatch.setattr(alone, "grow_seedling_alone", lambda out, seed: made.append((out, seed)))
    result = CliRunner().invoke(main, ["seedling", f"out={tmp_path}", *given])
    assert result.exit_code == 0, result.output
    assert made == [(tmp_path, seed)]
