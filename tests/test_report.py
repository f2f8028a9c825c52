"""Reports: what a person sees while a run goes on, when it ends, and when it fails."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rstar_math.config import EvaluationConfig, PolicyConfig, RoundConfig, RunConfig, SearchConfig, TrainingConfig
from rstar_math.errors import ConfigError, Interrupted
from rstar_math.evolution.summary import _row
from rstar_math.records import Step
from rstar_math.report.console import is_live, open_console
from rstar_math.report.errors import show_error
from rstar_math.report.levels import levels_markdown, show_levels
from rstar_math.report.plan import show_plan
from rstar_math.report.progress import Progress
from rstar_math.report.quantities import duration, number, percent, rate
from rstar_math.report.solution import show_solution
from rstar_math.report.table import closing, markdown, show_table, write_report


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass only when told to."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def shown(print_to: Callable[[Console], None]) -> list[str]:
    """The lines that `print_to` prints to a log."""
    log = io.StringIO()
    print_to(open_console(log))
    return [line.rstrip() for line in log.getvalue().splitlines()]


@contextmanager
def plain() -> Iterator[tuple[Progress, Clock, Callable[[], list[str]]]]:
    log, clock = io.StringIO(), Clock()
    with Progress(open_console(log), clock=clock) as progress:
        yield progress, clock, lambda: log.getvalue().splitlines()


# Progress


def test_in_a_log_a_stage_prints_its_start_its_end_and_a_line_at_most_every_ten_seconds() -> None:
    with plain() as (progress, clock, lines):
        with progress.stage(2, 4, "trees", 1200, "problems") as bar:
            for _ in range(50):
                clock.seconds += 0.5
                bar.advance(4, solved=3)
            bar.finish("81% solved")
        assert lines() == [
            "round 2/4 · trees    starts: 1200 problems",
            "round 2/4 · trees      80/1200 problems · 8.0/s · 2m20s left · solved 3",
            "round 2/4 · trees     160/1200 problems · 8.0/s · 2m10s left · solved 3",
            "round 2/4 · trees    200 of 1200 problems in 25s · 81% solved",
        ]


def test_the_rate_is_that_of_the_last_minute() -> None:
    with plain() as (progress, clock, _), progress.stage(1, 1, "policy", 1000, "steps") as bar:
        for _ in range(100):
            clock.seconds += 1
            bar.advance(1)
        for _ in range(60):
            clock.seconds += 1
            bar.advance(10)
        assert bar.status() == " 700/1000 steps · 10.0/s · 30s left"


def test_what_was_done_before_counts_but_not_towards_the_rate() -> None:
    with plain() as (progress, clock, lines):
        with progress.stage(1, 4, "trees", 1200, "problems") as bar:
            bar.found(1000)
            clock.seconds += 10
            bar.advance(100)
            assert bar.status() == "1100/1200 problems · 10.0/s · 10s left"
            clock.seconds += 10
            bar.advance(100)
        assert lines()[-1] == "round 1/4 · trees    1200 problems (1000 before) in 20s"


def test_a_stage_of_unknown_length_shows_no_time_left() -> None:
    with plain() as (progress, clock, lines), progress.stage(0, 4, "policy", None, "steps") as bar:
        assert lines() == ["base      · policy   starts"]
        clock.seconds += 4
        bar.advance(6, loss=0.123456, train_rows=64)
        assert bar.status() == "6 steps · 1.5/s · loss 0.1235 · train rows 64"


def test_a_stage_done_before_prints_one_line() -> None:
    with plain() as (progress, _, lines):
        progress.done_before(1, 4, "trees", 1200, "problems")
        assert lines() == ["round 1/4 · trees    done before (1200 problems)"]


def test_a_stage_outside_any_round_is_named_alone() -> None:
    with plain() as (progress, _, lines):
        progress.done_before(0, 0, "scores", 5, "problems")
        assert lines() == ["scores   done before (5 problems)"]


def test_a_stage_that_an_error_leaves_says_where_it_stopped() -> None:
    with plain() as (progress, clock, lines):
        with pytest.raises(Interrupted), progress.stage(1, 4, "trees", 1200, "problems") as bar:
            clock.seconds += 77
            bar.advance(64)
            raise Interrupted
        assert lines()[-1] == "round 1/4 · trees    stopped at 64/1200 problems after 1m17s"


def test_what_is_said_is_printed_as_it_is_and_never_broken() -> None:
    with plain() as (progress, _, lines):
        progress.say("[bold]x[/bold] :smile: " + "y" * 200)
        assert lines() == ["[bold]x[/bold] :smile: " + "y" * 200]


def test_a_dumb_terminal_gets_plain_lines_without_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    with Progress(open_console(screen)) as progress, progress.stage(1, 4, "trees", 2, "problems") as bar:
        bar.advance(2)
    assert "\x1b" not in screen.getvalue()
    assert screen.getvalue().splitlines()[0] == "round 1/4 · trees    starts: 2 problems"


def test_forced_colour_does_not_turn_a_log_into_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not is_live(open_console(io.StringIO()))


def test_a_terminal_gets_a_live_bar_and_what_is_said_stays_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    screen = Screen()
    with Progress(open_console(screen)) as progress, progress.stage(1, 4, "trees", 4, "problems") as bar:
        bar.advance(2, solved=1)
        progress.say("problem 17 was set aside")
        bar.advance(2)
        bar.finish("75% solved")
    drawn = screen.getvalue()
    assert "\x1b[2K" in drawn
    assert "━" in drawn
    assert drawn.index("problem 17 was set aside") < drawn.index("4 problems in")
    assert "starts" not in drawn
    assert "/4 problems" not in drawn[drawn.index("75% solved") :].split("\n", 1)[1].rsplit("\x1b[2K", 1)[1]


def test_a_stream_without_the_characters_gets_question_marks_and_no_error() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with Progress(open_console(stream)) as progress:
        progress.done_before(1, 4, "trees", 5, "problems")
    stream.flush()
    assert raw.getvalue() == b"round 1/4 ? trees    done before (5 problems)\n"


# Quantities


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "0.0s"), (3.21, "3.2s"), (9.96, "10s"), (59.6, "1m00s"), (67, "1m07s"), (3599.6, "1h00m"), (7500, "2h05m")],
)
def test_durations_read_as_a_clock_would(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_rates_percents_and_numbers_keep_the_digits_a_person_reads() -> None:
    assert [rate(120.4), rate(8.31), rate(0.1)] == ["120/s", "8.3/s", "6.0/min"]
    assert [percent(0.4333), percent(1.0, 0), percent(None)] == ["43.3", "100", "–"]
    assert [number(0.123456), number(512), number("ok"), number(1200.0)] == ["0.1235", "512", "ok", "1200"]


# The table by round


def score(value: float, low: float, high: float, count: int = 240) -> dict[str, float]:
    return {"value": value, "low": low, "high": high, "count": count}


def row(name: str, **given: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("greedy", "system2", "coverage", "pair_accuracy", "seconds"))
    return {"name": name, **nothing, **given}


ROWS = [
    row("base", greedy=score(0.2333, 0.18, 0.29), seconds=12.3),
    row(
        "round 1",
        greedy=score(0.35, 0.29, 0.412),
        system2=score(0.5, 0.438, 0.562),
        coverage={"all": 0.654, "1": 1.0, "2": 0.857, "10": 0.0},
        pair_accuracy=0.7205,
        seconds=133,
    ),
    row("control", greedy=score(0.25, 0.2, 0.3)),
]


def test_the_table_shows_every_value_in_percent_with_its_interval_and_a_dash_for_what_was_not_measured() -> None:
    lines = shown(lambda console: show_table(ROWS, console))
    cells = [line.split() for line in lines]
    assert ["base", "23.3±5.5", "–", "–", "–", "–", "–", "–", "12s"] in cells
    assert ["round", "1", "35.0±6.1", "50.0±6.2", "65.4", "100", "86", "0", "72.0", "2m13s"] in cells
    assert ["control", "25.0±5.0", "–", "–", "–", "–", "–", "–", "–"] in cells
    assert ["pass@1", "System", "2", "solved", "L1", "L2", "L10", "pairs", "time"] in cells
    assert any("In percent of 240 held-out problems" in line for line in lines)


def test_a_narrow_console_gets_narrow_gaps_then_no_levels_and_never_a_cut_value() -> None:
    full = score(1.0, 0.8, 1.0)
    coverage = {"all": 1.0, **{str(level): 1.0 for level in range(1, 7)}}
    rows = [row("round 10", greedy=full, system2=full, coverage=coverage, pair_accuracy=1.0, seconds=59)]
    for width, levels in ((100, 6), (80, 6), (60, 0)):
        log = io.StringIO()
        show_table(rows, Console(file=log, width=width))
        table = log.getvalue().split("In percent")[0]
        assert max(map(len, table.splitlines())) <= width
        assert (table.count(" L"), table.count("100.0±10.0"), table.count("…")) == (levels, 2, 0)


def test_levels_with_names_too_long_for_the_console_are_left_to_the_markdown() -> None:
    names = [f"Competition level {letter}" for letter in "ABCDEF"]
    rows = [row("round 1", coverage={"all": 0.5, **dict.fromkeys(names, 0.5)})]
    assert not any("Competition" in line for line in shown(lambda console: show_table(rows, console)))
    assert f"| {' | '.join(names)} |" in markdown(rows)


def test_the_markdown_has_both_ends_of_each_interval() -> None:
    lines = markdown(ROWS).splitlines()
    assert lines[0] == "|  | greedy pass@1 | System 2 | solved | L1 | L2 | L10 | PPM pairs | time |"
    assert lines[3] == ("| round 1 | 35.0 (29.0–41.2) | 50.0 (43.8–56.2) | 65.4 | 100 | 86 | 0 | 72.0 | 2m13s |")
    assert {line.count("|") for line in lines[:5]} == {10}


def test_held_out_sets_of_different_sizes_are_named_from_to() -> None:
    rows = [row("base", greedy=score(0.5, 0.4, 0.6, 30)), row("round 1", system2=score(0.5, 0.4, 0.6, 500))]
    assert "of 30 to 500 held-out problems" in markdown(rows)


def test_the_report_file_holds_the_table_and_the_three_closing_lines(tmp_path: Path) -> None:
    lines = closing(tmp_path, "rstar-math again", "rstar-math own")
    text = write_report(tmp_path, "demo", ROWS, lines).read_text(encoding="utf-8")
    assert text.startswith("# demo\n\n|  | greedy pass@1 |")
    assert [line[2:] for line in text.splitlines() if line.startswith("- ")] == list(lines)
    assert [str(tmp_path) in lines[0], "rstar-math again" in lines[1], "rstar-math own" in lines[2]] == [True] * 3


BY_LEVEL = [
    row("base", levels={"greedy": {"2": score(0.25, 0.1, 0.4, 40), "1": score(0.5, 0.35, 0.65, 42)}, "system2": {}}),
    row("round 1", levels={"greedy": {}, "system2": {"1": score(0.8, 0.7, 0.9, 42)}}),
    row("round 2", levels={"greedy": {}, "system2": {"2": score(1.0, 1.0, 1.0, 40)}}),
    row("control", levels={"greedy": {"1": score(0.0, 0.0, 0.0, 42)}, "system2": {}}),
    row("round 3"),
]


def test_a_second_table_shows_held_out_accuracy_by_level_with_its_interval() -> None:
    """It stood in metrics.json alone."""
    assert levels_markdown(BY_LEVEL).splitlines() == [
        "|  | L1 (42) | L2 (40) |",
        "| --- | ---: | ---: |",
        "| base, greedy | 50±15 | 25±15 |",
        "| round 1, System 2 | 80±10 | – |",
        "| round 2, System 2 | – | 100±0 |",
        "| control, greedy | 0±0 | – |",
        "",
        "Held-out problems by level (how many): percent answered right, ± half the 95% interval.",
    ]


def test_on_a_console_the_levels_are_those_of_base_last_round_and_control_where_they_fit() -> None:
    lines = shown(lambda console: show_levels(BY_LEVEL[:-1], console))
    named = [line.split(",")[0] for line in lines if "±" in line and "interval" not in line]
    assert named == ["base", "round 2", "control"]
    wide = [row("base", levels={"greedy": {f"Competition level {letter}": score(1, 1, 1) for letter in "ABCDEF"}})]
    assert shown(lambda console: show_levels(wide, console)) == []
    assert shown(lambda console: show_levels(ROWS, console)) == []


def test_the_report_file_holds_both_tables_and_one_where_there_are_no_levels(tmp_path: Path) -> None:
    assert "| base, greedy |" in write_report(tmp_path, "demo", BY_LEVEL, ["end"]).read_text(encoding="utf-8")
    assert "by level (how many)" not in write_report(tmp_path, "demo", ROWS, ["end"]).read_text(encoding="utf-8")


# The plan


def planned(config: RunConfig) -> dict[str, list[str]]:
    """The first line of each knob -> its cells."""
    rows: dict[str, list[str]] = {}
    for line in shown(lambda console: show_plan(config, console)):
        label, *cells = [cell.strip() for cell in line.strip().split("  ") if cell.strip()] or [""]
        rows.setdefault(label, cells)
    return rows


def test_the_plan_shows_every_round_and_who_generates_in_it() -> None:
    config = RunConfig(
        policy=PolicyConfig(kind="endpoint", url="http://127.0.0.1:1/v1", model="coder"),
        rounds=3,
        round={
            "r1": RoundConfig(search=SearchConfig(rollouts=8, candidates=5, temperature=0.7)),
            "r2": RoundConfig(search=SearchConfig(escalate_to=(32,)), policy=TrainingConfig(max_steps=50)),
            "r3": RoundConfig(
                search=SearchConfig(annotation="ppm", trees=3, escalate_to=(80, 128)),
                evaluation=EvaluationConfig(strategies=("greedy", "mcts-majority")),
            ),
        },
    )
    rows = planned(config)
    assert rows["round 1"] == ["round 2", "round 3"]
    assert rows["policy"] == ["coder", "policy r1", "policy r2 + PPM r2"]
    assert rows["annotation"] == ["terminal", "terminal", "ppm"]
    assert rows["rollouts"] == ["8", "16 → 32", "16 → 80 → 128"]
    assert rows["candidates"] == ["5", "8", "8"]
    assert rows["trees"] == ["1", "1", "3"]
    assert rows["temperature"] == ["0.7", "1", "1"]
    assert rows["epochs"] == ["2", "50 steps", "2"]
    assert rows["learning rate"] == ["7e-06 linear"] * 3
    assert rows["ways"] == ["greedy, mcts", "greedy, mcts", "greedy, mcts-majority"]


def test_rounds_beyond_the_last_plan_share_its_column() -> None:
    rows = planned(RunConfig(rounds=6))
    assert rows["round 1"] == ["round 2", "round 3", "rounds 4–6"]
    assert rows["policy"] == ["seedling", "policy r1", "policy r2", "policy r3…r5"]


def test_a_narrow_plan_breaks_its_values_over_lines_and_cuts_none_short() -> None:
    log = io.StringIO()
    config = RunConfig(policy=PolicyConfig(path="organisation/a-model-with-a-long-name"))
    show_plan(config, Console(file=log, width=60))
    assert "…" not in log.getvalue()
    assert log.getvalue().count("7e-06") == 8


# Errors and solutions


def test_an_error_is_one_plain_message_in_a_log_with_nothing_interpreted() -> None:
    log = io.StringIO()
    show_error(ConfigError("round.r2.rollouts is 0\nexpected: [1, 2, …]"), log)
    assert log.getvalue() == "Config error: round.r2.rollouts is 0\nexpected: [1, 2, …]\n"


def test_an_error_is_a_panel_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    show_error(Interrupted("Finished work is kept."), screen)
    assert "Interrupted" in screen.getvalue()
    assert "│ Finished work is kept." in screen.getvalue()


SOLVED = [
    Step("<code>\n# Step 1: two crates of [20]\nx = 2 * 20\n<end_of_step>"),
    Step("print(x)\n<end_of_code>", "40"),
    Step("<answer>The answer is \\boxed{40}.\n<end_of_answer>"),
]


def test_a_solution_shows_each_step_with_its_score_its_output_and_the_answer() -> None:
    lines = shown(lambda console: show_solution(SOLVED, [-0.6, 0.8, None], "40", 0.875, console))
    assert lines == [
        "Step 1  ██░░░░░░░░ -0.60",
        "    # Step 1: two crates of [20]",
        "    x = 2 * 20",
        "",
        "Step 2  █████████░ +0.80",
        "    print(x)",
        "    → 40",
        "",
        "Step 3",
        "    The answer is \\boxed{40}.",
        "",
        "Answer  40   confidence 0.88",
    ]


def test_a_path_without_an_answer_says_so() -> None:
    lines = shown(lambda console: show_solution(SOLVED[:1], [None], None, None, console))
    assert lines[-1] == "No answer: the path ended without one."


def test_scores_that_do_not_match_the_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        show_solution(SOLVED, [0.5], "40", None, open_console(io.StringIO()))


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        (("mcts", "mcts-majority"), "mcts"),
        (("mcts-majority@16", "mcts@16", "sample@4"), "mcts@16"),
        (("greedy", "mcts-majority@4"), "mcts-majority@4"),
        (("greedy", "best-of-n@4"), None),
    ],
)
def test_a_search_of_another_length_or_reading_stands_in_the_table_too(measured, shown) -> None:
    """evaluation.strategies=[greedy,mcts@16] left System 2 a dash."""
    ends = {"": 0.5, "/low": 0.4, "/high": 0.6, "/count": 9}
    metrics = {f"{name}/pass@1{end}": number for name in measured for end, number in ends.items()}
    metrics |= {f"{shown}/pass@1": 0.55}
    system2 = _row("round 1", {"scores": {"metrics": metrics, "seconds": 1}})["system2"]
    assert system2 == (None if shown is None else {"value": 0.55, "low": 0.4, "high": 0.6, "count": 9})
