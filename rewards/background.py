"""An event loop in a thread of its own, for work that callers in any thread and any other loop wait for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
WAIT = 5.0
"""The seconds that closing may take."""


class Background:
    """Starts with the first work, and ends with `close`, or when nobody holds this any more."""

    def __init__(self, clients: list[Any]) -> None:
        self._clients = clients
        """What is closed at the end: the thread must not know who uses it, or it would never end."""
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = os.getpid()

    @property
    def inherited(self) -> bool:
        """Whether this process was forked off the one that this was made in: its thread is not here."""
        return self._owner != os.getpid()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Do something there."""
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                arguments = self._loop, self._clients
                thread = threading.Thread(target=_run, args=arguments, name="stateset-gym-endpoint", daemon=True)
                thread.start()
                self._stop = weakref.finalize(self, _stop, self._loop, thread)
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel what is under way, close the clients, and end the thread."""
        with self._guard:
            if self._loop is not None and not self.inherited:
                self._stop()


def _run(loop: asyncio.AbstractEventLoop, clients: list[Any]) -> None:
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(_end(clients))
        loop.close()


async def _end(clients: list[Any]) -> None:
    under_way = asyncio.all_tasks() - {asyncio.current_task()}
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WAIT):
            for client in clients:
                await client.close()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join(WAIT)
