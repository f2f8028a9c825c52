"""How can `asyncio` run where no socket is to be had?

Its loop makes a pair of sockets, through which other threads and signals wake it. A program has neither, so its loop does
without; what is left (tasks, queues, timeouts, sleeping) needs none.
"""

from __future__ import annotations


def without_sockets() -> None:
    """From now on every event loop of this process is one of these. `asyncio` is imported only here: it is large."""
    import asyncio
    import selectors

    class Loop(asyncio.SelectorEventLoop):
        def __init__(self) -> None:
            super().__init__(selectors.SelectSelector())  # the others need a descriptor of their own

        def _make_self_pipe(self) -> None:
            """None is made, so that nothing is ever written to it: see the base class's `_write_to_self`."""
            self._ssock = self._csock = None

        def _close_self_pipe(self) -> None:
            """There is none."""

    class Policy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = Loop

    asyncio.set_event_loop_policy(Policy())
