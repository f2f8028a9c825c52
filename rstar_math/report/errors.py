"""What went wrong, in one message?

RstarError -> a panel on a terminal, plain lines elsewhere; never a traceback. Any other exception is a bug, and not for
here.
"""

from __future__ import annotations

import re
import sys
from typing import TextIO

from rich.panel import Panel
from rich.text import Text

from rstar_math.errors import Interrupted, RstarError
from rstar_math.report.console import is_live, open_console

_WIDEST = 100


def show_error(error: RstarError, stream: TextIO | None = None) -> None:
    """Prints `error` to `stream` (default: standard error), headed by its kind: `Config error: …`."""
    console = open_console(sys.stderr if stream is None else stream)
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).capitalize()
    message = "\n".join([str(error), *getattr(error, "__notes__", ())]).strip()
    if not is_live(console):
        console.print(f"{kind}: {message}", soft_wrap=True)
        return
    colour = "yellow" if isinstance(error, Interrupted) else "red"
    width = min(console.width, _WIDEST)
    panel = Panel(Text(message), title=kind, title_align="left", border_style=colour, width=width, padding=(0, 1))
    console.print(panel)
