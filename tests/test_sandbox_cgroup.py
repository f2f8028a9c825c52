"""Is the control group made where the kernel lends one, and is none left behind?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rstar_math.sandbox import cgroup
from rstar_math.sandbox.cgroup import Group, Tree


def test_a_lent_group_holds_a_process_to_its_memory_and_is_gone_afterwards() -> None:
    group = cgroup.make(200 << 20, 40, cgroup.own_trees())
    if not group.folders:
        pytest.skip(f"no control group: {group.words}")
    assert group.words == "200 MB and 40 processes in all"
    inside = f"from rstar_math.sandbox import cgroup\ncgroup.enter({group.folders!r})\n"
    for megabytes, ended in ((100, 0), (400, -9)):
        program = inside + f"x = b'x' * ({megabytes} << 20)\n"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == ended
    cgroup.remove(group.folders)
    assert not any(Path(folder).exists() for folder in group.folders)


def test_where_none_is_lent_the_words_say_why_and_nothing_is_left(tmp_path: Path) -> None:
    trees = [Tree("cgroup2", ("memory", "pids"), tmp_path)]
    assert cgroup.make(1, 1, trees) == Group((), "none (no controller is delegated)")
    assert list(tmp_path.iterdir()) == []
    absent = [Tree("cgroup2", ("memory", "pids"), tmp_path / "absent")]
    assert cgroup.make(1, 1, absent).words == "none (No such file or directory)"
    assert cgroup.make(1, 1, []).words == "none (the kernel has no control groups)"


def test_what_a_killed_search_left_is_buried_by_the_next(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in (ended.pid, os.getpid()):
        (tmp_path / f"rstar-sandbox-{process}-0123abcd").mkdir()
    cgroup.make(1, 1, [Tree("cgroup2", ("memory", "pids"), tmp_path)])
    assert [folder.name for folder in tmp_path.iterdir()] == [f"rstar-sandbox-{os.getpid()}-0123abcd"]


def test_this_processs_own_groups_are_found_where_the_kernel_says() -> None:
    for tree in cgroup.own_trees():
        assert set(tree.controllers) <= {"memory", "pids"}
        assert str(os.getpid()) in (tree.own / "cgroup.procs").read_text().split()
