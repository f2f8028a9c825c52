"""The house: imports go down only, heavy libraries stay behind their doors, files and functions stay small."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rstar_math

PACKAGE = Path(rstar_math.__file__).parent
#: Floor of every room; imports go to the same room or to a lower floor.
FLOORS = {
    "__main__": 7,
    "cli": 6,
    "evolution": 5,
    "bench": 5,
    "cluster": 4,
    "harvest": 3,
    "mutual": 4,
    "evaluation": 3,
    "engines": 3,
    "training": 3,
    "seedling": 3,
    "report": 3,
    "search": 2,
    "sandbox": 2,
    "problems": 2,
    "tracking": 2,
    "scripted": 2,
    "checkpoints": 1,
    "config": 1,
    "ports": 1,
    "forecast": 2,
    "tokens": 1,
    "grading": 2,
    "boxes": 0,
    "errors": 0,
    "grace": 0,
    "lines": 1,
    "disk": 1,
    "records": 0,
    "reward": 0,
    "rng": 0,
    "together": 0,
    "text": 1,
}
#: heavy library -> the only places that may import it
DOORS = {
    "vllm": ("engines/",),
    "ray": ("cluster/", "training/"),
    "deepspeed": ("training/",),
    "hydra": ("cli/",),
    "wandb": ("tracking.py",),
    "openai": ("engines/",),
    "math_verify": ("grading/",),
    "matplotlib": ("report/",),
    "torch": ("engines/", "training/", "seedling/", "checkpoints.py", "cli/doctor.py", "cli/survey.py"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))
LINES, FUNCTION_LINES = 320, 80


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_every_room_has_a_floor() -> None:
    rooms = {place(path).split("/")[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_imports_go_down(path) -> None:
    own = place(path).split("/")[0].removesuffix(".py")
    for name in imports(path):
        if name.startswith("rstar_math.") and own in FLOORS and room(name) != own:
            assert FLOORS[room(name)] < FLOORS[own], f"{place(path)} on floor {FLOORS[own]} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_heavy_libraries_stay_behind_their_doors(path) -> None:
    for name in imports(path):
        allowed = DOORS.get(name.split(".")[0], ("",))
        assert place(path).startswith(allowed), f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_files_and_functions_keep_their_budget(path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_every_module_says_what_it_is_for(path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text()


def test_nothing_waits_by_a_clock_that_can_be_set() -> None:
    """Machines' clocks jump. Only who compares clocks asks for the time of day; dates are for people to read."""
    asking = [place(path) for path in MODULES if "time.time" in path.read_text()]
    assert asking == ["cluster/survey.py"]


def test_the_rules_of_the_method_load_no_torch() -> None:
    rooms = ("search.forest", "search.storage", "harvest.crop", "evaluation.scores", "evolution.evolve", "cli.main")
    code = (
        "import sys\n" + "".join(f"import rstar_math.{name}\n" for name in rooms) + "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_links_between_documents_lead_somewhere() -> None:
    root = PACKAGE.parent
    for document in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        for link in re.findall(r"\]\((?!https?:)([^)]*)\)", document.read_text()):
            name, _, chapter = link.partition("#")
            target = document.parent / name if name else document
            assert target.exists(), f"{document.name} links to {link}, which is not there"
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if chapter else []
            anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert not chapter or chapter in anchors, f"{document.name} links to {link}: no such chapter"
