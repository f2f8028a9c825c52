"""What happened, and who is to hear of it?

descriptor -> handler, over the kernel's epoll. It knows neither programs nor processes.
"""

from __future__ import annotations

import select
from collections.abc import Callable


class Loop:
    """Handlers by descriptor; each is called when its descriptor can be read."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], object]] = {}

    def watch(self, descriptor: int, handler: Callable[[], object]) -> None:
        """From now on `handler` hears when there is something to read, or the other end has closed."""
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """No more; call it before the descriptor is closed."""
        if self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def also_writing(self, descriptor: int, wanted: bool) -> None:
        """Whether the handler hears as well when there is room to write."""
        self._poll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def turn(self, patience: float) -> None:
        """Waits at most `patience` seconds (-1: for ever) for something to happen, and calls who is to hear of it."""
        told = [(descriptor, self._handlers[descriptor]) for descriptor, _ in self._poll.poll(patience)]
        for descriptor, handler in told:
            # An earlier one may have closed the descriptor, and a new one got its number: that one has nothing to hear yet.
            if self._handlers.get(descriptor) is handler:
                handler()
