"""configuration -> a run with its directory, fleet and watchers, opened and closed.

Shared by the commands that do a stage or all of them. The order of the stages is not known here.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from rstar_math.cluster.fleet import Fleet
from rstar_math.config import RunConfig
from rstar_math.errors import RstarError, StageError
from rstar_math.evolution.run import Run
from rstar_math.evolution.store import Place, Store, holds_work, write_json
from rstar_math.report.progress import Progress
from rstar_math.tracking import Tracker
from rstar_math.training.launch import Trainings

#: Who holds the lock of a run.
_WRITER = "writer.json"


@contextmanager
def open_run(config: RunConfig, root: Path, *, until: str | None = None) -> Iterator[Run]:
    """The run in `root`, its only writer; SIGTERM ends it as Ctrl-C does, and every actor ends with it. A first start that
    is refused before any stage made something leaves no folder behind.

    Raises:
        StageError: another process is writing there, or `until` names no stage.
    """
    last = Place.parse(until) if until else None
    new = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with (
            FileLock(root / ".lock", timeout=0),
            _named_writer(root / _WRITER),
            _removed_if_nothing_was_made(root, new),
            open_fleet(config) as fleet,
            Trainings(keep=_ranks_may_stay(config)) as trainings,
            Progress() as progress,
        ):
            tracker = Tracker(root, config.tracking, config.name, asdict(config))
            yield Run(config, Store(root), fleet, trainings, progress, tracker, last)
    except Timeout:
        raise StageError(
            f"{_who_writes(root / _WRITER)} is writing to {root}; wait for it, end it, or start another run with name=NEW"
        ) from None


def _ranks_may_stay(config: RunConfig) -> bool:
    """Whether training ranks, engines and search workers have room side by side on this machine; else nothing could start
    while ranks wait."""
    cluster, engines = config.cluster, (config.engine, config.ppm_engine)
    plans = [config.plan(number) for number in range(1, config.rounds + 1)]
    ranks = max(each.ranks * each.cpus_per_rank for plan in plans for each in (plan.policy, plan.ppm))
    others = cluster.search_workers * cluster.search_cpus + sum(each.replicas * each.cpus for each in engines)
    return cluster.keep_engines and cluster.address is None and ranks + others <= (os.cpu_count() or 1)


@contextmanager
def _named_writer(file: Path) -> Iterator[None]:
    """Says who holds the lock, for those that it keeps out; the lock itself ends with its process."""
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    write_json(file, {"host": platform.node(), "process": os.getpid(), "since": since})
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _who_writes(file: Path) -> str:
    try:
        writer = json.loads(file.read_text())
    except FileNotFoundError:  # it has just begun, or is about to end
        return "another process"
    return f"process {writer['process']} on {writer['host']} (since {writer['since']})"


@contextmanager
def _removed_if_nothing_was_made(root: Path, new: bool) -> Iterator[None]:
    """A folder that was there before belongs to somebody, whatever it holds."""
    try:
        yield
    except RstarError:
        if new and not holds_work(root):
            shutil.rmtree(root)
        raise


@contextmanager
def open_fleet(config: RunConfig) -> Iterator[Fleet]:
    """The actors of one start of the program; all of them end with it, on SIGTERM too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fleet = Fleet(config)
    try:
        yield fleet
    finally:
        asyncio.run(fleet.release())
