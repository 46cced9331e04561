"""Getting connected: where to, through which proxy, with TLS or without.

HTTP proxies by CONNECT (RFC 9110, 9.3.6) for https and absolute addresses for http; SOCKS5 (RFC 1928, 1929).
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit

import certifi

P = TypeVar("P", bound=asyncio.BaseProtocol)

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
SAFE = "/?#[]@!$&'()*+,;=:%~-._"  # left as they are in a request target


class CannotDial(ConnectionError):
    """The address or the proxy cannot be used, or the proxy refused."""


class Destination(NamedTuple):
    """Where a connection leads; what is equal can share one."""

    tls: bool
    host: str
    port: int
    proxy: str  # address of the proxy, "" for none
    address: str = ""  # the IP address that `host` was found to have: without a proxy it is not looked up again


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart: where to connect, the Host header, and what follows the method in the request line."""

    destination: Destination
    host_header: str
    request_target: str


@lru_cache(maxsize=4096)
def _origin(base: str, proxy: str) -> tuple[Destination, str]:
    try:
        parts = urlsplit(base)
    except ValueError:
        raise CannotDial("the address cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotDial("the address must begin with http:// or https:// and name a host")
    try:
        host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (UnicodeError, ValueError):
        raise CannotDial("the address has no usable host or port") from None
    shown = f"[{host}]" if ":" in host else host
    header = shown if port == DEFAULT_PORTS[parts.scheme] else f"{shown}:{port}"
    return Destination(parts.scheme == "https", host, port, proxy), header


def resolve(url: str, proxy: str) -> Target:
    """Raises CannotDial."""
    scheme_end = url.find("://")
    slash = url.find("/", scheme_end + 3)
    mark = url.find("?", scheme_end + 3)
    end = min((place for place in (slash, mark) if place >= 0), default=len(url))
    destination, header = _origin(url[:end], proxy)
    path = url[end:] or "/"
    if not path.startswith("/"):
        path = "/" + path
    path = path.partition("#")[0]
    if not path.isascii() or not path.isprintable() or " " in path:
        path = quote(path, safe=SAFE)
    if proxy.startswith("http") and not destination.tls:
        path = f"http://{header}{path}"
    return Target(destination, header, path)


class ProxyRules:
    """Which proxy the environment wants for an address: HTTP_PROXY, HTTPS_PROXY, NO_PROXY as curl reads them."""

    def __init__(self, http: str, https: str, no_proxy: str) -> None:
        self._by_scheme = {"http": http, "https": https}
        self._all = no_proxy.strip() == "*"
        self._hosts = tuple(part.strip().lower().lstrip(".") for part in no_proxy.split(",") if part.strip())

    def __call__(self, url: str) -> str:
        """The proxy's address, "" for none. Loopback is never reached through a proxy."""
        scheme = url.partition("://")[0]
        proxy = self._by_scheme.get(scheme, "")
        if not proxy or self._all:
            return ""
        host = (urlsplit(url).hostname or "").lower()
        if host == "localhost" or _is_loopback(host):
            return ""
        return "" if any(host == name or host.endswith("." + name) for name in self._hosts) else proxy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Dialer:
    """Opens connections within `timeout` seconds, name resolution, proxy and TLS included."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None

    async def dial(self, destination: Destination, protocol: Callable[[], P]) -> P:
        """Raises OSError (ssl.SSLError included), TimeoutError, CannotDial."""
        try:
            async with asyncio.timeout(self._timeout):
                if destination.proxy:
                    return await self._through_proxy(destination, protocol)
                loop = asyncio.get_running_loop()
                context = self._context() if destination.tls else None
                _, made = await loop.create_connection(
                    protocol,
                    destination.address or destination.host,
                    destination.port,
                    ssl=context,
                    server_hostname=destination.host if destination.tls else None,
                )
                return made
        except ValueError as error:  # a name that no resolver takes, a proxy's address that cannot be read
            raise CannotDial("the address or its proxy's cannot be used") from error

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.load_verify_locations(certifi.where())
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def _through_proxy(self, destination: Destination, protocol: Callable[[], P]) -> P:
        proxy = urlsplit(destination.proxy)
        if not proxy.hostname or proxy.scheme not in DEFAULT_PORTS:
            raise CannotDial("the proxy must be an http://, https:// or socks5:// address")
        port = proxy.port or DEFAULT_PORTS[proxy.scheme]
        outer = self._context() if proxy.scheme == "https" else None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        # Without a StreamWriter, which would close the transport when it is let go of.
        transport, _ = await loop.create_connection(
            lambda: asyncio.StreamReaderProtocol(reader), proxy.hostname, port, ssl=outer
        )
        user, password = unquote(proxy.username or ""), unquote(proxy.password or "")
        try:
            if proxy.scheme.startswith("socks5"):
                await _socks5(reader, transport, destination, user, password)
            elif destination.tls:
                await _connect(reader, transport, destination, user, password)
            return await self._hand_over(destination, transport, protocol())
        except BaseException:
            transport.abort()
            raise

    async def _hand_over(self, destination: Destination, transport: asyncio.Transport, made: P) -> P:
        """Give the connected transport to its protocol, with TLS to the destination inside the tunnel."""
        inner: asyncio.Transport | None = transport
        if destination.tls:
            loop = asyncio.get_running_loop()
            inner = await loop.start_tls(transport, made, self._context(), server_hostname=destination.host)
        if inner is None:
            raise CannotDial("no TLS through the proxy")
        inner.set_protocol(made)
        made.connection_made(inner)
        return made


def proxy_authorization(proxy: str) -> str | None:
    """The value of Proxy-Authorization for a plain http request through an http proxy with a user in its address."""
    parts = urlsplit(proxy)
    if not parts.scheme.startswith("http") or not parts.username:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


async def _connect(
    reader: asyncio.StreamReader, transport: asyncio.Transport, destination: Destination, user: str, password: str
) -> None:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    lines = [f"CONNECT {host}:{destination.port} HTTP/1.1", f"Host: {host}:{destination.port}"]
    if user:
        lines.append("Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise CannotDial("the proxy gave no answer to CONNECT") from error
    status = head.split(b" ", 2)[1:2]
    if not status or not status[0].startswith(b"2"):
        raise CannotDial("the proxy refused to connect")


async def _socks5(
    reader: asyncio.StreamReader, transport: asyncio.Transport, destination: Destination, user: str, password: str
) -> None:
    try:
        transport.write(b"\x05\x02\x00\x02" if user else b"\x05\x01\x00")
        _, method = await reader.readexactly(2)
        if method == 2:
            name, word = user.encode()[:255], password.encode()[:255]
            transport.write(b"\x01" + bytes([len(name)]) + name + bytes([len(word)]) + word)
            if (await reader.readexactly(2))[1] != 0:
                raise CannotDial("the proxy refused the user or password")
        elif method != 0:
            raise CannotDial("the proxy offers no way to sign in that we know")
        host = destination.host.encode()
        transport.write(b"\x05\x01\x00\x03" + bytes([len(host)]) + host + destination.port.to_bytes(2, "big"))
        _, answer, _, kind = await reader.readexactly(4)
        if answer != 0:
            raise CannotDial(f"the proxy could not connect (SOCKS {answer})")
        length = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        await reader.readexactly(length + 2)
    except asyncio.IncompleteReadError as error:
        raise CannotDial("the proxy broke off") from error
