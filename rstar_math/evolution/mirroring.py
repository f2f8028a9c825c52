"""When is a run's copy brought up to date?

Every few minutes, after every stage, and at the end, on a thread of its own: the run waits for it at its end only. A store
that does not answer is told of once and tried again; one that belongs to another start by now ends the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rstar_math.config import MirrorConfig
from rstar_math.errors import StoreError
from rstar_math.evolution.mirror import Mirror


@contextmanager
def mirrored(config: MirrorConfig, root: Path, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Keeps a copy of the run in `root` where one is asked for; yields what is to be called after every stage.

    Raises:
        ConfigError, StageError: see `Mirror.open`.
        StoreError: the copy is not up to date in the end.
    """
    if config.url is None:
        yield lambda: None
        return
    seconds = 60 * config.minutes
    with Mirroring(Mirror(config.url, root, seconds, say), seconds, say) as mirroring:
        yield mirroring.stage_over


class Mirroring:
    """A mirror that is brought up to date while a run goes on."""

    def __init__(self, mirror: Mirror, interval_seconds: float, say: Callable[[str], None]) -> None:
        self._mirror, self._interval, self._say = mirror, interval_seconds, say
        self._due, self._over = threading.Event(), False
        #: Why the store has not what the run has.
        self._missing: StoreError | OSError | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mirror")

    def __enter__(self) -> Self:
        self._mirror.open()
        self._ended = self._thread.submit(self._keep_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._due.set()
        self._thread.shutdown()
        failed = self._ended.exception() or self._missing
        if failed is None:
            return
        told = f"The run's copy is not up to date: {failed}"
        if error is not None:  # the run ends with its own
            self._say(told)
        elif failed is self._missing:
            raise StoreError(f"{told}\nNothing is lost here: start the same command again.") from failed
        else:
            raise failed

    def stage_over(self) -> None:
        """The copy is due. Raises what ended it: StageError where it belongs to another start by now."""
        if self._ended.done():
            self._ended.result()
        self._due.set()

    def _keep_up(self) -> None:
        last = False
        while not last:
            self._due.wait(self._interval)
            self._due.clear()
            # Asked before, so that what the run did last is in the last update.
            last = self._over
            try:
                self._mirror.update()
                if last:
                    self._mirror.close()
            except (StoreError, OSError) as error:
                if self._missing is None and not last:
                    self._say(
                        f"the run's copy is not up to date ({error}); it is tried again after every stage and every while"
                    )
                self._missing = error
            else:
                self._missing = None
