"""What `make setup` does for machines that lack something."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rstar_math.engines import environment
from rstar_math.errors import EngineError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The folder of the library that is built where libnuma is missing."""
    sources = tmp_path / "rstar_math" / "engines"
    sources.mkdir(parents=True)
    for name in ("numa.cpp", "numa.map"):
        shutil.copy(ROOT / "rstar_math" / "engines" / name, sources)
    folder = tmp_path / ".venv" / "lib"
    folder.mkdir(parents=True)
    said = subprocess.run(["make", "-s", "-f", ROOT / "Makefile", "numa"], cwd=tmp_path, capture_output=True, text=True)
    assert (said.returncode, "apt-get install libnuma1" in said.stdout) == (0, True), said.stderr
    return folder


def symbols(library: Path, *options: str) -> set[str]:
    """Those of libnuma, with their versions, that a library asks for or has."""
    shown = subprocess.run(["nm", "-D", *options, library], capture_output=True, text=True, check=True).stdout
    return {found.replace("@@", "@") for found in re.findall(r"numa_\w+@+libnuma_[\d.]+", shown)}


def test_what_is_built_has_all_that_vllms_cpu_build_asks_of_libnuma(built: Path) -> None:
    (vllm,) = Path(sys.prefix, "lib").glob("python*/site-packages/vllm")
    asked = set.union(set(), *(symbols(library, "--undefined-only") for library in vllm.glob("_C*.so")))
    if not asked:
        pytest.skip("the vLLM installed here does not use libnuma")
    assert asked <= symbols(built / "libnuma.so.1", "--defined-only")
    assert ctypes.CDLL(str(built / "libnuma.so.1")).numa_available() == -1


def test_without_libnuma_the_one_that_was_built_is_taken_for_this_process_and_its_children(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without libnuma every engine failed with "no attribute 'init_cpu_memory_env'"."""
    loaded: list[str] = []

    def load(name: str) -> None:
        if not Path(name).is_file():
            raise OSError(f"{name}: cannot open shared object file")
        loaded.append(name)

    monkeypatch.setattr(environment.ctypes, "CDLL", load)
    monkeypatch.setattr(environment.sys, "prefix", str(built.parent))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert "not placed" in environment.find_numa()
    assert loaded == [str(built / "libnuma.so.1")]
    assert environment.os.environ["LD_LIBRARY_PATH"] == f"{built}:/elsewhere"
    (built / "libnuma.so.1").unlink()
    with pytest.raises(EngineError, match="apt-get install libnuma1"):
        environment.find_numa()
