"""The end of a command's process."""

import subprocess
import sys
from pathlib import Path

import pytest

#: Starts the program with words of its own, in a process that something else has been done to before.
START = "import sys\n{before}\nsys.argv = ['rstar-math', {words}]\nfrom rstar_math.cli.process import run\nrun()"
#: A library whose own end, which the C library calls, is nowhere.
CRASH = "import ctypes; ctypes.CDLL(None)['__cxa_atexit'](ctypes.c_void_p(8), None, None)"


def ended(words: str, before: str = "", out: str | None = None) -> subprocess.CompletedProcess[str]:
    code = START.format(before=before, words=words)
    if out is None:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    with Path(out).open("w") as target:
        return subprocess.run(
            [sys.executable, "-c", code], stdout=target, stderr=subprocess.PIPE, text=True, timeout=60
        )


@pytest.mark.parametrize(("words", "code"), [("'--version'", 0), ("'no-such-command'", 2), ("'plan', 'rounds=x'", 2)])
def test_a_library_that_crashes_at_the_end_changes_no_exit_code(words, code) -> None:
    """A run had done everything and printed its table, and its process ended with SIGSEGV."""
    end = ended(words, CRASH)
    assert end.returncode == code, end.stderr
    assert end.stdout or end.stderr


def test_the_library_of_that_test_does_crash_a_process() -> None:
    assert subprocess.run([sys.executable, "-c", f"import sys\n{CRASH}"], timeout=60).returncode == -11


def test_nothing_that_a_library_wants_at_the_end_holds_a_command_up() -> None:
    """Arrow's end of what it has for object stores can wait for ever (apache/arrow 50188)."""
    before = """import atexit, threading, time
from rstar_math.cli import main as program
@program.main.command()
def own():
    atexit.register(time.sleep, 1000)
    threading.Thread(target=time.sleep, args=[1000]).start()
    print('done')"""
    end = ended("'own'", before)
    assert (end.returncode, end.stdout) == (0, "done\n")


def test_an_error_nobody_foresaw_shows_its_traceback_and_ends_with_one() -> None:
    before = """from rstar_math.cli import main as program
@program.main.command()
def own():
    raise RuntimeError('nobody foresaw')"""
    end = ended("'own'", before)
    assert end.returncode == 1
    assert "Traceback" in end.stderr and "nobody foresaw" in end.stderr


def test_output_that_could_not_be_written_is_no_success() -> None:
    assert ended("'--version'", out="/dev/full").returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ranks", "another"])
def test_ray_is_left_unless_ranks_that_have_not_ended_are_still_in_it(name: str) -> None:
    """Their thread's next word met a Ray that was gone, and the process of a run that had done everything ended with 1."""
    before = f"""import os, threading, time
from rstar_math.cli import main as program
from rstar_math.cluster import joining
@program.main.command()
def own():
    joining.connect_to(None)
    threading.Thread(target=time.sleep, args=[1000], name={name!r}, daemon=True).start()
    left = joining.leave
    joining.leave = lambda: (print('left'), left())
    print('done')"""
    end = ended("'own'", before)
    assert (end.returncode, end.stdout) == (0, "done\n" if name == "ranks" else "done\nleft\n"), end.stderr
