"""Fetching what callers name by address: pictures, sounds and files for upstreams that want their bytes.

A caller's address must not become a way into the network the gateway stands in. A name is looked up once, every
address it has is judged, and the connection goes to one that was judged, so a name that changes its mind gains nothing;
certificates are still checked against the name. Redirects are followed by hand under the same rules. What was refused,
found closed or not found reads the same to the caller. Behind USER_CONTENT_REQUEST_PROXY it is the proxy that looks up
names: then only literal addresses and names that are inner ones by themselves are judged here.

Relay contract, 8.8 and section 13; https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import ip_address

from django.conf import settings

from config.allowed_hosts import AllowedHosts
from relay import content_address, content_kind
from relay.content_address import ContentAddress
from relay.dialing import proxy_authorization, resolve
from relay.errors import BadRequest, UpstreamError
from relay.public_addresses import is_ours, is_public
from relay.upstream import Answer, Clients

log = logging.getLogger(__name__)

Resolver = Callable[[str, int], Awaitable[list[str]]]  # name and port -> IP addresses; raises OSError, UnicodeError

AT_ONCE = 16  # fetches of one worker
CONNECT = 10.0  # seconds for one connection
REDIRECTS = 3
REDIRECTING = frozenset({301, 302, 303, 307, 308})
TRIED = 3  # addresses of a name, while none takes the connection
MOST_PIECES = 100_000  # of one body: a compressed one can go on for ever without growing


@dataclass(frozen=True, slots=True)
class Content:
    """`data` in base64; `mime` without parameters."""

    data: str
    mime: str


class _Refused(Exception):
    """Why, for the log: the caller is told less."""


class _NotFitting(Exception):
    """What the caller may know: the host was public, or allowed."""


class UserContent:
    """One worker's. `timeout`: seconds for all of one fetch; `largest`: bytes, counted after decompression."""

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        largest: int = 20 * 1024 * 1024,
        proxy: str = "",
        allowed: AllowedHosts | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._timeout = timeout
        self._largest = largest
        self._proxy = proxy
        self._allowed = allowed or AllowedHosts()
        self._resolver = resolver or self._look_up
        self._slots = asyncio.Semaphore(AT_ONCE)
        # Threads of their own: a resolver that hangs on strangers' names must not keep the worker's other work waiting.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="names")
        self._clients = Clients(
            proxy="",
            environment=lambda _url: "",
            connect=min(timeout, CONNECT),
            first_byte=timeout,
            idle=timeout,
            total=timeout,
        )
        self._clients.close()  # its pool keeps nothing: no connection is used twice

    @classmethod
    def configured(cls) -> UserContent:
        return cls(
            timeout=settings.USER_CONTENT_REQUEST_TIMEOUT,
            largest=settings.USER_CONTENT_MAX,
            proxy=settings.USER_CONTENT_REQUEST_PROXY,
            allowed=settings.USER_CONTENT_ALLOWED_HOSTS,
        )

    async def fetch(self, url: str, kind: str) -> Content:
        """`kind`: image, audio, video or file. Raises BadRequest: refused, unreachable, too large, of another kind."""
        code = f"invalid_{kind}_url"
        try:
            address = content_address.read(url)
        except ValueError:
            message = f"the address of the {kind} must begin with http:// or https:// and name a plain host"
            raise BadRequest(message, code=code) from None
        try:
            async with asyncio.timeout(self._timeout), self._slots:
                return await self._follow(address, kind)
        except _NotFitting as error:
            raise BadRequest(str(error), code=code) from None
        except (_Refused, UpstreamError, TimeoutError) as error:
            log.info("content at %s not fetched: %s", address.host, str(error) or "it took too long")
            raise BadRequest(f"the {kind} cannot be fetched from its address", code=code) from None

    async def _follow(self, address: ContentAddress, kind: str) -> Content:
        for _ in range(REDIRECTS + 1):
            answer = await self._asked(address, await self._ways(address), kind)
            try:
                if answer.status not in REDIRECTING:
                    return await self._content(answer, kind)
                address = content_address.follow(address, answer.header("location"))
            except ValueError as error:
                raise _Refused(str(error)) from error
            finally:
                answer.close()
        raise _Refused("too many redirects")

    async def _ways(self, address: ContentAddress) -> list[str]:
        """The addresses to connect to, each of them judged; [""] where a proxy does the connecting."""
        if address.literal is None and self._allowed.named(address.host):
            return [""] if self._proxy else await self._found(address)
        if self._proxy and address.literal is None:
            if address.inner_name or not address.usual_port:
                raise _Refused("an inner name or a port of no web server")
            return [""]
        found = [str(address.literal)] if address.literal is not None else await self._found(address)
        for one in map(ip_address, found):
            if self._allowed.holds(one):
                continue
            if not is_public(one) or is_ours(one):
                raise _Refused(f"{one} is not a public address; USER_CONTENT_ALLOWED_HOSTS can allow it")
            if not address.usual_port:
                raise _Refused(f"port {address.port} is not a web server's")
        return [""] if self._proxy else found

    async def _found(self, address: ContentAddress) -> list[str]:
        try:
            found = await self._resolver(address.host, address.port)
        except (OSError, UnicodeError) as error:
            raise _Refused("the name cannot be resolved") from error
        if not found:
            raise _Refused("the name has no address")
        return found

    async def _look_up(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _asked(self, address: ContentAddress, ways: list[str], kind: str) -> Answer:
        """An answer whose head is there. Raises UpstreamError: nobody answers."""
        target = resolve(address.url, self._proxy)
        lines = [
            f"GET {target.request_target} HTTP/1.1",
            f"Host: {target.host_header}",
            "User-Agent: one-api",
            f"Accept: {'*/*' if kind == 'file' else kind + '/*'}",
            "Accept-Encoding: identity",
            "Connection: close",
        ]
        if target.request_target.startswith("http://") and (credentials := proxy_authorization(self._proxy)):
            lines.append(f"Proxy-Authorization: {credentials}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
        for left, way in zip(range(min(len(ways), TRIED), 0, -1), ways, strict=False):
            destination = target.destination._replace(address=way)
            answer = Answer(self._clients, replace(target, destination=destination), head, b"", bodiless=False)
            try:
                await answer.open()
                return answer
            except UpstreamError:
                if answer.sent or left == 1:
                    raise
        raise _Refused("the name has no address")

    async def _content(self, answer: Answer, kind: str) -> Content:
        if answer.status != 200:
            raise _Refused(f"status {answer.status}")
        mime = content_kind.declared(answer.header("content-type"))
        unfit = _NotFitting(f"what the address holds is not {content_kind.ARTICLES[kind]}")
        if mime and not content_kind.fits(mime, kind):
            raise unfit
        length = answer.header("content-length")
        if length.isdecimal() and len(length) < 20 and int(length) > self._largest:
            raise self._too_large(kind)
        start, data = await self._read(answer, kind)
        mime = mime or content_kind.sniffed(start)
        if not data or not content_kind.fits(mime, kind):
            raise unfit
        return Content(data, mime)

    async def _read(self, answer: Answer, kind: str) -> tuple[bytes, str]:
        """The first bytes, and all of it in base64: encoded as it comes, for a large one would stop the loop."""
        start, rest, encoded = b"", b"", []
        size = pieces = 0
        async for piece in answer.chunks():
            size += len(piece)
            pieces += 1
            if size > self._largest or pieces > MOST_PIECES:
                raise self._too_large(kind)
            if len(start) < content_kind.ENOUGH:
                start += piece[: content_kind.ENOUGH]
            rest += piece
            whole = len(rest) - len(rest) % 3
            encoded.append(base64.b64encode(rest[:whole]))
            rest = rest[whole:]
            await asyncio.sleep(0)  # a compressed body gives many pieces without waiting for anything
        encoded.append(base64.b64encode(rest))
        return start, b"".join(encoded).decode("ascii")

    def _too_large(self, kind: str) -> _NotFitting:
        return _NotFitting(f"the {kind} is larger than {self._largest // (1024 * 1024)} MiB")
