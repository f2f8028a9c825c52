"""What does a run survive? `make chaos` kills parts of real runs at random instants until so many kills were made.

Runs of two rounds with real engines, trainings and sandboxes. A victim is the driver with all it started, the driver alone, a
search worker, an engine, a training rank, a sandbox's launcher, or Ray's own processes; the same command then goes on, until
the run is finished. At the end every problem has its trees exactly once, and no file differs from what its manifest says.

    python tests/chaos.py [KILLS] [SEED]     # 100 kills by default, about an hour on two cores
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from rstar_math.evolution.store import MANIFEST, check_whole
from rstar_math.problems.sets import read_set
from rstar_math.search.storage import read_trees

#: Two rounds that take a minute or two.
PLAN = (
    "name=chaos",
    "rounds=2",
    "problems.count=60",
    "problems.held_out_count=12",
    "problems.validation_count=12",
    "tracking.wandb=false",
    "cluster.trees_per_part=8",
    *(f"round.r{n}.search.{knob}" for n in (1, 2) for knob in ("rollouts=4", "candidates=4", "escalate_to=[]")),
    *(
        f"round.r{n}.{kind}.{knob}"
        for n in (1, 2)
        for kind in ("policy", "ppm")
        for knob in ("max_steps=30", "save_steps=5")
    ),
    *(f"round.r{n}.evaluation.{knob}" for n in (1, 2) for knob in ("rollouts=2", "candidates=3")),
    "round.r2.search.annotation=ppm",
)
#: Seconds from one kill to the next, at least and at most.
PAUSES = (2.0, 30.0)
#: A run that does not end within so many seconds hangs.
PATIENCE_SECONDS = 600.0


def _titled(*beginnings: str) -> Callable[[psutil.Process], bool]:
    def matches(process: psutil.Process) -> bool:
        try:
            return " ".join(process.cmdline()).startswith(beginnings)
        except psutil.Error:
            return False

    return matches


#: victim -> which of the driver's descendants it may be.
PARTS: dict[str, Callable[[psutil.Process], bool]] = {
    "search worker": _titled("ray::SearchActor"),
    "policy engine": _titled("ray::PolicyActor"),
    "PPM engine": _titled("ray::ScorerActor"),
    "training rank": _titled("ray::RayTrainWorker", "ray::_RayTrainWorker"),
    "raylet": lambda process: process.name() == "raylet",
    "Ray's store": lambda process: process.name() == "gcs_server",
}
VICTIMS = ("driver and all", "driver alone", *PARTS)


@dataclass
class Tally:
    """Kills by victim, how many the run went on after by itself, and how many starts it took in all."""

    kills: Counter[str] = field(default_factory=Counter)
    went_on: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    runs: int = 0


def main(kills: int, seed: int) -> None:
    """Raises AssertionError where a run did not survive."""
    draws, tally = random.Random(seed), Tally()
    while tally.kills.total() < kills:
        with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
            one_run(Path(folder), kills, draws, tally)
        tally.runs += 1
        print(f"run {tally.runs}: {tally.kills.total()} kills so far, {tally.starts} starts", flush=True)
    print(f"{'killed':16} tried  went on without a new start")
    for victim in VICTIMS:
        print(f"{victim:16} {tally.kills[victim]:5}  {tally.went_on[victim]}")
    total = tally.kills.total()
    print(f"survived / tried: {total} / {total}, in {tally.runs} finished runs and {tally.starts} starts")


def one_run(folder: Path, kills: int, draws: random.Random, tally: Tally) -> None:
    """One run from its first start to its end, killed on the way as long as kills are left."""
    while True:
        tally.starts += 1
        with (folder / "printed.txt").open("ab") as printed:
            driver = subprocess.Popen(
                [sys.executable, "-m", "rstar_math.cli.main", "evolve", *PLAN],
                cwd=folder,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if watch(driver, kills, draws, tally):
            break
    check(folder / "runs" / "chaos")


def watch(driver: subprocess.Popen[bytes], kills: int, draws: random.Random, tally: Tally) -> bool:
    """Kills parts of this start until it ends; whether it ended with the run finished."""
    last: str | None = None
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        left = kills - tally.kills.total()
        pause = draws.uniform(*PAUSES) if left > 0 else deadline - time.monotonic()
        try:
            code = driver.wait(max(pause, 0.1))
        except subprocess.TimeoutExpired:
            assert time.monotonic() < deadline, f"nothing ended for {PATIENCE_SECONDS:g} s after a {last} was killed"
            if last is not None:
                tally.went_on[last] += 1
            if left > 0:
                last = kill(driver, draws) or last
                if last is not None:
                    tally.kills[last] += 1
            continue
        bury(driver)
        if code == 0 and last is not None:
            tally.went_on[last] += 1
        return code == 0


def kill(driver: subprocess.Popen[bytes], draws: random.Random) -> str | None:
    """Kills one of those that are there, all kinds as likely; its name."""
    try:
        below = psutil.Process(driver.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return None
    there = {name: [process for process in below if matches(process)] for name, matches in PARTS.items()}
    victim = draws.choice(["driver and all", "driver alone", *(name for name, found in there.items() if found)])
    if victim == "driver and all":
        bury(driver)
    elif victim == "driver alone":
        driver.kill()
    else:
        draws.choice(there[victim]).kill()
    return victim


def bury(driver: subprocess.Popen[bytes]) -> None:
    """Ends whatever is left of a start: Ray's processes outlive a killed driver for a while and would take its cores."""
    try:
        os.killpg(driver.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    driver.wait()


def check(root: Path) -> None:
    """Everything that was promised of a finished run."""
    for number in (1, 2):
        for name in ("train", "validation"):
            wanted = Counter(problem.id for problem in read_set(root / "round-0" / "problems" / f"{name}.jsonl"))
            assert wanted == Counter(grown(root / f"round-{number}" / "trees" / name)), f"round {number}, {name}"
    for manifest in root.rglob(MANIFEST):
        check_whole(manifest.parent)
    assert not list(root.rglob("*.partial"))


def grown(folder: Path) -> Iterator[str]:
    """The id of every tree's problem."""
    return (tree.problem.id for tree in read_trees(folder))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
