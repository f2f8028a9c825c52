"""Files of training rows of other people's: what is learnt from them, and how the bad ones are named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from test_training_rows import REPLY, Letters
from worked_rows import QUESTION, STEPS, pair, plain, released_pair

from rstar_math import text
from rstar_math.checkpoints import Kind
from rstar_math.cli import alone
from rstar_math.cli.main import main
from rstar_math.errors import InputError
from rstar_math.seedling import MODEL_PATH
from rstar_math.training import rows
from rstar_math.training.objectives import bradley_terry
from rstar_math.training.ppm import collate
from rstar_math.training.reading import check_rows

PROMPT = text.prompt(QUESTION) + STEPS[0].text + "\n\n"


def lines(path: Path, *content: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in content))
    return path


def refused(file: Path, kind: Kind) -> str:
    with pytest.raises(InputError) as caught:
        check_rows(file, kind)
    return str(caught.value)


def code(line: str) -> str:
    return f"{line}\n<end_of_step>"


OURS = json.loads(json.dumps(pair(STEPS[:1], STEPS[1:2], STEPS[2:])))
ODD_PAIRS: list[tuple[Any, list[str]]] = [
    ({"prompt": PROMPT, "pos": "a"}, ["no neg, pos_count, neg_count", "got prompt, pos"]),
    (released_pair(PROMPT, "", code("b")), ["pos: got ''", "expected text"]),
    (released_pair(PROMPT, [code("a"), 3], code("b")), ["pos: got", "expected text"]),  # type: ignore[list-item]
    (released_pair(PROMPT, code("a"), code("b"), (0, 1)), ["pos_count: got '0'", "at least 1"]),
    (released_pair(PROMPT, "a", code("b")), ["the reply ends without one of", "'a'"]),
    (OURS | {"chosen": []}, ["chosen: got '[]'", "at least one step"]),
    (OURS | {"prefix": [{"text": 3}]}, ["prefix: got", "expected steps"]),
    ({"text": "x"}, ["no problem_id, question, kind, chosen, rejected, prefix", "got text"]),
    ([1], ["a JSON list, expected an object"]),
    ("{", ["got '{'", "no JSON"]),
]


@pytest.mark.parametrize(("row", "parts"), ODD_PAIRS)
def test_a_bad_pair_is_named_with_what_it_has_and_what_it_should(row: Any, parts: list[str], tmp_path: Path) -> None:
    good = released_pair(PROMPT, code("a"), code("b"))
    message = refused(lines(tmp_path / "rm.jsonl", good, OURS, row), "ppm")
    wanted = [*parts, "rm.jsonl: 1 of 3 rows cannot be used", "line 3", "Expected for a ppm: problem_id", "Correct"]
    assert [part for part in wanted if part not in message] == []


def test_bad_examples_are_shown_together_and_an_empty_file_is_no_data(tmp_path: Path) -> None:
    good, ours = {"query": QUESTION, "response": REPLY}, {"question": QUESTION, "steps": plain(STEPS)}
    check_rows(lines(tmp_path / "good.jsonl", good, ours), "policy")
    bad = [{"query": QUESTION}, {"query": QUESTION, "response": REPLY[:-5]}, {"question": 7, "steps": []}]
    message = refused(lines(tmp_path / "sft.jsonl", good, *bad), "policy")
    assert "3 of 4 rows cannot be used\n  line 2: no response: got query\n  line 3: the reply ends without" in message
    assert "line 4: question: got '7', expected text" in message
    assert "no rows at all" in refused(lines(tmp_path / "empty.jsonl"), "policy")
    with pytest.raises(InputError, match=r"expected \.parquet"):
        check_rows(lines(tmp_path / "x.csv"), "policy")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    assert "no readable Parquet file" in refused(tmp_path / "cut.parquet", "ppm")
    (tmp_path / "cut.json").write_text("[{")
    assert "is no JSON" in refused(tmp_path / "cut.json", "ppm")


def test_the_pairs_of_a_shuffled_file_weigh_what_they_weigh_in_order(tmp_path: Path) -> None:
    """A pair weighed by how many of its group happened to stand next to it."""
    many = [released_pair(PROMPT, code(f"x = {n}"), code(f"y = {m}"), (2, 2)) for n in range(2) for m in range(2)]
    one = released_pair(text.prompt("Another?"), code("z = 1"), code("z = 2"))
    pulls = []
    for name, content in (("ordered", [*many, one]), ("shuffled", [many[0], one, *many[1:3], one, many[3]])):
        found = rows.group_rows([lines(tmp_path / f"{name}.jsonl", *content)], Letters(), 1000)
        batch = collate(0)([encoded.row for encoded in found if encoded.row is not None])
        # How strongly each pair pulls, in units of the file's rows.
        pulls.append((batch["weight"] * batch["group"].unique().numel()).tolist())
        assert torch.isfinite(bradley_terry(torch.zeros(len(batch["end"])), batch))
    assert pulls == [pytest.approx([0.25] * 4 + [1.0]), pytest.approx([0.25, 1.0, 0.25, 0.25, 1.0, 0.25])]


def test_pairs_at_the_root_of_two_trees_are_two_groups(tmp_path: Path) -> None:
    """One after the other they were taken for one, and each of their pairs weighed half."""
    file = lines(tmp_path / "pairs.jsonl", *({**OURS, "group": f"p/{seed}/0"} for seed in (1, 1, 2)))
    found = [encoded.row for encoded in rows.group_rows([file], Letters(), 1000) if encoded.row is not None]
    assert [row["examples"] for row in found] == [2, 1]


@pytest.mark.parametrize("command", ["train-policy", "train-ppm"])
def test_a_file_of_bad_rows_is_refused_before_anything_is_started_or_made(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank found them; the folder that it left refused the mended file."""
    asked: list[dict[str, Any]] = []

    class Noted:
        base = str(MODEL_PATH)

        def alone(self, *_: Any, **given: Any) -> None:
            asked.append(given)

        def __enter__(self) -> "Noted":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(alone, "open_run", lambda *_: Noted())
    data, out = lines(tmp_path / "rows.jsonl", {"text": "x"}), tmp_path / "out"
    start = [command, f"data={data}", f"out={out}", *([f"policy={MODEL_PATH}"] if command == "train-ppm" else [])]
    result = CliRunner().invoke(main, start)
    assert (result.exit_code, asked, out.exists()) == (2, [], False)
    lines(data, OURS if command == "train-ppm" else {"query": QUESTION, "response": REPLY})
    assert CliRunner().invoke(main, start).exit_code == 0
    assert [given["crop"] for given in asked] == [data]


def test_a_pqm_is_refused_rows_without_q_before_anything_is_started(tmp_path: Path) -> None:
    file = lines(tmp_path / "rm.jsonl", released_pair(PROMPT, code("a"), code("b")))
    check_rows(file, "ppm")
    with pytest.raises(InputError, match=r"line 1: no q_chosen, q_rejected .*take pairwise"):
        check_rows(file, "ppm", "pqm")
