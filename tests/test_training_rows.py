"""Before a training: what is learnt from a row, in which order, and what is refused before anything starts."""

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
import torch.distributed as group
from tiny_models import write_policy, write_ppm
from transformers import TrainerControl, TrainerState
from worked_rows import QUESTION, QUICK, STEPS, pair, plain, released_pair, write_rows

from rstar_math import checkpoints, text
from rstar_math.errors import ConfigError, InputError
from rstar_math.records import Segment, Step
from rstar_math.reward import reward
from rstar_math.seedling import MODEL_PATH
from rstar_math.tokens import encode, encode_with_mask
from rstar_math.training import rows
from rstar_math.training.callbacks import Saving
from rstar_math.training.job import DEEPSPEED_FOLDER, TrainingJob, batch_of, check, deepspeed_config
from rstar_math.training.kept import (
    drop_all,
    drop_older,
    drop_unusable,
    files_of,
    finish,
    finished,
    known_by,
    last_complete,
    mark,
)
from rstar_math.training.launch import Trainings
from rstar_math.training.objectives import LOSSES, bradley_terry
from rstar_math.training.policy import collate as collate_policy
from rstar_math.training.ppm import RECIPES, _scored_in_full, open_model, rewards_of, visible
from rstar_math.training.ppm import collate as collate_ppm
from rstar_math.training.recipe import RowData, StepOrder

REPLY = (
    "<code>\n# Step 1: add\nx = 12 + 30\n<end_of_step>\n\n# Now print it\nprint(x)\n<end_of_code>\n"
    "<output>42<end_of_output>\n<answer>The answer is \\boxed{42}.\n<end_of_answer>"
)


class Letters:
    """A tokenizer that anyone can do in the head: one id a character, but "ab" is one id of its own."""

    eos_token_id, pad_token_id = 1, 0

    def encode(self, written: str, *, add_special_tokens: bool, verbose: bool) -> list[int]:
        assert not add_special_tokens
        return [999 if piece == "\1" else ord(piece) for piece in written.replace("ab", "\1")]

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        return ["ab" if number == 999 else chr(number) for number in ids]


# ---- what a row teaches -------------------------------------------------------------------------------------------


def test_each_segment_is_tokenised_by_itself() -> None:
    split = (Segment("xa", by_policy=False), Segment("b", by_policy=True))
    assert encode(Letters(), split) == [ord("x"), ord("a"), ord("b")]
    assert encode(Letters(), (Segment("xab", by_policy=True),)) == [ord("x"), 999]
    assert encode_with_mask(Letters(), split) == ([ord("x"), ord("a"), ord("b")], [False, False, True])


def test_the_loss_is_on_what_the_policy_wrote_and_on_the_end_of_text(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "policy.parquet", [{"question": QUESTION, "steps": plain(STEPS)}])
    [encoded] = rows.policy_rows([file], Letters(), 1000)
    assert encoded.row is not None
    kept = [token for token in encoded.row["labels"] if token != rows.NO_LOSS]
    written = "".join(step.text for step in STEPS)
    assert kept == [*Letters().encode(written, add_special_tokens=False, verbose=False), 1]
    assert encoded.row["ids"][-1] == 1
    silent = [token for token, label in zip(encoded.row["ids"], encoded.row["labels"], strict=True) if label < 0]
    unwritten = text.prompt(QUESTION) + "\n\n" + "\n<output>42<end_of_output>\n"
    assert silent == Letters().encode(unwritten, add_special_tokens=False, verbose=False)


def test_a_row_longer_than_allowed_is_left_out_and_counted(tmp_path: Path) -> None:
    short, long = (
        {"question": QUESTION, "steps": plain(STEPS)},
        {"question": QUESTION + "?" * 90, "steps": plain(STEPS)},
    )
    file = write_rows(tmp_path / "policy.parquet", [short, long])
    length = len(encode(Letters(), text.transcript(QUESTION, STEPS, for_next=False))) + 1
    counts = rows.write(rows.policy_rows([file], Letters(), length), rows.POLICY_SCHEMA, tmp_path / "rows.arrow")
    assert counts == rows.Counts(rows=1, examples=1, left_out=1, tokens=length) == rows.written(tmp_path / "rows.arrow")
    assert rows.open_rows(tmp_path / "rows.arrow")["length"].to_pylist() == [length]


def test_problems_that_finished_in_another_order_are_learnt_in_the_same(tmp_path: Path) -> None:
    examples = [{"question": QUESTION + "?" * n, "steps": plain(STEPS)} for n in range(20)]
    learnt = []
    for name, found in (("first", examples), ("again", examples[::-1])):
        file = write_rows(tmp_path / f"{name}.parquet", found)
        rows.write(rows.policy_rows([file], Letters(), 1000), rows.POLICY_SCHEMA, tmp_path / f"{name}.arrow")
        data = RowData(rows.open_rows(tmp_path / f"{name}.arrow"))
        learnt.append([data[index] for index in StepOrder(data.lengths, step_rows=4, seed=3)])
        assert data.lengths == [row["length"] for row in map(data.__getitem__, range(20))]
    assert learnt[0] == learnt[1]
    assert len({tuple(row["ids"]) for row in learnt[0]}) == 20


def test_released_rows_give_the_same_tokens_as_ours(tmp_path: Path) -> None:
    ours = write_rows(tmp_path / "ours.parquet", [{"question": QUESTION, "steps": plain(STEPS)}])
    released = tmp_path / "released.jsonl"
    queries = [QUESTION, text.prompt(QUESTION)]
    released.write_text("".join(json.dumps({"query": query, "response": REPLY}) + "\n" for query in queries))
    [expected] = rows.policy_rows([ours], Letters(), 1000)
    assert list(rows.policy_rows([released], Letters(), 1000)) == [expected, expected]


def test_released_pairs_give_the_same_tokens_as_ours(tmp_path: Path) -> None:
    wrong = Step("# Now print it\nprint(12)\n<end_of_code>", "12")
    ours = write_rows(tmp_path / "ours.parquet", [pair(STEPS[:1], STEPS[1:2], (wrong,))])
    released = tmp_path / "released.json"
    prompt = text.prompt(QUESTION) + STEPS[0].text + "\n\n"
    released.write_text(json.dumps([released_pair(prompt, [STEPS[1].text], [wrong.text])]))
    [expected], [got] = rows.group_rows([ours], Letters(), 1000), rows.group_rows([released], Letters(), 1000)
    assert got.row is not None and expected.row is not None
    assert got.row == {**expected.row, "kind": "released", "q": [None, None], "weight": [1.0]}
    whole = expected.row["prefix"] + expected.row["rests"][0]
    assert whole == encode(Letters(), text.transcript(QUESTION, STEPS[:2], for_next=False))


def test_a_group_holds_its_beginning_and_each_rest_once_and_only_pairs_that_fit(tmp_path: Path) -> None:
    good, bad = [Step(f"x = {n}\n<end_of_step>") for n in (1, 2)], [Step(f"x = {n}\n<end_of_step>") for n in (30, 4)]
    pairs = [pair(STEPS[:1], (better,), (worse,)) for better in good for worse in bad]
    file = write_rows(tmp_path / "pairs.parquet", [*pairs, pair((), STEPS, (*STEPS[:2], bad[0]), "final")])
    first, second = rows.group_rows([file], Letters(), 1000)
    assert first.row is not None and second.row is not None
    shared = text.transcript(QUESTION, STEPS[:1], for_next=False)
    assert first.row["prefix"] == [*encode(Letters(), shared), *map(ord, "\n\nx = ")]
    assert ["".join(map(chr, rest)) for rest in first.row["rests"]] == [f"{n}\n<end_of_step>" for n in (1, 30, 4, 2)]
    assert (first.row["chosen"], first.row["rejected"]) == ([0, 0, 3, 3], [1, 2, 1, 2])
    assert first.row["length"] == len(first.row["prefix"]) + sum(map(len, first.row["rests"]))
    assert (len(second.row["rests"]), second.row["kind"], second.row["examples"]) == (2, "final", 1)
    shorter, dropped = rows.group_rows([file], Letters(), len(first.row["prefix"] + first.row["rests"][0]))
    assert shorter.row is not None
    assert (shorter.row["examples"], shorter.left_out, dropped) == (2, 2, rows.Encoded(None, 1))


def test_the_pairs_loss_is_the_mean_over_groups_of_the_mean_over_pairs() -> None:
    groups = [
        {"prefix": [3, 4], "rests": [[5], [6], [7]], "chosen": [0, 0], "rejected": [1, 2], "q": [0.5, -1, 0]},
        {"prefix": [2], "rests": [[8], [9]], "chosen": [1], "rejected": [0], "q": [-1, 1]},
    ]
    batch = collate_ppm(0)(groups)
    rewards = torch.tensor([0.5, -0.5, 0.25, -1.0, 1.0])
    got = bradley_terry(rewards, batch)

    def loss(difference: float) -> float:
        return math.log(1 + math.exp(-difference))

    assert float(got) == pytest.approx(((loss(1.0) + loss(0.25)) / 2 + loss(2.0)) / 2)


def test_a_pqm_is_drawn_to_each_paths_q_and_an_orm_to_right_or_wrong() -> None:
    groups = [
        {"prefix": [3, 4], "rests": [[5], [6], [7]], "chosen": [0, 0], "rejected": [1, 2], "q": [0.5, -1, 0]},
        {"prefix": [2], "rests": [[8], [9]], "chosen": [1], "rejected": [0], "q": [-1, 1]},
    ]
    batch, rewards = collate_ppm(0)(groups), torch.tensor([0.5, 0.0, 0.6, -1.0, 0.0])
    assert float(LOSSES["pqm"](rewards, batch)) == pytest.approx(((0 + 1 + 0.36) / 3 + (0 + 1) / 2) / 2)
    likely = [math.log(0.75), math.log(0.5), math.log(0.2), math.log(1.0), math.log(0.5)]
    assert float(LOSSES["orm"](rewards, batch)) == pytest.approx(-(sum(likely[:3]) / 3 + sum(likely[3:]) / 2) / 2)


def test_a_reward_of_the_wrong_end_leaves_an_orms_loss_finite() -> None:
    batch = {"share": torch.tensor([1.0]), "side": torch.tensor([1.0])}
    assert math.isfinite(float(LOSSES["orm"](torch.tensor([-1.0]), batch)))


def test_each_objective_reads_the_rows_that_it_can_learn_from(tmp_path: Path) -> None:
    middle = pair(STEPS[:1], STEPS[1:2], (Step("print(12)\n<end_of_code>", "12"),))
    wrong = (*STEPS[:2], Step("<answer>\\boxed{7}\n<end_of_answer>"))
    file = write_rows(tmp_path / "pairs.parquet", [middle, {**pair((), STEPS, wrong, "final"), "q_chosen": 0.7}])
    kinds = {
        name: [found.row["kind"] for found in recipe.encode([file], Letters(), 1000) if found.row]
        for name, recipe in RECIPES.items()
    }
    assert kinds == {"pairwise": ["middle", "final"], "pqm": ["middle", "final"], "orm": ["final"]}
    final = list(rows.solution_rows([file], Letters(), 1000))[-1]
    assert final.row is not None
    assert final.row["q"] == [1.0, -1.0]  # not the averages over their steps, which the columns of a final pair hold


def test_an_orm_is_not_trained_on_steps_alone(tmp_path: Path) -> None:
    middle = pair(STEPS[:1], STEPS[1:2], (Step("print(12)\n<end_of_code>", "12"),))
    file = write_rows(tmp_path / "pairs.parquet", [middle])
    with pytest.raises(InputError, match="no pair of whole solutions"):
        list(rows.solution_rows([file], Letters(), 1000))


def test_a_pqm_is_not_trained_on_rows_without_q(tmp_path: Path) -> None:
    released = tmp_path / "released.json"
    prompt = text.prompt(QUESTION) + STEPS[0].text + "\n\n"
    released.write_text(json.dumps([released_pair(prompt, STEPS[1].text, "print(1)\n<end_of_code>")]))
    with pytest.raises(InputError, match=r"released\.json: row 1: no q_chosen, q_rejected"):
        list(rows.valued_rows([released], Letters(), 1000))


def test_who_sees_whom_in_a_group() -> None:
    owners, positions = torch.tensor([[0, 0, 1, 1, 2, -1]]), torch.tensor([[0, 1, 2, 3, 2, 0]])
    drawn = ["".join(".x"[seen] for seen in row) for row in visible(owners, positions, None)[0, 0].tolist()]
    assert drawn == [
        "x.....",
        "xx....",
        "xxx...",
        "xxxx..",
        "xx..x.",
        "xx...x",
    ]
    near = ["".join(".x"[seen] for seen in row) for row in visible(owners, positions, 2)[0, 0].tolist()]
    assert near[2:5] == [".xx...", "..xx..", ".x..x."]


@pytest.mark.parametrize("window", [None, 5])
def test_paths_read_together_are_worth_what_each_is_alone(tmp_path: Path, window: int | None) -> None:
    model = checkpoints.open_ppm(
        write_ppm(tmp_path / "ppm", seed=0, architecture="qwen2", window=window), torch.float32, 0
    ).eval()
    draw = random.Random(4)
    groups = [
        {
            "prefix": [draw.randrange(3, 90) for _ in range(length)],
            "rests": [[draw.randrange(3, 90) for _ in range(draw.randint(1, 9))] for _ in range(paths)],
            "q": [0.0] * paths,
            "chosen": [0],
            "rejected": [1],
        }
        for length, paths in ((12, 4), (0, 2), (3, 3))
    ]
    paths = [torch.tensor([[*group["prefix"], *rest]]) for group in groups for rest in group["rests"]]
    with torch.inference_mode():
        together = rewards_of(model, collate_ppm(0)(groups)).tolist()
        alone = [reward(float(model(input_ids=path).logits)) for path in paths]
    assert together == pytest.approx(alone, abs=1e-6)
    assert len({round(worth, 4) for worth in alone}) == 9


def test_pairs_are_told_apart_as_finely_as_the_engine_does_that_serves_the_model() -> None:
    """In bfloat16 a fifth of pairs that it ranks right were ties, and counted as wrong."""
    model = SimpleNamespace(score=torch.nn.Linear(2, 1, bias=False, dtype=torch.bfloat16))
    model.score.weight.data = torch.tensor([[2.0, 0.25]], dtype=torch.bfloat16)
    hidden = torch.tensor([[1.0, 0.01], [1.0, 0.02]], dtype=torch.bfloat16)
    rough = model.score(hidden)
    fine = _scored_in_full(model).score(hidden)
    assert rough[0] == rough[1] and fine[0] < fine[1]


def test_a_ppm_that_has_learnt_nothing_prefers_nothing() -> None:
    tokenizer = checkpoints.open_tokenizer(MODEL_PATH)
    model = open_model(MODEL_PATH, torch.float32, tokenizer)
    batch = collate_ppm(0)([{"prefix": [5, 6], "rests": [[7, 8], [9]], "chosen": [0], "rejected": [1], "q": [1, -1]}])
    assert rewards_of(model, batch).tolist() == [0.0, 0.0]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_one_tanh_serves_numbers_and_tensors() -> None:
    scores = [-3.0, -0.1, 0.0, 0.7, 20.0]
    assert reward(torch.tensor(scores, dtype=torch.float64)).tolist() == pytest.approx(
        [reward(score) for score in scores]
    )
    assert [reward(0.0), reward(1.0)] == pytest.approx([0.0, 0.7615941559557649])


def test_batches_are_padded_on_the_right_to_a_multiple_of_eight() -> None:
    batch = collate_policy(0)([{"ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"ids": [8] * 9, "labels": [8] * 9}])
    assert batch["input_ids"].shape == (2, 16)
    assert batch["input_ids"][0].tolist() == [5, 6, 7] + [0] * 13
    assert batch["labels"][0].tolist() == [-100, 6, 7] + [-100] * 13


def test_an_epoch_draws_every_row_once_in_an_order_of_its_own() -> None:
    lengths = random.Random(1).choices(range(9, 90), k=101)
    order = StepOrder(lengths, step_rows=8, seed=3)
    first = list(order)
    order.set_epoch(1)
    assert sorted(first) == list(range(101)) == sorted(order)
    assert first != list(order)
    order.set_epoch(0)
    assert first == list(order)


def test_what_a_step_sees_is_left_to_chance_and_only_its_micro_batches_are_alike_in_length() -> None:
    lengths = random.Random(2).choices(range(9, 900), k=640)

    def steps(lengths: list[int]) -> list[list[int]]:
        order = list(StepOrder(lengths, 64, 0))
        return [order[at : at + 64] for at in range(0, 640, 64)]

    assert [set(step) for step in steps(lengths)] == [set(step) for step in steps([1] * 640)]
    drawn = [[lengths[index] for index in step] for step in steps(lengths)]
    assert drawn == [sorted(step, reverse=True) for step in drawn]


# ---- what is refused before anything starts -----------------------------------------------------------------------


def test_a_batch_is_cut_into_equal_parts_or_refused() -> None:
    assert batch_of(replace(QUICK, batch_size=128, micro_batch_size=4, ranks=8)) == (4, 4)
    assert batch_of(replace(QUICK, batch_size=8, micro_batch_size=16, ranks=2)) == (4, 1)
    with pytest.raises(ConfigError, match="cannot be cut into 3 ranks"):
        batch_of(replace(QUICK, ranks=3))


@pytest.mark.parametrize("name", ["zero1", "zero2", "zero3", "zero1-offload", "zero2-offload", "zero3-offload"])
def test_every_deepspeed_configuration_has_its_stage(name: str) -> None:
    zero = deepspeed_config(name)["zero_optimization"]
    assert zero["stage"] == int(name[4])
    assert ("offload_optimizer" in zero) == name.endswith("offload")
    assert deepspeed_config(str(DEEPSPEED_FOLDER / f"{name}.json")) == deepspeed_config(name)


def test_a_job_that_cannot_start_says_why(tmp_path: Path) -> None:
    base = write_policy(tmp_path / "base", seed=0)
    data = write_rows(tmp_path / "policy.parquet", [{"question": QUESTION, "steps": plain(STEPS)}])
    job = TrainingJob("policy", base, (data,), tmp_path / "out", QUICK)
    check(job)
    with pytest.raises(ConfigError, match="expected one of zero1, zero1-offload, zero2, zero2-offload"):
        check(replace(job, config=replace(QUICK, deepspeed="zero9")))
    with pytest.raises(InputError, match=r"gone\.parquet does not exist"):
        check(replace(job, data=(tmp_path / "gone.parquet",)))
    with pytest.raises(ConfigError, match="the folder does not exist"):
        check(replace(job, base=tmp_path / "nowhere"))


def test_a_model_folder_is_checked_file_by_file(tmp_path: Path) -> None:
    policy, ppm = write_policy(tmp_path / "policy", seed=0), write_ppm(tmp_path / "ppm", seed=0)
    checkpoints.check_model_folder(policy, "policy")
    checkpoints.check_model_folder(ppm, "ppm")
    with pytest.raises(
        ConfigError, match="names LlamaForCausalLM, expected one that ends with ForSequenceClassification"
    ):
        checkpoints.check_model_folder(policy, "ppm")
    weights = policy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"damaged: model\.safetensors"):
        checkpoints.check_model_folder(policy, "policy")
    weights.unlink()
    with pytest.raises(InputError, match=r"lacks model\.safetensors"):
        checkpoints.check_model_folder(policy, "policy")
    (ppm / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="has no tokenizer"):
        checkpoints.check_model_folder(ppm, "ppm")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b'{"architectures": ["\xff"]}', r"config\.json is no JSON"),
        ("model.safetensors.index.json", b"{}", r"index\.json has no weight_map"),
        ("model.safetensors.index.json", b'{"weight_map": ["model.safetensors"]}', r"index\.json has no weight_map"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": 1}}', r"index\.json has no weight_map"),
    ],
)
def test_a_model_folder_with_a_file_of_another_form_is_refused_by_name(name, content, said, tmp_path: Path) -> None:
    policy = shutil.copytree(MODEL_PATH, tmp_path / "policy")
    (policy / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        checkpoints.check_model_folder(policy, "policy")


@pytest.mark.parametrize("damaged", ["rows.arrow", "rows.json"])
@pytest.mark.parametrize("damage", ["cut_short", "alter", "unlink"])
def test_damaged_rows_are_not_learnt_from(tmp_path: Path, damaged: str, damage: str) -> None:
    """A flipped bit was trained on without a word, and counts that were cut short failed at every start."""
    data = write_rows(tmp_path / "policy.parquet", [{"question": QUESTION, "steps": plain(STEPS)}])
    file = tmp_path / "rows.arrow"
    counts = rows.write(rows.policy_rows([data], Letters(), 1000), rows.POLICY_SCHEMA, file)
    assert rows.written(file) == counts
    {"cut_short": cut_short, "alter": alter, "unlink": Path.unlink}[damage](tmp_path / damaged)
    assert rows.written(file) is None


def test_another_number_in_the_counts_of_rows_is_noticed(tmp_path: Path) -> None:
    """Only the rows had a checksum: a training would have reported as many examples as a flipped bit said."""
    data = write_rows(tmp_path / "policy.parquet", [{"question": QUESTION, "steps": plain(STEPS)}])
    file, counts = tmp_path / "rows.arrow", tmp_path / "rows.json"
    rows.write(rows.policy_rows([data], Letters(), 1000), rows.POLICY_SCHEMA, file)
    written = counts.read_text()
    counts.write_text(written.replace("  1,", "  3,", 1))
    assert counts.read_text() != written and rows.written(file) is None


def test_rows_that_nobody_reads_any_more_are_mapped_no_longer(tmp_path: Path) -> None:
    """On NFS their folder could not be deleted: ranks that waited for the first one mapped them still."""
    data, file = tmp_path / "policy.parquet", tmp_path / "rows.arrow"
    write_rows(data, [{"question": QUESTION, "steps": plain(STEPS)}])
    rows.write(rows.policy_rows([data], Letters(), 1000), rows.POLICY_SCHEMA, file)
    found = RowData(rows.open_rows(file))
    assert found[0]["ids"] and str(file) in Path("/proc/self/maps").read_text()
    found.let_go()
    assert str(file) not in Path("/proc/self/maps").read_text()


# ---- what a stopped training goes on from -------------------------------------------------------------------------


def take_checkpoint(folder: Path, step: int) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / f"global_step{step}").mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    (checkpoint / f"global_step{step}" / "optimiser.pt").write_bytes(bytes(range(256)) * 100)
    return checkpoint


def mark_all(checkpoint: Path) -> None:
    mark(checkpoint, {name: known_by(checkpoint / name) for name in files_of(checkpoint)})


def test_a_checkpoint_that_a_kill_cut_off_is_not_resumed_from(tmp_path: Path) -> None:
    for step in (8, 16, 24, 104):
        checkpoint = take_checkpoint(tmp_path, step)
        if step < 24:
            mark_all(checkpoint)
    assert last_complete(tmp_path) == tmp_path / "checkpoint-16"
    said: list[str] = []
    drop_unusable(tmp_path, said.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-16", "checkpoint-8"]
    assert (last_complete(tmp_path / "empty"), said) == (None, [])


def test_the_two_newest_checkpoints_by_their_steps_stay_whatever_their_times_say(tmp_path: Path) -> None:
    """Of those that were fetched from a copy, in another order, and of those that a clock set back met, the newest went."""
    for step, seconds in ((1000, 2), (900, 3), (1200, 1)):
        mark_all(checkpoint := take_checkpoint(tmp_path, step))
        os.utime(checkpoint, (seconds, seconds))
    drop_older(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1000", "checkpoint-1200"]


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def alter(file: Path) -> None:
    file.write_bytes(b"?" + file.read_bytes()[1:])


def alter_last(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1]))


def test_one_bit_of_a_large_checkpoint_file_is_missed_nowhere(tmp_path: Path) -> None:
    """Only blocks of it were looked at, with gaps between them."""
    checkpoint = take_checkpoint(tmp_path, 8)
    large = checkpoint / "global_step8" / "optimiser.pt"
    content = bytearray(12 << 20)
    large.write_bytes(content)
    mark_all(checkpoint)
    content[66_000] ^= 1
    large.write_bytes(content)
    drop_unusable(tmp_path, lambda words: None)
    assert last_complete(tmp_path) is None


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (alter, "optimiser.pt is not as it was written"),
        (cut_short, "optimiser.pt has 25599 bytes of 25600"),
        (Path.unlink, "optimiser.pt is missing"),
    ],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it_with_a_word(
    tmp_path: Path, damage: Callable[[Path], object], why: str
) -> None:
    """The same command failed in it again and again, and was recommended each time."""
    kept = [take_checkpoint(tmp_path, step) for step in (8, 16)]
    for checkpoint in kept:
        mark_all(checkpoint)
    damage(kept[1] / "global_step16" / "optimiser.pt")
    said: list[str] = []
    for _ in range(2):
        drop_unusable(tmp_path, said.append)
        assert last_complete(tmp_path) == kept[0]
    assert said == [
        f"Damaged and deleted in {tmp_path}: checkpoint-16 (global_step16/{why}). The training goes on from checkpoint-8."
    ]
    (kept[0] / "complete").write_text("")
    drop_unusable(tmp_path, said.append)
    assert said[1].endswith(
        "(its file 'complete' cannot be read). The training begins anew, for no older one is whole."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("minutes", "saves"), [(1e-9, True), (10.0, False), (None, False)])
def test_a_checkpoint_by_minutes_is_taken_after_the_step_at_which_it_is_due(
    tmp_path: Path, minutes: float | None, saves: bool
) -> None:
    """It waited for a step whose loss is logged, which may be ten steps of a minute away."""
    group.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        control, state = TrainerControl(), TrainerState(global_step=3, max_steps=100, logging_steps=10)
        Saving(None, minutes, lambda: False).on_step_end(SimpleNamespace(device="cpu"), state, control)
        assert (control.should_save, control.should_training_stop) == (saves, False)
        stopping = Saving(None, minutes, lambda: True)
        stopping.on_step_end(SimpleNamespace(device="cpu"), state, control)
        assert (control.should_save, control.should_training_stop, stopping.stopped) == (True, True, True)
    finally:
        group.destroy_process_group()


def test_a_training_that_a_kill_met_at_its_very_end_is_not_done_again(tmp_path: Path) -> None:
    """Its checkpoints were gone and its stage was not finished: all of it was done anew."""
    data = write_rows(tmp_path / "policy.parquet", [{"question": QUESTION, "steps": plain(STEPS)}])
    job = TrainingJob("policy", write_policy(tmp_path / "base", seed=0), (data,), tmp_path / "out", QUICK)
    write_policy(job.out, seed=1)
    for step in (8, 16):
        mark_all(take_checkpoint(job.checkpoints, step))
    with patch("rstar_math.training.kept.drop_all", side_effect=KeyboardInterrupt), suppress(KeyboardInterrupt):
        finish(job, {"steps": 24})
    (job.checkpoints / "checkpoint-16" / "trainer_state.json").unlink()  # half deleted
    # Ray does not even run here.
    assert Trainings().train(job, lambda _: None) == {"steps": 24}
    assert not job.checkpoints.exists()
    assert Trainings().train(job, lambda _: None) == {"steps": 24}


@pytest.mark.parametrize(
    ("name", "damage", "why"),
    [
        ("model.safetensors", Path.unlink, "model.safetensors is missing"),
        ("model.safetensors", alter_last, "model.safetensors is not as it was written"),
        ("metrics.json", cut_short, "metrics.json has 15 bytes of 16"),
        ("tokenizer.json", alter, "tokenizer.json is not as it was written"),
    ],
)
def test_a_finished_training_whose_files_are_damaged_is_done_again_with_a_word(
    tmp_path: Path, name: str, damage: Callable[[Path], object], why: str
) -> None:
    """Only the heads of its weights were looked at before its stage went on with it; its numbers were a traceback."""
    job = TrainingJob("policy", tmp_path / "base", (), write_policy(tmp_path / "out", seed=1), QUICK)
    mark_all(take_checkpoint(job.checkpoints, 8))
    with patch("rstar_math.training.kept.drop_all"):
        finish(job, {"steps": 24})
    (job.out / "begun.json").write_text("what somebody else keeps there")
    damage(job.out / name)
    said: list[str] = []
    assert [finished(job, said.append), finished(job, said.append)] == [None, None]
    assert said == [
        f"The policy in {job.out} is damaged: {why}. It is trained again, from its last checkpoint if there is one."
    ]
    assert last_complete(job.checkpoints) == job.checkpoints / "checkpoint-8"


def test_checkpoints_that_are_half_deleted_count_no_more(tmp_path: Path) -> None:
    """The mark could outlive the files that it vouched for."""
    job = TrainingJob("policy", tmp_path / "base", (), tmp_path / "out", QUICK)
    for step in (8, 16):
        mark_all(take_checkpoint(job.checkpoints, step))
    with patch("shutil.rmtree", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        drop_all(job)
    assert last_complete(job.checkpoints) is None
