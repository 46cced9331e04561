"""One question to a provider: JSON back, bounded in time and size, redirects not followed.

A redirect would carry the client's secret or a person's token to an address nobody chose. Certificates are verified.
The proxy is the environment's (HTTPS_PROXY and its like), as the contract says; RELAY_PROXY is the relay's. Nothing
that is raised or logged holds an address, a secret or a part of the answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from accounts.refusals import NoIdentity, Unreachable
from config.version import VERSION

log = logging.getLogger(__name__)

LIMIT = 5.0  # seconds for one exchange, from the name's resolution to the last byte (contract, section 7)
MOST = 256 * 1024  # bytes of an answer; a large set of an issuer's keys has some 20 KB
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": f"one-api/{VERSION}"}


@dataclass(frozen=True, slots=True)
class Party:
    """Who is asked: the name for the log, and what a person is told where there is no answer."""

    name: str
    unreachable: str


class _Odd(Exception):
    """The answer is none; the text is for the log."""


def ask(
    party: Party,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    document: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON object that `url` answers with. `form` or `document` (JSON) is the body.

    Raises Unreachable where there is none, NoIdentity where the provider says no (a status of 4xx with JSON), which
    is how most of them refuse a used or invented code.
    """
    try:
        request = {"headers": {**HEADERS, **(headers or {})}, "params": params, "data": form, "json": document}
        status, body = asyncio.run(_within(method, url, {**request, "auth": auth}))
        answer = _object(body)
    except (httpx.HTTPError, TimeoutError, OSError) as error:
        log.warning("%s cannot be asked: %s", party.name, type(error).__name__)
        raise Unreachable(party.unreachable) from None
    except _Odd as error:
        log.warning("%s gave an odd answer: %s", party.name, error)
        raise Unreachable(party.unreachable) from None
    except (
        httpx.InvalidURL,
        ValueError,
        RecursionError,
    ) as error:  # an address that is none, an answer that is no JSON
        log.warning("%s cannot be asked or understood: %s", party.name, type(error).__name__)
        raise Unreachable(party.unreachable) from None
    if status >= 400:
        log.warning("%s refuses: status %d", party.name, status)
        raise NoIdentity
    return answer


def _object(body: bytes) -> dict[str, Any]:
    """Raises _Odd, ValueError, RecursionError."""
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise _Odd("it is no JSON object")
    return answer


async def _within(method: str, url: str, request: dict[str, Any]) -> tuple[int, bytes]:
    """Status (200 or 4xx) and body. Raises _Odd, httpx.HTTPError, TimeoutError."""
    async with asyncio.timeout(LIMIT):
        client = httpx.AsyncClient(timeout=httpx.Timeout(LIMIT), follow_redirects=False, verify=_trust())
        async with client, client.stream(method, url, **request) as response:
            if response.status_code != 200 and not 400 <= response.status_code < 500:
                raise _Odd(f"status {response.status_code}")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise _Odd("it is compressed, which was not asked for")  # a small answer could become a huge one
            read = bytearray()
            async for piece in response.aiter_raw():
                read += piece
                if len(read) > MOST:
                    raise _Odd(f"it is longer than {MOST} bytes")
            return response.status_code, bytes(read)


@cache
def _trust() -> ssl.SSLContext:
    """Built once: it takes longer than a call on the loopback."""
    return httpx.create_ssl_context()


def access_token(answer: Mapping[str, Any]) -> str:
    """Of a token endpoint's answer (RFC 6749, 5.1). Raises NoIdentity (remedy S9): never goes on without one."""
    token = answer.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
        raise NoIdentity
    return token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
