"""What did a remote call say, or how did its actor end?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError, RayError, RayTaskError

from rstar_math.errors import EngineLost, RstarError

#: The actor is dead or cannot be reached, Ray ended it because its machine ran short of memory, or what it said was lost with
#: its machine.
LOST = (RayActorError, OutOfMemoryError, ObjectLostError)
#: Said by an actor, or of one; what else is raised is an error of this program.
OF_ACTORS = (RayError, RstarError)
#: In Ray's words: the actor's own code failed as it was made, which it would do again.
CREATION = "creation task"


def is_failure(error: BaseException) -> bool:
    """Whether an actor that should become ready failed, which it may do again at the same place; else it died, or hung."""
    return not isinstance(error, (EngineLost, *LOST)) or CREATION in str(error)


async def result_of(call: Any) -> Any:
    """What a remote call gave; an error of ours comes back as itself, not wrapped in Ray's."""
    try:
        return await call
    except RayTaskError as error:
        if isinstance(error.cause, RstarError):
            raise error.cause from None
        raise


async def answers(calls: Iterable[Any], seconds: float) -> list[Any]:
    """What those say that answer within so many seconds. The dead and the silent are left out: others see to them.

    Raises:
        an actor's own error.
    """
    asked = [asyncio.ensure_future(result_of(call)) for call in calls]
    if not asked:
        return []
    done, silent = await asyncio.wait(asked, timeout=seconds)
    for future in silent:
        future.cancel()
    return [future.result() for future in asked if future in done and not isinstance(future.exception(), LOST)]


def node_of(error: BaseException) -> str:
    """Where it comes from, as far as Ray's words tell."""
    said = "\n".join(str(each) for each in (error, error.__context__) if each is not None)
    found = re.search(r"\bip[=:] ?([^,)\s]+)", said)
    return f"the node {found[1]}" if found else "a node that Ray does not name"


def cause_of(error: BaseException) -> str:
    """Ray's many lines on a death in one: the last says how the process ended; of one for want of memory the first."""
    lines = str(error).strip().splitlines()
    return lines[0 if isinstance(error, OutOfMemoryError) else -1][:300]
