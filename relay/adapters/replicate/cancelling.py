"""Predictions nobody waits for any more are cancelled: until they end they cost, whoever has left.

https://replicate.com/docs/reference/http#predictions.cancel
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from relay.adapters.base import Outgoing, Outside, UpstreamAnswer
from relay.errors import UpstreamError

_log = logging.getLogger(__name__)
_cancelling: set[asyncio.Task[None]] = set()  # a task that nobody names may be collected before it is done


def cancel(outside: Outside, address: str, key: str) -> None:
    """At once, and without waiting: who calls this is being cancelled itself. `address`: of the prediction."""
    outgoing = Outgoing("POST", address + "/cancel", [("Authorization", "Bearer " + key)], b"")
    task = asyncio.create_task(_cancel(outside, outgoing))
    _cancelling.add(task)
    task.add_done_callback(_cancelling.discard)


async def _cancel(outside: Outside, outgoing: Outgoing) -> None:
    try:
        status, _ = await outside.fetch_json(outgoing)
    except UpstreamError as error:
        _log.warning("a prediction of Replicate's was left running: %s", error.message)
        return
    if status not in (200, 201, 202):
        _log.warning("a prediction of Replicate's was left running: its cancelling was answered with %d", status)


class Cancelling:
    """The open stream of a prediction. Closed before its end, it calls `cancel`."""

    def __init__(self, answer: UpstreamAnswer, cancel: Callable[[], None]) -> None:
        self._answer = answer
        self._cancel = cancel
        self._running = True
        self.sent = True

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def retry_after(self) -> float | None:
        return self._answer.retry_after

    async def open(self) -> None:
        """It is open already."""

    def header(self, name: str) -> str:
        return self._answer.header(name)

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.chunks():
            yield chunk
        self._running = False

    async def read(self, limit: int) -> bytes:
        return await self._answer.read(limit)

    def close(self) -> None:
        self._answer.close()
        if self._running:
            self._running = False
            self._cancel()
