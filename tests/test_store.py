"""A stage happens once, whatever stopped it."""

import contextlib
import json
import os
import re
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pytest
from artefacts import flip_a_bit

from rstar_math import disk
from rstar_math.disk import seal
from rstar_math.errors import StageError
from rstar_math.evolution import store
from rstar_math.evolution.fingerprint import Fingerprint
from rstar_math.evolution.inputs import digest_of
from rstar_math.evolution.places import Place
from rstar_math.evolution.store import MANIFEST, Store, clear_other, once, read_manifest

PRINT = Fingerprint({"round.r1.search.rollouts": 8}, {"problems": "abc"})


class Kill(BaseException):
    """Stands for a signal in the middle of the work."""


def write_one(folder: Path) -> dict[str, float]:
    (folder / "result.txt").write_text("forty-two")
    return {"count": 1}


def never(folder: Path) -> dict[str, float]:
    raise AssertionError(f"{folder} was to be returned unread")


def test_a_finished_stage_is_returned_unread(tmp_path) -> None:
    first = once(tmp_path / "trees", PRINT, write_one)
    second = once(tmp_path / "trees", PRINT, never)
    assert (first.before, second.before) == (False, True)
    assert second.metrics == {"count": 1}
    assert (tmp_path / "trees" / "result.txt").read_text() == "forty-two"


def test_a_changed_knob_is_refused_with_its_name_and_both_values(tmp_path) -> None:
    once(tmp_path / "trees", PRINT, write_one)
    other = Fingerprint({"round.r1.search.rollouts": 16}, {"problems": "abc"})
    with pytest.raises(StageError, match=r"'round\.r1\.search\.rollouts' was 8 and is now 16"):
        once(tmp_path / "trees", other, never)


def test_a_changed_input_is_refused(tmp_path) -> None:
    once(tmp_path / "trees", PRINT, write_one)
    with pytest.raises(StageError, match="input 'problems'"):
        once(tmp_path / "trees", Fingerprint(PRINT.knobs, {"problems": "other"}), never)


def test_a_stopped_stage_is_continued_in_the_same_folder(tmp_path) -> None:
    def stop_halfway(folder: Path) -> dict[str, float]:
        (folder / "half.txt").write_text("done")
        raise Kill

    with pytest.raises(Kill):
        once(tmp_path / "trees", PRINT, stop_halfway)
    assert not (tmp_path / "trees").exists()

    def go_on(folder: Path) -> dict[str, float]:
        assert (folder / "half.txt").read_text() == "done"
        return write_one(folder)

    once(tmp_path / "trees", PRINT, go_on)
    assert (tmp_path / "trees" / MANIFEST).is_file()
    assert not (tmp_path / "trees.partial").exists()


def test_a_stopped_stage_begun_with_another_setting_is_refused(tmp_path) -> None:
    def stop(folder: Path) -> dict[str, float]:
        (folder / "half.txt").touch()
        raise Kill

    with pytest.raises(Kill):
        once(tmp_path / "trees", PRINT, stop)
    with pytest.raises(StageError, match="rollouts"):
        once(tmp_path / "trees", Fingerprint({"round.r1.search.rollouts": 9}, {"problems": "abc"}), never)


@pytest.mark.parametrize("left_over", ["manifest.json", "begun.json"])
def test_a_kill_between_the_last_write_and_the_rename_loses_nothing(tmp_path, left_over) -> None:
    once(tmp_path / "whole", PRINT, write_one)
    (tmp_path / "whole").rename(tmp_path / "trees.partial")
    if left_over == "begun.json":
        (tmp_path / "trees.partial" / MANIFEST).unlink()
        begun = {"attempt": "a1b2c3", "fingerprint": asdict(PRINT), "seconds": 1.0}
        seal(tmp_path / "trees.partial" / "begun.json", begun)
    done = once(tmp_path / "trees", PRINT, write_one)
    assert set(read_manifest(done.folder)["files"]) == {"result.txt"}


def test_what_a_kill_left_whole_but_for_its_name_is_still_another_settings(tmp_path) -> None:
    """What one reward model had said would have been kept, line by line, as another's."""
    partial = once(tmp_path / "worths", PRINT, write_one).folder.rename(tmp_path / "worths.partial")
    with pytest.raises(StageError, match="rollouts"):
        once(tmp_path / "worths", Fingerprint({}, {}), never)
    clear_other(tmp_path / "worths", PRINT)
    assert partial.exists()
    clear_other(tmp_path / "worths", Fingerprint({}, {}))
    assert not partial.exists()


def test_the_manifest_holds_every_files_checksum(tmp_path) -> None:
    done = once(tmp_path / "trees", PRINT, write_one)
    kept = read_manifest(done.folder)["files"]["result.txt"]
    assert kept == {"bytes": 9, "sha256": digest_of(done.folder / "result.txt")}


def test_a_stop_while_the_manifest_is_written_leaves_no_file_that_is_then_missing(tmp_path, monkeypatch) -> None:
    """What was left of the manifest stood in the next one, which had taken its name: no later stage would read the trees."""

    def stopped(path: Path, content: object) -> None:
        if path.name == MANIFEST:
            path.with_suffix(".unfinished").write_text("{")
            raise Kill
        seal(path, content)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises(Kill):
        patched.setattr(store, "seal", stopped)
        once(tmp_path / "trees", PRINT, write_one)
    store.check_whole(once(tmp_path / "trees", PRINT, write_one).folder)


def test_a_stage_that_makes_no_file_is_finished(tmp_path) -> None:
    """Its folder was taken for that of one that failed, and its end with it."""
    assert once(tmp_path / "trees", PRINT, lambda _: {"held_out": 0}).metrics == {"held_out": 0}
    assert once(tmp_path / "trees", PRINT, never).before


def test_a_stage_that_failed_on_bad_input_leaves_nothing_half_made(tmp_path) -> None:
    def refuse(folder: Path) -> dict[str, float]:
        raise StageError("no such column")

    with pytest.raises(StageError, match="no such column"):
        once(tmp_path / "problems", PRINT, refuse)
    assert list(tmp_path.iterdir()) == []


def test_from_keeps_what_it_replaces_and_all_that_follows_is_redone(tmp_path) -> None:
    store = Store(tmp_path)
    places = [Place.of(1, "policy"), Place.of(1, "ppm"), Place.of(2, "trees")]
    for place in places:
        store.once(place, PRINT, write_one)
    moved = store.set_aside("round-1.ppm")
    assert [store.folder(place).exists() for place in places] == [True, False, False]
    assert sorted(path.name.split(".")[0] for path in moved) == ["ppm", "trees"]
    assert all(path.is_dir() for path in moved)


def test_a_round_of_ten_comes_after_a_round_of_nine() -> None:
    assert Place.of(9, "scores") < Place.of(10, "problems") < Place.of(10, "trees") < Place.of(10, "harvest")


@pytest.mark.parametrize("written", ["round-x", "3", "round-3.sores", "round3.ppm", ""])
def test_a_stage_that_does_not_exist_is_refused_with_those_that_do(written) -> None:
    with pytest.raises(StageError, match=r"round-N.*harvest"):
        Place.parse(written)


def test_a_damaged_manifest_is_named(tmp_path) -> None:
    """It advised to delete the folder, though what from= replaces is kept."""
    for folder, way in (
        ("round-1", r"with from=round-1\.trees, which keeps it"),
        ("out", r"with .*out/trees moved away"),
    ):
        done = once(tmp_path / folder / "trees", PRINT, write_one)
        (done.folder / MANIFEST).write_text('{"fingerprint"')
        with pytest.raises(StageError, match=rf"manifest\.json cannot be read .*do the stage again {way}"):
            once(tmp_path / folder / "trees", PRINT, never)


def test_no_number_of_a_manifest_changes_unnoticed(tmp_path) -> None:
    """Of its numbers only those of the fingerprint were compared with anything: an altered loss, or an altered count of
    steps, was taken for the stage's own."""

    def measure(folder: Path) -> dict[str, object]:
        return write_one(folder) | {"steps": 120, "loss": 0.4375, "accuracy": {"low": 0.5, "count": 31}, "none": None}

    file = once(tmp_path / "trees", PRINT, measure).folder / MANIFEST
    written = file.read_text()
    assert read_manifest(file.parent)["metrics"]["steps"] == 120
    numbers = list(re.finditer(r"(?<=: )[\d.]+", written))
    assert len(numbers) == 8
    for at in (at for number in numbers for at in range(*number.span()) if written[at] != "."):
        file.write_text(f"{written[:at]}{(int(written[at]) + 1) % 10}{written[at + 1 :]}")
        with pytest.raises(StageError, match=r"manifest\.json (is damaged|cannot be read)"):
            once(tmp_path / "trees", PRINT, never)


@pytest.mark.parametrize("name", ["manifest.json", "begun.json"])
def test_a_flipped_bit_of_what_a_stage_says_of_itself_is_named_wherever_it_is(tmp_path, name) -> None:
    def stop(folder: Path) -> dict[str, float]:
        write_one(folder)
        raise Kill

    if name == MANIFEST:
        file = once(tmp_path / "trees", PRINT, write_one).folder / name
    else:
        with pytest.raises(Kill):
            once(tmp_path / "trees", PRINT, stop)
        file = tmp_path / "trees.partial" / name
    bits = 8 * file.stat().st_size
    for bit in range(0, bits, 3):
        flip_a_bit(file, (bit + 0.5) / bits)
        with pytest.raises(StageError, match=rf"{name} (is damaged|cannot be read)"):
            once(tmp_path / "trees", PRINT, never)
        flip_a_bit(file, (bit + 0.5) / bits)
    once(tmp_path / "trees", PRINT, write_one)


@pytest.mark.parametrize("size", [10, 3_000_000, 20_000_000])
def test_other_weights_of_the_same_size_are_another_input(tmp_path, size) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(size))
    before = digest_of(tmp_path)
    assert digest_of(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"\x01" * size)
    assert digest_of(tmp_path) != before


@pytest.mark.parametrize("at", [0, 65_536, 2_999_999])
def test_one_byte_of_a_small_model_makes_it_another_input(tmp_path, at) -> None:
    weights = bytearray(3_000_000)
    (tmp_path / "model.safetensors").write_bytes(weights)
    before = digest_of(tmp_path)
    weights[at] = 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    assert digest_of(tmp_path) != before


@pytest.mark.parametrize("name", ["tokenizer.model", "merges.txt", "vocab.txt", "tokenizer.json"])
def test_another_tokenizer_of_any_kind_makes_a_model_another_input(tmp_path, name) -> None:
    """Of a tokenizer only what was JSON counted."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / name).write_text("a b")
    before = digest_of(tmp_path)
    (tmp_path / name).write_text("b a")
    assert digest_of(tmp_path) != before


def test_from_a_round_that_was_never_begun_is_refused_with_those_that_were(tmp_path) -> None:
    store = Store(tmp_path)
    store.once(Place.of(1, "trees"), PRINT, write_one)
    with pytest.raises(StageError, match=r"from=round-9: .*has round-1;"):
        store.ask_for("round-9")
    assert store.folder(Place.of(1, "trees")).exists()


def test_a_fingerprint_survives_json(tmp_path) -> None:
    fingerprint = Fingerprint({"a": (1, 2), "b": None}, {})
    assert fingerprint.difference(json.loads(json.dumps({"knobs": {"a": (1, 2), "b": None}, "inputs": {}}))) is None


def test_the_same_from_after_a_stop_goes_on_instead_of_starting_over_again(tmp_path) -> None:
    store, place = Store(tmp_path), Place.of(1, "trees")
    store.once(place, PRINT, write_one)
    assert len(store.start_over("round-1")) == 1
    store.once(place, PRINT, write_one)
    assert store.start_over("round-1") == []
    assert store.folder(place).exists()
    store.forget_start(Place.of(0, "scores"))  # another start came to its end before that
    assert store.start_over("round-1") == []
    store.forget_start(Place.last(4))
    assert len(store.start_over("round-1")) == 1


def test_the_same_from_with_another_setting_redoes_what_it_names_and_what_follows(tmp_path, caplog) -> None:
    """It said "nothing more to set aside", and the stage then refused the setting with the advice to use this from=."""
    store, trees, crop = Store(tmp_path), Place.of(3, "trees"), Place.of(3, "harvest")
    for place in (trees, crop):
        store.once(place, PRINT, write_one)
    store.start_over("round-3.trees")
    for place in (trees, crop):
        store.once(place, PRINT, write_one)
    other = Fingerprint({"round.r1.search.rollouts": 16}, {"problems": "abc"})
    again = Store(tmp_path)
    assert again.start_over("round-3.trees") == []
    assert not again.once(trees, other, write_one).before
    assert not again.folder(crop).exists()
    assert "'round.r1.search.rollouts' was 8 and is now 16; it and all that follow are set aside" in caplog.text
    plain = Store(tmp_path)
    with pytest.raises(StageError, match="redo the stage"):  # without from= nothing is redone
        plain.once(trees, PRINT, never)


@pytest.mark.parametrize("harm", ["a byte", "the manifest", "begun with another setting"])
def test_the_same_from_redoes_what_is_damaged_or_half_done_with_another_setting(tmp_path, harm) -> None:
    def harmed(folder: Path) -> dict[str, float]:
        write_one(folder)
        if harm == "begun with another setting":
            raise Kill
        return {}

    store, place = Store(tmp_path), Place.of(1, "trees")
    store.once(place, PRINT, write_one)
    store.start_over("round-1")
    with contextlib.suppress(Kill):
        store.once(place, Fingerprint({}, {}) if harm.startswith("begun") else PRINT, harmed)
    if harm == "a byte":
        (store.folder(place) / "result.txt").write_text("forty-one")
    if harm == "the manifest":
        (store.folder(place) / MANIFEST).unlink()
    again = Store(tmp_path)
    assert again.start_over("round-1") == []
    assert not again.once(place, PRINT, write_one).before


def test_a_damaged_note_of_how_a_stage_was_begun_is_named_with_the_way_out(tmp_path) -> None:
    (tmp_path / "round-1" / "trees.partial").mkdir(parents=True)
    (tmp_path / "round-1" / "trees.partial" / "begun.json").write_text('{"fingerp')
    with pytest.raises(StageError, match=r"begun\.json cannot be read .*do the stage again with from=round-1\.trees"):
        once(tmp_path / "round-1" / "trees", PRINT, never)


def test_a_folder_of_somebody_elses_is_never_written_over(tmp_path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "mine.txt").write_text("keep")
    with pytest.raises(StageError, match="no finished stage"):
        once(tmp_path / "policy", PRINT, never)
    assert (tmp_path / "policy" / "mine.txt").read_text() == "keep"


def test_a_stage_that_failed_before_it_wrote_a_file_can_be_started_with_another_setting(tmp_path) -> None:
    def make_folders_and_fail(folder: Path) -> dict[str, float]:
        (folder / "train").mkdir()
        raise StageError("the server cannot be reached")

    with pytest.raises(StageError, match="cannot be reached"):
        once(tmp_path / "trees", PRINT, make_folders_and_fail)
    once(tmp_path / "trees", Fingerprint({"other": 1}, {}), write_one)


def test_a_kill_while_what_costs_little_is_deleted_leaves_no_half_of_it(tmp_path, monkeypatch) -> None:
    """Its manifest went first, and the same command was refused: the folder was no finished stage."""
    final, other = tmp_path / "scores", Fingerprint({}, {})
    once(final, PRINT, write_one)

    def killed(folder: Path) -> None:
        (folder / MANIFEST).unlink()
        raise Kill

    with monkeypatch.context() as patched:
        patched.setattr(store.shutil, "rmtree", killed)
        with pytest.raises(Kill):
            clear_other(final, other)
    clear_other(final, other)
    assert not once(final, other, write_one).before
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]


def test_the_way_out_of_a_stage_by_itself_is_another_folder_and_no_other_name(tmp_path) -> None:
    """name=NEW names another run; what is done into out= stays where it is."""
    once(tmp_path / "trees", PRINT, write_one)
    with pytest.raises(StageError, match=r"Put it back, or name another out= folder$"):
        once(tmp_path / "trees", Fingerprint({}, {}), never)
    Store(tmp_path).once(Place.of(1, "trees"), PRINT, write_one)
    with pytest.raises(StageError, match=r"from=round-1\.trees, or start another run with name=NEW$"):
        Store(tmp_path).once(Place.of(1, "trees"), Fingerprint({}, {}), never)


def stop_halfway(folder: Path) -> dict[str, float]:
    write_one(folder)
    raise Kill


def test_what_nobody_knows_the_setting_of_is_not_taken_over(tmp_path) -> None:
    """Where begun.json was lost, a start with any setting went on with what another one had made."""
    store, place = Store(tmp_path), Place.of(1, "trees")
    with pytest.raises(Kill):
        store.once(place, PRINT, stop_halfway)
    partial = tmp_path / "round-1" / "trees.partial"
    (partial / "begun.json").unlink()
    with pytest.raises(StageError, match=r"begun\.json is missing.*result\.txt was made.*from=round-1\.trees"):
        store.once(place, Fingerprint({}, {}), never)
    (partial / "result.txt").unlink()
    store.once(place, Fingerprint({}, {}), write_one)  # nothing of another setting is there


def test_the_same_from_redoes_what_nobody_knows_the_setting_of(tmp_path) -> None:
    store, place = Store(tmp_path), Place.of(1, "trees")
    store.once(place, PRINT, write_one)
    store.start_over("round-1")
    with pytest.raises(Kill):
        store.once(place, PRINT, stop_halfway)
    (tmp_path / "round-1" / "trees.partial" / "begun.json").unlink()
    again = Store(tmp_path)
    assert again.start_over("round-1") == []
    assert not again.once(place, PRINT, write_one).before
    assert list((tmp_path / "round-1").glob("trees.partial.replaced-*"))


def test_a_manifest_speaks_of_nothing_that_a_loss_of_power_could_take_back(tmp_path, monkeypatch) -> None:
    """Weights might be in memory alone while their manifest was on disk."""
    final, told, fsync, rename = tmp_path / "policy", [], os.fsync, Path.rename

    def noting(number: int) -> None:
        told.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        fsync(number)

    def noting_too(self: Path, name: Path) -> Path:
        told.append(f"-> {name}")
        return rename(self, name)

    def work(folder: Path) -> dict[str, float]:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "weights").write_text("weights")
        return write_one(folder)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(Path, "rename", noting_too)
    once(final, PRINT, work)
    named = told.index(f"-> {final}")
    sealed = max(place for place, path in enumerate(told) if path.endswith("manifest.unfinished"))
    for path in ("result.txt", "checkpoints/weights", "checkpoints"):
        assert told.index(f"{final}.partial/{path}") < sealed
    assert sealed < told.index(f"{final}.partial") < named < told.index(str(tmp_path))


def test_a_large_file_is_read_again_where_somebody_has_written_to_it(tmp_path, monkeypatch) -> None:
    """A model of gigabytes is an input of hundreds of stages of one evaluation."""
    file, read = tmp_path / "weights", []
    file.write_bytes(bytes(1000))
    monkeypatch.setattr(disk, "_LARGE_BYTES", 1000)
    monkeypatch.setattr(disk, "_digests", {})
    monkeypatch.setattr(disk.hashlib, "file_digest", lambda opened, _: read.append(opened) or sha256(opened.read()))
    before = disk.digest(file)
    assert disk.digest(file) == before and len(read) == 1
    flip_a_bit(file, 0.5)
    assert disk.digest(file) != before and len(read) == 2
    monkeypatch.setattr(disk, "_READ_AGAIN_SECONDS", 0.0)
    disk.digest(file)
    assert len(read) == 3
    file.write_bytes(bytes(999))  # no large one
    monkeypatch.setattr(disk, "_READ_AGAIN_SECONDS", 3600.0)
    disk.digest(file), disk.digest(file)
    assert len(read) == 5
