"""What `from=` names is set aside only where it will be done again."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from test_run import open_here, work

from rstar_math.cli.compose import compose
from rstar_math.cli.main import main
from rstar_math.config import RunConfig
from rstar_math.errors import ConfigError, StageError
from rstar_math.evolution.fingerprint import Fingerprint
from rstar_math.evolution.places import Place
from rstar_math.evolution.store import FROM, Store


def folders(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.glob("round-*/*"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["from=round-1", "round.r2.policy.batch_size=7", "round.r2.policy.micro_batch_size=4"], "round.r2.policy"),
        (["from=round-0", "problems.path=nowhere.jsonl"], "nowhere.jsonl: there is no such file"),
        (["from=round-0", "problems.held_out_path=nowhere.jsonl"], "check problems.held_out_path"),
        (["from=round-1", "base=./nowhere"], "nowhere"),
        (["from=round-2", "until=round-1.harvest"], "from=round-2 lies behind until=round-1.harvest"),
        (["from=round-1", "until=round-0"], "from=round-1 lies behind until=round-0,"),
        (["from=round-3", "rounds=2"], "from=round-3 lies behind rounds=2"),
        (["from=round-1", "seed=7"], "made with another setting"),
        (["from=round-²"], "names no stage"),
        (["from=round-2.control"], "this run's round 2 has no such stage; it has trees, harvest, policy, ppm, scores"),
        (["from=round-0.policy"], "this run's round 0 has no such stage; it has problems, scores"),
    ],
)
def test_a_start_that_is_refused_sets_nothing_aside(overrides, said, tmp_path, monkeypatch) -> None:
    """Rounds were renamed, and then the start ended with the mistake in its configuration."""
    monkeypatch.chdir(tmp_path)
    for number, name in ((0, "problems"), (1, "trees"), (1, "harvest"), (2, "trees"), (3, "trees")):
        open_here(tmp_path / "x", compose([])).store.once(
            Place.of(number, name), Fingerprint({}, {}), lambda folder: {"a": (folder / "a").write_text("a")}
        )
    before = folders(tmp_path / "x")
    refused = CliRunner().invoke(main, ["evolve", "runs=.", "name=x", "tracking.wandb=false", *overrides])
    assert refused.exit_code != 0
    assert isinstance(refused.exception, SystemExit), refused.exception
    assert said in " ".join(refused.output.split()), refused.output
    assert folders(tmp_path / "x") == before
    assert not (tmp_path / "x" / FROM).exists()


def test_what_from_names_stays_where_it_is_if_the_cluster_cannot_hold_it(tmp_path, monkeypatch) -> None:
    """It was renamed, and then the search was refused for want of a place."""
    asked = []

    def none(config: RunConfig, *of: object) -> bool:
        asked.append(of)
        raise ConfigError("no place")

    monkeypatch.setattr("rstar_math.cluster.fleet.connect", none)
    config = compose([])
    run = open_here(tmp_path, config)
    run.once(0, "problems", work, problems=config.problems)
    run.once(1, "trees", work, search=config.plan(1).search)
    before = folders(tmp_path)
    run.start_over("round-1")
    with pytest.raises(ConfigError, match="no place"):
        run.once(1, "trees", work, search=config.plan(1).search)
    assert folders(tmp_path) == before
    assert [(demand.engines, len(demand.trains)) for (demand,) in asked] == [({"policy", "ppm"}, 9)]


def test_rounds_behind_the_last_one_ask_for_nothing(tmp_path) -> None:
    """With until= behind them the trainings of rounds that never come were looked at."""
    run = open_here(tmp_path, compose(["control=false"]), "round-9")
    run.once(4, "ppm", work)
    assert run.fleet.to_come.trains == ((4, "ppm"),)


def test_a_harvest_is_done_again_without_a_cluster(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("rstar_math.cluster.fleet.connect", None)
    run = open_here(tmp_path, compose([]), "round-1.harvest")
    run.once(1, "harvest", work)
    run.start_over("round-1.harvest")
    run.once(1, "harvest", work)
    assert len(folders(tmp_path)) == 2


def test_what_from_names_is_set_aside_once_what_stands_before_it_was_looked_at(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("rstar_math.cluster.fleet.connect", lambda *_: True)
    config = compose([])
    run = open_here(tmp_path, config)
    run.once(0, "problems", work, problems=config.problems)
    run.once(1, "trees", work, search=config.plan(1).search)
    run.once(1, "harvest", work, harvest=config.plan(1).harvest)
    before = folders(tmp_path)
    run.start_over("round-1")
    run.once(0, "problems", work, problems=config.problems)
    assert folders(tmp_path) == before
    run.once(1, "trees", work, search=config.plan(1).search)
    kept = [name for name in folders(tmp_path) if ".replaced-" in name]
    assert [name.partition(".")[0] for name in kept] == ["round-1/harvest", "round-1/trees"]
    assert not (tmp_path / "round-1" / "harvest").exists()


def test_a_note_of_what_was_to_be_done_again_that_is_no_text_is_of_another_from(tmp_path) -> None:
    Store(tmp_path).once(
        Place.of(1, "trees"), Fingerprint({}, {}), lambda folder: {"a": (folder / "a").write_text("a")}
    )
    (tmp_path / FROM).write_bytes(b"\xff\xfe")
    assert len(Store(tmp_path).start_over("round-1")) == 1
    for damaged in (b"\xff\xfe", b"round-1.tre"):  # nor does a run that is done end with an error about it
        (tmp_path / FROM).write_bytes(damaged)
        Store(tmp_path).forget_start(Place.last(4))
        assert not (tmp_path / FROM).exists()


@pytest.mark.parametrize("written", ["round-²", "round-٣", "round-", "round-1.tree"])
def test_what_is_no_round_is_said_to_be_none(written) -> None:
    with pytest.raises(StageError, match="names no stage"):
        Place.parse(written)
