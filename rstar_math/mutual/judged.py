"""trees -> what a second model made of them, kept problem by problem.

Every tree's verdicts are a line of `judged.jsonl` as soon as they are there, so a start that was stopped goes on without
them, and no tree waits for another.
Who judges, and how, stands in `discriminator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rstar_math.lines import line_of, read_lines
from rstar_math.mutual.discriminator import Completion, Discriminator, Judged
from rstar_math.records import Tree
from rstar_math.together import together

#: Trees whose trajectories are completed at the same time, and that are in memory.
_AT_ONCE = 64


async def judge_all(
    file: Path, trees: Iterable[Tree], discriminator: Discriminator, on_judged: Callable[[int], object]
) -> dict[str, Judged]:
    """Problem's id -> the verdicts on its trajectories; `on_judged` hears of every tree."""
    found = {judged.problem_id: judged for judged in _read(file)}
    on_judged(len(found))
    left = (tree for tree in trees if tree.problem.id not in found)
    with file.open("a", encoding="utf-8") as lines:

        async def one_after_another() -> None:
            for tree in left:
                judged = await discriminator.judge(tree)
                lines.write(line_of(_row(judged)))
                lines.flush()
                found[judged.problem_id] = judged
                on_judged(1)

        await together(one_after_another() for _ in range(_AT_ONCE))
    return found


def _row(judged: Judged) -> dict[str, object]:
    completions = {leaf: [each._asdict() for each in own] for leaf, own in judged.completions.items()}
    return {"id": judged.problem_id, "tokens": judged.tokens, "completions": completions}


def _read(file: Path) -> Iterator[Judged]:
    for row in read_lines(file):
        completions = {int(leaf): [Completion(**each) for each in own] for leaf, own in row["completions"].items()}
        yield Judged(row["id"], completions, row["tokens"])
