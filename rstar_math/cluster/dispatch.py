"""Which problem goes to which worker next?

Workers and engines die, and with one die all problems that it was growing, or that were asking it something; which of them
was to blame is not told. So those are tried again apart from all others, ever fewer at once, until the one that kills is
alone: it is set aside as poisoned, and all others are grown. Alone with its worker is enough where workers died; engines are
shared by all, so where one of them died the last try has nothing else under way anywhere, and comes when all else is done.
Nothing is started here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rstar_math.records import Problem


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A problem that killed so many workers and engines, the last one alone, and how that one ended."""

    problem: Problem
    deaths: int
    cause: str


@dataclass
class Dispatch:
    """Problems on their way to `slots` workers, each of which grows up to `room` at once.

    deaths_per_problem: a problem whose workers or engines died so often, the last time with it alone, is poisoned.
    ready: the slots whose workers are there; a dead one's may take long, or for ever, to be filled again.
    """

    waiting: Iterator[Problem]
    slots: int
    room: int
    deaths_per_problem: int
    deaths: Counter[str] = field(default_factory=Counter)
    _suspects: list[Problem] = field(default_factory=list)
    _returned: list[Problem] = field(default_factory=list)
    _apart: set[int] = field(default_factory=set)
    #: To be tried when all else is done, one after the other; the one that is being tried so.
    _last: list[Problem] = field(default_factory=list)
    _alone: Problem | None = None

    def __post_init__(self) -> None:
        self.ready = list(range(self.slots))
        self._running: list[dict[str, Problem]] = [{} for _ in range(self.slots)]

    def due(self, slot: int) -> list[Problem]:
        """What this worker is to start now; it counts as running from here on."""
        started: list[Problem] = []
        while (problem := self._next(slot)) is not None:
            self._running[slot][problem.id] = problem
            started.append(problem)
        return started

    @property
    def left(self) -> bool:
        """Whether problems wait for a worker; the first of those that were never started is taken off the iterator to see."""
        if not (self._suspects or self._returned) and (problem := next(self.waiting, None)) is not None:
            self._returned.append(problem)
        return bool(self._suspects or self._returned or self._last)

    def finished(self, slot: int, problem: Problem) -> None:
        """This worker has grown the problem."""
        del self._running[slot][problem.id]

    def again(self, slot: int, problem: Problem) -> None:
        """This worker did not grow the problem, for which neither of the two is to blame: it is tried again, a suspect as
        one."""
        self.finished(slot, problem)
        if self.deaths[problem.id]:
            self._suspect([problem])
        else:
            self._returned.append(problem)

    def died(self, slot: int) -> Problem | None:
        """This worker is dead, and what it was growing comes under suspicion; the problem that is found out, if one is."""
        lost = list(self._running[slot].values())
        self._running[slot] = {}
        self.deaths.update(problem.id for problem in lost)
        if len(lost) == 1 and self.deaths[lost[0].id] >= self.deaths_per_problem:
            return lost[0]
        self._suspect(lost)
        self._apart.add(slot)
        return None

    def engine_died(self, slot: int, problem: Problem) -> bool:
        """An engine died while this worker asked it something for the problem; whether the problem is found out."""
        self.finished(slot, problem)
        self.deaths[problem.id] += 1
        if problem is self._alone and self.deaths[problem.id] >= self.deaths_per_problem:
            return True
        if self.deaths[problem.id] >= self.deaths_per_problem - 1:
            self._last.append(problem)
        else:
            self._suspect([problem])
        return False

    def _suspect(self, problems: Sequence[Problem]) -> None:
        self._suspects = sorted([*self._suspects, *problems], key=lambda problem: self.deaths[problem.id])

    def _next(self, slot: int) -> Problem | None:
        if (problem := self._beside_others(slot)) is not None:
            self._alone = None
        elif self._last and not self._suspects and not any(self._running):
            problem = self._alone = self._last.pop(0)
        return problem

    def _beside_others(self, slot: int) -> Problem | None:
        running = self._running[slot]
        if slot in self._apart and not running and not self._suspects:
            self._apart.discard(slot)
        if self._suspects and not running and not self._apart.intersection(self.ready):
            self._apart.add(slot)
        if slot not in self._apart:
            if len(running) >= self.room:
                return None
            return self._returned.pop(0) if self._returned else next(self.waiting, None)
        if not self._suspects:
            return None
        worst = max(self.deaths[name] for name in (*running, self._suspects[0].id))
        return self._suspects.pop(0) if len(running) < self._at_once(worst) else None

    def _at_once(self, deaths: int) -> int:
        """Down from `room` to one by the same factor at each death, so that the last death is a lonely one."""
        last = max(self.deaths_per_problem - 1, 1)
        return max(1, int(self.room ** (1 - min(deaths / last, 1))))
