"""Calls to providers that are no caller's: tests, balances, lists of models. Blocking, bounded in time and size.

Redirects are not followed: they would carry the key to an address nobody chose. What is raised and returned holds
neither key nor address, and nothing is logged here: some providers want the key in the address itself.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from django.conf import settings

MAX_TEXT = 1024 * 1024  # bytes of an answer that holds figures or names
PIECE = 65536  # bytes read at a time


class CallFailed(Exception):
    """There is no answer that could be read; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole answer, decompressed."""

    status: int
    content_type: str
    body: bytes

    def document(self) -> Any:
        """The body as JSON. Raises CallFailed."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise CallFailed("the answer is not JSON") from None


def call(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    content: bytes | None = None,
    *,
    proxy: str = "",
    limit: float,
    most: int = MAX_TEXT,
) -> Received:
    """One exchange, over the channel's proxy or RELAY_PROXY.

    `limit`: seconds for all of it, from the name's resolution to the last byte; `most`: bytes of the answer.
    Raises CallFailed.
    """
    try:
        return asyncio.run(_within(limit, method, url, headers, content, proxy, most))
    except (httpx.TimeoutException, TimeoutError):
        raise CallFailed("the upstream did not answer in time") from None
    except httpx.HTTPError as error:
        raise CallFailed(f"the upstream cannot be reached ({type(error).__name__})") from None
    except (httpx.InvalidURL, ValueError):  # a stored row older than today's checks of address and key
        raise CallFailed("the base URL, the proxy or the key cannot be used") from None


async def _within(
    limit: float,
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    content: bytes | None,
    proxy: str,
    most: int,
) -> Received:
    timeout = httpx.Timeout(limit, connect=min(limit, float(settings.RELAY_CONNECT_TIMEOUT)))
    async with asyncio.timeout(limit):
        client = httpx.AsyncClient(
            proxy=proxy or settings.RELAY_PROXY or None, timeout=timeout, follow_redirects=False, verify=_trust()
        )
        async with client, client.stream(method, url, headers=list(headers), content=content) as response:
            read = bytearray()
            async for chunk in response.aiter_bytes(PIECE):
                read += chunk
                if len(read) > most:
                    raise CallFailed(f"the answer is longer than {most} bytes")
            return Received(response.status_code, response.headers.get("content-type", ""), bytes(read))


@cache
def _trust() -> ssl.SSLContext:
    """Built once: it takes longer than a call on the loopback."""
    return httpx.create_ssl_context()
