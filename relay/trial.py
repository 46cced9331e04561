"""One call to one channel outside the pipeline, for tests of channels: no key of ours, no hold, no log. Blocking.

The call is put as a client of OpenAI's (or of reranking) would put it, and goes through the channel's protocol as any
call does, on an event loop, with connections and credentials of its own that are gone when it ends.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from django.conf import settings

from relay.adapters.base import Adapter, Job
from relay.adapters.registry import ADAPTERS
from relay.dialing import ProxyRules
from relay.errors import BadRequest, UpstreamTimeout
from relay.neutral.events import fold
from relay.outside import Credentials, Outside
from relay.routes import CALLS
from relay.types import Head, Route
from relay.upstream import Clients
from relay.upstream_errors import ERROR_LIMIT
from relay.user_content import UserContent

ANSWERED = (200, 201)


def adapter_of(route: Route, path: str) -> Adapter:
    """The one that would serve a call to this path. Raises BadRequest: the channel serves no such calls."""
    adapter, mode = ADAPTERS.get(route.provider.protocol), CALLS[path].mode
    if adapter is None or mode.value not in route.provider.modes:
        raise BadRequest(f"{route.provider.name} channels do not serve {mode.value}", code="unsupported_mode")
    return adapter


def ask(route: Route, path: str, document: dict[str, Any], asked_model: str, *, limit: float, most: int) -> bytes:
    """The answer's body in the form of the path's dialect. `document["model"]` is the upstream's name of the model.

    `limit`: seconds for all of it, exchanges of credentials and polling included; `most`: bytes of the upstream's
    answer. Raises UpstreamError, BadRequest.
    """
    return asyncio.run(_within(route, path, document, asked_model, limit, most))


async def _within(
    route: Route, path: str, document: dict[str, Any], asked_model: str, limit: float, most: int
) -> bytes:
    clients = Clients(
        proxy=settings.RELAY_PROXY,
        environment=ProxyRules(settings.HTTP_PROXY, settings.HTTPS_PROXY, settings.NO_PROXY),
        connect=min(limit, float(settings.RELAY_CONNECT_TIMEOUT)),
        first_byte=limit,
        idle=limit,
        total=limit,
    )
    outside = Outside(clients, Credentials(), UserContent.configured(), route.proxy)
    try:
        async with asyncio.timeout(limit):
            return await _asked(outside, route, path, document, asked_model, most)
    except TimeoutError:
        raise UpstreamTimeout("the upstream did not answer in time") from None
    finally:
        clients.close()


async def _asked(
    outside: Outside, route: Route, path: str, document: dict[str, Any], asked_model: str, most: int
) -> bytes:
    dialect, adapter = CALLS[path].dialect, adapter_of(route, path)
    head = Head("POST", path, path, "", {"content-type": "application/json"}, "")
    call = dialect.read(CALLS[path].mode, head, orjson.dumps(document))
    request = dialect.neutral(call)
    if not isinstance(request, adapter.requests):
        raise BadRequest(f"{route.provider.name} channels do not serve {call.mode}", code="unsupported_mode")
    job = Job(route, document["model"], asked_model, request)
    answer = await adapter.open(job, outside)
    try:
        if answer.status not in ANSWERED:
            raise adapter.failure(answer.status, await answer.read(ERROR_LIMIT), answer.retry_after)
        read = adapter.read(job, await answer.read(most))
    finally:
        answer.close()
    return dialect.whole(call, fold(read) if isinstance(read, list) else read)
