"""How far is it?

Stages as they go on: a live bar in a terminal; where output is a log or the terminal is dumb, a plain line at a stage's
start, at its end, and at most every ten seconds between. It measures rates and nothing else.

    with Progress() as progress:
        with progress.stage(2, 4, "trees", 1200, "problems") as bar:
            bar.advance(8, solved=5)
            progress.say("problem 17 was set aside")      # stands above the bar
            bar.finish("81% solved")
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from rich import progress as rich_progress
from rich.console import Console
from rich.table import Column
from rich.text import Text

from rstar_math.report.console import is_live, open_console
from rstar_math.report.quantities import duration, number, rate

#: The rate is that of the last minute: models load slowly and problems differ, so an average since the start misleads.
_WINDOW_SECONDS = 60.0
_NAME_WIDTH = len("harvest")


class Progress:
    """The stages of a run on one console.

    Args:
        console: where; standard output by default.
        plain_seconds: least time between two plain lines of a stage that goes on.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        plain_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or open_console()
        self.plain_seconds, self.clock = plain_seconds, clock
        self._live: rich_progress.Progress | None = None

    def __enter__(self) -> Progress:
        if is_live(self.console):
            self._live = rich_progress.Progress(
                rich_progress.TextColumn("{task.description}", markup=False),
                rich_progress.BarColumn(bar_width=16),
                _Status(),
                console=self.console,
                refresh_per_second=4,
            )
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def stage(self, round: int, rounds: int, name: str, total: int | None, unit: str) -> Bar:
        """A stage that starts now, as a context manager.

        Round 0 of several is the base; `rounds` 0 stands for a stage outside any round. `total` None: nobody knows.
        `unit`: a plural, such as "problems" or "steps".
        """
        return Bar(self, _title(round, rounds, name), total, unit)

    def done_before(self, round: int, rounds: int, name: str, total: int, unit: str) -> None:
        """Says that a stage was found finished."""
        self.line(_title(round, rounds, name), f"done before ({total} {unit})", "dim")

    def say(self, text: str) -> None:
        """Prints `text`, above the bar where there is one."""
        self.console.print(text, soft_wrap=True)

    def line(self, title: str, text: str, style: str = "") -> None:
        """Prints one line that stays, `title` first."""
        self.console.print(Text.assemble((title, "bold"), "  ", (text, style)), soft_wrap=True)

    def draw(self, bar: Bar) -> Callable[[], None]:
        """Shows `bar` while it lasts; returns how to update it. Nothing is drawn on a plain console."""
        live = self._live
        if live is None:
            return lambda: None
        task = live.add_task(bar.title, total=bar.total, bar=bar)

        def update() -> None:
            if bar.ended:
                live.remove_task(task)
                live.refresh()
            else:
                live.update(task, completed=bar.done, total=bar.total)

        return update

    @property
    def live(self) -> bool:
        """Whether bars are being drawn."""
        return self._live is not None


class Bar:
    """One stage under way, given by `Progress.stage`."""

    def __init__(self, progress: Progress, title: str, total: int | None, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = self._before = 0
        self.ended = False
        self._progress = progress
        self._notes: dict[str, float | str] = {}
        self._update: Callable[[], None] = lambda: None
        self._start = self._printed = progress.clock()
        self._samples = deque([(self._start, 0)])

    def __enter__(self) -> Bar:
        self._update = self._progress.draw(self)
        if not self._progress.live:
            self._progress.line(self.title, "starts" if self.total is None else f"starts: {self.total} {self.unit}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.ended:
            return
        if kind is None:
            self.finish()
        else:
            self._end(f"stopped at {self._count().lstrip()} {self.unit} after {duration(self._elapsed())}", "yellow")

    def advance(self, count: int = 1, **notes: float | str) -> None:
        """`count` more are done. The latest `notes` are shown behind the time left: `solved=512`, `loss=0.31`."""
        self.done += count
        self._notes |= notes
        now = self._progress.clock()
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, self.done))
        while len(self._samples) > 1 and now - self._samples[1][0] >= _WINDOW_SECONDS:
            self._samples.popleft()
        self._update()
        if not self._progress.live and now - self._printed >= self._progress.plain_seconds:
            self._printed = now
            self._progress.line(self.title, self.status())

    def reach(self, done: int, total: int, **notes: float | str) -> None:
        """`done` of `total` are done: for work whose length shows only once it runs, or that goes on after a stop."""
        self.total = total
        self.advance(done - self.done, **notes)

    def found(self, count: int) -> None:
        """`count` were done before this start: they count, but not towards the rate."""
        self.done += count
        self._before += count
        self._samples = deque([(self._progress.clock(), self.done)])
        self._update()

    def finish(self, summary: str = "") -> None:
        """Ends the stage with the line that stays: what was done, in which time, and `summary`."""
        done = str(self.done) if self.done == self.total or self.total is None else f"{self.done} of {self.total}"
        before = f" ({self._before} before)" if self._before else ""
        text = f"{done} {self.unit}{before} in {duration(self._elapsed())}"
        self._end(f"{text} · {summary}" if summary else text, "green")

    def status(self) -> str:
        """`640/1200 problems · 8.3/s · 1m07s left`, and the notes."""
        since, before = self._samples[0]
        seconds = self._progress.clock() - since
        speed = (self.done - before) / seconds if seconds > 0 else 0.0
        parts = [f"{self._count()} {self.unit}"]
        if speed > 0:
            parts.append(rate(speed))
        if speed > 0 and self.total is not None and self.done < self.total:
            parts.append(f"{duration((self.total - self.done) / speed)} left")
        parts += [f"{key.replace('_', ' ')} {number(value)}" for key, value in self._notes.items()]
        return " · ".join(parts)

    def _count(self) -> str:
        return str(self.done) if self.total is None else f"{self.done:>{len(str(self.total))}}/{self.total}"

    def _elapsed(self) -> float:
        return self._progress.clock() - self._start

    def _end(self, text: str, style: str) -> None:
        self.ended = True
        self._update()
        self._progress.line(self.title, text, style)


class _Status(rich_progress.ProgressColumn):
    """The words behind a live bar, worked out anew at every redraw so that rate and time left keep moving."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True, overflow="ellipsis"))

    def render(self, task: rich_progress.Task) -> Text:
        return Text(task.fields["bar"].status())


def _title(round: int, rounds: int, name: str) -> str:
    if not rounds:
        return f"{name:<{_NAME_WIDTH}}"
    place = f"round {round}/{rounds}" if round else "base"
    return f"{place:<{len(f'round {rounds}/{rounds}')}} · {name:<{_NAME_WIDTH}}"
