"""Where in the story of a run does a stage stand?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rstar_math.errors import StageError

#: number of the round -> order of its stages; round 0 holds what stands before the first round.
ORDER = {"problems": 0, "trees": 1, "harvest": 2, "policy": 3, "ppm": 4, "scores": 5, "control": 6, "control-scores": 7}
#: The stages of round 0, and of any other.
_BEFORE = ("problems", "scores")
_ROUND = tuple(ORDER)[1:]


def is_number(written: str) -> bool:
    """Whether it is a number in plain digits; `²` is a digit too, and none that `int` reads."""
    return written.isascii() and written.isdigit()


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A stage of a round, in the order of the story."""

    round: int
    order: int
    stage: str

    @classmethod
    def of(cls, round_number: int, stage: str) -> Place:
        """The place of a stage by its name."""
        return cls(round_number, ORDER[stage], stage)

    def part(self, name: str) -> Place:
        """A part of the stage that is done by itself, under its own name."""
        return replace(self, stage=name)

    @classmethod
    def parse(cls, written: str) -> tuple[int, str | None]:
        """`round-3` or `round-3.ppm` -> (3, None) or (3, "ppm").

        Raises:
            StageError: it is written in another way.
        """
        head, _, stage = written.partition(".")
        number = head.removeprefix("round-")
        if not (head.startswith("round-") and is_number(number)) or (stage and stage not in ORDER):
            stages = ", ".join(ORDER)
            raise StageError(f"'{written}' names no stage; write round-N or round-N.STAGE, STAGE one of: {stages}")
        return int(number), stage or None

    @classmethod
    def first(cls, written: str) -> Place:
        """The first stage that this names; raises as `parse`."""
        number, stage = cls.parse(written)
        return cls.of(number, stage or ("trees" if number else "problems"))

    @classmethod
    def last(cls, number: int, stage: str | None = None) -> Place:
        """The last stage that a round, or a stage of it, names."""
        return cls.of(number, stage or "control-scores")

    def through(self, last: Place) -> list[Place]:
        """The stages from this one to `last`."""
        numbers = range(self.round, last.round + 1)
        stages = (Place.of(number, stage) for number in numbers for stage in (_ROUND if number else _BEFORE))
        return [each for each in stages if self <= each <= last]

    def __str__(self) -> str:
        return f"round-{self.round}/{self.stage}"
