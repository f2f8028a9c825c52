"""When is a run's copy brought up to date?

Every few minutes, after every stage, and at the end, on a thread of its own: the run waits for it at its end only. A store
that does not answer is told of once and tried again; one that belongs to another start by now ends the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rstar_math.config import MirrorConfig
from rstar_math.errors import StageError, StoreError
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
        #: Why the latest update was none.
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._keep_up, name="mirror", daemon=True)

    def __enter__(self) -> Self:
        self._mirror.open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._due.set()
        self._thread.join()
        if self._failed is None:
            return
        told = f"The run's copy is not up to date: {self._failed}"
        if error is not None:  # the run ends with its own
            self._say(told)
        elif isinstance(self._failed, StageError):
            raise self._failed
        else:
            raise StoreError(f"{told}\nNothing is lost here: start the same command again.") from self._failed

    def stage_over(self) -> None:
        """The copy is due. Raises StageError where it belongs to another start by now."""
        if isinstance(self._failed, StageError):
            raise self._failed
        self._due.set()

    def _keep_up(self) -> None:
        while not isinstance(self._failed, StageError):
            self._due.wait(self._interval)
            self._due.clear()
            # Asked before, so that what the run did last is in the last update.
            last = self._over
            self._try_to_update(last)
            if last:
                return

    def _try_to_update(self, last: bool) -> None:
        before, self._failed = self._failed, None
        try:
            self._mirror.update()
            if last:
                self._mirror.close()
        except (StoreError, StageError, OSError) as error:
            self._failed = error
            if isinstance(error, StageError):
                self._say(str(error))
            elif before is None and not last:
                self._say(
                    f"the run's copy is not up to date ({error}); it is tried again after every stage and every while"
                )
