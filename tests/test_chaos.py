"""The short form of `make chaos`: one run, a kill of every kind that a search knows, and the trees of an undisturbed one."""

import random
import subprocess
import time
from pathlib import Path

import chaos
import pytest
from artefacts import check_whole, digests
from chaos import PATIENCE_SECONDS, bury, parts_of, start

pytestmark = pytest.mark.slow
#: Up to the first trees: trainings are killed in tests of their own. Where Ray itself is dead, that shows once nothing has
#: happened for long.
SHORT = ("until=round-1.trees", "cluster.trees_per_part=4", "cluster.silence_seconds=15")
PROBLEMS = 200
#: Who is killed, each once the run has got on since the last kill. Without the last one the run comes to an end, not to its
#: own as a rule; the next start goes on.
VICTIMS = ("sandbox", "search worker", "judge", "scripted engine", "raylet")


def test_a_run_survives_a_kill_of_every_kind_and_leaves_what_an_undisturbed_one_leaves(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(chaos, "SUMS", PROBLEMS)
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder, victims in ((undisturbed, ()), (disturbed, VICTIMS), (disturbed, ())):
        folder.mkdir(exist_ok=True)
        run = start(folder, "scripted", *SHORT)
        try:
            for victim in victims:
                kill_one(run, folder, victim)
            code = run.wait(PATIENCE_SECONDS)
        finally:
            bury(run)
        assert victims or code == 0, (folder / "printed.txt").read_text()
    root = disturbed / "runs" / "chaos"
    check_whole(root / "round-1" / "trees")
    assert digests(root) == digests(undisturbed / "runs" / "chaos") != {}


def kill_one(run: subprocess.Popen[bytes], folder: Path, victim: str) -> None:
    """Once trees were written since now, and there is one to be killed."""
    trees = folder / "runs" / "chaos" / "round-1" / "trees.partial" / "train"
    before = len(list(trees.glob("part-*")))
    while True:
        assert run.poll() is None, f"it ended before a {victim} was killed: {(folder / 'printed.txt').read_text()}"
        there = (parts_of(run) or {}).get(victim)
        if there and len(list(trees.glob("part-*"))) > before:
            random.choice(there).kill()
            return
        time.sleep(0.1)
