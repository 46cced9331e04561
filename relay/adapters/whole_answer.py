"""An answer that was gathered by other means than one exchange, such as the polling of a task."""

from __future__ import annotations

from collections.abc import AsyncIterator

from relay.errors import UpstreamError


class WholeAnswer:
    """Offers what `relay.adapters.base.UpstreamAnswer` does, of a body that is there already."""

    def __init__(self, status: int, body: bytes, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        self.sent = True
        self._body = body

    async def open(self) -> None:
        """Nothing is left to send."""

    def header(self, name: str) -> str:
        return "application/json" if name == "content-type" else ""

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def read(self, limit: int) -> bytes:
        if len(self._body) > limit:
            raise UpstreamError("the upstream's answer is too long", code="answer_too_large")
        return self._body

    def close(self) -> None:
        """No connection is held."""
