"""What a stage tells the person at the keyboard."""

import json
from types import SimpleNamespace

import pytest

from rstar_math.errors import StageError
from rstar_math.evolution.stages import lacks
from rstar_math.evolution.tally import note_sandbox

PLENTY = {"problems": 200, "policy_examples": 120, "pairs": 300, "validation_pairs": 20}


def test_a_rich_harvest_lacks_nothing() -> None:
    assert lacks(PLENTY) == []


@pytest.mark.parametrize(
    ("count", "said"), [(3, "Only 3 solutions to train the policy on, from 200"), (1, "Only 1 solution to train")]
)
def test_too_few_solutions_are_said_with_the_way_to_more(count, said) -> None:
    (lack,) = lacks(PLENTY | {"policy_examples": count})
    assert lack.startswith(said)
    assert "more rollouts" in lack


def test_too_few_pairs_and_unmeasured_ones_are_each_said() -> None:
    few, unmeasured = lacks(PLENTY | {"pairs": 13, "validation_pairs": 0})
    assert few.startswith("Only 13 pairs to train the PPM on")
    assert "not measured" in unmeasured


def test_none_at_all_is_left_to_the_training_that_has_nothing_to_do() -> None:
    assert lacks(PLENTY | {"policy_examples": 0, "pairs": 0, "validation_pairs": 0}) == []


def test_what_the_sandbox_promised_stays_with_the_trees_over_several_starts(tmp_path) -> None:
    for start in (
        {},
        {"no datagram": ["seccomp"]},
        {},
        {"no datagram": ["not held (seccomp none)"], "no connection": ["seccomp"]},
    ):
        note_sandbox(SimpleNamespace(fleet=SimpleNamespace(promises=start)), tmp_path)
        assert bool(start) <= (tmp_path / "sandbox.json").is_file()
    assert json.loads((tmp_path / "sandbox.json").read_text()) == {
        "no connection": ["seccomp"],
        "no datagram": ["not held (seccomp none)", "seccomp"],
    }


@pytest.mark.parametrize("content", [b'{"no datagram": ["sec', b"", b"\xff"])
def test_a_damaged_list_of_promises_is_named_with_the_way_out(tmp_path, content) -> None:
    """It ended the start with a traceback."""
    (tmp_path / "sandbox.json").write_bytes(content)
    with pytest.raises(StageError, match=r"sandbox\.json is damaged .*delete it and start again"):
        note_sandbox(SimpleNamespace(fleet=SimpleNamespace(promises={})), tmp_path)
