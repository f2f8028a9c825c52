"""What did a remote call say, or how did its actor end?"""

from __future__ import annotations

from typing import Any

from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from rstar_math.errors import RstarError

#: The actor is dead, or cannot be reached.
LOST = (ActorDiedError, ActorUnavailableError, RayActorError)
#: In Ray's words: the actor's own code failed as it was made, which it would do again.
CREATION = "creation task"


async def result_of(call: Any) -> Any:
    """What a remote call gave; an error of ours comes back as itself, not wrapped in Ray's."""
    try:
        return await call
    except RayTaskError as error:
        if isinstance(error.cause, RstarError):
            raise error.cause from None
        raise


def cause_of(error: BaseException) -> str:
    """Ray's many lines on a death in one: the last says how the process ended."""
    return str(error).strip().splitlines()[-1][:300]
