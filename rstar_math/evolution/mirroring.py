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
from rstar_math.errors import DiskError, StageError
from rstar_math.evolution.mirror import Mirror


@contextmanager
def mirrored(config: MirrorConfig, root: Path, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Keeps a copy of the run in `root` where one is asked for; yields what is to be called after every stage.

    Raises:
        ConfigError, StageError: see `Mirror.open`.
        DiskError: the copy is not up to date in the end.
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
        self._lost: StageError | None = None
        self._missed = False
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
        if self._lost is None:
            self._close(quietly=error is not None)

    def stage_over(self) -> None:
        """The copy is due. Raises StageError where it belongs to another start by now."""
        if self._lost is not None:
            raise self._lost
        self._due.set()

    def _keep_up(self) -> None:
        while self._lost is None:
            self._due.wait(self._interval)
            self._due.clear()
            if self._over:
                return
            self._try_to_update()

    def _try_to_update(self) -> None:
        try:
            self._mirror.update()
        except StageError as error:
            self._lost = error
            self._say(str(error))
        except OSError as error:
            if not self._missed:
                self._say(
                    f"the run's copy is not up to date ({error}); it is tried again after every stage and every while"
                )
            self._missed = True
        else:
            self._missed = False

    def _close(self, quietly: bool) -> None:
        """The last word; a run that ends with an error of its own ends with that."""
        try:
            self._mirror.update()
            self._mirror.close()
        except (OSError, StageError) as error:
            told = f"The run's copy is not up to date: {error}"
            if not quietly:
                raise DiskError(f"{told}\nNothing is lost here: start the same command again.") from error
            self._say(told)
