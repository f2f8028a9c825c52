"""How far is a search, and what has it cost so far?

Hears every problem's trees as they finish; shows them, and adds them up. It grows nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rstar_math.cluster.growth import POISONED, poisoned
from rstar_math.disk import write_json
from rstar_math.errors import StageError
from rstar_math.evolution.room import Watch
from rstar_math.evolution.run import Desk
from rstar_math.records import Tree
from rstar_math.report.progress import Bar

#: The list of what the sandbox promised, in the folder of a set's trees.
SANDBOX = "sandbox.json"
#: The last trees are slow and leave cores idle: by then what comes next may be prepared.
_NEAR_THE_END = 0.85
_BARREN = (
    "the policy wrote not one step in the text format whose code ran. policy.few_shot=FILE shows it other worked examples "
    "(a model that was not trained here sees conf/prompts/bootstrap.txt), policy.few_shot=null none; policy=endpoint has a "
    "larger model begin; round.*.search.max_step_tokens may be too few for a step."
)
#: Problems after which a policy that has not written one step for any of them will not write one for the others.
_ENOUGH_TO_TELL = 64


def say_poisoned(desk: Desk, folder: Path) -> int:
    """Says which problems killed their workers or engines; how many there are."""
    found = poisoned(folder)
    if found:
        names = ", ".join(row["id"] for row in found[:5]) + (" …" if len(found) > 5 else "")
        desk.progress.say(
            f"{len(found)} problems are set aside, for each killed its worker or engine again and again, the last time "
            f"alone: {names}; {folder / POISONED} lists them with the cause."
        )
    return len(found)


def note_sandbox(desk: Desk, folder: Path) -> None:
    """Keeps beside the trees what the sandboxes that ran their programs promised, and what held it or why nothing did."""
    file = folder / SANDBOX
    try:
        noted = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise StageError(
            f"{file} is damaged ({error}); delete it and start again: it says what the sandboxes of earlier starts promised"
        ) from error
    for name, words in desk.fleet.promises.items():  # an earlier start may have grown some on another machine
        noted[name] = sorted({*noted.get(name, ()), *words})
    if noted:
        write_json(file, noted)


@dataclass
class Tally:
    """What the trees cost so far, shown while they grow."""

    bar: Bar
    graded: bool
    near_the_end: Callable[[], None] | None = None
    #: Looks whether the rest will fit on the disk.
    room: Watch | None = None
    solved: int = 0
    speechless: int = 0
    #: Problems whose trees have a root alone: no step that was generated had the text format and ran.
    barren: int = 0
    sums: Counter[str] = field(default_factory=Counter)

    def hear(self, trees: list[Tree], before: bool, unwritten: int) -> None:
        """Of one problem's trees; `before`: an earlier start grew them; `unwritten`: problems that a kill would cost now."""
        self.solved += any(rollout.value > 0 for rollout in trees[-1].rollouts)
        # Tokens alone would not tell: some servers do not count them.
        self.speechless += all(tree.cost.tokens == 0 and len(tree.nodes) == 1 for tree in trees)
        self.barren += all(len(tree.nodes) == 1 for tree in trees)
        self.sums["problems"] += 1
        for tree in trees:
            self.sums.update({name: value for name, value in asdict(tree.cost).items() if name != "seconds"})
            self.sums.update(trees=1, nodes=len(tree.nodes), rollouts=len(tree.rollouts))
        if before:  # nothing was started yet, and nothing may have to be: too early for what comes next
            self.bar.found(1)
            return
        solved: dict[str, str | float] = {"solved": f"{self.solved / self.sums['problems']:.0%}"} if self.graded else {}
        self.bar.advance(1, **solved, unwritten=unwritten)
        self._check_format()
        if self.room and self.bar.total:
            self.room.look(self.bar.done, self.bar.total)
        if self.near_the_end and self.bar.total and self.bar.done >= _NEAR_THE_END * self.bar.total:
            self.near_the_end()
            self.near_the_end = None

    def _check_format(self) -> None:
        """Raises StageError where the policy does not write steps at all: it would cost the whole plan and teach nothing."""
        if self.graded and self.barren == self.sums["problems"] >= _ENOUGH_TO_TELL:
            raise StageError(
                f"For the first {self.barren} problems {_BARREN} from=round-N.trees begins these trees anew."
            )

    def say_what_is_wrong(self, say: Callable[[str], None]) -> None:
        """Says for how many problems the policy had not one token, or no step."""
        if self.barren and self.barren == self.sums["problems"] != self.speechless:
            say(f"For all {self.barren} problems {_BARREN}")
        if self.speechless:
            say(
                f"For {self.speechless} of {self.sums['problems']} problems the policy generated nothing, as where the "
                "prompt alone fills its context. Raise engine.max_model_tokens, take a model with a longer context, or "
                "shorten what stands before the question (worked examples: mutual.task=FOLDER, policy.few_shot=FILE)."
            )

    def metrics(self) -> dict[str, Any]:
        """The sums so far."""
        return dict(self.sums)
