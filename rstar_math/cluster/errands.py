"""Problems on their way: who grows which, and how did those end that have?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from rstar_math.checkpoints import Kind
from rstar_math.cluster.dispatch import Dispatch
from rstar_math.cluster.remote import LOST, cause_of
from rstar_math.errors import EngineLost, GradingError, SandboxError
from rstar_math.records import Problem, Tree

_log = logging.getLogger(__name__)
#: A worker is dead, or its sandbox or judge is broken for good, so that it grows nothing any more.
_WORKER_LOST = (*LOST, SandboxError, GradingError)


@dataclass(frozen=True, slots=True)
class Errand:
    """A problem on its way, which worker grows it, and how often workers had been told whom to ask, and engines been buried,
    when it set out."""

    problem: Problem
    slot: int
    told: int
    buried: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How errands ended, and whose: with trees, with a dead worker, before an engine that did not answer, or with an error
    that ends the search."""

    trees: list[list[Tree]] = field(default_factory=list)
    dead: dict[int, BaseException] = field(default_factory=dict)
    unanswered: list[tuple[Errand, EngineLost]] = field(default_factory=list)
    fatal: list[BaseException] = field(default_factory=list)


#: What is under way, by the call that will say how it ended.
Running = dict[asyncio.Future[list[Tree]], Errand]


def given_back(running: Running, slot: int, dispatch: Dispatch) -> None:
    """What this worker was growing is tried again, without any suspicion: the worker is to blame."""
    for errand in [errand for errand in running.values() if errand.slot == slot]:
        dispatch.again(slot, errand.problem)
    forget(running, slot)


def ended(running: Running, dispatch: Dispatch) -> Ended:
    """Takes off what has ended. What a worker's death stopped is its burial's business; what no engine answered is tried
    again by `tried_again`."""
    found = Ended()
    for future in [future for future in running if future.done()]:
        errand, error = running.pop(future), future.exception()
        if error is None:
            dispatch.finished(errand.slot, errand.problem)
            found.trees.append(future.result())
        elif isinstance(error, _WORKER_LOST):
            found.dead[errand.slot] = error
        elif isinstance(error, EngineLost):
            found.unanswered.append((errand, error))
        else:
            found.fatal.append(error)
    return found


def tried_again(found: Ended, dispatch: Dispatch, buried: Sequence[Kind]) -> list[tuple[Problem, str]]:
    """Sends what no engine answered elsewhere: without any suspicion, unless an engine died since it set out. The problems
    that are found out, and the cause.

    Args:
        buried: of which kinds engines have been buried by now.
    """
    culprits = []
    for errand, error in found.unanswered:
        if errand.slot in found.dead:
            continue  # its worker's death has brought it under suspicion already
        if errand.buried == len(buried):
            dispatch.again(errand.slot, errand.problem)
        elif dispatch.engine_died(errand.slot, errand.problem):
            _log.warning("a %s engine died with %s alone, which is set aside", buried[-1], errand.problem.id)
            culprits.append((errand.problem, f"its {buried[-1]} engine died ({cause_of(error)})"))
    return culprits


def forget(running: Running, slot: int | None = None) -> None:
    """Waits no longer for what a worker was growing (None: any worker)."""
    for future in [future for future, errand in running.items() if slot in (None, errand.slot)]:
        future.cancel()
        del running[future]
