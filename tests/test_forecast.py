"""What a run will take: worked out by hand, held against the real search, the measured runs and the paper's own budget."""

import io
import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from planting import plant
from rich.console import Console

from rstar_math.checkpoints import parameters_of, shape_of
from rstar_math.cli.compose import compose
from rstar_math.config import (
    EngineConfig,
    ForecastConfig,
    ModelConfig,
    ProblemsConfig,
    RunConfig,
    SearchConfig,
    TrainingConfig,
)
from rstar_math.disk import seal
from rstar_math.errors import ConfigError, InputError, StageError
from rstar_math.evolution.forecasting import foresee
from rstar_math.evolution.habits import _whole_seconds, measured
from rstar_math.forecast.machines import DEVICES, cache_tokens, speeds, training_gb
from rstar_math.forecast.work import expansions, search_work, tree_work
from rstar_math.records import Problem, Proposal, Sampling, Transcript
from rstar_math.report.forecast import show_forecast
from rstar_math.report.published import beside_what_is_published
from rstar_math.scripted import ExactJudge, InProcessSandbox
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow
from rstar_math.search.storage import write_trees
from rstar_math.seedling import MODEL_PATH
from rstar_math.text import CODE_END, STEP_END, join

SEVEN = ModelConfig(parameters=7.6e9, layers=28, hidden=3584, kv_width=1024, vocabulary=152_064)
HABITS = ForecastConfig(steps=3, kept=1.0, step_tokens=10, question_tokens=100, output_tokens=0)


def test_a_level_has_no_more_expansions_than_rollouts_nor_than_nodes() -> None:
    assert expansions(16, 8, 3) == (1 + 8, 16)
    assert expansions(5, 8, 3) == (1 + 5, 5)
    assert expansions(100, 2, 4) == (1 + 2 + 4, 8)
    assert expansions(16, 8, 2.5) == (1 + 0.5 * 8, 0.5 * 8 + 0.5 * 16)


class EveryStep:
    """A policy that always has `branching` different steps to say, three in a row, then one answer."""

    def __init__(self, branching: int) -> None:
        self._branching = branching

    async def propose(self, transcript: Transcript, count: int, _: Sampling) -> list[Proposal]:
        written = join(transcript)
        if "<output>" in written:
            return [Proposal("<answer>\\boxed{1}<end_of_answer>", 1)]
        depth = written.count(STEP_END)
        said = [f"x = {number}\n{STEP_END if depth < 2 else CODE_END}" for number in range(self._branching)]
        return [Proposal(each, 1) for each in said]


@pytest.mark.parametrize(("rollouts", "branching"), [(4, 3), (9, 3), (16, 2), (30, 4)])
async def test_a_textbook_search_expands_as_many_nodes_as_predicted(rollouts, branching) -> None:
    plan = SearchConfig(rollouts=rollouts, candidates=branching)
    doors = Doors(EveryStep(branching), InProcessSandbox(), None, ExactJudge())
    (tree,) = await grow(Problem("p", "1?", "1"), doors, plan, 0)
    predicted = tree_work(plan, replace(HABITS, steps=4), rollouts)
    assert (tree.cost.expansions, len(tree.nodes) - 1) == (predicted.expansions, predicted.nodes)


def test_the_tokens_of_one_tree_by_hand() -> None:
    plan = SearchConfig(rollouts=5, candidates=8)
    work = tree_work(plan, HABITS, 5)  # 6 expansions of 8 candidates, 5 answers of one; 53 nodes
    assert (work.expansions, work.nodes, work.generated, work.read) == (11, 53, 530, 0)
    assert tree_work(replace(plan, annotation="ppm"), HABITS, 5).read == 100 + 53 * 10
    drawn = tree_work(SearchConfig(kind="sample", rollouts=4, candidates=1), HABITS, 4)
    assert (drawn.generated, drawn.read) == (4 * 3 * 10, 0)


def test_the_unsolved_share_goes_on_to_the_last_total_in_every_tree() -> None:
    plan = SearchConfig(rollouts=5, candidates=8, escalate_to=(10, 20), trees=2)
    once, hard = tree_work(plan, HABITS, 5).generated, tree_work(plan, HABITS, 20).generated
    assert search_work(plan, HABITS, 0.25, 100).generated == pytest.approx(75 * once + 25 * 2 * hard)


def test_memory_of_a_training_rank_by_hand() -> None:
    model = ModelConfig(parameters=1e9, layers=10, hidden=1000, kv_width=100, vocabulary=1000)
    plan = TrainingConfig(ranks=4, micro_batch_size=1, max_tokens=1000)
    kept, logits = 1000 * 10 * 1000 * 2 / 1e9, 1000 * 1000 * 10 / 1e9
    for stage, bytes_each in (("zero1", 4 + 3), ("zero2", 2 + 3.5), ("zero3", 4), ("zero3-offload", 1)):
        training = replace(plan, deepspeed=stage)
        assert training_gb(model, training, logits=True) == pytest.approx(1.25 * (bytes_each + kept + logits))
        assert training_gb(model, training, logits=False) == pytest.approx(1.25 * (bytes_each + kept))
    whole = replace(plan, deepspeed="zero2", gradient_checkpointing=False, precision="fp32")
    assert training_gb(model, whole, logits=False) == pytest.approx(1.25 * (4 + 4 + 17 * kept))


#: Peaks of real trainings of 1.54B parameters on one H200, 8 rows of 1,030 tokens at a time (docs/traps.md, GPUs).
@pytest.mark.parametrize(
    ("deepspeed", "logits", "measured_gb"),
    [("zero2", True, 47.8), ("zero2-offload", True, 27.6), ("zero3-offload", True, 26.1), ("zero2", False, 34.0)],
)
def test_the_memory_of_real_trainings_is_predicted_within_fifteen_percent(deepspeed, logits, measured_gb) -> None:
    model = ModelConfig(parameters=1.544e9, layers=28, hidden=1536, kv_width=512, vocabulary=151_936)
    plan = TrainingConfig(ranks=1, micro_batch_size=8, max_tokens=1030, deepspeed=deepspeed)
    assert training_gb(model, plan, logits=logits) == pytest.approx(measured_gb, rel=0.15)


def test_an_engine_decodes_within_its_devices_limits_and_a_measured_speed_wins() -> None:
    policy = EngineConfig(max_sequences=256)
    found = speeds(ForecastConfig(), SEVEN, policy, policy)
    assert found is not None
    device = DEVICES["a100-40gb"]
    reads_weights_once_a_token = device.bandwidth / (2 * SEVEN.parameters)
    assert reads_weights_once_a_token < found.generated < 256 * reads_weights_once_a_token
    assert cache_tokens(SEVEN, device, policy) == pytest.approx((40e9 * 0.9 - 2 * 7.6e9) / (2 * 28 * 1024))
    assert speeds(ForecastConfig(generated_per_second=7.0), SEVEN, policy, policy) == found._replace(generated=7.0)
    assert speeds(ForecastConfig(hardware="cpu"), SEVEN, policy, policy) is None


#: What whole runs of the demo's preset generated, in tokens, and left on disk, in bytes, by seed (docs/demo.md).
DEMO = {
    "0": (1_775_063, 25_442_212),
    "0, a clean clone": (1_766_453, 25_442_710),
    "0, another": (1_801_907, 25_611_663),
    "0, one more clean clone": (1_648_725, 25_315_625),
    "1": (1_679_527, 25_356_088),
    "2": (1_762_465, 25_369_662),
}


@pytest.mark.parametrize(("tokens", "disk"), DEMO.values(), ids=[f"seed {seed}" for seed in DEMO])
def test_the_demos_tokens_and_disk_are_predicted_within_thirty_percent(tokens, disk) -> None:
    made, _ = foresee(compose(["preset=demo"]))
    grown = sum(stage.tokens for stage in made.stages if stage.name in ("trees", "scores"))
    assert grown == pytest.approx(tokens, rel=0.3)
    assert made.total("disk") == pytest.approx(disk, rel=0.3)


def test_the_papers_own_budget_comes_out_within_a_factor_of_two() -> None:
    ranks = [f"round.r{number}.{kind}.ranks=60" for number in range(1, 5) for kind in ("policy", "ppm")]
    sixty = ["preset=paper", "cluster=multi-node", "engine.replicas=30", "ppm_engine.replicas=30", *ranks]
    made, shown = foresee(compose(sixty))
    assert shown.given.sizes.train == 747_000 - 340
    for number, days in ((2, 3), (3, 3), (4, 7)):
        hours = sum(stage.hours or 0 for stage in made.stages if stage.round == number)
        assert days / 2 < hours / 24 < days * 2


def test_the_plan_says_how_far_it_is_from_the_papers_budget_and_why() -> None:
    """It stood in the README alone."""
    ranks = [f"round.r{number}.{kind}.ranks=60" for number in range(1, 5) for kind in ("policy", "ppm")]
    sixty = ["preset=paper", "cluster=multi-node", "engine.replicas=30", "ppm_engine.replicas=30", *ranks]
    made, shown = foresee(compose(sixty))
    said = list(beside_what_is_published(made, shown.given))
    found = re.search(r"on as many: (.*), (.*) and (.*) days, (.*), (.*) and (.*) times as long", said[0])
    assert found
    days, factors = ([float(each) for each in found.groups()[start : start + 3]] for start in (0, 3))
    assert factors == pytest.approx([each / other for each, other in zip(days, (3, 3, 7), strict=True)], abs=0.02)
    assert all(1 / 2 < factor < 2 for factor in factors)
    # What it names as the difference makes it: with those values the published days come out.
    for knob in ("step_tokens", "search_share"):
        (line,) = (line for line in said if line.startswith("Round 3 would take the published 3 days"))
        (value,) = re.findall({"step_tokens": r"steps of (\d+)", "search_share": r"reaches (\d+)%"}[knob], line)
        other = compose([*sixty, f"forecast.{knob}={float(value) / (100 if knob == 'search_share' else 1)}"])
        hours = sum(stage.hours or 0 for stage in foresee(other)[0].stages if stage.round == 3)
        assert hours / 24 == pytest.approx(3, rel=0.03)
    assert any("Round 2's search waits for the policy engines" in line and "asked nothing" in line for line in said)
    assert any(line.startswith("Round 1 is not comparable: a coder of 236 billion") for line in said)


@pytest.mark.parametrize(
    "otherwise",
    [
        "forecast.hardware=h100-80gb",
        "model=phi3-mini",
        "forecast.problems=1000",
        "preset=demo",
        "forecast.published=null",
    ],
)
def test_what_is_not_comparable_is_not_compared(otherwise) -> None:
    made, shown = foresee(compose(["preset=paper", otherwise] if "preset" not in otherwise else [otherwise]))
    assert not list(beside_what_is_published(made, shown.given))


def test_the_forecast_of_a_rounds_scores_goes_by_what_it_is_measured_by() -> None:
    """It counted greedy decoding and System 2, whatever was asked for."""

    def scores(*names: str) -> tuple[float, float]:
        made, _ = foresee(compose(["rounds=1", f"round.r1.evaluation.strategies=[{','.join(names)}]"]))
        (stage,) = (stage for stage in made.stages if stage.name == "scores")
        return stage.tokens, stage.read

    (greedy, unread), (both, read) = scores("greedy"), scores("greedy", "mcts")
    drawn, weighed = scores("majority@8", "best-of-n@8")  # one set of solutions, which the PPM scores
    assert unread == 0 < read
    assert both > 2 * greedy
    assert drawn == pytest.approx(8 * greedy)
    assert weighed > 0
    assert scores("mcts", "mcts-majority") == scores("mcts")


def test_the_size_of_a_model_is_read_from_its_folder() -> None:
    shape = shape_of(MODEL_PATH)
    assert shape | {"parameters": 0} == {
        "parameters": 0,
        "layers": 6,
        "hidden": 128,
        "kv_width": 128,
        "vocabulary": 1128,
    }
    embedding, attention = 1128 * 128, 2 * 128 * 128 + 2 * 128 * 64 + 128 + 2 * 64
    layer = attention + 3 * 128 * 256 + 2 * 128
    assert shape["parameters"] == embedding + 6 * layer + 128


def test_a_model_of_another_making_is_counted_all_the_same(tmp_path: Path) -> None:
    shutil.copytree(MODEL_PATH, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"architectures": ["GPT2LMHeadModel"], "n_layer": 6}))
    assert parameters_of(tmp_path / "model") == parameters_of(MODEL_PATH)
    with pytest.raises(ConfigError, match=r"names no .*; say how large the model is with forecast\.model"):
        foresee(RunConfig(base=str(tmp_path / "model")))
    given = ForecastConfig(model=SEVEN)
    foresee(RunConfig(base=str(tmp_path / "model"), forecast=given))


def test_what_cannot_be_known_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"base=some/model is not known here.*forecast\.model"):
        foresee(RunConfig(base="some/model"))
    with pytest.raises(ConfigError, match=r"forecast\.problems"):
        foresee(RunConfig(problems=ProblemsConfig(dataset="some/set")))
    with pytest.raises(InputError, match="no run with a finished round"):
        measured(tmp_path, ForecastConfig())


def test_a_damaged_record_of_the_run_to_predict_by_is_named_with_the_way_out(tmp_path: Path) -> None:
    """It ended `plan measured=` with a traceback."""
    for stage in ("trees", "harvest", "policy", "ppm", "scores"):
        (tmp_path / "round-1" / stage).mkdir(parents=True)
        seal(tmp_path / "round-1" / stage / "manifest.json", {"metrics": {}, "seconds": 2.0})
    (tmp_path / "run.json").write_text('{"config": ')
    with pytest.raises(StageError, match=r"run\.json cannot be read .*without measured="):
        measured(tmp_path, ForecastConfig())


def test_a_run_that_solved_nothing_leaves_what_it_cannot_show_as_it_was_assumed(tmp_path: Path) -> None:
    told = {
        "trees": {"tokens": 60, "trees": 1, "rollouts": 2, "nodes": 5},
        "harvest": {"problems": 1, "coverage": 0.0, "problems_all_alike": 1},
        "policy": {"steps": 0, "rows": 0},
        "ppm": {"steps": 0, "rows": 0},
        "scores": {},
    }
    for stage, metrics in told.items():
        folder = tmp_path / "round-1" / stage
        folder.mkdir(parents=True)
        seal(folder / "manifest.json", {"metrics": metrics, "seconds": 2.0})
    seal(tmp_path / "run.json", {"config": asdict(RunConfig())})
    (tmp_path / "round-1" / "trees" / "train").mkdir()
    drawn = plant("a\n  print code=4\n    four answer=4 wrong\nb\n  print code=5\n    five answer=5 wrong")
    write_trees(tmp_path / "round-1" / "trees" / "train", 0, [drawn])
    assumed = ForecastConfig()
    found = measured(tmp_path, assumed)
    assert (found.steps, found.kept, found.generated_per_second, found.solved) == (3.0, 4 / 3 / 8, 30.0, (0.0,))
    same = ("question_tokens", "distinct", "groups", "trained_per_second", "token_bytes")
    assert [getattr(found, name) for name in same] == [getattr(assumed, name) for name in same]


def test_ones_own_problems_are_counted(tmp_path: Path) -> None:
    rows = [json.dumps({"question": f"{number} + 1?", "answer": str(number + 1)}) for number in range(50)]
    (tmp_path / "own.jsonl").write_text("\n".join(rows))
    _, shown = foresee(RunConfig(problems=ProblemsConfig(path=str(tmp_path / "own.jsonl"))))
    assert shown.given.sizes == (40, 5, 5)


def test_the_table_has_a_row_a_stage_its_sums_and_what_it_goes_by() -> None:
    log = io.StringIO()
    show_forecast(*foresee(compose(["preset=paper", "cluster=8gpu"])), Console(file=log, width=120))
    shown = log.getvalue()
    assert shown.count(" · trees") == shown.count(" · ppm") == 4
    assert "MORE THAN IT HAS" in shown
    assert "747" not in shown.split("Problems:")[0]
    assert "746,660 to learn from" in shown
    log = io.StringIO()
    show_forecast(*foresee(RunConfig(forecast=ForecastConfig(hardware="cpu"))), Console(file=log, width=120))
    assert "measured=runs/NAME" in log.getvalue()


def test_a_training_that_was_stopped_is_not_taken_for_a_fast_one() -> None:
    """Its last start's seconds counted for all its steps: killed at nine tenths, it had trained ten times as fast."""
    assert _whole_seconds({"seconds": 60.0, "steps": 100, "resumed_from_step": 90}) == 600.0
    assert _whole_seconds({"seconds": 60.0, "steps": 100, "resumed_from_step": 0}) == 60.0
    assert _whole_seconds({"seconds": 1.0, "steps": 100, "resumed_from_step": 100}) == 1.0
    assert _whole_seconds({}) == 0.0
