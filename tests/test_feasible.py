"""What a late stage would stumble over is said before the first one starts."""

import pytest
from test_run import open_here

from rstar_math.cli.compose import compose, options
from rstar_math.errors import ConfigError
from rstar_math.evolution.evolve import evolve
from rstar_math.evolution.feasible import check_plan


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["round.r1.policy.ranks=3"], ["round.r1.policy: batch_size=8 cannot be cut into 3 ranks", "multiple"]),
        (["round.r4.ppm.batch_size=3"], ["round.r4.ppm: batch_size=3"]),
        (["round.r2.ppm.deepspeed=zero9"], ["round.r2.ppm.deepspeed: ", "'zero9'", "zero2-offload"]),
        (["round.r3.evaluation.strategies=[gredy]"], ["round.r3.evaluation.strategies: ", "gredy", "greedy"]),
        (
            ["policy=endpoint", "policy.url=u", "policy.model=m", "policy.few_shot=no"],
            ["policy.few_shot=no", "bootstrap"],
        ),
        (["round.r1.search.annotation=ppm"], ["round.r1.search.annotation=ppm", "take terminal"]),
    ],
)
def test_an_impossible_knob_of_a_late_stage_is_named_before_the_first_one_starts(overrides, parts, tmp_path) -> None:
    """Each of these ended a run after its searches, at the stage that met it."""
    with pytest.raises(ConfigError) as refused:
        evolve(open_here(tmp_path, compose(["tracking.wandb=false", *overrides])))
    assert all(part in str(refused.value) for part in parts), refused.value
    assert not list(tmp_path.glob("round-*"))


def test_rounds_that_will_not_be_done_are_not_looked_at() -> None:
    check_plan(compose(["rounds=2", "round.r3.policy.ranks=3"]))


@pytest.mark.parametrize(
    ("preset", "cluster"),
    [("demo", "laptop"), ("demo", "1gpu"), *(("paper", cluster) for cluster in options("cluster"))],
)
def test_every_plan_that_is_shipped_can_be_done(preset, cluster) -> None:
    check_plan(compose(["rounds=6", f"preset={preset}", f"cluster={cluster}"]))
