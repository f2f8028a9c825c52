import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rstar_math.config import ProblemsConfig
from rstar_math.errors import ConfigError, InputError
from rstar_math.problems import problem_sets, read_problems, split_off
from rstar_math.problems.benchmarks import benchmark_names, compose_benchmark, read_benchmark
from rstar_math.problems.reading import final_answer, normalised
from rstar_math.records import Problem

DATA = Path(os.environ.get("RSTAR_DATA") or Path(__file__).parents[2] / "shared" / "data")
ROWS = [{"question": f"What is {n} + {n}?", "answer": str(2 * n), "level": n % 3} for n in range(1, 31)]


def lines(path: Path, *rows: Any) -> str:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return str(path)


def read(path: str | Path, **knobs: Any) -> list[Problem]:
    return read_problems(ProblemsConfig(path=str(path), **knobs))


def refused(read_it: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        read_it()
    return str(caught.value)


def as_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROWS[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(ROWS)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "p.jsonl": lambda path: lines(path, *ROWS),
    "array.json": lambda path: path.write_text(json.dumps(ROWS)),
    "object.json": lambda path: path.write_text(json.dumps({"version": 1, "problems": ROWS})),
    "p.csv": as_csv,
    "p.tsv": as_csv,
    "p.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_problems(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    found = [(problem.question, problem.answer, problem.level) for problem in read(tmp_path / name)]
    assert found == [(row["question"], row["answer"], str(row["level"])) for row in ROWS]


def test_a_local_hugging_face_folder_is_read_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "set").mkdir()
    lines(tmp_path / "set" / "train.jsonl", *ROWS)
    expected = [problem.question for problem in read(tmp_path / "set" / "train.jsonl")]
    assert [problem.question for problem in read_problems(ProblemsConfig(dataset=str(tmp_path / "set")))] == expected
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)).save_to_disk(str(tmp_path / "saved"))
    saved = ProblemsConfig(dataset=str(tmp_path / "saved"), limit=3)
    assert [problem.question for problem in read_problems(saved)] == expected[:3]
    message = refused(lambda: read_problems(ProblemsConfig(dataset=str(tmp_path / "set"), split="tset")))
    assert "tset" in message and "problems.split" in message
    message = refused(lambda: read_problems(ProblemsConfig(dataset=str(tmp_path / "none"))))
    assert "none" in message and "problems.dataset" in message


def test_usual_names_and_forms_of_answers_are_understood(tmp_path: Path) -> None:
    worked = {"problem": "1/2?", "solution": "So $\\boxed{\\frac{1}{2}}$.", "level": "Level 5", "type": "Algebra"}
    assert read(lines(tmp_path / "math.jsonl", worked))[0][1:] == (
        "1/2?",
        "\\frac{1}{2}",
        "5",
        "Algebra",
        "math",
        False,
        0.0,
    )
    school = {"Question": "How many?", "Answer": "48/2 = <<48/2=24>>24\n#### 72", "uid": 7, "source": "gsm8k"}
    assert read(lines(tmp_path / "g.jsonl", school), synthetic=True) == [
        Problem("7", "How many?", "72", source="gsm8k", synthetic=True)
    ]
    mapped = {"problem": "not this", "text": "What?", "solution": "5"}
    assert read(lines(tmp_path / "m.jsonl", mapped), columns={"question": "text", "answer": "solution"})[0][1:3] == (
        "What?",
        "5",
    )


@pytest.mark.parametrize("answer", ["\\boxed{}", "so \\boxed{1} or \\boxed{ }", "\\boxed{1"])
def test_a_box_that_holds_nothing_or_never_closes_is_no_ground_truth(tmp_path: Path, answer: str) -> None:
    with pytest.raises(InputError, match="the answer is empty, or a box in it is"):
        read(lines(tmp_path / "p.jsonl", {"problem": "?", "answer": answer}))


def test_questions_alone_need_no_answer_and_take_none_that_stands_beside_them(tmp_path: Path) -> None:
    path = lines(tmp_path / "mine.jsonl", {"problem": "1 + 1?", "level": 3}, {"problem": "2 + 2?", "answer": ["4"]})
    questions = read_problems(ProblemsConfig(path=path), answered=False)
    assert [(each.question, each.answer, each.level) for each in questions] == [("1 + 1?", "", "3"), ("2 + 2?", "", "")]
    assert "no column for the question" in refused(
        lambda: read_problems(ProblemsConfig(path=lines(tmp_path / "none.jsonl", {"text": "1"})), answered=False)
    )
    assert "no column for the answer" in refused(lambda: read(lines(tmp_path / "half.jsonl", {"problem": "1 + 1?"})))


def test_rows_say_themselves_whether_they_are_synthetic(tmp_path: Path) -> None:
    """One word held for a whole file: a mixed set lost its hard human problems to the noise filter, or had none."""
    rows = [
        {"problem": f"{n}?", "answer": "1", "synthetic": said} for n, said in enumerate((True, False, "yes", "0", None))
    ]
    file = lines(tmp_path / "mixed.jsonl", *rows)
    assert [each.synthetic for each in read(file)] == [True, False, True, False, False]
    assert [each.synthetic for each in read(file, synthetic=True)] == [True, False, True, False, True]
    with pytest.raises(InputError, match="synthetic: got text \\('perhaps'\\), expected true or false"):
        read(lines(tmp_path / "odd.jsonl", {"problem": "?", "answer": "1", "synthetic": "perhaps"}))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("72", "72"),
        ("72.0", "72.0"),
        ("0.1", "0.1"),
        ("1e-7", "0.0000001"),
        ("12345678901234567890.5", "12345678901234567890.5"),
    ],
)
def test_numbers_become_their_exact_text(written: str, expected: str, tmp_path: Path) -> None:
    assert read(lines(tmp_path / "p.jsonl", f'{{"question": "?", "answer": {written}}}'))[0].answer == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_reads_back_as_that_number(value: float) -> None:
    assert float(final_answer(value, "answer")) == value


def test_ids_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    there = {problem.question: problem.id for problem in read(lines(tmp_path / "p.jsonl", *ROWS))}
    back = {problem.question: problem.id for problem in read(lines(tmp_path / "p.jsonl", *reversed(ROWS)))}
    assert there == back and len(set(there.values())) == len(ROWS)


GOOD = {"question": "2 + 2?", "answer": "4"}
BAD_ROWS: dict[str, tuple[list[Any], list[str]]] = {
    "broken JSON": ([GOOD, '{"question": "1 +'], ["1 of 2 rows", "line 2", '\'{"question": "1 +\'', "no JSON"]),
    "not an object": ([GOOD, [1, 2]], ["line 2", "a JSON list", "expected an object"]),
    "empty question": ([{"question": "  ", "answer": "4"}], ["line 1", "question", "empty"]),
    "question no text": ([{"question": 5, "answer": "4"}], ["line 1", "got a number (5)", "expected text"]),
    "empty answer": ([{"question": "?", "answer": " "}], ["line 1", "answer", "empty"]),
    "answer list": ([{"question": "?", "answer": ["4"]}], ["line 1", "answer: got a list (['4'])", "text or a number"]),
    "answer object": ([{"question": "?", "answer": {"a": 4}}], ["got an object", "expected text or a number"]),
    "answer null": ([{"question": "?", "answer": None}], ["got null (None)", "expected text or a number"]),
    "answer bool": ([{"question": "?", "answer": True}], ["got true/false (True)"]),
    "answer NaN": (['{"question": "?", "answer": NaN}'], ["got nan", "expected text or a number"]),
    "no final answer": (
        [{"question": "?", "solution": "Easy."}],
        ["\\boxed{...}", "####", "problems.columns.answer=solution"],
    ),
    "a row lacks a column": ([GOOD, {"question": "?", "reply": 4}], ["line 2", "no 'answer'", "question, reply"]),
    "question twice": (
        [GOOD, "", {"question": "2  + 2? ", "answer": "5"}],
        ["line 3", "'2  + 2?'", "line 1", "remove one"],
    ),
    "id twice": ([{"id": 1, **GOOD}, {"id": "1", "question": "?", "answer": "4"}], ["line 2", "the id '1'", "line 1"]),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_with_what_is_wrong_and_the_way_out(case: str, tmp_path: Path) -> None:
    rows, parts = BAD_ROWS[case]
    message = refused(lambda: read(lines(tmp_path / "mine.jsonl", *rows)))
    assert [part for part in [*parts, "mine.jsonl", "start again"] if part not in message] == []


def test_five_bad_rows_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", GOOD, *[{"question": "", "answer": n} for n in range(8)])
    message = refused(lambda: read(path))
    assert "8 of 9 rows" in message and "line 2" in message and "line 6" in message
    assert "line 7" not in message and "... and 3 more" in message


def test_a_limit_leaves_what_follows_unread(tmp_path: Path) -> None:
    assert len(read(lines(tmp_path / "p.jsonl", GOOD, "not JSON"), limit=1)) == 1


BAD_FILES: dict[str, tuple[str, bytes, list[str]]] = {
    "extension": ("p.xlsx", b"x", ["'.xlsx'", ".jsonl", ".parquet", "convert"]),
    "empty": ("p.jsonl", b"", ["no problems at all"]),
    "empty CSV": ("p.csv", b"question,answer\n", ["no problems at all"]),
    "empty JSON": ("p.json", b"[]", ["no problems at all"]),
    "not UTF-8": ("p.jsonl", b'{"question": "?"}\n\xff\xfe', ["line 2", "0xff", "UTF-8"]),
    "binary": ("p.csv", b"question,answer\n\0\0", ["line 2", "NUL", "binary"]),
    "broken JSON": ("p.json", b'[{"question": ', ["is no JSON", ".jsonl"]),
    "JSON text": ("p.json", b'"five"', ["got a JSON text", "list of rows"]),
    "two lists": ("p.json", b'{"a": [], "b": []}', ["2 lists (a, b)", "exactly one"]),
    "no Parquet": ("p.parquet", b"PAR?", ["no readable Parquet", "JSONL"]),
    "wide CSV": ("p.csv", b'question,answer\n"a\nb",4\nx,y,z\n', ["line 4", "got 3 fields, expected 2", "quote"]),
    "short CSV": ("p.csv", b"question,answer\nx\n", ["line 2", "got 1 fields, expected 2"]),
    "open quote": ("p.csv", b'question,answer\n"x,4\n', ["near line", "quote"]),
    "no question": (
        "p.csv",
        b"text,answer\nx,4\n",
        ["text, answer", "question, problem, query", "problems.columns.question=NAME"],
    ),
    "no answer": ("p.csv", b"question,reply\nx,4\n", ["question, reply", "problems.columns.answer=NAME"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_with_what_is_wrong_and_the_way_out(case: str, tmp_path: Path) -> None:
    name, content, parts = BAD_FILES[case]
    (tmp_path / name).write_bytes(content)
    message = refused(lambda: read(tmp_path / name))
    assert [part for part in [*parts, name] if part not in message] == []


def test_missing_files_folders_and_columns_say_the_way_out(tmp_path: Path) -> None:
    message = refused(lambda: read(tmp_path / "none.jsonl"))
    assert "none.jsonl" in message and "no such file" in message and "problems.path" in message
    assert f"problems.dataset={tmp_path}" in refused(lambda: read(tmp_path))
    path = lines(tmp_path / "p.jsonl", GOOD)
    assert "problems.columns.level=NAME" in refused(lambda: read(path, columns={"level": "hardness"}))
    message = refused(lambda: read(path, columns={"quesiton": "q"}))
    assert "quesiton" in message and "question, answer" in message
    assert "problems.path" in refused(lambda: read_problems(ProblemsConfig()))


@given(st.lists(st.text(max_size=40), max_size=8), st.sampled_from([".jsonl", ".json", ".csv"]))
def test_no_file_content_ends_in_anything_but_problems_or_a_message(
    tmp_path_factory: pytest.TempPathFactory, content: list[str], extension: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"p{extension}"
    path.write_text("\n".join(content), encoding="utf-8", errors="replace")
    try:
        assert read(path)
    except InputError as error:
        assert path.name in str(error)


@given(st.permutations(list(range(20))), st.integers(0, 20), st.integers(0, 3))
def test_splitting_off_depends_on_ids_alone(order: list[int], count: int, seed: int) -> None:
    problems = [Problem(str(number), f"{number}?", "1") for number in range(20)]
    shuffled = [problems[number] for number in order]
    rest, chosen = split_off(shuffled, count, seed, "heldout")
    assert chosen == split_off(problems, count, seed, "heldout")[1] and len(chosen) == count
    assert rest == [problem for problem in shuffled if problem not in chosen]


def test_the_sets_are_disjoint_and_capped_at_a_tenth_each(tmp_path: Path) -> None:
    sets = problem_sets(ProblemsConfig(path=lines(tmp_path / "p.jsonl", *ROWS)), seed=1)
    assert [(name, len(chosen)) for name, chosen in sets.named()] == [("train", 24), ("held_out", 3), ("validation", 3)]
    assert len({problem.question for _, chosen in sets.named() for problem in chosen}) == 30
    assert "problems.held_out_count=240" in sets.notes[0] and "3 are taken" in sets.notes[0]
    assert "problems.validation_count=100" in sets.notes[1]
    few = problem_sets(ProblemsConfig(path=lines(tmp_path / "p.jsonl", *ROWS), held_out_count=2, validation_count=1), 1)
    assert few.notes == () and few.held_out == sets.held_out[:2]


def test_held_out_problems_are_not_trained_on_however_they_are_spaced(tmp_path: Path) -> None:
    held_out = lines(
        tmp_path / "h.jsonl", {"question": "what  is 1 + 1?", "answer": 2}, {"question": "new", "answer": 1}
    )
    config = ProblemsConfig(path=lines(tmp_path / "p.jsonl", *ROWS), held_out_path=held_out, validation_count=2)
    sets = problem_sets(config, 0)
    assert (len(sets.train), len(sets.held_out), len(sets.validation)) == (27, 2, 2)
    assert "1 training problems are also in" in sets.notes[0] and "h.jsonl" in sets.notes[0]
    texts = {normalised(problem.question) for problem in (*sets.train, *sets.validation)}
    assert not texts & {normalised(problem.question) for problem in sets.held_out}
    same = ProblemsConfig(path=lines(tmp_path / "one.jsonl", ROWS[0]), held_out_path=held_out)
    assert "no problem is left to train on" in refused(lambda: problem_sets(same, 0))


def test_without_a_file_the_embedded_problems_are_taken() -> None:
    sets = problem_sets(ProblemsConfig(count=24, held_out_count=6, validation_count=6), seed=3)
    assert [len(chosen) for _, chosen in sets.named()] == [24, 6, 6]
    assert len({normalised(problem.question) for _, chosen in sets.named() for problem in chosen}) == 36
    assert {problem.level for problem in sets.train} == set("123456")


SETS = {"gsm8k_train": 7473, "gsm8k_test": 1319, "svamp": 1000, "math500": 500, "aime2024": 30, "olympiadbench": 675}


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here; RSTAR_DATA names the folder of the real sets")
@pytest.mark.parametrize("name", SETS)
def test_real_sets_are_read_whole(name: str) -> None:
    problems = read(DATA / f"{name}.jsonl")
    assert len({problem.id for problem in problems}) == len(problems) == SETS[name]


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here; RSTAR_DATA names the folder of the real sets")
@pytest.mark.parametrize("name", benchmark_names())
def test_a_benchmarks_own_file_has_questions_and_answers_under_the_names_that_are_looked_for(name: str) -> None:
    """Of most of them nothing was read but conf/benchmark."""
    benchmark = compose_benchmark(name)
    if benchmark.file and not (DATA / benchmark.file).is_file():
        pytest.skip(f"{benchmark.file} is not in {DATA}")
    embedded = ProblemsConfig(limit=2, count=6, held_out_count=6, validation_count=6)
    found = read_benchmark(benchmark.problems(name, DATA, embedded), seed=0, repeats=[])
    assert len(found) == 2
    for problem in found:
        assert len(problem.question) > 20 and problem.question[0] != "{"
        assert 0 < len(problem.answer) < 100
    assert found[0].question != found[1].question


def test_omnimath_is_the_same_problems_wherever_they_are_read_from(tmp_path) -> None:
    """The file held the 500 with numbers for answers, the hub all 4,428."""
    lines(tmp_path / "omnimath_num500.jsonl", *ROWS)
    benchmark = compose_benchmark("omnimath")
    assert len(read_benchmark(benchmark.problems("omnimath", tmp_path, ProblemsConfig()), 0, [])) == len(ROWS)
    with pytest.raises(ConfigError, match=r"there is no omnimath_num500\.jsonl named: benchmarks=FOLDER"):
        benchmark.problems("omnimath", None, ProblemsConfig())


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here; RSTAR_DATA names the folder of the real sets")
def test_a_repeated_question_in_a_real_set_is_found() -> None:
    message = refused(lambda: read(DATA / "math_train.jsonl"))
    assert "1 of 7472 rows" in message and "was there before, in line" in message


def test_reading_files_loads_no_heavy_library() -> None:
    heavy = ("torch", "datasets", "pyarrow", "pandas")
    probe = f"import sys, rstar_math.problems; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", probe], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_in_a_benchmark_that_repeats_itself_every_row_counts(tmp_path) -> None:
    """Of questions that stood in it twice the first alone counted, as in the released code."""
    file = tmp_path / "set.jsonl"
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in (1, 2, 1, 1)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=r"was there before, in line 1; remove one of the two"):
        read_problems(ProblemsConfig(path=str(file)))
    repeats: list[str] = []
    found = read_problems(ProblemsConfig(path=str(file)), repeats)
    assert [problem.answer for problem in found] == ["2", "3", "2", "2"]
    first = found[0].id
    assert [problem.id for problem in found] == [first, found[1].id, f"{first}-2", f"{first}-3"]
    assert repeats[0] == "line 3: the question 'What is 1 + 1?' was there before, in line 1"
    assert len(repeats) == 2
    assert read_problems(ProblemsConfig(path=str(file), limit=3), []) == found[:3]
    file.write_text(file.read_text() + '{"question": "", "answer": "1"}\n')
    with pytest.raises(InputError, match="the question is empty"):
        read_problems(ProblemsConfig(path=str(file)), [])


def test_a_repeated_id_gets_the_first_number_that_no_other_has(tmp_path) -> None:
    file = tmp_path / "set.jsonl"
    rows = [{"id": name, "question": f"Q{n}?", "answer": "1"} for n, name in enumerate(("a", "a-2", "a", "a", "a-2"))]
    rows.append({"id": "b", "question": "Q0?", "answer": "1"})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    repeats: list[str] = []
    found = read_problems(ProblemsConfig(path=str(file)), repeats)
    assert [problem.id for problem in found] == ["a", "a-2", "a-3", "a-4", "a-2-2", "b"]
    assert len(repeats) == 4


def test_a_raw_benchmarks_own_columns_are_found(tmp_path) -> None:
    rows = {
        "gsm_hard": {"input": "Q?", "code": "x", "target": 14.0},
        "multiarith": {"question": "Q?", "final_ans": "14"},
    }
    rows["svamp"] = {"Body": "B.", "Question": "And?", "question_concat": "Q?", "Answer": "14"}
    for name, row in rows.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
        (found,) = read(tmp_path / f"{name}.jsonl")
        assert (found.question, float(found.answer)) == ("Q?", 14.0)


def test_a_benchmarks_own_tolerance_is_read_from_the_rows_that_state_one(tmp_path) -> None:
    """OlympiadBench calls it `error`; one answer may have one, several answers one each, most have none."""
    stated = {"1e-1": 0.1, "0.05,1e-2": 0.01, 0.5: 0.5, "": 0.0, None: 0.0}
    rows = [{"problem": f"Q{number}?", "answer": "4.2", "error": error} for number, error in enumerate(stated)]
    lines(tmp_path / "olympiadbench.jsonl", *rows, {"problem": "Q?", "answer": "4.2"})
    benchmark = compose_benchmark("olympiadbench")
    named = benchmark.problems("olympiadbench", tmp_path, ProblemsConfig())
    assert [problem.tolerance for problem in read_problems(named)] == [*stated.values(), 0.0]
    assert [problem.tolerance for problem in read(tmp_path / "olympiadbench.jsonl")] == [0.0] * 6


def test_a_benchmark_whose_first_rows_state_no_tolerance_is_read(tmp_path) -> None:
    lines(tmp_path / "olympiadbench.jsonl", {"problem": "Q?", "answer": "4.2"})
    named = compose_benchmark("olympiadbench").problems("olympiadbench", tmp_path, ProblemsConfig())
    assert [problem.tolerance for problem in read_problems(named)] == [0.0]


@pytest.mark.parametrize("error", ["about 1", -0.1, "nan", [0.1], True])
def test_a_tolerance_that_is_no_number_is_said(error: Any, tmp_path) -> None:
    lines(tmp_path / "own.jsonl", {"problem": "Q?", "answer": "4.2", "tolerance": error})
    assert "line 1: tolerance: got" in refused(lambda: read(tmp_path / "own.jsonl"))


@pytest.mark.skipif(
    not (DATA / "olympiadbench.jsonl").exists(), reason=f"{DATA} is not here; RSTAR_DATA names its folder"
)
def test_the_real_olympiadbench_states_a_tolerance() -> None:
    problems = read_problems(compose_benchmark("olympiadbench").problems("olympiadbench", DATA, ProblemsConfig()))
    assert {problem.answer: problem.tolerance for problem in problems if problem.tolerance} == {"4.2": 0.1}
