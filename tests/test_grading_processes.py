"""Whoever compares may be killed: a hang ends in time, the next comparison is answered, nobody stays behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from planting import plant

from rstar_math.cli.rows import grade_rows
from rstar_math.config import GradingConfig
from rstar_math.errors import GradingError, InputError, RstarError
from rstar_math.evaluation.choice import choose, solutions
from rstar_math.evolution.golds import UNGRADABLE, gradable
from rstar_math.grading import ProcessJudge
from rstar_math.grading import judge as judging
from rstar_math.grading.worker import Worker
from rstar_math.records import End, Grade, Problem, Rollout, Verdict
from rstar_math.search.agreement import alike

#: Two formulas that are the same, as a third of a second of simplifying finds.
SLOW = "+".join(f"|x^{k}-{k}y|" for k in range(1, 12)), "+".join(f"|{k}y-x^{k}|" for k in range(1, 12))
QUICK = "\\sqrt{8}", "2\\sqrt{2}"


def children() -> list[str]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [child for child in found if b"grading.child" in Path(f"/proc/{child}/cmdline").read_bytes()]


async def test_a_hang_is_killed_in_time_and_the_next_pair_is_answered() -> None:
    """A stopped process is a hang that no busy machine imitates."""
    async with ProcessJudge(GradingConfig(timeout_seconds=0.5)) as judge:
        assert (await judge.grade(*QUICK)).verdict is Verdict.CORRECT
        (first,) = children()
        os.kill(int(first), signal.SIGSTOP)
        started = time.monotonic()
        hung = await judge.grade("\\sqrt{12}", "2\\sqrt{3}")
        assert hung.verdict is Verdict.TIMEOUT
        assert hung.reason.startswith("more than")
        assert time.monotonic() - started < 8 * 0.5 + 5
        assert first not in children()
        assert (await judge.grade("\\sqrt{28}", "2\\sqrt{7}")).verdict is Verdict.CORRECT
    assert children() == []


@pytest.mark.parametrize(("kills", "verdict"), [(1, Verdict.CORRECT), (2, Verdict.TIMEOUT)])
async def test_a_pair_whose_process_somebody_else_killed_is_asked_once_more(
    monkeypatch: pytest.MonkeyPatch, kills: int, verdict: Verdict
) -> None:
    ready, killed = Worker._ready, []

    async def ready_or_killed(self: Worker) -> asyncio.subprocess.Process:
        process = await ready(self)
        if len(killed) < kills:  # before it is asked: a quick one would have answered already
            process.kill()
            killed.append(process.pid)
        return process

    monkeypatch.setattr(Worker, "_ready", ready_or_killed)
    async with ProcessJudge(GradingConfig()) as judge:
        assert (await judge.grade(*QUICK)).verdict is verdict
        assert (await judge.grade("\\sqrt{28}", "2\\sqrt{7}")).verdict is Verdict.CORRECT
    assert children() == []


async def test_a_process_that_is_killed_while_it_starts_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = Worker._start, 0

    async def killed_start(self: Worker) -> None:
        nonlocal started
        await start(self)
        started += 1
        if started in (1, 3, 4) and self._process:
            self._process.kill()

    monkeypatch.setattr(Worker, "_start", killed_start)
    async with ProcessJudge(GradingConfig()) as judge:
        assert (await judge.grade(*QUICK)).verdict is Verdict.CORRECT
        (second,) = children()
        os.kill(int(second), signal.SIGKILL)
        with pytest.raises(GradingError, match="ended while it started"):
            await judge.grade("\\sqrt{28}", "2\\sqrt{7}")
    assert children() == []


async def test_processes_that_never_started_are_no_accident_of_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search takes a judge that worked and does no more for its worker's death, and tries elsewhere; not an installation
    that lacks something."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    async with ProcessJudge(GradingConfig()) as judge:
        with pytest.raises(RstarError, match="ended while it started") as failed:
            await judge.grade(*QUICK)
    assert not isinstance(failed.value, GradingError)


async def test_a_comparison_that_computes_too_long_is_ended() -> None:
    async with ProcessJudge(GradingConfig(timeout_seconds=0.05)) as judge:
        grade = await judge.grade(*SLOW)
    assert grade.verdict is Verdict.TIMEOUT
    assert grade.reason.startswith("more than")


async def test_a_pair_is_compared_once_and_a_caller_who_gives_up_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[str, str]] = []

    async def compare(self: Worker, answer: str, gold: str, tolerance: float) -> Grade:
        compared.append((answer, gold))
        await asyncio.sleep(0.05)
        return Grade(Verdict.CORRECT, "said so")

    monkeypatch.setattr(Worker, "compare", compare)
    async with ProcessJudge(GradingConfig()) as judge:
        impatient = asyncio.create_task(judge.grade(*QUICK))
        patient = [asyncio.create_task(judge.grade(*QUICK)) for _ in range(5)]
        await asyncio.sleep(0.01)
        impatient.cancel()
        assert {(await task).reason for task in patient} == {"said so"}
        assert (await judge.grade(*QUICK)).reason == "said so"
    assert compared == [QUICK]


async def test_what_text_and_exact_arithmetic_decide_starts_no_process() -> None:
    async with ProcessJudge(GradingConfig()) as judge:
        for said, meant in (("0.5", "\\frac{1}{2}"), ("A", "\\text{(A)}"), ("[1,2)", "[1,2)"), ("\\boxed{7}", "8")):
            assert (await judge.grade(said, meant)).verdict in (Verdict.CORRECT, Verdict.WRONG)
        assert children() == []


def test_the_options_reach_the_process_and_the_kernel_ends_an_orphan_that_computes_forever() -> None:
    command = [sys.executable, "-m", "rstar_math.grading.child", "0.1", "4", "0.001"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout and child.stdout.readline() == "ready\n"

        def ask(said: str, meant: str) -> str:
            assert child.stdin and child.stdout
            child.stdin.write(json.dumps([said, meant, 0.0]) + "\n")
            child.stdin.flush()
            return child.stdout.readline()

        asked = [json.loads(ask(said, "\\sqrt{2}"))[0] for said in ("1.4142", "1.415", "1.42")]
        assert asked == ["correct", "correct", "wrong"]
        assert ask(*SLOW) == ""
        assert child.wait(timeout=60) == -signal.SIGPROF


@pytest.mark.parametrize(
    "options", [{"rounded_digits": 3}, {"tolerance": -0.1}, {"tolerance": 1.0}, {"timeout_seconds": 0}]
)
def test_options_that_would_accept_anything_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="validation error"):
        GradingConfig(**options)


def problems(*answers: str) -> list[Problem]:
    return [Problem(f"p{number}", "?", answer) for number, answer in enumerate(answers)]


def test_problems_that_nobody_could_grade_are_listed_and_set_aside(tmp_path: Path) -> None:
    said: list[str] = []
    sets = {
        "training": problems("5", "(1,2", "\\frac{1}{2}"),
        "held_out": problems("\\frac{1}{0}", "yes", "2\\sqrt{3}"),
    }
    kept = gradable(sets, tmp_path, GradingConfig(), said.append)
    assert [problem.answer for problem in kept["training"]] == ["5", "\\frac{1}{2}"]
    assert [problem.answer for problem in kept["held_out"]] == ["yes", "2\\sqrt{3}"]
    rows = [json.loads(line) for line in (tmp_path / UNGRADABLE).read_text().splitlines()]
    assert [(row["id"], row["answer"]) for row in rows] == [("p1", "(1,2"), ("p0", "\\frac{1}{0}")]
    assert all(row["reason"] for row in rows)
    assert said == [
        f"2 of 6 problems are set aside, for no answer to them could be graded: {UNGRADABLE} lists them with the reason."
    ]


def test_where_all_can_be_graded_nothing_is_written_and_where_none_can_the_way_out_is_said(tmp_path: Path) -> None:
    assert gradable({"training": problems("5")}, tmp_path, GradingConfig(), pytest.fail)["training"] == problems("5")
    assert not (tmp_path / UNGRADABLE).exists()
    with pytest.raises(InputError, match=r"problems\.columns\.answer"):
        gradable({"training": problems("(1,2")}, tmp_path, GradingConfig(), print)


class OneWay:
    """Accepts what leaves out the ground truth's unit, not what states one that the ground truth has not."""

    async def grade(self, prediction: str, gold: str, tolerance: float = 0.0) -> Grade:
        right = prediction in (gold, gold.removesuffix(" cm"))
        return Grade(Verdict.CORRECT if right else Verdict.WRONG, "")


@pytest.mark.parametrize("answers", [["5", "5 cm", "6"], ["5 cm", "5", "6"], ["6", "5 cm", "5"]])
async def test_answers_are_grouped_by_the_judge_whichever_comes_first(answers: list[str]) -> None:
    groups = await alike(answers, OneWay())
    assert groups["5"] == groups["5 cm"] != groups["6"]


async def test_a_majority_counts_answers_that_mean_the_same_together() -> None:
    drawn = plant("a answer=0.5\nb answer=1/2\nc answer=\\frac12\nd answer=7\ne answer=7")
    tree = replace(drawn, rollouts=tuple(Rollout(leaf, End.ANSWER, 0.0) for leaf in range(1, 6)))
    async with ProcessJudge(GradingConfig()) as judge:
        found = solutions(tree, drawn=False)
        choice = choose(found, "majority", 5, await alike([solution.answer for solution in found], judge))
    assert choice is not None
    assert choice.answer == "0.5"


def test_grade_prints_a_verdict_and_a_reason_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("\\boxed{0.5}", "1/2"), ("6", "5"), ("\\boxed{}", "5"), ("A or C", "C"), ("5", "\\frac{1}{0}")]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prediction": p, "answer": g, "kept": 1}) + "\n" for p, g in rows))
    with file.open("rb") as stream:
        grade_rows(stream, GradingConfig())
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["verdict"] for row in shown] == ["correct", "wrong", "no-answer", "unreadable", "gold-unreadable"]
    assert all(row["reason"] and row["kept"] == 1 for row in shown)


def test_the_judge_remembers_so_many_pairs_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def compare(self: Worker, answer: str, gold: str, tolerance: float) -> Grade:
        return Grade(Verdict.WRONG, "")

    async def work() -> int:
        async with ProcessJudge(GradingConfig()) as judge:
            for number in range(2, 9):
                await judge.grade(f"\\sqrt{{x+{number}}}", "x^2")
            return len(judge._grades)

    monkeypatch.setattr(Worker, "compare", compare)
    monkeypatch.setattr(judging, "_REMEMBERED", 3)
    assert asyncio.run(work()) == 3


async def test_a_problems_own_tolerance_counts_for_it_alone() -> None:
    """A run had one tolerance for all; what was decided with one is not what is decided with another."""
    async with ProcessJudge(GradingConfig()) as judge:
        for said in ("4.25", "\\sqrt{18}"):
            verdicts = [(await judge.grade(said, "4.2", tolerance)).verdict for tolerance in (0.1, 0.0, 0.1)]
            assert verdicts == [Verdict.CORRECT, Verdict.WRONG, Verdict.CORRECT]
