"""The only module with sockets to providers: sends an attempt, hands back an answer whose body is still unread.

pyreqwest (Rust, reqwest) is the client, chosen by measurement (docs/performance.md). Redirects are never followed: a
provider's 3xx would carry the channel's key to an address nobody chose.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from relay.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable

MAX_PAUSE = 60.0  # seconds a Retry-After is believed
POOL_PER_HOST = 512
IDLE_CONNECTION = 60.0  # seconds before an unused connection is closed


class Clients:
    """One pooled client for each proxy in use. `total` 0 is no limit (RELAY_TIMEOUT). All times in seconds."""

    def __init__(self, *, proxy: str, connect: float, first_byte: float, idle: float, total: float) -> None:
        self._proxy = proxy
        self._connect = connect
        self.first_byte = first_byte
        self.idle = idle
        self.total = total
        self._clients: dict[str, Client] = {}

    def get(self, proxy: str) -> Client:
        """The client for a channel's own proxy, or for RELAY_PROXY, or for the environment's."""
        address = proxy or self._proxy
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = self._build(address)
        return client

    def _build(self, proxy: str) -> Client:
        builder = (
            ClientBuilder()
            .follow_redirects(False)
            .error_for_status(False)
            .connect_timeout(timedelta(seconds=self._connect))
            .pool_idle_timeout(timedelta(seconds=IDLE_CONNECTION))
            .pool_max_idle_per_host(POOL_PER_HOST)
            .tcp_nodelay(True)
            .gzip(True)
            .user_agent("one-api")
        )
        if proxy:
            builder = builder.proxy(ProxyBuilder.all(proxy))
        return builder.build()

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def send(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, *, proxy: str = "", stream: bool = False
    ) -> Answer:
        """Raises UpstreamUnreachable: the address cannot be used. Nothing is sent before `Answer.open`."""
        try:
            builder = self.get(proxy).request(method, url).headers(headers)
            if body:
                builder = builder.body_bytes(body)
            if stream:
                # Without this, up to 64 KiB are gathered before the first chunk is handed on.
                builder = builder.streamed_read_buffer_limit(0)
            return Answer(builder.build_streamed(), self)
        except (PyreqwestError, ValueError) as error:
            raise UpstreamUnreachable("the channel's address or a header of it cannot be used", retry=True) from error


class Answer:
    """An upstream's answer: `status` and `header()` after `open`, then `chunks` or `read`, then `close`, always.

    Time limits apply to each wait: `first_byte` for the head, `idle` between two chunks, `total` for everything.
    """

    def __init__(self, request: StreamRequest, clients: Clients) -> None:
        self._request = request
        self._clients = clients
        self._response: Response | None = None
        self._opened = False
        self._deadline = time.monotonic() + clients.total if clients.total else None
        self.status = 0

    async def open(self) -> None:
        """Send the request and wait for the answer's head. Raises UpstreamUnreachable, UpstreamTimeout."""
        try:
            async with asyncio.timeout(self._limit(self._clients.first_byte)):
                self._opened = True
                self._response = await self._request.__aenter__()
        except RequestTimeoutError as error:
            raise UpstreamTimeout("no connection to the upstream in time") from error
        except TimeoutError:
            raise UpstreamTimeout("the upstream did not answer in time") from None
        except PyreqwestError as error:
            raise UpstreamUnreachable("the upstream cannot be reached") from error
        self.status = self._response.status

    def header(self, name: str) -> str:
        assert self._response is not None
        return self._response.get_header(name) or ""

    @property
    def headers(self) -> list[tuple[str, str]]:
        assert self._response is not None
        return list(self._response.headers.items())

    @property
    def retry_after(self) -> float | None:
        value = self.header("retry-after")
        return retry_after(value, datetime.now(UTC)) if value else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises UpstreamUnreachable when it breaks off, UpstreamTimeout when it stalls."""
        assert self._response is not None
        reader = self._response.body_reader
        while True:
            try:
                async with asyncio.timeout(self._limit(self._clients.idle)):
                    chunk = await reader.read_chunk()
            except TimeoutError:
                raise UpstreamTimeout("the upstream stopped sending") from None
            except PyreqwestError as error:
                raise UpstreamUnreachable("the upstream broke off its answer") from error
            if chunk is None:
                return
            yield bytes(chunk)

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises UpstreamError beyond `limit` bytes, counted after decompression."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise UpstreamError("the upstream's answer is too long", code="answer_too_large")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        """Let go of the connection; an unread answer is cancelled, and the upstream sees us leave."""
        if self._opened:
            self._opened = False
            await self._request.__aexit__(None, None, None)

    def _limit(self, seconds: float) -> float | None:
        if self._deadline is None:
            return seconds or None
        left = max(0.001, self._deadline - time.monotonic())
        return min(seconds, left) if seconds else left


def retry_after(value: str, now: datetime) -> float:
    """Seconds to leave a channel alone, from the Retry-After of its 429 or 503.

    Whole seconds or an HTTP date (RFC 9110, 10.2.3). A date in the past is 0.0, nonsense 1.0, and never more than
    MAX_PAUSE: one bad header must not park a channel for a day.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 1.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), MAX_PAUSE)
