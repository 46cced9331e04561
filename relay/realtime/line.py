"""The upstream's end of a session: a WebSocket by way of the same proxies and with the same TLS as other calls.

The grammar, pings and flow control are those of the package `websockets`; only the connecting is ours.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import lru_cache

from django.conf import settings
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.uri import parse_uri

from relay.dialing import CannotDial, Dialer, ProxyRules, resolve
from relay.errors import UpstreamTimeout, UpstreamUnreachable
from relay.upstream import retry_after
from relay.upstream_errors import normalise

LONGEST = 16 * 1024 * 1024  # bytes of one event; OpenAI's own limit for what is sent to it is 15 MiB
FAREWELL = 0.8  # seconds the upstream has to close after us


@lru_cache(maxsize=1)
def _dialer(timeout: float) -> Dialer:
    return Dialer(timeout)  # keeps its TLS context, which takes its time to build


async def connect(url: str, headers: list[tuple[str, str]], *, proxy: str = "") -> ClientConnection:
    """`url`: http:// or https://, as for other calls. Raises UpstreamError: unreachable, too slow, or it refuses."""
    rules = ProxyRules(settings.HTTP_PROXY, settings.HTTPS_PROXY, settings.NO_PROXY)
    try:
        destination = resolve(url, proxy or settings.RELAY_PROXY or rules(url)).destination
        protocol = ClientProtocol(parse_uri("ws" + url.removeprefix("http")), max_size=LONGEST)
    except (CannotDial, ValueError) as error:
        raise UpstreamUnreachable("the channel's address cannot be used") from error
    if destination.proxy.startswith("http") and not destination.tls:
        raise UpstreamUnreachable("an HTTP proxy carries wss:// addresses only")
    try:
        connection = await _dialer(settings.RELAY_CONNECT_TIMEOUT).dial(
            destination, lambda: ClientConnection(protocol, close_timeout=FAREWELL)
        )
    except TimeoutError:
        raise UpstreamTimeout("no connection to the upstream in time") from None
    except OSError as error:
        raise UpstreamUnreachable("the upstream cannot be reached") from error
    try:
        await _shake_hands(connection, headers)
    except BaseException:
        connection.transport.abort()
        raise
    connection.start_keepalive()
    return connection


async def _shake_hands(connection: ClientConnection, headers: list[tuple[str, str]]) -> None:
    try:
        async with asyncio.timeout(settings.RELAY_FIRST_BYTE_TIMEOUT or None):
            await connection.handshake(headers, user_agent_header=None)
    except TimeoutError:
        raise UpstreamTimeout("the upstream did not answer in time") from None
    except InvalidStatus as refused:
        answer = refused.response
        pause = answer.headers.get("retry-after")
        told = None if pause is None else retry_after(pause, datetime.now(UTC))
        raise normalise(answer.status_code, bytes(answer.body or b""), told) from None
    except (InvalidHandshake, OSError, EOFError, ValueError) as error:
        raise UpstreamUnreachable("the upstream broke off the handshake") from error
