"""Where do problems come from?"""

from __future__ import annotations

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from rstar_math.config.kinds import STRICT, Count, Natural


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
    #: The problems were written by a model, so their answers are suspect and the noise filter applies (paper §3.4).
    synthetic: bool = False
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
