"""How does what a program wrote go away?

A folder of a program that may have been hostile -> nothing. Chains of folders as long as the program liked, and those that it
made unreadable, go too: each folder is brought up to the top before it is emptied, so no path is long and nothing recurses.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def remove(name: str) -> None:
    """Removes the folder `name` of the working directory, and all below it; nothing where there is none.

    Its links are removed, not followed. What a process writes that was killed and is not gone yet may stay.
    """
    serial, left = 0, [Path(name)]
    while left:
        folder = left.pop()
        with suppress(FileNotFoundError):
            folder.chmod(0o700)
            for entry in list(folder.iterdir()):
                if entry.is_dir() and not entry.is_symlink():
                    serial += 1
                    left.append(entry.rename(f"{name}-{serial}"))
                else:
                    entry.unlink()
            with suppress(OSError):  # such a process wrote meanwhile
                folder.rmdir()
