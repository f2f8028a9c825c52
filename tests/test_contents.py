"""What of a folder, or of a copy, is a run's."""

import pytest

from rstar_math.evolution.contents import belongs, contents, foreign, marks_last

OF_A_RUN = ["run.json", "models.json", "metrics.jsonl", "from.txt", "wandb/group", "round-0/problems/train.jsonl",
            "round-12/policy.partial/checkpoints/checkpoint-20/complete"]  # fmt: skip
OF_A_MIRROR = ["mirror.json", "mirror-writer.json", "mirror-" + 32 * "a"]
OF_NOBODY = ["notes.txt", "wandb/latest", "round-1/trees.replaced-20260101-000000-000000/a", "round-1/notes/a",
             "round-1/trees", "round-x/trees/a", "mirrors/a.txt", "mirror-me.json",
             "runs/other/round-1/policy/manifest.json"]  # fmt: skip


def test_what_is_a_runs_is_known_by_the_form_of_its_name() -> None:
    assert [name for name in OF_A_RUN + OF_A_MIRROR + OF_NOBODY if belongs(name)] == OF_A_RUN
    assert foreign(OF_A_RUN + OF_A_MIRROR + OF_NOBODY) == sorted(OF_NOBODY)


@pytest.mark.parametrize("name", ["round-1/trees/../../../mine.txt", "round-1/trees/a/../../b"])
def test_no_name_leads_out_of_the_folder_that_it_is_taken_to(name) -> None:
    assert not belongs(name)


def test_what_somebody_keeps_in_a_runs_folder_is_not_copied(tmp_path) -> None:
    for name in (*OF_A_RUN, "notes.txt", "round-1/notes/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(contents(tmp_path).files) == sorted(OF_A_RUN)


def test_no_file_of_a_stage_is_in_the_copy_before_what_says_with_which_setting_it_was_begun() -> None:
    """Names went by the alphabet: a kill left answers of a stage whose setting nobody knew."""
    names = [
        "round-1/scores.partial/answers.jsonl",
        "round-1/scores.partial/begun.json",
        "round-1/scores.partial/complete",
    ]
    assert sorted(names, key=marks_last) == [names[1], names[0], names[2]]
