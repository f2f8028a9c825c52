"""What does a run survive? `make chaos` kills parts of real runs at random instants until so many kills were made.

Runs of two rounds, with real engines and with scripted ones by turns; trainings, sandboxes and judges are always real. A
victim is the driver with all it started, the driver alone, a search worker, an engine, a training rank, a sandbox's
launcher, a judge, or Ray's own processes, the kind killed least so far; the same command then goes on, until the run is
finished. At the end every problem has its trees exactly once, no file differs from what its manifest says, and a scripted run
has left what an undisturbed one leaves, to the bit. Then one bit of one of its files is flipped: the stage that reads it has
to refuse it by name, and with the bit put back the same command has to end as before.

    python tests/chaos.py [KILLS] [SEED]     # 100 kills by default, more than half an hour on two cores
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import two_hosts
from artefacts import READ_BY, check_promises, digests, flip_a_bit

from rstar_math.errors import StageError

#: Two rounds that take a minute or two.
PLAN = (
    "name=chaos",
    "rounds=2",
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
#: engines of a run -> its command, and its problems.
ENGINES = {
    "scripted": (
        [str(Path(__file__).with_name("scripted_evolve.py"))],
        ["problems.path=sums.jsonl", "problems.held_out_count=12"],
    ),
    "real": (["-m", "rstar_math"], ["problems.count=60", "problems.held_out_count=12"]),
}
#: Problems of a scripted run.
SUMS = 400
#: Kills of one run at most: killed on and on it would hardly get ahead, and no other kind of run would have its turn.
KILLS_A_RUN = 15
#: The share of drivers killed alone whose processes are ended before the next start; of the others it meets what lives on.
BURIED = 0.5
#: Seconds from one kill to the next, at least and at most.
PAUSES = (1.0, 18.0)
#: A run that does not end within so many seconds hangs.
PATIENCE_SECONDS = 600.0


def _titled(*beginnings: str) -> Callable[[psutil.Process], bool]:
    return lambda process: _command(process).startswith(beginnings)


def _running(part: str) -> Callable[[psutil.Process], bool]:
    return lambda process: part in _command(process)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


#: victim -> which of the driver's descendants it may be.
PARTS: dict[str, Callable[[psutil.Process], bool]] = {
    "search worker": _titled("ray::SearchActor"),
    "policy engine": _titled("ray::PolicyActor"),
    "PPM engine": _titled("ray::ScorerActor"),
    "scripted engine": _titled("ray::ScriptedEngine"),
    "training rank": _titled("ray::RayTrainWorker"),
    "sandbox": _running("rstar_math.sandbox.launcher"),
    "judge": _running("rstar_math.grading.child"),
    "raylet": _running("/raylet/raylet "),
    "Ray's store": _running("/gcs_server "),
}
VICTIMS = ("driver and all", "driver alone", *PARTS)


@dataclass
class Tally:
    """Kills by victim, how many the run went on after by itself, how many starts it took in all, files damaged, and what did
    not hold (one kill each, for a run is given up then)."""

    kills: Counter[str] = field(default_factory=Counter)
    went_on: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    runs: int = 0
    #: Problems that were set aside, for the kills met them three times.
    aside: int = 0
    broken: list[str] = field(default_factory=list)
    #: What drivers left behind that were killed alone, to be met by the next start of their run.
    orphans: list[psutil.Process] = field(default_factory=list)

    def end_orphans(self) -> None:
        for orphan in self.orphans:
            with suppress(psutil.NoSuchProcess):  # nor one that has its number now
                orphan.kill()
        self.orphans.clear()


def main(kills: int, seed: int) -> int:
    """The exit code: 1 where a run did not survive."""
    draws, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
        undisturbed = Path(folder)
        assert finish(undisturbed, "scripted", 0, draws, tally) == 0
        wanted = digests(undisturbed / "runs" / "chaos")
    cut_a_link(tally)
    while tally.kills.total() < kills:
        engines, before = list(ENGINES)[tally.runs % 2], tally.kills.total()
        with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
            try:
                killed_and_checked(
                    Path(folder), engines, min(kills, tally.kills.total() + KILLS_A_RUN), (draws, tally, wanted)
                )
            except (AssertionError, StageError) as error:
                tally.broken.append(f"run {tally.runs + 1}, {engines}: {error}")
                print(tally.broken[-1], flush=True)
                if tally.kills.total() == before:  # the next one would break as well, and never come to a kill
                    break
            finally:
                tally.end_orphans()
        tally.runs += 1
        print(f"run {tally.runs}, {engines}: {tally.kills.total()} kills so far, {tally.starts} starts", flush=True)
    print(f"{'killed':16} tried  went on without a new start")
    for victim in VICTIMS:
        print(f"{victim:16} {tally.kills[victim]:5}  {tally.went_on[victim]}")
    print(f"a bit flipped in, refused and redone: {', '.join(sorted(tally.damaged)) or 'nothing'}")
    total = tally.kills.total()
    print(f"survived / tried: {total - len(tally.broken)} / {total}, in {tally.runs} runs and {tally.starts} starts")
    print(f"problems set aside, for kills met them three times: {tally.aside}")
    return int(bool(tally.broken))


def cut_a_link(tally: Tally) -> None:
    """A host that is heard of no more costs no problem, where this machine can have two."""
    if why := two_hosts.why_not():
        print(f"no link between two hosts was cut: {why}", flush=True)
        return
    with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
        try:
            two_hosts.main(Path(folder))
            print("a link between two hosts was cut: no problem was lost", flush=True)
        except AssertionError as error:
            tally.broken.append(f"a link between two hosts: {error}")
            print(tally.broken[-1], flush=True)


def killed_and_checked(folder: Path, engines: str, kills: int, by: tuple[random.Random, Tally, dict[str, str]]) -> None:
    """One run, killed until `kills` were made in all. Raises AssertionError where it breaks a promise."""
    draws, tally, wanted = by
    one_run(folder, engines, kills, draws, tally)
    if engines == "scripted":
        root = folder / "runs" / "chaos"
        compare(root, wanted)
        damage(root, draws, tally)
        compare(root, wanted)


def one_run(folder: Path, engines: str, kills: int, draws: random.Random, tally: Tally) -> None:
    """One run from its first start to its end, killed on the way until `kills` were made in all. A start of which nothing
    was killed has to end well, so the starts come to an end."""
    before = tally.kills.total()
    while finish(folder, engines, kills, draws, tally) != 0:
        said = (folder / "printed.txt").read_text()[-1000:]
        assert tally.kills.total() > before, f"a start ended by itself, though nothing of it was killed: {said}"
        before = tally.kills.total()
    for words in check_promises(folder / "runs" / "chaos", rounds=2):
        tally.aside += 1
        print(f"set aside, for it was there at three kills: {words}", flush=True)


def finish(folder: Path, engines: str, kills: int, draws: random.Random, tally: Tally, *more: str) -> int:
    """One start of the run, killed at until `kills` were made in all; its exit code. What it prints goes to a file."""
    tally.starts += 1
    driver = start(folder, engines, *more)
    try:
        return watch(driver, kills, draws, tally)
    finally:
        if driver.poll() is None:  # it hangs
            bury(driver)


def start(folder: Path, engines: str, *more: str) -> subprocess.Popen[bytes]:
    """Starts the run, or goes on with it."""
    write_sums(folder / "sums.jsonl")
    command, problems = ENGINES[engines]
    with (folder / "printed.txt").open("ab") as printed:
        return subprocess.Popen(
            [sys.executable, *command, "evolve", *PLAN, *problems, *more],
            cwd=folder,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def watch(driver: subprocess.Popen[bytes], kills: int, draws: random.Random, tally: Tally) -> int:
    """Kills parts of this start until it ends, or enough were; its exit code."""
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
            last = kill(driver, draws, tally)
            if last is not None:
                tally.kills[last] += 1
            continue
        if last != "driver alone" or draws.random() < BURIED:
            bury(driver)
        if code == 0 and last is not None:
            tally.went_on[last] += 1
        return code


def kill(driver: subprocess.Popen[bytes], draws: random.Random, tally: Tally) -> str | None:
    """Kills one of those that are there, of the kind killed least so far; its name."""
    there = parts_of(driver)
    if there is None:
        return None
    kinds = ["driver and all", "driver alone", *(name for name, found in there.items() if found)]
    victim = min(draws.sample(kinds, len(kinds)), key=tally.kills.__getitem__)
    if victim == "driver and all":
        bury(driver)
    elif victim == "driver alone":
        with suppress(psutil.NoSuchProcess):  # it ended by itself
            tally.orphans += psutil.Process(driver.pid).children(recursive=True)
        driver.kill()
    else:
        draws.choice(there[victim]).kill()
    return victim


def parts_of(driver: subprocess.Popen[bytes]) -> dict[str, list[psutil.Process]] | None:
    """The driver's descendants by what they are; None where it has ended."""
    try:
        below = psutil.Process(driver.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return None
    return {name: [process for process in below if matches(process)] for name, matches in PARTS.items()}


def bury(driver: subprocess.Popen[bytes]) -> None:
    """Ends whatever is left of a start: Ray's processes outlive a killed driver for a while and would take its cores."""
    try:
        os.killpg(driver.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    driver.wait()


def compare(root: Path, wanted: dict[str, str]) -> None:
    """The run left what an undisturbed one leaves."""
    left = digests(root)
    assert left == wanted, f"differing: {sorted(name for name in left | wanted if left.get(name) != wanted.get(name))}"


def damage(root: Path, draws: random.Random, tally: Tally) -> None:
    """A flipped bit is refused by name where the file is read; with the bit back, the same command ends."""
    pattern = min(draws.sample(list(READ_BY), len(READ_BY)), key=tally.damaged.__getitem__)
    file, at, again = draws.choice(sorted(root.glob(pattern))), draws.random(), f"from={READ_BY[pattern]}"
    folder = root.parent.parent
    flip_a_bit(file, at)
    assert finish(folder, "scripted", 0, draws, tally, again) != 0, f"{again} read {file} with a bit flipped"
    said = (folder / "printed.txt").read_text().splitlines()[-4:]
    assert file.name in "\n".join(said), f"{again} does not name {file.name}: {said}"
    flip_a_bit(file, at)
    assert finish(folder, "scripted", 0, draws, tally, again) == 0, f"{again} did not end with {file} mended"
    tally.damaged[pattern] += 1


def write_sums(file: Path) -> None:
    """The problems that the scripted engines answer. Every tenth ground truth is a formula, so that there are judges."""
    questions = [(11 + number, 5 + 7 * number % 50) for number in range(SUMS)]
    rows = [
        {"problem": f"What is {a} + {b}?", "answer": f"{a + b}" + ("\\cos 0" if number % 10 == 0 else "")}
        for number, (a, b) in enumerate(questions)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
