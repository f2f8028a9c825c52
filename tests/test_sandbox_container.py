"""The sandbox where a container engine has masked parts of /proc: no /proc of one's own can be mounted there."""

import json
import subprocess
import sys

import pytest

from rstar_math.sandbox import confine

PROGRAMS = [
    ("x = 6 * 7\nprint(x)", "ok", "42\n"),
    ("import sympy\nprint(sympy.sqrt(8))", "ok", "2*sqrt(2)\n"),
    ("import os\nprint(os.path.exists('/proc/self'))", "ok", "False\n"),
    ("held = bytearray(3 << 30)", "memory", ""),
]
#: As an engine does before it starts a container.
MASKED = 'mount --bind /dev/null /proc/keys && exec "$@"'


def test_the_address_space_is_found_without_proc() -> None:
    assert confine._found_by_trying() == pytest.approx(confine.address_space(), abs=1 << 21)


def test_programs_run_and_are_held_where_no_proc_can_be_mounted() -> None:
    """In a container every warm parent ended as it read a /proc that was not there, and nothing ran at all."""
    command = ["unshare", "--mount", "sh", "-c", MASKED, "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this user may not mask /proc")
    rows = "".join(json.dumps({"id": number, "steps": [code]}) + "\n" for number, (code, _, _) in enumerate(PROGRAMS))
    command += [sys.executable, "-m", "rstar_math", "run-code"]
    done = subprocess.run(command, input=rows, capture_output=True, text=True, timeout=120)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["status"], row["stdout"]) for row in found] == [each[1:] for each in PROGRAMS], done.stderr
