"""What the doctor says of machines that are made up, and whether the command then succeeds."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from filelock import FileLock

from rstar_math.cli import doctor, survey
from rstar_math.cli.compose import compose
from rstar_math.cli.doctor import Finding, examine
from rstar_math.cli.main import main
from rstar_math.cli.survey import Node, examine_cluster, look, unlike
from rstar_math.cluster.survey import Seen

WELL, ILL = Finding("part", True, "there"), Finding("part", False, "none", "apt-get install it")
KEPT = SimpleNamespace(name="no network", kind="network", held=True, by="seccomp")
BROKEN = SimpleNamespace(name="no network", kind="network", held=False, by="none")


@pytest.mark.parametrize(
    ("found", "promise", "require", "cluster", "fit"),
    [
        (WELL, KEPT, "[network]", True, True),
        (ILL, KEPT, "[network]", True, False),
        (WELL, BROKEN, "[network]", True, False),
        (WELL, BROKEN, "[memory]", True, True),
        (WELL, KEPT, "[network]", False, False),
    ],
)
def test_the_doctor_succeeds_where_nothing_that_a_run_needs_is_missing(
    monkeypatch, found, promise, require, cluster, fit
) -> None:
    monkeypatch.setattr(doctor, "_machine", lambda _: [WELL])
    monkeypatch.setattr(doctor, "_packages", lambda: [found])
    monkeypatch.setattr(doctor, "_files", lambda: [WELL])
    monkeypatch.setattr(doctor, "promises", lambda _: [promise])
    monkeypatch.setattr(doctor, "examine_cluster", lambda _: cluster)
    config = [f"sandbox.require={require}", "cluster.address=others"]
    assert examine(compose(config)) is fit
    result = CliRunner().invoke(main, ["doctor", *config])
    assert result.exit_code == (0 if fit else 1), result.output


def test_gpus_that_torch_does_not_see_are_something_to_mend() -> None:
    """With a CPU build of torch on a machine with GPUs all was ok, and engines then asked Ray for what they could not use."""
    unseen = doctor._gpus([], devices=8)
    assert (unseen.good, unseen.seen, "CUDA build" in unseen.advice) == (False, "8 in /dev", True)
    assert doctor._gpus([], devices=0) == Finding("GPUs", True, "none", "engines and training run on the CPU")
    assert doctor._gpus(["H200", "H200"], devices=2) == Finding("GPUs", True, "H200, H200")


H200, A100 = ("H200",) * 2, ("A100",) * 2


def node(name: str, gpus: tuple[str, ...] = H200, counted: int = 2) -> Seen:
    """A node with nothing to mend but what is said."""
    found = Node({"torch": "2"}, gpus, (), None, 900.0, locked=True)
    return Seen(name, found, 0.0, 900.0, gpus=counted)


@pytest.mark.parametrize(
    ("second", "fit", "said"),
    [
        (node("n2"), True, ""),
        (node("n2", gpus=(), counted=0), True, ""),  # a head without GPUs is usual
        (node("n2", A100), True, "n2: has 2 x A100, and n1 2 x H200"),
        (node("n2", gpus=()), False, "n2: Ray offers 2 GPUs there and torch sees 0"),
        (Seen("n2", silent="it died"), False, "n2: does not answer: it died"),
    ],
)
def test_a_cluster_is_fit_where_no_node_has_anything_to_mend(monkeypatch, capsys, tmp_path, second, fit, said) -> None:
    def made_up(_: str, look) -> list[Seen]:
        token = look.args[1]
        nodes = (node("n1"), second)
        return [each if each.silent else each._replace(found=each.found._replace(shared=token)) for each in nodes]

    monkeypatch.setattr(survey, "survey", made_up)
    monkeypatch.setattr(survey, "versions", lambda: {"torch": "2"})
    monkeypatch.setenv("COLUMNS", "200")
    assert examine_cluster(compose(["cluster.address=others", f"runs={tmp_path}"])) is fit
    assert said in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_nodes_with_other_gpus_than_the_first_are_named() -> None:
    nodes = [node("head", gpus=(), counted=0), node("n1"), node("n2"), node("n3", ("H200",)), Seen("n4", silent="gone")]
    (said,) = unlike(nodes)
    assert said.startswith("n3: has 1 x H200, and n1 2 x H200;")


def test_a_node_that_can_take_a_lock_that_is_held_elsewhere_is_found_out(monkeypatch, tmp_path: Path) -> None:
    """As on a shared file system that does not carry locks between hosts, where two hosts could write to one run."""
    monkeypatch.setattr(survey, "promises", lambda _: [])
    (tmp_path / "token").write_text("token")
    sandbox = compose([]).sandbox
    assert not look(str(tmp_path), "token", sandbox).locked
    with FileLock(tmp_path / "token.lock", timeout=0):
        assert look(str(tmp_path), "token", sandbox).locked
