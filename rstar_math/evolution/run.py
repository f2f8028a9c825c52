"""What does one run have at hand?

A run directory, the resolved configuration, the fleet, and those who watch. `once` is how every stage is called: it works
out the stage's fingerprint, shows it, tracks it, and leaves the rest to `store`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rstar_math.checkpoints import Kind
from rstar_math.cluster.fleet import Fleet
from rstar_math.cluster.holding import Demand, finds_place_beside
from rstar_math.config import PolicyConfig, RunConfig, TrainingConfig
from rstar_math.disk import seal
from rstar_math.errors import RstarError, StageError
from rstar_math.evolution.fingerprint import Fingerprint
from rstar_math.evolution.inputs import check_foreign, endpoint_of, files_of, known_by
from rstar_math.evolution.models import resolve
from rstar_math.evolution.places import Place
from rstar_math.evolution.store import (
    Store,
    attempt_of,
    check_inputs,
    clear_other,
    once,
)
from rstar_math.evolution.versions import versions
from rstar_math.report.progress import Bar, Progress
from rstar_math.rng import derive
from rstar_math.tracking import Tracker
from rstar_math.training.launch import Trainings

#: A disk with less than so many bytes left is full, whatever the message of a library says.
_FULL = 1 << 20
#: The parts of the configuration that a stage goes by without being given them.
_RULED_BY = {
    "problems": ("grading",),
    "trees": ("grading", "sandbox", "engine", "ppm_engine"),
    "scores": ("grading", "sandbox", "engine", "ppm_engine"),
    # What an evaluation by itself does one by one. A benchmark's ground truths are compared with themselves alone, which no
    # tolerance changes; answers in plain words are compared with each other while they grow.
    "answers": ("sandbox", "engine", "ppm_engine"),
    "reasoning": ("grading", "sandbox", "engine"),
    "judged": ("grading", "sandbox", "engine"),
    "worths": ("ppm_engine",),
    "read": ("grading",),
}
#: What a search over actions calls otherwise than the knob that a person turns.
_TURNED_BY = {"mutual.max_step_tokens": "mutual.max_line_tokens"}
#: What a stage reads: a folder of an earlier stage, a model's folder or name, an endpoint, or nothing.
Input = Path | str | PolicyConfig | None


class UntilReached(Exception):
    """The stage after `until=` would be next: the run ends here, as asked."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a stage works with besides its knobs and inputs."""

    config: RunConfig
    place: Place
    fleet: Fleet
    trainings: Trainings
    progress: Progress
    log: Callable[..., None]
    #: Rounds of the run; 0 where the stage is done by itself, and then what for, in a word or two.
    rounds: int = 0
    label: str = ""

    @property
    def seed(self) -> int:
        """The stage's own seed, of 32 bits: the libraries that train take no more."""
        return derive(self.config.seed, self.place.round, self.place.stage) & 0xFFFFFFFF

    def bar(self, total: int | None, unit: str, what: str = "") -> Bar:
        """A live line for this stage; `what` names a part of it."""
        name = " ".join(filter(None, (self.label or self.place.stage, what)))
        return self.progress.stage(self.place.round, self.rounds, name, total, unit)

    def soon(self, kind: Kind) -> None:
        """A training of this round follows in the same run: its ranks may load their libraries now, if that takes no device
        away from the engines."""
        # Where there is none beside all that stays, they might take that of an engine that dies.
        beside = self.fleet.to_come
        if self._room_for_others and finds_place_beside(self.config, beside, self.place.round, kind):
            plan = self.config.plan(self.place.round)
            self.trainings.prepare(plan.policy if kind == "policy" else plan.ppm)

    def soon_served(self, kind: Kind) -> None:
        """The same for engines that a later stage of the same run asks."""
        if self._room_for_others:
            self.fleet.prepare(kind)

    @property
    def control_follows(self) -> bool:
        """Whether the training of the control comes after this stage."""
        return self.config.has_control and self.place == Place.of(self.rounds, "scores")

    @property
    def _room_for_others(self) -> bool:
        return self.rounds > 0 and self.config.cluster.keep_engines


@dataclass(frozen=True)
class Run:
    """One run of the pipeline on its directory."""

    config: RunConfig
    store: Store
    fleet: Fleet
    trainings: Trainings
    progress: Progress
    tracker: Tracker
    until: tuple[int, str | None] | None = None
    #: What stages are done for that are done by themselves, in a word or two.
    label: str = ""
    #: Called after a stage has been done.
    stage_over: Callable[[], None] = lambda: None

    @cached_property
    def base(self) -> str:
        """Folder or name of the base model that every round fine-tunes."""
        return resolve(self.config.base)

    @cached_property
    def bootstrap(self) -> str | PolicyConfig:
        """What generates in round 1: an endpoint, a model of its own, or the base model."""
        policy = self.config.policy
        return policy if policy.kind == "endpoint" else resolve(policy.path or self.config.base)

    @property
    def last(self) -> Place:
        """The last stage that this start may come to."""
        last = Place.last(self.config.rounds)
        return min(last, Place.last(*self.until)) if self.until else last

    def start_over(self, start: str) -> None:
        """`from=`: what it names is set aside once its first stage is reached, so after all that stands before it was found
        to be as this start wants it.

        Raises:
            StageError: it names no stage, a round that the run has not begun, or one that this start does not come to.
        """
        first = Place.first(start)
        ends = {f"rounds={self.config.rounds}": Place.last(self.config.rounds)}
        if self.until:
            number, stage = self.until
            ends |= {f"until=round-{number}{f'.{stage}' if stage else ''}": Place.last(number, stage)}
        for end, last in ends.items():
            if first > last:
                raise StageError(f"from={start} lies behind {end}, so nothing would be done again; change one of them")
        if not _stages(self.config, first, first):
            own = ", ".join(
                each.stage for each in _stages(self.config, Place.of(first.round, "problems"), Place.last(first.round))
            )
            raise StageError(f"from={start}: this run's round {first.round} has no such stage; it has {own}")
        self.store.ask_for(start)

    def once(self, number: int, stage: str, work: Callable[..., Mapping[str, Any]], **given: Any) -> Path:
        """The folder of the finished stage. `given`: its knobs (configuration objects) and its inputs, by name.

        Raises:
            StageError: it was finished or begun with another setting.
            UntilReached: it lies beyond `until`.
            ConfigError: the cluster cannot hold what `from=` names; nothing of it was set aside.
        """
        place = Place.of(number, stage)
        if place > self.last:
            raise UntilReached
        self.fleet.to_come = _demand(self.config, place, self.last)
        if self.store.is_due(place):
            self.fleet.look_ahead()
            for line in self.store.set_aside_due():
                self.progress.say(line)
        do = partial(self._work, place, self.config.rounds, work, given)
        done = self.store.once(place, self._fingerprint(place, given), do)
        if done.before:
            self.progress.done_before(number, self.config.rounds, stage, round(done.seconds), "s")
        else:
            self.stage_over()
        return done.folder

    def alone(self, place: Place, out: Path, work: Callable[..., Mapping[str, Any]], **given: Any) -> Path:
        """The same for a stage that is done by itself, into `out`; the place's round is the one whose plan it follows."""
        return self._alone(place, out, self._fingerprint(place, given), work, given)

    def anew(self, place: Place, out: Path, work: Callable[..., Mapping[str, Any]], **given: Any) -> Path:
        """The same for a stage that costs little: what was made with another setting is made anew, not refused. What is read
        of it is no stage's input, so whether it is whole is looked at here."""
        clear_other(out, fingerprint := self._fingerprint(place, given))
        check_inputs([folder := self._alone(place, out, fingerprint, work, given)])
        return folder

    def _alone(
        self,
        place: Place,
        out: Path,
        fingerprint: Fingerprint,
        work: Callable[..., Mapping[str, Any]],
        given: Mapping[str, Any],
    ) -> Path:
        done = once(out, fingerprint, partial(self._work, place, 0, work, given))
        if done.before:
            self.progress.done_before(place.round, 0, self.label or place.stage, round(done.seconds), "s")
        return done.folder

    def _work(
        self,
        place: Place,
        rounds: int,
        work: Callable[..., Mapping[str, Any]],
        given: Mapping[str, Any],
        folder: Path,
    ) -> Mapping[str, Any]:
        check_inputs(given.values())
        check_foreign(given.values(), self.store.root)
        # Written by work alone: a start that is refused, or has nothing left to do, leaves what made the results.
        seal(self.store.root / "run.json", {"config": asdict(self.config), "versions": versions()})
        with self.tracker.stage(place.round, place.stage, attempt_of(folder), self.label) as watch:
            desk = Desk(self.config, place, self.fleet, self.trainings, self.progress, watch.log, rounds, self.label)
            try:
                metrics = work(desk, folder, **given)
            except RstarError as error:
                if shutil.disk_usage(folder).free < _FULL:
                    error.add_note(f"The disk of {folder} is full, which may be why: make room and start again.")
                raise
            watch.log(None, **{name: value for name, value in metrics.items() if isinstance(value, int | float)})
        return metrics

    def _fingerprint(self, place: Place, given: Mapping[str, Any]) -> Fingerprint:
        knobs: dict[str, Any] = {"seed": self.config.seed} | self._rules(place, given)
        form: dict[str, Any] = {}
        inputs: dict[str, str] = {}
        for name, value in given.items():
            if isinstance(value, PolicyConfig):
                inputs[name] = endpoint_of(value)
            elif is_dataclass(value) and not isinstance(value, type):
                prefix, settings = _knob_name(self.config, place, name), asdict(value)
                if isinstance(value, TrainingConfig):
                    form |= _flat(prefix, {own: settings.pop(own) for own in value.FORM})
                    for own in value.FREE:
                        settings.pop(own)
                knobs |= {_TURNED_BY.get(knob, knob): set_to for knob, set_to in _flat(prefix, settings).items()}
                inputs |= files_of(value)
            elif value is not None:
                inputs[name] = known_by(value)
        return Fingerprint(knobs, inputs, form)

    def _rules(self, place: Place, given: Mapping[str, Any]) -> dict[str, Any]:
        """The knobs of the machinery that decide what comes out: what an answer is compared by, what a program may use up,
        what an engine reads and reckons with. The others say where and how fast."""
        parts = _RULED_BY.get(place.stage.removeprefix("control-"), ())
        rules = {
            f"{part}.{knob}": getattr(getattr(self.config, part), knob)
            for part in parts
            if part != "ppm_engine" or given.get("ppm") is not None
            for knob in getattr(self.config, part).RULES
        }
        if place.stage == "read":  # the intervals of answers in plain words have the plan's resamples too
            plan = max(place.round, 1)
            resamples = self.config.plan(plan).evaluation.bootstrap
            rules[f"round.{self.config.plan_name(plan)}.evaluation.bootstrap"] = resamples
        return rules


def _stages(config: RunConfig, first: Place, last: Place) -> list[Place]:
    """Those of the run from one to another."""
    control = config.rounds if config.has_control else None
    return [each for each in first.through(last) if not each.stage.startswith("control") or each.round == control]


def _demand(config: RunConfig, place: Place, last: Place) -> Demand:
    """What the stages from one to another ask of the cluster."""
    stages = _stages(config, place, last)
    searches = [each for each in stages if each.stage in ("trees", "scores", "control-scores")]
    bootstrap, engines = Place.of(1, "trees"), set[Kind]()
    if any(each != bootstrap or config.policy.kind != "endpoint" for each in searches):
        engines.add("policy")
    if any(each > bootstrap for each in searches):
        engines.add("ppm")
    trains = ((each.round, each.stage) for each in stages if each.stage in ("policy", "ppm", "control"))
    return Demand(frozenset(engines), bool(searches), tuple(trains))


def _knob_name(config: RunConfig, place: Place, name: str) -> str:
    """The name a user would write to turn this knob."""
    if name in ("problems", "mutual"):
        return name
    if name == "task":
        return "mutual.task"
    if name == "training":  # the control trains as the round's policy does
        name = "ppm" if place.stage == "ppm" else "policy"
    return f"round.{config.plan_name(max(place.round, 1))}.{name}"


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}.{name}"
        flat |= (
            _flat(key, value)
            if isinstance(value, Mapping)
            else {key: list(value) if isinstance(value, tuple) else value}
        )
    return flat
