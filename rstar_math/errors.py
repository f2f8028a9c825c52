"""What can go wrong?

Every error that this project raises on purpose derives from `RstarError`, so that the command line can print it as one
message (what, where, got, expected, the way out) and exit without a traceback. A failure *of the work* is no exception:
a generated program that crashes is an `Execution` with a status, an answer nobody can compare has a `Verdict` that says why.

    RstarError
    ├── ConfigError      a knob is unknown, impossible, or contradicts another
    ├── InputError       a file or row that the user gave cannot be used
    ├── StageError       a stage's folder contradicts what is asked of it
    ├── EngineError      a model cannot be loaded, or its server does not answer
    │   ├── EngineLost   an engine that served is dead or broken for good: another can take its place
    │   └── QuestionKills  engine after engine dies of one question: it is set aside
    ├── SandboxError     the sandbox cannot keep what it promises
    ├── GradingError     the processes that compare answers, which worked, cannot be started any more
    ├── TrainingError    a training cannot start or did not end well
    │   └── TrainingStuck  its ranks get nowhere, or are gone: others can go on from its last checkpoint
    ├── DiskError        a disk takes no more: full, read-only, not ours
    ├── StoreError       an object store does not answer, or refuses
    └── Interrupted      a signal asked the run to stop; everything finished is kept
"""

from __future__ import annotations


class RstarError(Exception):
    """The root of all errors that are raised on purpose; its text is written for the person at the keyboard."""

    exit_code = 1


class ConfigError(RstarError):
    """A knob is unknown, impossible, or contradicts another."""

    exit_code = 2


class InputError(RstarError):
    """A file or row given by the user cannot be used; the message names file, row and the way out."""

    exit_code = 2


class StageError(RstarError):
    """A stage's folder contradicts what is asked of it (another configuration, a missing input, damage)."""


class EngineError(RstarError):
    """A model cannot be loaded, or the server that holds it does not answer."""


class EngineLost(EngineError):
    """An engine that served is dead or broken for good. Another can take its place."""


class QuestionKills(EngineError):
    """Engine after engine died of one question, which is named. All others can be asked."""


class SandboxError(RstarError):
    """The sandbox cannot be started, or cannot keep a promise that the run requires."""


class GradingError(RstarError):
    """The processes that compare answers worked, and cannot be started any more."""


class TrainingError(RstarError):
    """A training cannot start, or did not end well."""


class TrainingStuck(TrainingError):
    """The ranks of a training get nowhere, or their machines took them along. Others can go on from its last checkpoint."""


class DiskError(RstarError):
    """A disk takes no more: it is full, read-only, or not ours to write to."""


class StoreError(RstarError):
    """An object store does not answer, or refuses."""


class Interrupted(RstarError):
    """A signal asked the run to stop. Finished work is kept; the same command continues."""

    exit_code = 130
