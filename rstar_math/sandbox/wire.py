"""message <-> bytes: what the search process and the controller say to each other over one stream socket.

A message is four bytes of length and that much JSON, never pickle. ASCII escapes carry every `str`, lone surrogates
included. To the controller: `[[number, call, tier, [step, ...], wall], ...]`, with who asked for a program and the seconds
that it has, or null; back: at first the words for the walls by name, then `[[number, status, stdout, error, seconds], ...]`.
A program never holds this socket.
"""

from __future__ import annotations

import json
import struct
from typing import Any

HEADER = struct.Struct("!I")


def pack(message: object) -> bytes:
    """The bytes of one message."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return HEADER.pack(len(body)) + body


class Inbox:
    """Bytes as they arrive -> whole messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, arrived: bytes) -> list[Any]:
        """The messages that `arrived` completes, oldest first."""
        self._bytes += arrived
        messages = []
        while len(self._bytes) >= HEADER.size:
            end = HEADER.size + HEADER.unpack_from(self._bytes)[0]
            if len(self._bytes) < end:
                break
            messages.append(json.loads(self._bytes[HEADER.size : end]))
            del self._bytes[:end]
        return messages
