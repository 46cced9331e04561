"""Sending an attempt to its provider: hands back an answer whose body is still unread.

Redirects are never followed: a provider's 3xx would carry the channel's key to an address nobody chose.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from relay.alarms import Alarms
from relay.dialing import CannotDial, Dialer, Target, proxy_authorization, resolve
from relay.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.transport import BrokenOff, Connection, Pool, ResponseHead

BODILESS = frozenset({"GET", "HEAD"})  # methods whose requests need not say how long they are
MAX_PAUSE = 60.0  # seconds a Retry-After is believed
NOTHING_YET = ResponseHead(0, [], {})
PIECE = 1024 * 1024  # bytes that are inflated at a time, so that a small bomb cannot fill the memory


class Clients:
    """The upstream side of one worker. `total` 0 is no limit (RELAY_TIMEOUT). All times in seconds.

    `proxy` is RELAY_PROXY; where it is empty, `environment` names the proxy of an address.
    """

    def __init__(
        self,
        *,
        proxy: str,
        environment: Callable[[str], str],
        connect: float,
        first_byte: float,
        idle: float,
        total: float,
        alarms: Alarms | None = None,
    ) -> None:
        self._proxy = proxy
        self._environment = environment
        self.pool = Pool(Dialer(connect), alarms)
        self.first_byte = first_byte
        self.idle = idle
        self.total = total

    def close(self) -> None:
        self.pool.close()

    def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, *, proxy: str = "") -> Answer:
        """Nothing is sent before `Answer.open`. Raises UpstreamUnreachable: address or headers cannot be used."""
        try:
            address = proxy or self._proxy or self._environment(url)
            target, opening = _opening(method, url, address, tuple(headers))
        except (CannotDial, ValueError) as error:
            raise UpstreamUnreachable("the channel's address or a header of it cannot be used") from error
        length = b"Content-Length: %d\r\n" % len(body) if body or method not in BODILESS else b""
        head = b"%b%b\r\n" % (opening, length)
        return Answer(self, target, head, body, bodiless=method == "HEAD")


@lru_cache(maxsize=2048)
def _opening(method: str, url: str, proxy: str, headers: tuple[tuple[str, str], ...]) -> tuple[Target, bytes]:
    """Where a request goes and its head but for the length: the same for most calls of a channel, so remembered.

    Raises CannotDial; ValueError: a header that could smuggle another (RFC 9110, 5.5) or is not Latin-1.
    """
    target = resolve(url, proxy)
    lines = [f"{method} {target.request_target} HTTP/1.1", f"Host: {target.host_header}"]
    for name, value in headers:
        lines.append(f"{name}: {value}")
    if target.request_target.startswith("http://") and (credentials := proxy_authorization(target.destination.proxy)):
        lines.append(f"Proxy-Authorization: {credentials}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line break")
    return target, (text + "\r\n").encode("latin-1")


class Answer:
    """An upstream's answer: `status` and `header()` after `open`, then `chunks` or `read`, then `close`, always.

    Time limits apply to each wait: `first_byte` for the head, `idle` between two chunks, `total` for everything.
    """

    def __init__(self, clients: Clients, target: Target, head: bytes, body: bytes, *, bodiless: bool) -> None:
        self._clients = clients
        self._target = target
        self._request = (head, body)
        self._bodiless = bodiless
        self._idle = clients.idle
        self.sent = False  # the request went out, whether or not an answer came
        self._connection: Connection | None = None
        self._head = NOTHING_YET
        self._deadline = time.monotonic() + clients.total if clients.total else None

    async def open(self) -> None:
        """Send the request and wait for the answer's head. Raises UpstreamUnreachable, UpstreamTimeout; is closed then.

        A kept connection may have been closed by the server in the moment we write: then, and only if not a byte
        of an answer has come, it is sent once more on a new one.
        """
        try:
            self._head = await self._first_or_second()
        except BaseException:  # a call that is cancelled leaves no connection behind either
            self.close()
            raise

    async def _first_or_second(self) -> ResponseHead:
        try:
            return await self._exchange(fresh=False)
        except BrokenOff as error:
            reused = self._connection is not None and self._connection.used > 1
            self.close()
            if not (error.silent and reused):
                raise UpstreamUnreachable("the upstream cannot be reached") from error
            try:
                return await self._exchange(fresh=True)
            except BrokenOff as again:
                raise UpstreamUnreachable("the upstream cannot be reached") from again

    async def _exchange(self, *, fresh: bool) -> ResponseHead:
        pool, destination = self._clients.pool, self._target.destination
        try:
            self._connection = (None if fresh else pool.idle(destination)) or await pool.take(destination, fresh=fresh)
        except TimeoutError:
            raise UpstreamTimeout("no connection to the upstream in time") from None
        except OSError as error:
            raise UpstreamUnreachable("the upstream cannot be reached") from error
        self._connection.begin(*self._request, bodiless=self._bodiless)
        self.sent = True
        try:
            return await self._connection.head(self._limit(self._clients.first_byte))
        except TimeoutError:
            raise UpstreamTimeout("the upstream did not answer in time") from None

    @property
    def status(self) -> int:
        return self._head.status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As they came, names in lower case."""
        return self._head.headers

    def header(self, name: str) -> str:
        """The first header of this name (lower case), "" if there is none."""
        return self._head.fields.get(name.encode(), b"").decode("latin-1")

    @property
    def retry_after(self) -> float | None:
        value = self.header("retry-after")
        return retry_after(value, datetime.now(UTC)) if value else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed.

        Raises UpstreamUnreachable when it breaks off, UpstreamTimeout when it stalls, UpstreamError for a compression
        we did not ask for and do not know.
        """
        encoding = self.header("content-encoding").lower()
        if encoding in ("", "identity"):
            while (chunk := await self._next()) is not None:
                yield chunk
        elif encoding in ("gzip", "x-gzip", "deflate"):
            inflate, empty = zlib.decompressobj(wbits=47), True
            while (chunk := await self._next()) is not None:
                empty = False
                try:
                    while chunk:
                        if inflate.eof:  # a further member of the same content (RFC 1952, 2.2)
                            inflate = zlib.decompressobj(wbits=47)
                        yield inflate.decompress(chunk, PIECE)
                        chunk = inflate.unconsumed_tail or inflate.unused_data
                except zlib.error as error:
                    raise UpstreamUnreachable("the upstream's compressed answer is damaged") from error
            if not inflate.eof and not empty:
                raise UpstreamUnreachable("the upstream's compressed answer is cut off")
        else:
            raise UpstreamError("the upstream compressed its answer in a way it was not asked to", code="bad_response")

    def ready(self, limit: int) -> bytes | None:
        """The whole body where all of it has come with the head, as most do; else None: `read` waits for it."""
        connection = self._connection
        if connection is None or b"content-encoding" in self._head.fields:
            return None
        body = connection.whole()
        if body is not None and len(body) > limit:
            raise UpstreamError("the upstream's answer is too long", code="answer_too_large")
        return body

    def hurry(self, seconds: float) -> None:
        """All that matters has come: wait no longer than so for the formal end, which lets the connection be kept."""
        self._idle = seconds

    async def _next(self) -> bytes | None:
        assert self._connection is not None
        try:
            return await self._connection.chunk(self._limit(self._idle))
        except TimeoutError:
            raise UpstreamTimeout("the upstream stopped sending") from None
        except BrokenOff as error:
            raise UpstreamUnreachable("the upstream broke off its answer") from error

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises UpstreamError beyond `limit` bytes, counted after decompression."""
        if self._head.fields.get(b"content-encoding", b"identity").lower() == b"identity":
            return await self._read_plain(limit)
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise UpstreamError("the upstream's answer is too long", code="answer_too_large")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _read_plain(self, limit: int) -> bytes:
        """`read` without the generator that decompressing needs: the usual answer is one chunk and its end."""
        parts = [await self._next() or b""]
        size = len(parts[0])
        while size <= limit and (chunk := await self._next()) is not None:
            size += len(chunk)
            parts.append(chunk)
        if size > limit:
            raise UpstreamError("the upstream's answer is too long", code="answer_too_large")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let go of the connection. An exchange that is not over is ended, and the upstream sees us leave."""
        if self._connection is not None:
            self._clients.pool.give_back(self._target.destination, self._connection)
            self._connection = None

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
    except (TypeError, ValueError, OverflowError):
        return 1.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), MAX_PAUSE)
