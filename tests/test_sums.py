"""Code-augmented actions: sums between backticks are the interpreter's business."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from planting import plant

from rstar_math.config import CONF, MutualConfig, SandboxConfig
from rstar_math.mutual.discriminator import Discriminator
from rstar_math.mutual.tasks import read_task
from rstar_math.records import Problem, Proposal, Sampling, Step, Transcript
from rstar_math.sandbox import ProcessSandbox
from rstar_math.scripted import ExactJudge, InProcessSandbox
from rstar_math.search.actions import Reasoning
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow
from rstar_math.search.sums import worked_out
from rstar_math.search.task import SOLUTION, Task
from rstar_math.text import join

CODED = Task("coded", code=True)


@pytest.mark.parametrize(
    ("line", "worked"),
    [
        ("so `6 * 12` rolls.", "so `6 * 12` = 72 rolls."),
        ("so `6 * 12` = 62 rolls.", "so `6 * 12` = 72 rolls."),
        ("`rolls = 7 * 3` = 22, half `rolls / 2`.", "`rolls = 7 * 3` = 21, half `rolls / 2` = 10.5."),
        ("The answer is `22 / 2` = 12.", "The answer is `22 / 2` = 11."),
        ("`import math` `math.comb(5, 2)`", "`import math` `math.comb(5, 2)` = 10"),
        ("`kept - 1` left", "`kept - 1` = 40 left"),
        ("no sum at all = 7", "no sum at all = 7"),
        ("`1 / 0` rolls", None),
        ("`what is this` rolls", None),
        ("`print = lambda *_, **__: None` so `6 * 12` rolls.", None),  # once this ended the whole stage
    ],
)
async def test_a_line_says_what_its_code_comes_to_and_one_whose_code_fails_is_dropped(line, worked) -> None:
    path = (Step("Thought: `kept = 41` = 41.\n"), Step("Thought: nothing.\n"))
    assert await worked_out([line], path, InProcessSandbox()) == [worked]


async def test_lines_share_nothing_but_their_path() -> None:
    assert await worked_out(["`a = 5`", "`a + 1`"], (), InProcessSandbox()) == ["`a = 5` = 5", None]


async def test_the_real_sandbox_does_the_sums_too() -> None:
    async with ProcessSandbox(SandboxConfig(workers=1)) as sandbox:
        found = await worked_out(["`3 * 4`", "`open('/etc/passwd').read()`"], (), sandbox)
    assert found == ["`3 * 4` = 12", None]


def test_the_answer_is_the_value_behind_the_code() -> None:
    assert CODED.answer_in("Half of them. The answer is `left / 2` = 11.") == "11"


class Saying:
    """A policy that always writes one line, and notes what it saw."""

    def __init__(self, line: str) -> None:
        self.line, self.seen = line, []

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        self.seen.append(join(transcript))
        return [Proposal(self.line, 3)] * count


async def test_a_search_over_actions_answers_with_the_interpreters_value() -> None:
    policy = Saying(" He keeps half. The answer is `(6 * 12 - 50) / 2` = 12.\n")
    plan = Reasoning(rollouts=2, task=CODED, votes=2, thoughts=1, actions=("solution",))
    doors = Doors(policy, InProcessSandbox(), comparing=ExactJudge())
    (tree,) = await grow(Problem("p", "How many?", "11"), doors, plan, 0)
    assert [node.answer for node in tree.nodes[1:]] == ["11"]
    assert tree.nodes[1].step.text == f"{SOLUTION} He keeps half. The answer is `(6 * 12 - 50) / 2` = 11.\n"
    assert tree.cost.executions == 1  # of two equal lines


async def test_the_second_models_code_goes_on_with_the_names_it_was_given() -> None:
    drawn = plant("a\n  b answer=11 correct")
    texts = (
        "Subquestion: How many?\nSubanswer: All. The answer is `left = 22` = 22.\n",
        "Solution: half. The answer is `left / 2` = 11.\n",
    )
    nodes = [drawn.nodes[0]] + [
        node._replace(step=Step(said)) for node, said in zip(drawn.nodes[1:], texts, strict=True)
    ]
    tree = replace(drawn, nodes=tuple(nodes))
    second = Saying(" so. The answer is `left - 11`.\n")
    plan = MutualConfig(least_given=0.9, most_given=0.9)
    judged = await Discriminator(second, ExactJudge(), CODED, plan, 0, InProcessSandbox()).judge(tree)
    assert second.seen[0].endswith("All. `left = 22` = 22. half.")
    assert [each.agrees for each in judged.completions[2]] == [True]
    short = MutualConfig(least_given=0.0, most_given=0.0)  # without the line that names it, the code does not run
    judged = await Discriminator(second, ExactJudge(), CODED, short, 0, InProcessSandbox()).judge(tree)
    assert [each.agrees for each in judged.completions[2]] == [False]


@pytest.mark.parametrize("folder", [folder for folder in (CONF / "mutual").iterdir() if folder.name.endswith("-code")])
async def test_the_values_in_the_worked_examples_are_those_of_their_code(folder: Path) -> None:
    task = read_task(folder)
    assert task.code
    checked = 0
    for name, text in task.examples.items():
        for block in text.strip().split("\n\n"):
            path: list[Step] = []
            for line in block.splitlines():
                (worked,) = await worked_out([line], path, InProcessSandbox())
                assert worked == line, f"{name}.txt"
                checked += len(re.findall("`", line)) // 2
                path.append(Step(f"{line}\n"))
    assert checked > 20
