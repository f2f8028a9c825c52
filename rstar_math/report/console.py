"""Where does it appear?

A stream -> the rich console that every report prints to. Nothing here decides what is printed.
"""

from __future__ import annotations

import io
import sys
from typing import TextIO

from rich.console import Console

#: Columns of a stream that is no terminal: a log file has no edge at which lines must break.
LOG_WIDTH = 100


def open_console(stream: TextIO | None = None) -> Console:
    """The console of `stream` (default: standard output). What is printed is taken as it is: no markup, no emoji.

    A stream whose encoding lacks a character shows `?` in its place instead of ending the run.
    """
    target = sys.stdout if stream is None else stream
    if isinstance(target, io.TextIOWrapper) and not target.encoding.lower().startswith("utf"):
        target.reconfigure(errors="replace")
    console = Console(file=target, markup=False, emoji=False, highlight=False)
    if not target.isatty():
        console.width = LOG_WIDTH
    return console


def is_live(console: Console) -> bool:
    """Whether lines can be redrawn: a terminal that is not a dumb one. FORCE_COLOR makes no terminal of a log."""
    return console.file.isatty() and not console.is_dumb_terminal
