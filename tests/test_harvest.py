"""What is kept for training, on small trees drawn by hand."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from planting import PROBLEM, plant

from rstar_math.config import HarvestConfig
from rstar_math.harvest.crop import gather
from rstar_math.harvest.pairs import pair_up
from rstar_math.harvest.trajectories import Difficulty, best, correct_share, difficulty, trajectories
from rstar_math.records import Tree
from rstar_math.search.storage import write_trees

FORK = plant(
    """
    good q=0.5 n=4
      print code=4
        four answer=4 correct
      shout q=-0.5 n=2 code=5
        five answer=5 wrong
    bad q=-1 n=3
      print q=-1 code=6
        six answer=6 wrong
    idle q=0 n=1
    """
)


def names(steps) -> list[str]:
    return [step.text.split()[1] for step in steps]


def pairs_of(tree: Tree, **knobs) -> list[tuple[str, str, str]]:
    pairing = pair_up([tree], trajectories([tree]), HarvestConfig(**knobs))
    return [(pair.kind, names(pair.chosen)[-1], names(pair.rejected)[-1]) for pair in pairing.pairs]


def test_the_best_trajectories_are_the_correct_ones_with_the_highest_average_q() -> None:
    tree = plant(
        """
        low q=0.1
          a code=4
            four answer=4 correct q=0.1
        high q=0.9
          b code=4
            vier answer=4 correct q=0.9
        mid q=0.5
          c code=4
            quatre answer=4 correct q=0.5
        wrong q=1
          d code=5 q=1
            five answer=5 wrong q=1
        """
    )
    assert [names(t.steps)[-1] for t in best(trajectories([tree]), 2)] == ["vier", "quatre"]


def test_the_same_trajectory_in_two_trees_counts_once() -> None:
    assert len(trajectories([FORK, replace(FORK, seed=8)])) == 3


def test_an_answer_that_no_rollout_reached_is_no_trajectory() -> None:
    tree = plant(
        """
        a code=4
          four answer=4
        """
    )
    assert trajectories([tree]) == []


@pytest.mark.parametrize(
    ("endings", "expected"),
    [
        (["correct", "correct"], Difficulty.EASY),
        (["correct", "wrong"], Difficulty.MEDIUM),
        (["wrong", "wrong"], Difficulty.HARD),
        (["wrong", "unreadable"], Difficulty.HARD),
    ],
)
def test_difficulty_is_how_the_trajectories_ended(endings, expected) -> None:
    tree = plant("\n".join(f"a{i} answer={i} {ending}" for i, ending in enumerate(endings)))
    assert difficulty([tree]) is expected


def test_the_correct_share_is_over_rollouts() -> None:
    assert correct_share([FORK]) == pytest.approx(1 / 3)


def test_middle_pairs_stand_a_step_that_leads_to_right_against_one_that_leads_to_wrong_only() -> None:
    assert ("middle", "good", "bad") in pairs_of(FORK)
    assert ("middle", "print", "shout") in pairs_of(FORK)
    assert not any("idle" in pair for pair in pairs_of(FORK))


def test_a_step_that_leads_to_both_is_never_rejected() -> None:
    tree = plant(
        """
        sure q=1
          a answer=4 correct
        mixed q=0 n=2
          b answer=4 correct
          c answer=5 wrong
        """
    )
    assert [pair for pair in pairs_of(tree) if pair[0] == "middle"] == []


def test_a_right_step_that_search_underrated_is_still_preferred_to_a_wrong_one() -> None:
    tree = plant(
        """
        underrated q=-0.4
          a answer=4 correct
        overrated q=0.3
          b answer=5 wrong
        """
    )
    assert ("middle", "underrated", "overrated") in pairs_of(tree)


STUCK = plant(
    """
    good q=1
      four answer=4 correct
    stuck q=-1 dead
    turned q=0 n=2 dead
      four answer=4 correct
    unsure q=-1 n=2 dead
      five answer=5 unreadable
    bad q=-1
      six answer=6 wrong
    """
)


@pytest.mark.parametrize(("dead_ends", "rejected"), [(False, {"bad"}), (True, {"bad", "stuck"})])
def test_a_step_that_led_to_dead_ends_only_is_rejected_where_the_plan_says_so(dead_ends, rejected) -> None:
    middle = [pair for pair in pairs_of(STUCK, dead_ends=dead_ends) if pair[0] == "middle"]
    assert {worse for _, _, worse in middle} == rejected
    assert {better for _, better, _ in middle} == {"good", "turned"}


def test_with_dead_ends_a_problem_without_a_wrong_answer_gives_pairs_too() -> None:
    tree = plant("good q=1\n  four answer=4 correct\nstuck q=-1 dead")
    assert pairs_of(tree) == []
    assert pairs_of(tree, dead_ends=True) == [("middle", "good", "stuck")]


def test_at_most_two_by_two_pairs_a_step_the_highest_against_the_lowest() -> None:
    tree = plant(
        "\n".join(
            [
                f"right{i} q=0.{i} answer=4 correct".replace("answer=4 correct", "") + f"\n  r{i} answer=4 correct"
                for i in range(1, 5)
            ]
            + [f"wrong{i} q=-0.{i}\n  w{i} answer=5 wrong" for i in range(1, 5)]
        )
    )
    middle = {(chosen, rejected) for kind, chosen, rejected in pairs_of(tree) if kind == "middle"}
    assert middle == {(c, r) for c in ("right4", "right3") for r in ("wrong4", "wrong3")}


def test_final_pairs_relax_the_prefix_and_take_whole_trajectories() -> None:
    pairing = pair_up([FORK], trajectories([FORK]), HarvestConfig())
    final = [pair for pair in pairing.pairs if pair.kind == "final"]
    assert {tuple(names(pair.rejected)) for pair in final} == {("good", "shout", "five"), ("bad", "print", "six")}
    assert all(pair.prefix == () and names(pair.chosen) == ["good", "print", "four"] for pair in final)


@pytest.mark.parametrize("ending", ["correct", "wrong", "unreadable", "timeout"])
def test_a_problem_whose_trajectories_are_all_alike_gives_no_pairs(ending) -> None:
    tree = plant(f"a q=1\n  x answer=4 {ending}\nb q=-1\n  y answer=5 {ending}")
    pairing = pair_up([tree], trajectories([tree]), HarvestConfig())
    assert pairing.pairs == []
    assert pairing.dropped == {"problems_all_alike": 1}


def test_the_released_filters_are_options_and_count_what_they_take() -> None:
    near = plant("a q=0.1\n  x answer=4 correct\nb q=-0.1\n  y answer=5 wrong")
    pairing = pair_up([near], trajectories([near]), HarvestConfig(min_q_gap=0.5))
    assert [pair.kind for pair in pairing.pairs] == []
    assert pairing.dropped["pairs_q_gap"] == 2
    alike = pair_up([near], trajectories([near]), HarvestConfig(min_edit_distance=20))
    assert alike.dropped["pairs_too_alike"] == 2


@pytest.mark.parametrize(("chosen", "kept"), [("a" * 19, False), ("a" * 20, True)])
def test_a_character_in_the_place_of_another_is_one_edit(chosen: str, kept: bool) -> None:
    """It counted as two, one deleted and one inserted, and pairs that differ in ten characters passed for twenty."""
    tree = plant(f"{chosen} q=1\n  x answer=4 correct\n{'b' * len(chosen)} q=-1\n  y answer=5 wrong")
    pairing = pair_up([tree], trajectories([tree]), HarvestConfig(min_edit_distance=20))
    assert any(pair.kind == "middle" for pair in pairing.pairs) == kept


def test_the_crop_counts_every_filter_and_the_coverage_by_level(tmp_path) -> None:
    trees, validation, out = (tmp_path / name for name in ("trees", "validation", "out"))
    for folder in (trees, validation, out):
        folder.mkdir()
    unsolved = plant("a answer=5 wrong", PROBLEM._replace(id="p2", level="2"))
    noisy = replace(FORK, problem=PROBLEM._replace(id="p3", level="2", synthetic=True))
    write_trees(trees, 0, [FORK, unsolved, noisy])
    suspect = replace(FORK, problem=PROBLEM._replace(id="v2", synthetic=True))
    write_trees(validation, 0, [replace(FORK, problem=PROBLEM._replace(id="v1")), suspect])
    metrics = gather(trees, validation, out, HarvestConfig())
    assert metrics["coverage"] == pytest.approx(2 / 3)
    assert (metrics["coverage/level_1"], metrics["coverage/level_2"]) == (1.0, 0.5)
    assert (metrics["problems_medium"], metrics["problems_hard"], metrics["problems_noisy"]) == (2, 1, 1)
    assert metrics["policy_examples"] == pq.read_metadata(out / "policy.parquet").num_rows == 1
    assert metrics["pairs"] == pq.read_metadata(out / "pairs.parquet").num_rows == 4
    assert metrics["validation_pairs"] == pq.read_metadata(out / "validation_pairs.parquet").num_rows == 4
    (row,) = pq.read_table(out / "policy.parquet").to_pylist()
    assert [step["output"] for step in row["steps"]] == [None, "4", None]
    assert {pair["problem_id"] for pair in pq.read_table(out / "pairs.parquet").to_pylist()} == {"p1"}


def test_a_filter_that_kept_out_nothing_says_so_and_the_same_solution_found_twice_is_counted(tmp_path) -> None:
    trees, validation, out = (tmp_path / name for name in ("trees", "validation", "out"))
    for folder in (trees, validation, out):
        folder.mkdir()
    write_trees(trees, 0, [FORK, replace(FORK, seed=FORK.seed + 1)])  # two trees of one problem
    metrics = gather(trees, validation, out, HarvestConfig())
    assert (metrics["problems"], metrics["problems_noisy"], metrics["pairs_q_gap"], metrics["pairs_too_alike"]) == (
        1,
        0,
        0,
        0,
    )
    assert metrics["trajectories_repeated"] == metrics["trajectories"] > 0


def test_whatever_the_ppm_is_trained_on_it_is_measured_on_the_papers_pairs(tmp_path) -> None:
    trees, validation = tmp_path / "trees", tmp_path / "validation"
    for folder in (trees, validation):
        folder.mkdir()
        write_trees(folder, 0, [STUCK])
    counts = []
    for plan in (HarvestConfig(), HarvestConfig(dead_ends=True), HarvestConfig(min_q_gap=1.5)):
        out = tmp_path / f"out-{len(counts)}"
        out.mkdir()
        metrics = gather(trees, validation, out, plan)
        counts.append((metrics["pairs"], metrics["validation_pairs"]))
    plain, with_dead_ends, filtered = counts
    assert with_dead_ends[0] > plain[0] > filtered[0]
    assert with_dead_ends[1] == filtered[1] == plain[1] > 0
