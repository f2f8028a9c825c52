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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from rstar_math.cli.locking import locked
from rstar_math.cluster.fleet import Fleet
from rstar_math.config import MirrorConfig, RunConfig
from rstar_math.disk import write_json
from rstar_math.errors import ConfigError, StageError
from rstar_math.evolution.mirroring import mirrored
from rstar_math.evolution.places import Place
from rstar_math.evolution.run import Run
from rstar_math.evolution.store import Store, holds_work
from rstar_math.grace import Grace
from rstar_math.report.progress import Progress
from rstar_math.tracking import Tracker
from rstar_math.training.launch import Trainings

#: Who holds the lock of a run.
_WRITER = "writer.json"
_NO_COPY = MirrorConfig()


@contextmanager
def open_run(
    config: RunConfig, root: Path, *, until: str | None = None, mirror: MirrorConfig = _NO_COPY
) -> Iterator[Run]:
    """The run in `root`, its only writer; SIGTERM ends it as Ctrl-C does, and every actor ends with it. A first start that
    ends before any stage made something leaves no folder behind. What a copy has and `root` lacks is taken first.

    Raises:
        ConfigError: a copy is asked for where none is kept.
        StageError: another process is writing there, its file system takes no locks, or `until` names no stage.
    """
    if config.mirror.url != mirror.url:
        raise ConfigError(
            f"mirror.url={config.mirror.url}: only a whole run (`evolve`) has a copy on an object store. Leave it out here; "
            f"where machines share no disk, {root} has to be copied by hand"
        )
    grace = _grace(config)
    last = Place.parse(until) if until else None
    new = [folder for folder in (root, *root.parents) if not folder.exists()]
    root.mkdir(parents=True, exist_ok=True)
    try:
        with (
            locked(root / ".lock"),
            _removed_if_nothing_was_made(root, new),
            _named_writer(root / _WRITER),
            Progress() as progress,
            mirrored(mirror, root, progress.say) as stage_over,
            open_fleet(config, grace) as fleet,
            _trainings(config, grace, progress.say) as trainings,
        ):
            tracker = Tracker(root, config.tracking, config.name, asdict(config))
            yield Run(config, Store(root), fleet, trainings, progress, tracker, last, stage_over=stage_over)
    except Timeout:
        raise StageError(
            f"{_who_writes(root / _WRITER)} is writing to {root}; wait for it, end it, or start another run with name=NEW"
        ) from None


def _trainings(config: RunConfig, grace: Grace, say: Callable[[str], None]) -> Trainings:
    cluster = config.cluster
    return Trainings(
        beside=_beside_ranks(config),
        grace=grace,
        silence_seconds=cluster.training_silence_seconds,
        join_seconds=60 * cluster.join_minutes if cluster.address is not None else 0.0,
        say=say,
    )


def _beside_ranks(config: RunConfig) -> float | None:
    """CPUs of the engines and search workers that stay between trainings; None where nothing does, ranks included."""
    cluster = config.cluster
    if not cluster.keep_engines or cluster.address is not None:
        return None
    engines = sum(each.replicas * each.cpus for each in (config.engine, config.ppm_engine))
    return cluster.search_workers * cluster.search_cpus + engines


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
    except (FileNotFoundError, ValueError):  # it has just begun, or is about to end
        return "another process"
    return f"process {writer['process']} on {writer['host']} (since {writer['since']})"


@contextmanager
def _removed_if_nothing_was_made(root: Path, new: Sequence[Path]) -> Iterator[None]:
    """`new`: the run's folder and those above it that this start made, from the inside out. A folder that was there before
    belongs to somebody, whatever it holds."""
    try:
        yield
    finally:
        if new and not holds_work(root):
            shutil.rmtree(root)
            for folder in new[1:]:
                with suppress(OSError):  # another run has begun there
                    folder.rmdir()


@contextmanager
def open_fleet(config: RunConfig, grace: Grace | None = None) -> Iterator[Fleet]:
    """The actors of one start of the program; all of them end with it, on SIGTERM too."""
    grace = grace or _grace(config)
    fleet = Fleet(config)
    try:
        yield fleet
    except KeyboardInterrupt:  # Ctrl-C came another way than SIGTERM
        grace.begin()
        raise
    finally:
        asyncio.run(fleet.release(grace.left))


def _grace(config: RunConfig) -> Grace:
    """What is left of a run's time once SIGTERM has come, which ends it as Ctrl-C does."""
    grace = Grace(config.cluster.shutdown_grace_seconds)

    def ends(*_: object) -> None:
        if grace.lasts:  # it is ending; to be interrupted in that would cost what it is saving
            return
        grace.begin()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ends)
    return grace
