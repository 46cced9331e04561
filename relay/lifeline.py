"""Ending a call from outside: the caller leaves, or its hold is refused while the upstream is already at work.

Both happen while the call waits for something else. `interruptible` marks the waits that may be cut. What ends a hold,
by a charge or without one, runs outside of them. The bookkeeping of a stream under way runs inside: its progress, where
its response is kept, the count of its text so far. Of that only the wait is cut. What has been handed to the books or
to a thread is done all the same, and whoever waited must not take it for undone, nor for done.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from relay.alarms import Alarm, Alarms
from relay.asgi import Receive
from relay.errors import CallerLeft

WATCH_AFTER = 0.2  # seconds a call may take before somebody listens for its caller's departure: most are over by then


class Lifeline:
    """Belongs to the task that serves the call. `watch` starts listening for the caller's departure, a little later.

    `was_cut` is told of it also after `stop`.
    """

    def __init__(self, receive: Receive, alarms: Alarms) -> None:
        self._receive = receive
        self._alarms = alarms
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._watcher: asyncio.Task[None] | None = None
        self._alarm: Alarm | None = None
        self._open = False
        self._reason: BaseException | None = None
        self.was_cut = False

    def watch(self) -> None:
        self._alarm = self._alarms.set(WATCH_AFTER, self._begin)

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._listen())

    def stop(self) -> None:
        # Both name us: in a circle, the whole call would stay until garbage is collected.
        self._reason = None
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if self._watcher:
            self._watcher.cancel()

    async def _listen(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.cut(CallerLeft())
                return

    def cut(self, reason: BaseException) -> None:
        """Make the current or the next interruptible wait raise `reason`."""
        if not self.was_cut:
            self.was_cut = True
            self._reason = reason
            if self._open:
                self._task.cancel()

    def interruptible(self) -> Lifeline:
        return self

    async def __aenter__(self) -> None:
        if self._reason:
            raise self._reason
        self._open = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        if self._reason is None:
            return
        if kind is None:  # cut in the very moment the wait ended: take the cancellation back
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                kind = asyncio.CancelledError
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self._task.uncancel()
            raise self._reason from None
