"""What happens where a disk takes no more: said before the work, one message in the midst of it, the next start goes on."""

import errno
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
from planting import plant

from rstar_math.cli.launch import open_run
from rstar_math.config import RunConfig, TrackingConfig, TrainingConfig
from rstar_math.errors import DiskError, EngineError, StageError
from rstar_math.evolution import room
from rstar_math.evolution.places import Place
from rstar_math.evolution.room import Watch, check_room, say_if_short
from rstar_math.evolution.stages import train_policy
from rstar_math.harvest.crop import write_examples
from rstar_math.search.storage import write_trees
from rstar_math.seedling import MODEL_PATH, solved_problems

Usage = namedtuple("Usage", "total used free")
HARVEST = f"{shlex.quote(sys.executable)} -m rstar_math harvest trees=trees out=disk/crop tracking.wandb=false"
#: A disk of two megabytes of one's own, in namespaces that an ordinary user may have too.
MOUNT = "mount -t tmpfs -o size=2m tmpfs disk"
DRAWN = "good q=1 n=1\n  print code=4\n    four answer=4 correct\nbad q=-1 n=1\n  print code=5\n    five answer=5 wrong"


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    for name in ("train", "validation"):
        (tmp_path / "trees" / name).mkdir(parents=True)
        tree = plant(
            "good q=1 n=1\n  print code=4\n    four answer=4 correct\nbad q=-1 n=1\n  print code=5\n    five answer=5 wrong"
        )
        write_trees(tmp_path / "trees" / name, 0, [tree])
    (tmp_path / "disk").mkdir()
    return tmp_path


def in_namespace(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    if subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", folder / "disk"], capture_output=True
    ).returncode:
        pytest.skip("this machine lets nobody mount a small disk, so a full one is not tried here")
    command = ["unshare", "-rm", "sh", "-c", f"{MOUNT}\n{script}"]
    plain = os.environ | {"NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=plain)


def test_a_full_disk_ends_the_command_in_one_message_and_the_next_start_goes_on(trees) -> None:
    fill = "dd if=/dev/zero of=disk/other bs=1k count=2040 2>/dev/null"
    done = in_namespace(f"{fill}\n{HARVEST}; echo first $?\nrm disk/other\n{HARVEST}; echo second $?", trees)
    said = done.stdout + done.stderr
    assert "No space left on device" in said
    assert "start the same command again" in said
    assert "Traceback" not in said
    assert "first 1" in said
    assert "second 0" in said


def test_a_folder_that_may_not_be_written_to_is_one_message(trees) -> None:
    done = in_namespace(f"mount -o remount,ro disk\n{HARVEST}; echo ended $?", trees)
    said = done.stdout + done.stderr
    assert "Read-only file system" in said
    assert "out=FOLDER" in said
    assert "Traceback" not in said
    assert "ended 1" in said


def leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - free, free))


@pytest.mark.parametrize(("precision", "width", "said"), [("bf16", 2, r"51\.6 MB"), ("fp32", 4, "64 MB")])
def test_a_training_whose_checkpoints_do_not_fit_is_refused_before_it_starts(
    precision, width, said, tmp_path, monkeypatch
) -> None:
    parameters, training = 1_032_320, TrainingConfig(precision=precision)
    wanted = (3 * (12 + 2 * width) + 2) * parameters
    leave(monkeypatch, wanted)
    check_room(tmp_path, MODEL_PATH, training)
    leave(monkeypatch, wanted - 1)
    with pytest.raises(DiskError, match=rf"{said} .*3 checkpoints of 1,032,320 parameters.*make room"):
        check_room(tmp_path, MODEL_PATH, training)
    (tmp_path / "checkpoint").write_bytes(b"1")  # what is there of it already counts
    check_room(tmp_path, MODEL_PATH, training)


@pytest.mark.parametrize(("free", "lines"), [(10**12, 0), (10**7, 1)])
def test_a_run_says_before_its_first_round_where_the_disk_has_less_than_it_will_take(
    free, lines, tmp_path, monkeypatch
) -> None:
    leave(monkeypatch, free)
    said: list[str] = []
    with open_run(RunConfig(tracking=TrackingConfig(wandb=False)), tmp_path / "run") as run:
        monkeypatch.setattr(run.progress, "say", said.append)
        say_if_short(run)
    assert len(said) == lines
    assert all("is likely to take" in line and "10 MB are free" in line for line in said)


def test_a_disk_that_fills_while_trees_grow_is_told_of_once_and_in_time(tmp_path, monkeypatch) -> None:
    """It was looked at before the first round alone, and others fill it too."""
    monkeypatch.setattr(room, "_LOOK_SECONDS", 0.0)
    (tmp_path / "trees.partial").mkdir()
    with (tmp_path / "trees.partial" / "part").open("wb") as part:
        part.truncate(300_000_000)
    said: list[str] = []
    watch = Watch(tmp_path / "trees.partial", said.append)
    leave(monkeypatch, 900_000_000)
    watch.look(1, 4)
    assert said == []
    leave(monkeypatch, 899_000_000)
    for done in (1, 2, 3, 4):
        watch.look(done, 4)
    assert len(said) == 1
    assert said[0].startswith(
        f"899 MB are free in {tmp_path}, and the 3 problems that are left are likely to take up to 900 MB"
    )


def test_a_failure_on_a_full_disk_names_the_disk_whatever_the_library_says(tmp_path, monkeypatch) -> None:
    def work(*_: object, **__: object) -> dict[str, float]:
        leave(monkeypatch, 100)
        raise EngineError("PytorchStreamWriter failed writing file")

    config = RunConfig(tracking=TrackingConfig(wandb=False))
    with pytest.raises(EngineError) as failed, open_run(config, tmp_path / "run") as run:
        run.alone(Place.of(1, "policy"), tmp_path / "out", work)
    assert "is full" in failed.value.__notes__[0]


def test_a_second_writer_is_told_who_the_first_is(tmp_path) -> None:
    config, root = RunConfig(tracking=TrackingConfig(wandb=False)), tmp_path / "run"
    said = rf"process {os.getpid()} on \S+ \(since 20\S+\) is writing to"
    with open_run(config, root), pytest.raises(StageError, match=said), open_run(config, root):
        raise AssertionError("two writers")
    with open_run(config, root):
        assert (root / "writer.json").exists()
    assert not (root / "writer.json").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_that_takes_no_locks_is_named_with_the_way_out(tmp_path, monkeypatch, number) -> None:
    """It ended with a traceback; or, where the call itself is missing, with a file that a killed run leaves."""

    def refusing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refusing)
    config, root = RunConfig(tracking=TrackingConfig(wandb=False)), tmp_path / "run"
    with (
        pytest.raises(StageError, match=r"\.lock cannot be locked .* Put runs= on a file system"),
        open_run(config, root),
    ):
        raise AssertionError("nothing keeps another writer out")


def test_a_training_by_a_command_is_refused_where_its_checkpoints_do_not_fit(tmp_path, monkeypatch) -> None:
    write_examples(tmp_path / "policy.parquet", ((each.problem, each.solution) for each in solved_problems()[:2]))
    config = RunConfig(tracking=TrackingConfig(wandb=False))
    given = {"training": config.plan(1).policy, "base": str(MODEL_PATH), "crop": tmp_path / "policy.parquet"}
    leave(monkeypatch, 10**6)
    with pytest.raises(DiskError, match="make room"), open_run(config, tmp_path / "run") as run:
        run.alone(Place.of(1, "policy"), tmp_path / "out" / "policy", train_policy, **given)
    assert not (tmp_path / "out" / "policy.partial").exists()


def test_a_disk_that_fills_while_the_base_is_copied_says_so_itself(tmp_path, monkeypatch) -> None:
    """`copytree` gathered what every file said into an error without a number, which came out as a traceback."""
    data = tmp_path / "policy.parquet"
    write_examples(data, ())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    desk = SimpleNamespace(progress=SimpleNamespace(say=lambda _: None))
    copied = train_policy(desk, tmp_path / "policy", training=TrainingConfig(), base=str(MODEL_PATH), crop=data)
    assert copied == {"steps": 0, "rows": 0}
    for file in MODEL_PATH.iterdir():
        assert (tmp_path / "policy" / file.name).read_bytes() == file.read_bytes()
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left") as refused:
        train_policy(desk, tmp_path / "again", training=TrainingConfig(), base=str(MODEL_PATH), crop=data)
    assert refused.value.errno == errno.ENOSPC
