"""What does a stage's result depend on?

Its own knobs and what it reads. What is done with a result that depends on something else is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What gives a stage another input of that name: it is known by a digest alone.
_NAMED_BY = {
    "base": " (what base= names)",
    "policy": " (what policy= or base= names, or an earlier stage made)",
    "ppm": " (what ppm= names, or an earlier stage made)",
    "discriminator": " (what discriminator= names)",
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a stage's result depends on: its knobs (flat names -> values) and the digests of what it reads.

    `form`: knobs on which only what is half done depends, the form of its checkpoints.
    """

    knobs: Mapping[str, Any]
    inputs: Mapping[str, str]
    form: Mapping[str, Any] = field(default_factory=dict)

    def difference(self, kept: Mapping[str, Any], *, finished: bool = True) -> str | None:
        """The first thing in which a kept fingerprint differs from this one, in words; None if nothing that matters does."""
        parts = [("knob", "knobs", self.knobs), ("input", "inputs", self.inputs)]
        if not finished:
            parts.append(("knob", "form", self.form))
        for kind, part, mine in parts:
            theirs = kept.get(part, {})
            for name in sorted({*mine, *theirs}):
                was, now = theirs.get(name), json.loads(json.dumps(mine.get(name)))
                if was != now:
                    called = f"the {kind} '{name}'{_NAMED_BY.get(name, '') if kind == 'input' else ''}"
                    return f"{called} was {json.dumps(was)} and is now {json.dumps(now)}"
        return None
