"""Tracking: numbers are kept whatever happens, and no tracker ever stops a run."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from socket import create_server

import pytest

from rstar_math.config import TrackingConfig
from rstar_math.lines import drop_torn_line
from rstar_math.tracking import Tracker

ALONE = TrackingConfig(wandb=False)


def lines(run_dir: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def watch(run_dir: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `script` in its own process, where wandb may start its service, with a `Tracker` named `tracker`."""
    start = f"""
        import logging
        from pathlib import Path
        from rstar_math.config import TrackingConfig
        from rstar_math.tracking import Tracker
        logging.basicConfig(format="%(message)s")
        tracker = Tracker(Path({str(run_dir)!r}), TrackingConfig(), "demo", {{"seed": 3}})
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(start) + textwrap.dedent(script)],
        env={**kept, "HOME": str(run_dir), "NETRC": str(run_dir / "netrc"), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def wandb_ids(run_dir: Path) -> list[str]:
    return [path.stem.removeprefix("run-") for path in sorted((run_dir / "wandb").glob("*/run-*.wandb"))]


def test_every_number_becomes_one_json_line_that_names_round_stage_and_step(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, ALONE, "demo", {})
    with tracker.stage(2, "policy", "a") as log:
        log.log(10, loss=0.5, rows=64)
        log.log(step=None, seconds=12.25)
    first, second = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", str(first.pop("time")))
    assert first == {"round": 2, "stage": "policy", "step": 10, "loss": 0.5, "rows": 64}
    assert (second["step"], second["seconds"]) == (None, 12.25)


def test_a_number_is_on_disk_before_the_stage_ends(tmp_path: Path) -> None:
    with Tracker(tmp_path, ALONE, "demo", {}).stage(1, "trees", "a") as log:
        log.log(1, solved=1)
        assert lines(tmp_path)[0]["solved"] == 1


def test_a_number_that_is_not_finite_is_null_and_every_line_stays_json(tmp_path: Path) -> None:
    with Tracker(tmp_path, ALONE, "demo", {}).stage(1, "policy", "a") as log:
        log.log(1, loss=float("nan"), top=float("inf"))
    assert (lines(tmp_path)[0]["loss"], lines(tmp_path)[0]["top"]) == (None, None)


def test_a_line_torn_by_a_kill_is_cut_off_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    with Tracker(tmp_path, ALONE, "demo", {}).stage(1, "trees", "a") as log:
        log.log(3)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize("text, kept", [("", ""), ("{", ""), ("{}\n", "{}\n"), ("{}\n{}", "{}\n")])
def test_only_what_follows_the_last_line_break_is_cut_off(tmp_path: Path, text: str, kept: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    drop_torn_line(path)
    assert path.read_text() == kept


def test_numbers_that_cannot_be_written_are_said_once_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with caplog.at_level(logging.WARNING), Tracker(tmp_path, ALONE, "demo", {}).stage(1, "trees", "a") as log:
        log.log(1, solved=1)
        log.log(2, solved=2)
        (tmp_path / "metrics.jsonl").rmdir()
        log.log(3, solved=3)
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        f"Numbers cannot be written to {tmp_path / 'metrics.jsonl'}"
    ]
    assert [line["step"] for line in lines(tmp_path)] == [3]


def test_an_error_of_the_stage_itself_passes_through(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Tracker(tmp_path, ALONE, "demo", {}).stage(1, "trees", "a"):
        _ = 1 / 0


def test_wandb_is_not_imported_before_the_first_stage_that_wants_it(tmp_path: Path) -> None:
    script = """
        import sys
        assert "wandb" not in sys.modules
        with Tracker(Path("."), TrackingConfig(wandb=False), "demo", {}).stage(1, "trees", "a") as log:
            log.log(1, solved=1)
        assert "wandb" not in sys.modules
    """
    watch(tmp_path, f"import os; os.chdir({str(tmp_path)!r})\n" + textwrap.dedent(script))


STAGES = """
    for stage in ("trees", "policy"):
        with tracker.stage(1, stage, "a") as log:
            log.log(1, loss=0.5)
            log.log(2, loss=0.25)
"""


def test_without_a_key_wandb_writes_offline_says_nothing_and_calls_nobody(tmp_path: Path) -> None:
    calls: list[bytes] = []
    with create_server(("127.0.0.1", 0)) as proxy:

        def answer() -> None:
            while True:
                try:
                    caller, _ = proxy.accept()
                except OSError:
                    return
                with caller:
                    calls.append(caller.recv(200))

        threading.Thread(target=answer, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        done = watch(tmp_path, STAGES, HTTP_PROXY=address, HTTPS_PROXY=address, NO_PROXY="", no_proxy="")
        proxy.shutdown(2)
    assert (done.stdout, done.stderr, calls) == ("", "", [])
    assert len(lines(tmp_path)) == 4
    token = (tmp_path / "wandb" / "group").read_text()
    offline = [path.stem for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb")]
    assert sorted(offline) == [f"run-{token}-r1-policy-a", f"run-{token}-r1-trees-a"]


def test_a_stage_that_is_continued_keeps_its_wandb_id_and_another_run_directory_has_its_own(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    script = f"""
        for number, run_dir in enumerate((Path({str(here)!r}), Path({str(there)!r}), Path({str(here)!r}))):
            with Tracker(run_dir, TrackingConfig(), "demo", {{}}).stage(1, "trees", "a") as log:
                log.log(1, solved=1)
            for folder in list((run_dir / "wandb").glob("offline-run-*")):
                folder.rename(folder.with_name(f"part-{{number}}"))  # their names count seconds: too few for a test
    """
    watch(tmp_path, script)
    first, again = wandb_ids(here)
    assert first == again
    assert wandb_ids(there) != [first]


def test_wandb_that_cannot_be_written_is_said_once_and_every_number_is_kept(tmp_path: Path) -> None:
    (tmp_path / "wandb").write_text("a file where wandb wants its folder")
    done = watch(tmp_path, STAGES)
    assert done.stderr.count("wandb gave up") == 1
    assert "tracking.wandb=false" in done.stderr
    assert [line["loss"] for line in lines(tmp_path)] == [0.5, 0.25, 0.5, 0.25]


@pytest.mark.parametrize("place", ["environment", "netrc"])
def test_a_key_means_online_and_a_key_that_is_refused_does_not_stop_the_run(tmp_path: Path, place: str) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1:9 login user password short\n" if place == "netrc" else "")
    key = {"WANDB_API_KEY": "short"} if place == "environment" else {}
    done = watch(tmp_path, STAGES, WANDB_BASE_URL="http://127.0.0.1:9", **key)
    assert done.stderr.count("wandb gave up (AuthenticationError") == 1
    assert len(done.stderr.splitlines()) == 1
    assert len(lines(tmp_path)) == 4
