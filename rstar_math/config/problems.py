"""Where do problems come from?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from rstar_math.config.kinds import STRICT, Count, Natural
from rstar_math.errors import ConfigError


@dataclass(frozen=True, config=STRICT)
class ProblemsConfig:
    """Neither `path` nor `dataset`: the embedded word problems."""

    #: JSONL, JSON, CSV or Parquet file with a question and a final answer a row.
    path: str | None = None
    #: A Hugging Face data set (name or local folder), with its configuration and split.
    dataset: str | None = None
    subset: str | None = None
    split: str = "train"
    #: Field of ours -> column of theirs; fields left out are found under their usual names (problem/question, ...).
    columns: dict[str, str] = Field(default_factory=dict)
    #: Read only the first so many problems; None: all.
    limit: Count | None = None
    #: The problems were written by a model, so their answers are suspect and the noise filter applies (paper §3.4). Rows may
    #: say it themselves, in a column `synthetic`; this holds for those that do not.
    synthetic: bool = False
    #: Benchmarks, as files of problems or by their names in conf/benchmark: training problems that match one of theirs are
    #: left out, counted and listed.
    decontaminate: tuple[str, ...] = ()
    #: Folder of the files of benchmarks that `decontaminate` names; None, or a file that is not there: the Hugging Face hub.
    benchmarks: str | None = None
    #: File of held-out problems; None: `held_out_count` are split off the problems themselves, at random by id.
    held_out_path: str | None = None
    held_out_count: Natural = 240
    #: Problems split off for measuring the PPM's pair accuracy; nothing is ever trained on them.
    validation_count: Natural = 100
    #: Number of embedded training problems (ignored with `path` or `dataset`), spread evenly over the six levels.
    count: Count = 1200

    @model_validator(mode="after")
    def _one_source(self) -> ProblemsConfig:
        if self.path and self.dataset:
            raise ValueError("problems.path and problems.dataset are both set; keep one of them")
        return self


@dataclass(frozen=True, config=STRICT)
class BenchmarkConfig:
    """A set of problems to be measured on, conf/benchmark/NAME.yaml. Neither file nor data set: the embedded held-out set."""

    #: Name of the file below `benchmarks=FOLDER`, with columns of the usual names (or `problems.columns`).
    file: str | None = None
    #: A Hugging Face data set, for where there is no such folder or file, and the columns it has under other names.
    dataset: str | None = None
    subset: str | None = None
    split: str = "test"
    columns: dict[str, str] = Field(default_factory=dict)
    #: Column, of file and data set, with how far from its ground truth a number may lie, in the rows that say so.
    tolerance: str | None = None
    #: The kind of question (conf/mutual), where answers are found in plain words.
    task: str = "gsm8k"

    def problems(self, name: str, folder: Path | None, embedded: ProblemsConfig) -> ProblemsConfig:
        """The problems of benchmark `name`: the file in `folder` if it is there, else the data set, else the embedded ones.

        Raises:
            ConfigError: there is no such folder, one without the file, or no folder, and no data set.
        """
        if not self.file and not self.dataset:
            return replace(embedded, path=None, dataset=None)
        own = {"tolerance": self.tolerance} if self.tolerance else {}
        if folder and self.file and (folder / self.file).is_file():
            return replace(embedded, path=str(folder / self.file), dataset=None, columns=own | embedded.columns)
        if self.dataset:
            there = replace(embedded, path=None, dataset=self.dataset, subset=self.subset)
            return replace(there, split=self.split, columns=own | self.columns | embedded.columns)
        where = f"in {folder}" if folder else "named: benchmarks=FOLDER"
        raise ConfigError(f"benchmark={name}: there is no {self.file} {where}; it is known as a file only")
