"""Presets resolve to the papers' numbers, and every mistake says the way out before anything starts."""

from itertools import product

import pytest
import yaml
from click.testing import CliRunner
from pydantic import TypeAdapter

from rstar_math.cli.compose import compose, options
from rstar_math.cli.main import main, take
from rstar_math.config import RunConfig, SearchConfig
from rstar_math.errors import ConfigError


def test_the_paper_preset_holds_the_papers_numbers() -> None:
    config = compose(["preset=paper"])
    plans = [config.plan(number).search for number in (1, 2, 3, 4)]
    assert [(plan.rollouts, plan.candidates) for plan in plans] == [(8, 5), (16, 8), (16, 8), (16, 16)]
    assert [plan.annotation for plan in plans] == ["terminal", "terminal", "ppm", "ppm"]
    assert [plan.temperature for plan in plans] == [0.7, 1.0, 1.0, 1.0]
    assert [plan.escalate_to for plan in plans] == [(), (32,), (32,), (80, 128)]
    assert [plan.trees for plan in plans] == [1, 1, 1, 2]
    assert {plan.exploration for plan in plans} == {2.0}
    assert {plan.depth for plan in plans} == {16}
    for number in (1, 2, 3, 4):
        policy, ppm = config.plan(number).policy, config.plan(number).ppm
        assert (policy.epochs, policy.max_tokens, policy.batch_size, policy.learning_rate) == (2, 4096, 128, 7e-6)
        assert (policy.scheduler, policy.weight_decay, policy.warmup_ratio) == ("linear", 0.1, 0)
        assert (ppm.epochs, ppm.batch_size, ppm.learning_rate) == (1, 512, 7e-6)
    assert (config.plan(4).evaluation.candidates, config.plan(4).evaluation.rollouts) == (32, 8)
    assert config.base == "Qwen/Qwen2.5-Math-7B"


def test_phi3_has_its_own_learning_rate_and_schedule() -> None:
    policy = compose(["preset=paper", "model=phi3-mini"]).plan(3).policy
    assert (policy.learning_rate, policy.scheduler) == (5e-6, "cosine")


@pytest.mark.parametrize(
    ("preset", "model", "cluster"), list(product(options("preset"), options("model"), options("cluster")))
)
def test_every_combination_of_presets_resolves(preset, model, cluster) -> None:
    assert compose([f"preset={preset}", f"model={model}", f"cluster={cluster}"]).rounds == 4


def test_a_fifth_round_uses_the_fourth_rounds_plan() -> None:
    config = compose(["rounds=5", "round.r4.search.rollouts=12"])
    assert config.plan(5).search.rollouts == 12


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("round.r2.search.rolouts=3", ["rolouts", "round.r2.search.rollouts"]),
        ("preset=papr", ["preset=papr", "demo", "paper"]),
        ("round.r2.search.rollouts=many", ["round.r2.search.rollouts", "'many'", "integer"]),
        ("round.r2.search.rollouts=0", ["round.r2.search.rollouts", "greater than or equal to 1"]),
        ("round.r2.search.escalate_to=[3]", ["escalate_to=[3]", "rise"]),
        (
            "round.r4.harvest.noise_threshold=0.2",
            ["search.noise_threshold=0.5 gives up", "set search.noise_threshold=0.2"],
        ),
        ("engine={gpus: 0.5, tensor_parallel: 2}", ["gpus=0.5 with tensor_parallel=2", "set gpus=1"]),
        ("ppm_engine.gpus=1.5", ["gpus=1.5", "set gpus=1"]),
        ("policy=endpoint", ["policy.url=", "policy.model="]),
        ("rounds", ["rounds"]),
    ],
)
def test_a_wrong_override_is_named_with_the_way_out(override, parts) -> None:
    with pytest.raises(ConfigError) as refused:
        compose([override])
    assert all(part in str(refused.value) for part in parts), refused.value


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("problems.columns.question=Question text", "problems.columns={'question': 'Question text'}"),
        ("problems.columns={question: Q}", "problems.columns={'question': 'Q'}"),
        ("engine.extra.enforce_eager=true", "engine.extra={'enforce_eager': True}"),
        ("ppm_engine.extra.a.b=1", "ppm_engine.extra={'a': {'b': 1}}"),
        ("+engine.extra.swap_space=0", "engine.extra={'swap_space': 0}"),
    ],
)
def test_a_map_with_keys_of_ones_own_takes_new_keys(override, shown) -> None:
    """Hydra refused them, though messages and README say to write them so."""
    config = compose([override])
    maps = {
        "problems.columns": config.problems.columns,
        "engine.extra": config.engine.extra,
        "ppm_engine.extra": config.ppm_engine.extra,
    }
    assert [f"{name}={values}" for name, values in maps.items() if values] == [shown]


def test_a_column_of_ones_own_is_not_taken_for_the_override_that_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"override 'rounds'"):
        compose(["problems.columns.question=Q", "rounds"])


def test_two_sources_of_problems_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match=r"problems\.path and problems\.dataset"):
        compose(["problems.path=a.jsonl", "problems.dataset=b"])


def test_policy_takes_a_folder_or_one_of_its_own_names() -> None:
    assert compose(["policy=runs/demo/round 1/policy"]).policy.path == "runs/demo/round 1/policy"
    assert compose(["policy=endpoint", "policy.url=http://127.0.0.1:1/v1", "policy.model=m"]).policy.kind == "endpoint"


def test_an_object_store_is_no_folder_of_runs() -> None:
    """A folder `s3:` was made below the current one."""
    with pytest.raises(ConfigError, match=r"runs='s3://bucket/runs/': no folder.*mirror\.url=s3://bucket/runs/NAME"):
        compose(["runs=s3://bucket/runs/"])


def test_what_belongs_to_one_start_is_no_part_of_the_configuration() -> None:
    assert take(["from=round-3.ppm", "rounds=5", "until=round-4"], "from", "until") == (
        {"from": "round-3.ppm", "until": "round-4"},
        ["rounds=5"],
    )


def test_a_plan_is_frozen() -> None:
    with pytest.raises(AttributeError):
        SearchConfig().rollouts = 3  # type: ignore[misc]


def test_plan_prints_the_resolved_rounds_and_starts_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(main, ["plan", "preset=paper", "round.r3.search.rollouts=17"])
    assert shown.exit_code == 0
    assert "17" in shown.output
    assert list(tmp_path.iterdir()) == []


def test_the_full_plan_is_every_knob_and_can_be_read_back() -> None:
    overrides = ["preset=paper", "round.r3.search.rollouts=17", "engine.extra.swap_space=0"]
    shown = CliRunner().invoke(main, ["plan", *overrides, "--full"])
    assert shown.exit_code == 0
    assert TypeAdapter(RunConfig).validate_python(yaml.safe_load(shown.output)) == compose(overrides)


def test_a_knob_like_none_is_sent_to_the_list_of_all() -> None:
    with pytest.raises(ConfigError, match=r"no knob 'zzzz\.q'; `rstar-math plan --full` prints all of them"):
        compose(["zzzz.q=1"])


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command) -> None:
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_a_command_that_lacks_an_input_says_which() -> None:
    shown = CliRunner().invoke(main, ["train-ppm", "out=x"])
    assert shown.exit_code == 2
    assert "policy=PATH data=PATH" in shown.output
