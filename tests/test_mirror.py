"""A run's copy on an object store: a real server of the S3 protocol, real files, starts that die at every single step."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyarrow import ArrowException, ArrowInvalid
from pyarrow.fs import FileSystem

from rstar_math.config import MirrorConfig
from rstar_math.errors import ConfigError, StageError, StoreError
from rstar_math.evolution.fingerprint import Fingerprint
from rstar_math.evolution.mirror import Mirror
from rstar_math.evolution.mirroring import mirrored
from rstar_math.evolution.objects import Objects
from rstar_math.evolution.places import Place
from rstar_math.evolution.store import Store, check_whole, read_manifest

pytestmark = pytest.mark.slow
INTERVAL = 100.0
SAME = Fingerprint({}, {})


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """In a process of its own: vLLM looks at every object of every module, and flask's are not to be looked at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    # What every tool that speaks S3 reads from its environment.
    given = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in (given | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
            patch.setenv(name, value)
        while not listens(port):
            assert process.poll() is None, "the server of S3's protocol did not start"
            time.sleep(0.1)
        yield
        process.terminate()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def url(server: None, request: pytest.FixtureRequest) -> str:
    name = f"bucket-{abs(hash(request.node.name))}"
    store, _ = FileSystem.from_uri(f"s3://{name}?allow_bucket_creation=true")
    store.create_dir(name)
    return f"s3://{name}/runs/demo"


def mirror(url: str, root: Path, said: Callable[[str], None] = lambda _: None) -> Mirror:
    root.mkdir(parents=True, exist_ok=True)
    return Mirror(url, root, INTERVAL, said)


def up_to_date(url: str, root: Path) -> None:
    """A start that does nothing but bring the copy up to date."""
    copy = mirror(url, root)
    copy.open()
    copy.update()
    copy.close()


def stage(root: Path, number: int, name: str, content: str) -> Path:
    def work(folder: Path) -> dict[str, float]:
        (folder / "train").mkdir(exist_ok=True)
        for part in range(2):
            (folder / "train" / f"part-{part}.parquet").write_text(f"{content} {part}")
        return {}

    return Store(root).once(Place.of(number, name), SAME, work).folder


def checkpoint(root: Path, step: int, *, whole: bool = True) -> None:
    """As a training writes it: its mark last."""
    folder = root / "round-1" / "policy.partial" / "checkpoints" / f"checkpoint-{step}"
    (folder / "states").mkdir(parents=True)
    (folder.parents[1] / "begun.json").write_text('{"seconds": 1.0}')
    for name in ("weights", "states/rank-0"):
        (folder / name).write_text(f"{name} of step {step}")
    if whole:
        (folder / "complete").touch()


def content(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.glob("round-*/**/*") if path.is_file() and ".replaced-" not in str(path))
    return {str(path.relative_to(root)): path.read_text() for path in files}


def test_another_machine_goes_on_from_the_copy(url, tmp_path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    stage(here, 0, "problems", "sums")
    stage(here, 1, "trees", "grown")
    checkpoint(here, 20)
    (here / "metrics.jsonl").write_text("{}\n")
    (here / "wandb").mkdir()
    (here / "wandb" / "group").write_text("1a2b3c4d")
    (here / "round-1" / "trees.replaced-20260101-000000-000000").mkdir()
    up_to_date(url, here)
    up_to_date(url, there)
    assert content(there) == content(here)
    assert (there / "metrics.jsonl").read_text() == "{}\n"
    assert (there / "wandb" / "group").read_text() == "1a2b3c4d"  # one run on the dashboard, wherever it goes on
    check_whole(there / "round-1" / "trees")
    assert not list(there.rglob("*.unfinished"))


def test_only_what_is_new_is_copied_and_what_is_gone_is_deleted(url, tmp_path, monkeypatch) -> None:
    root, put = tmp_path / "run", []
    monkeypatch.setattr(Objects, "put", _noting(Objects.put, put))
    copy = mirror(url, root)
    copy.open()
    stage(root, 0, "problems", "sums")
    checkpoint(root, 20)
    copy.update()
    assert sum("part-" in name for name in put) == 2
    put.clear()
    shutil.rmtree(root / "round-1" / "policy.partial" / "checkpoints" / "checkpoint-20")
    checkpoint(root, 40)
    copy.update()
    assert {name.split("/")[3] for name in put if "checkpoint-" in name} == {"checkpoint-40"}
    assert not any("checkpoint-20" in name or "problems" in name for name in put)
    assert not any("checkpoint-20" in name for name in Objects(url).sizes())


def test_a_stage_that_finishes_is_not_sent_again(url, tmp_path, monkeypatch) -> None:
    """The copy of 20 GB of trees is renamed where it stands."""
    root, put = tmp_path / "run", []
    copy = mirror(url, root)
    copy.open()

    def work(folder: Path) -> dict[str, float]:
        (folder / "part.parquet").write_text("a large file")
        copy.update()
        monkeypatch.setattr(Objects, "put", _noting(Objects.put, put))
        return {}

    Store(root).once(Place.of(1, "trees"), SAME, work)
    copy.update()
    assert [name for name in put if name.startswith("round-")] == ["round-1/trees/manifest.json"]
    up_to_date_elsewhere = tmp_path / "elsewhere"
    copy.close()
    up_to_date(url, up_to_date_elsewhere)
    assert content(up_to_date_elsewhere) == content(root)


def _noting(method: Callable[..., bool], names: list[str]) -> Callable[..., bool]:
    def put(self: Objects, name: str, path: Path) -> bool:
        names.append(name)
        return method(self, name, path)

    return put


class Killed(BaseException):
    """The process is no more."""


def test_a_kill_at_any_step_leaves_a_run_that_was_killed_a_little_earlier(url, tmp_path, monkeypatch) -> None:
    here = tmp_path / "here"
    stage(here, 0, "problems", "sums")
    checkpoint(here, 20)
    up_to_date(url, here)
    before = {name: Objects(url).read(name) or b"" for name in Objects(url).sizes()}
    # Since then: the training saved again and forgot the older checkpoint, and a stage was done and the next begun.
    shutil.rmtree(here / "round-1" / "policy.partial" / "checkpoints" / "checkpoint-20")
    stage(here, 1, "trees", "grown")
    checkpoint(here, 40)
    checkpoint(here, 60, whole=False)
    for step in range(1000):
        _put_back(url, before)
        copy = mirror(url, here)
        copy.open()
        whole = not _killed_after(step, copy.update, monkeypatch)
        Objects(url).delete("mirror-writer.json")
        there = tmp_path / f"there-{step}"
        up_to_date(url, there)
        _assert_sound(there)
        if whole:
            break
    assert step > 10
    assert content(there) == content(here)


def test_a_kill_at_any_step_after_a_stage_was_begun_anew_mixes_no_old_checkpoint_with_it(
    url, tmp_path, monkeypatch
) -> None:
    """New files went over old ones under marks that still held."""
    here = tmp_path / "here"
    stage(here, 0, "problems", "sums")
    checkpoint(here, 20)
    up_to_date(url, here)
    before = {name: Objects(url).read(name) or b"" for name in Objects(url).sizes()}
    noted = (here / ".mirror.json").read_bytes()
    Store(here).set_aside("round-1.policy")
    (here / "round-1" / "policy.partial").mkdir()
    (here / "round-1" / "policy.partial" / "begun.json").write_text('{"seconds": 2.0, "anew": true}')
    for steps in range(100):
        _put_back(url, before)
        (here / ".mirror.json").write_bytes(noted)
        copy = mirror(url, here)
        copy.open()
        killed = _killed_after(steps, copy.update, monkeypatch)
        there = tmp_path / f"there-{steps}"
        Objects(url).delete("mirror-writer.json")
        up_to_date(url, there)
        begun, old = (there / "round-1" / "policy.partial" / name for name in ("begun.json", "checkpoints"))
        assert not (begun.is_file() and "anew" in begun.read_text() and old.exists())
        if not killed:
            break
    assert begun.is_file()
    assert steps > 5


def _killed_after(steps: int, action: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the process was killed before it had changed so many objects and come to its end."""
    left = steps

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return method(*given)

        return call

    with monkeypatch.context() as patch:
        for name in ("put", "copy", "delete", "write"):
            patch.setattr(Objects, name, counted(getattr(Objects, name)))
        try:
            action()
        except Killed:
            return True
    return False


def test_a_stage_that_finishes_while_it_is_copied_is_whole_in_the_copy(url, tmp_path, monkeypatch) -> None:
    """Files that were gone by then counted as copied, and were never sent under their new name."""
    root, put = tmp_path / "run", Objects.put
    copy = mirror(url, root)
    copy.open()
    begun = root / "round-1" / "trees.partial"

    def work(folder: Path) -> dict[str, float]:
        for part in range(3):
            (folder / f"part-{part}.parquet").write_text(f"trees {part}")
        (folder / "poisoned.jsonl").write_text("one\n")
        copy.update()
        (folder / "poisoned.jsonl").write_text("one\ntwo\n")
        (folder / "part-3.parquet").write_text("trees 3")
        (folder / "part-4.parquet").write_text("trees 4")
        return {}

    def while_it_ends(self: Objects, name: str, path: Path) -> bool:
        if begun.exists() and "part-3" in name:
            shutil.copytree(begun, root / "aside")
            begun.rename(begun.with_name("trees"))
        return put(self, name, path)

    Store(root).once(Place.of(1, "trees"), SAME, work)
    (root / "round-1" / "trees").rename(begun)
    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", while_it_ends)
        copy.update()
    copy.update()
    copy.close()
    up_to_date(url, tmp_path / "there")
    check_whole(tmp_path / "there" / "round-1" / "trees")
    assert content(tmp_path / "there") == content(root)


def test_what_a_store_cannot_rename_is_sent(url, tmp_path, monkeypatch) -> None:
    """S3 copies no object of more than 5 GB by itself."""
    monkeypatch.setattr(Objects, "copy", lambda *_: False)
    copy = mirror(url, tmp_path / "here")
    copy.open()

    def work(folder: Path) -> dict[str, float]:
        (folder / "model.safetensors").write_text("weights")
        copy.update()
        return {}

    Store(tmp_path / "here").once(Place.of(1, "policy"), SAME, work)
    copy.update()
    copy.close()
    up_to_date(url, tmp_path / "there")
    check_whole(tmp_path / "there" / "round-1" / "policy")


def test_what_was_sent_in_part_is_no_object(url, tmp_path) -> None:
    """A stream that an error closes makes an object of what it had."""
    objects, file = Objects(url), tmp_path / "file"
    file.write_text("whole")

    def stop() -> None:
        raise Killed

    objects.tick = stop
    with pytest.raises(Killed):
        objects.put("file", file)
    assert objects.sizes() == {}


@pytest.mark.parametrize("error", [ArrowException("code 14"), ArrowInvalid("malformed"), TimeoutError("no answer")])
def test_whatever_kind_of_error_a_store_has_it_is_a_store_error(url, tmp_path, monkeypatch, error) -> None:
    """Google's come as errors of Arrow's own, which are no `OSError`."""

    class Ailing:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            def fail(*_: object) -> None:
                raise error

            return fail

    objects, file = Objects(url), tmp_path / "file"
    file.write_text("content")
    monkeypatch.setattr(objects, "_store", Ailing())
    asked: list[Callable[[], object]] = [
        objects.sizes,
        lambda: objects.seconds_between("a", "b"),
        lambda: objects.read("a"),
        lambda: objects.write("a", b"content"),
        lambda: objects.put("a", file),
        lambda: objects.get("a", tmp_path / "got"),
        lambda: objects.delete("a"),
    ]
    for ask in asked:
        with pytest.raises(StoreError, match=str(error)):
            ask()
    assert not objects.copy("a", "b")
    assert not (tmp_path / "got").exists()


def test_a_finished_stage_that_is_lost_here_is_taken_from_the_copy(url, tmp_path) -> None:
    """It was deleted from the copy as well."""
    here = tmp_path / "here"
    for number, name in ((0, "problems"), (1, "trees")):
        stage(here, number, name, name)
    up_to_date(url, here)
    before = content(here)
    shutil.rmtree(here / "round-1" / "trees")
    up_to_date(url, here)
    assert content(here) == before
    Store(here).set_aside("round-1.trees")
    up_to_date(url, here)
    assert not (here / "round-1" / "trees").exists()
    assert not any("trees" in name for name in Objects(url).sizes())


def _put_back(url: str, before: dict[str, bytes]) -> None:
    objects = Objects(url)
    for name in objects.sizes():
        objects.delete(name)
    for name, held in before.items():
        objects.write(name, held)


def _assert_sound(root: Path) -> None:
    assert (root / "round-0" / "problems").is_dir()
    for folder in root.glob("round-*/*"):
        if not folder.name.endswith(".partial"):
            check_whole(folder)
    marks = list(root.rglob("complete"))
    assert marks  # one of the two whole checkpoints is there, always
    for mark in marks:
        assert len(list(mark.parent.rglob("*"))) == 4


def test_a_second_start_is_refused_until_the_first_was_not_heard_of_for_long(url, tmp_path, monkeypatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    stage(here, 0, "problems", "sums")
    first, second = mirror(url, here), mirror(url, there)
    first.open()
    first.update()
    with pytest.raises(StageError, match=rf"process {os.getpid()} on .* writes to \w+://.*free in (299|300) seconds"):
        second.open()
    assert content(there) == {}
    monkeypatch.setattr(Objects, "seconds_between", lambda *_: 3 * INTERVAL + 1)
    second.open()
    assert content(there) == content(here)
    with pytest.raises(StageError, match=rf"is written by process {os.getpid()} on .* now"):
        first.update()
    second.update()


def test_a_store_that_fails_once_the_card_lies_there_keeps_nobody_waiting(url, tmp_path, monkeypatch) -> None:
    """The card stayed, and every other folder was refused for three intervals."""
    stage(tmp_path / "here", 0, "problems", "sums")
    up_to_date(url, tmp_path / "here")
    read, failures = Objects.read, [StoreError("gone for a moment")]

    def failing(self: Objects, name: str) -> bytes | None:
        there = read(self, name)
        if there and name == "mirror-writer.json" and failures:
            raise failures.pop()
        return there

    with monkeypatch.context() as patch, pytest.raises(ConfigError, match="gone for a moment"):
        patch.setattr(Objects, "read", failing)
        mirror(url, tmp_path / "there").open()
    assert not failures
    up_to_date(url, tmp_path / "elsewhere")
    assert content(tmp_path / "elsewhere") == content(tmp_path / "here")


def test_a_start_of_the_same_folder_takes_the_place_of_one_that_was_killed(url, tmp_path) -> None:
    stage(tmp_path, 0, "problems", "sums")
    mirror(url, tmp_path).open()
    again = mirror(url, tmp_path)
    again.open()
    again.update()


def test_a_folder_that_the_run_has_left_behind_takes_what_was_done_elsewhere(url, tmp_path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    problems = stage(here, 0, "problems", "sums")
    checkpoint(here, 20)
    up_to_date(url, here)
    up_to_date(url, there)
    shutil.rmtree(there / "round-1")
    stage(there, 1, "policy", "trained")
    up_to_date(url, there)
    before, said = problems.stat().st_mtime_ns, []
    copy = mirror(url, here, said.append)
    copy.open()
    assert content(here) == content(there)
    assert problems.stat().st_mtime_ns == before
    (kept,) = here.glob("round-1/policy.partial.replaced-*")
    assert str(kept) in "".join(said)


def test_a_folder_that_was_killed_before_it_noted_its_last_copy_is_not_taken_for_an_older_one(url, tmp_path) -> None:
    stage(tmp_path, 0, "problems", "sums")
    up_to_date(url, tmp_path)
    checkpoint(tmp_path, 20)
    noted = (tmp_path / ".mirror.json").read_text()
    up_to_date(url, tmp_path)
    (tmp_path / ".mirror.json").write_text(noted)
    up_to_date(url, tmp_path)
    assert not list(tmp_path.rglob("*.replaced-*"))


def test_a_damaged_note_of_the_copy_is_named_with_the_way_out(url, tmp_path) -> None:
    (tmp_path / ".mirror.json").write_text('{"folder": "a')
    with pytest.raises(StageError, match=r"\.mirror\.json cannot be read .*another mirror\.url"):
        mirror(url, tmp_path)


def test_a_start_that_is_killed_while_it_takes_the_run_takes_the_rest_later(url, tmp_path, monkeypatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for number, name in ((0, "problems"), (1, "trees"), (1, "harvest")):
        stage(here, number, name, name)
    up_to_date(url, here)
    get = Objects.get

    def dying(self: Objects, name: str, path: Path) -> None:
        if "trees" in name:
            raise Killed
        get(self, name, path)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "get", dying)
        with pytest.raises(Killed):
            mirror(url, there).open()
    Objects(url).delete("mirror-writer.json")
    up_to_date(url, there)
    assert content(there) == content(here)


def test_a_start_that_is_told_to_end_while_it_takes_the_run_lets_the_next_one_in_at_once(
    url, tmp_path, monkeypatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    stage(here, 0, "problems", "sums")
    stage(here, 1, "trees", "grown")
    up_to_date(url, here)
    get = Objects.get

    def ended(self: Objects, name: str, path: Path) -> None:
        if "trees" in name:
            os.kill(os.getpid(), signal.SIGTERM)
        get(self, name, path)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as every start of a run has it
    try:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Objects, "get", ended)
            there.mkdir()
            with mirrored(MirrorConfig(url=url), there, lambda _: None):
                raise AssertionError("it began in spite of the signal")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not (there / "round-1" / "trees").exists()
    for folder in (tmp_path / "elsewhere", there):
        up_to_date(url, folder)
        assert content(folder) == content(here)


def test_the_copy_of_another_run_is_left_alone(url, tmp_path) -> None:
    for name in ("one", "two"):
        stage(tmp_path / name, 0, "problems", name)
    up_to_date(url, tmp_path / "one")
    before = Objects(url).sizes()
    with pytest.raises(ConfigError, match="did not come from"):
        mirror(url, tmp_path / "two").open()
    assert Objects(url).sizes() == before  # no card either


def test_objects_that_are_of_no_run_are_neither_deleted_nor_taken(url, tmp_path) -> None:
    """Whatever else stood below the address was deleted, and a machine that lacked the run took all of it."""
    stage(tmp_path / "here", 0, "problems", "sums")
    up_to_date(url, tmp_path / "here")
    others = {"datasets/all.parquet", "other/round-1/policy/model.safetensors", "mirrors/a.txt", "round-1/notes/a.txt"}
    for name in others:
        Objects(url).write(name, b"a week of GPUs")
    stage(tmp_path / "here", 1, "trees", "grown")
    (tmp_path / "here" / "notes.txt").write_text("mine")
    for name in ("here", "there"):
        up_to_date(url, tmp_path / name)
    assert others <= Objects(url).sizes().keys()
    assert "notes.txt" not in Objects(url).sizes()
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert not [path for path in (tmp_path / "there").rglob("*.*") if "GPUs" in path.read_text()]


def test_an_address_below_which_something_else_stands_is_refused(url, tmp_path) -> None:
    Objects(url).write("datasets/all.parquet", b"somebody's")
    stage(tmp_path / "here", 0, "problems", "sums")
    with pytest.raises(ConfigError, match=r"holds datasets/all\.parquet, which is of no run.*mirror\.url=.*/demo/here"):
        mirror(url, tmp_path / "here").open()
    assert list(Objects(url).sizes()) == ["datasets/all.parquet"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://no-such-bucket/runs", "cannot be read or written"),
        ("nowhere://x/y", "opens no object store"),
        ("FOLDER", "runs=FOLDER on a shared file system"),
    ],
)
def test_an_address_that_cannot_be_is_refused_before_anything_starts(server, tmp_path, address, said) -> None:
    with pytest.raises(ConfigError, match=said):
        mirror(address.replace("FOLDER", f"file://{tmp_path}"), tmp_path).open()


def test_a_store_that_stays_away_is_told_of_once_and_at_the_end(url, tmp_path, monkeypatch) -> None:
    def away(*_: object) -> None:
        raise StoreError("no route to the store")

    said: list[str] = []
    with (
        pytest.raises(StoreError, match=r"no route to the store[\s\S]*start the same command again"),
        mirrored(MirrorConfig(url, 0.0005), tmp_path, said.append) as stage_over,
    ):
        stage(tmp_path, 0, "problems", "sums")
        monkeypatch.setattr(Objects, "put", away)
        stage_over()
        time.sleep(0.5)  # some sixteen intervals
    assert len([each for each in said if "not up to date" in each]) == 1


@pytest.mark.parametrize(("ended", "said"), [(StageError("taken over"), "taken over"), (ValueError("a bug"), "a bug")])
def test_what_ends_the_copying_ends_the_run(url, tmp_path, monkeypatch, ended, said) -> None:
    def update(_: Mirror) -> None:
        raise ended

    with (
        pytest.raises(type(ended), match=said),
        mirrored(MirrorConfig(url, 0.001), tmp_path, print) as stage_over,
        monkeypatch.context() as patch,
    ):
        patch.setattr(Mirror, "update", update)
        for _ in range(200):
            stage_over()
            time.sleep(0.05)


def test_a_run_is_copied_while_it_goes_on_without_being_asked(url, tmp_path) -> None:
    with mirrored(MirrorConfig(url, 0.001), tmp_path, print):
        stage(tmp_path, 0, "problems", "sums")
        while "round-0/problems/manifest.json" not in Objects(url).sizes():
            time.sleep(0.05)


def test_a_run_whose_machine_is_lost_ends_on_another_as_it_would_have(url, tmp_path) -> None:
    """A whole run with scripted engines and real trainings. It stands still in its first training while its copy is copied,
    which is then what a loss of the machine would have left: gone on with elsewhere, that ends as the run itself does."""
    problems = tmp_path / "sums.jsonl"
    rows = [{"problem": f"What is {n} + 3?", "answer": str(n + 3)} for n in range(60)]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [f"problems.path={problems}", "problems.held_out_count=6", "name=sums", "tracking.wandb=false"]
    given += ["until=round-1.policy", "mirror.minutes=0.01", "round.r1.policy.save_steps=5", "round.r1.policy.ranks=1"]
    command = [sys.executable, str(Path(__file__).with_name("scripted_evolve.py")), "evolve", *given]
    here, there = (tmp_path / name for name in ("here", "there"))
    left = f"{url}-at-its-loss"
    for root in (here, there):
        root.mkdir()
    with (
        (tmp_path / "said").open("w") as said,
        subprocess.Popen([*command, f"mirror.url={url}"], cwd=here, stdout=said, stderr=subprocess.STDOUT) as run,
    ):
        # Its training waits for the copy, however slow that is: else it could end before any of its checkpoints is there.
        ranks = _stopped_at_a_checkpoint(run, here)
        while not any(name.endswith("/complete") for name in Objects(url).sizes()):
            assert run.poll() is None
            time.sleep(0.2)
        try:
            run.send_signal(signal.SIGSTOP)
            for name in Objects(url).sizes():
                Objects(left).write(name, Objects(url).read(name) or b"")
        finally:
            for each in (psutil.Process(run.pid), *ranks):
                each.resume()
    assert run.returncode == 0, (tmp_path / "said").read_text()
    Objects(left).delete("mirror-writer.json")  # instead of waiting until it counts no more
    gone_on = subprocess.run([*command, f"mirror.url={left}"], cwd=there, capture_output=True, text=True)
    assert gone_on.returncode == 0, gone_on.stdout + gone_on.stderr
    assert "of the run from s3://" in gone_on.stdout + gone_on.stderr
    mine, theirs = (root / "runs" / "sums" / "round-1" / "policy" for root in (there, here))
    check_whole(mine)
    assert json.loads((mine / "metrics.json").read_text())["resumed_from_step"] > 0
    digest = [read_manifest(folder)["files"]["model.safetensors"]["sha256"] for folder in (mine, theirs)]
    assert digest[0] == digest[1]
    assert "round-1/policy/manifest.json" in Objects(left).sizes()


def _stopped_at_a_checkpoint(run: subprocess.Popen[bytes], root: Path) -> list[psutil.Process]:
    """The ranks of the run's training, stopped as soon as a checkpoint is whole."""
    while not list(root.glob("runs/*/round-1/policy.partial/checkpoints/*/complete")):
        assert run.poll() is None
        time.sleep(0.02)
    ranks = [each for each in psutil.Process(run.pid).children(recursive=True) if "RayTrainWorker" in each.name()]
    for rank in ranks:
        rank.suspend()
    assert ranks
    return ranks
