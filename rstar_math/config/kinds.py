"""What may a knob's value be?

The kinds of numbers that knobs take, and how strictly they are read.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

#: Unknown keys and impossible values are refused, defaults included.
STRICT = ConfigDict(extra="forbid", validate_default=True)
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
