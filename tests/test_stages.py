"""What a stage tells the person at the keyboard."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rstar_math.cli.compose import compose
from rstar_math.config import PolicyConfig
from rstar_math.engines.few_shot import few_shot
from rstar_math.errors import ConfigError, StageError
from rstar_math.evolution import evolve as evolving
from rstar_math.evolution.models import examples_for
from rstar_math.evolution.stages import _say_rewordings, lacks
from rstar_math.evolution.tally import note_sandbox
from rstar_math.problems import ProblemSets
from rstar_math.records import Problem
from rstar_math.seedling import MODEL_PATH

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


def test_held_out_problems_that_have_rewordings_among_the_others_are_told_of() -> None:
    """A set of rewordings was split at random, and its held-out column measured memory without a word."""
    words = "has {} boxes of pencils and gives three of them to each of her four friends"
    ours, like, other = (
        Problem(name, question, "1")
        for name, question in (
            ("a", f"Ann {words.format(7)}. How many are left?"),
            ("b", f"Bea {words.format(7)}. What remains?"),
            ("c", "What is the area of a circle of radius three?"),
        )
    )
    said: list[str] = []
    desk = SimpleNamespace(progress=SimpleNamespace(say=said.append))
    _say_rewordings(ProblemSets((like, other), (ours,), ()), desk)
    _say_rewordings(ProblemSets((other,), (ours,), ()), desk)
    (told,) = said
    assert told.startswith(
        "1 of 2 training problems are like a held-out or validation problem: b and the held-out problem a"
    )


def test_a_model_that_does_not_know_the_text_format_is_shown_it(tmp_path) -> None:
    """Only servers were: one's own base was asked without any example, and four rounds ran on nothing."""
    (made := tmp_path / "policy").mkdir()
    (made / "manifest.json").touch()
    server = PolicyConfig(kind="endpoint", url="http://x/v1", model="m")
    for model, shown in ((MODEL_PATH, False), (str(made), False), (tmp_path, True), (server, True)):
        assert (examples_for(model, PolicyConfig()) == few_shot("bootstrap")) is shown
        assert examples_for(model, PolicyConfig(few_shot=None)) == ""
    with pytest.raises(ConfigError, match=r"policy\.few_shot=nonsense: no such file"):
        examples_for(tmp_path, PolicyConfig(few_shot="nonsense"))


def test_a_run_shows_examples_to_its_base_and_to_who_begins_and_to_nobody_after(tmp_path, monkeypatch) -> None:
    asked: list[tuple[int, str, str | None]] = []

    def once(number: int, stage: str, _work: object, **given: Any) -> Path:
        plan = given.get("search") or given.get("evaluation")
        asked.append((number, stage, plan.few_shot if plan else None))
        made = tmp_path / f"{number}-{stage}"
        made.mkdir()
        (made / "manifest.json").touch()
        return made

    (base := tmp_path / "base").mkdir()
    config = compose(["rounds=2", "policy.few_shot=bootstrap"])
    monkeypatch.setattr(evolving, "say_if_short", lambda _: None)
    said: list[str] = []
    progress = SimpleNamespace(say=said.append)
    evolving._rounds(SimpleNamespace(once=once, config=config, base=str(base), bootstrap=str(base), progress=progress))
    assert len(said) == 1 and "worked examples stand before every problem" in said[0]
    shown = [(number, stage) for number, stage, seen in asked if seen]
    assert shown == [(0, "scores"), (1, "trees")]


@pytest.mark.parametrize("content", [b'{"no datagram": ["sec', b"", b"\xff"])
def test_a_damaged_list_of_promises_is_named_with_the_way_out(tmp_path, content) -> None:
    """It ended the start with a traceback."""
    (tmp_path / "sandbox.json").write_bytes(content)
    with pytest.raises(StageError, match=r"sandbox\.json is damaged .*delete it and start again"):
        note_sandbox(SimpleNamespace(fleet=SimpleNamespace(promises={})), tmp_path)
