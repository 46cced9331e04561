"""/v1/oneapi/proxy/{channel}/{target}: a request sent on as it is through a channel of type Proxy (contract, 1.5).

Not priced; a log row says that it happened. Only channels of that type, and only of the caller's own group.
"""

from __future__ import annotations

import asyncio
import time

from django.db import connections

from accounts.callers import Caller
from billing.services import log_free_call
from channels_app.snapshot import Route
from relay.asgi import Receive, Reply, read_body
from relay.errors import BadRequest, CallerLeft, Forbidden, RelayError
from relay.lifeline import Lifeline
from relay.route import channel_for
from relay.types import Head
from relay.upstream import Answer
from relay.worker import Worker

PREFIX = "/v1/oneapi/proxy/"
# Of the caller's request: hop by hop (RFC 9110, 7.6.1), ours, or a credential of this gateway.
NOT_SENT = frozenset(
    {
        "host",
        "content-length",
        "content-encoding",
        "accept-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "proxy-connection",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
    }
)
# Of the upstream's answer: hop by hop, undone by decompression, or dangerous under our own name.
NOT_PASSED_ON = frozenset(
    {
        b"content-length",
        b"content-encoding",
        b"connection",
        b"keep-alive",
        b"transfer-encoding",
        b"upgrade",
        b"trailer",
        b"set-cookie",
        b"strict-transport-security",
        b"access-control-allow-origin",
        b"access-control-allow-credentials",
        b"x-oneapi-request-id",
    }
)


async def serve_proxy(worker: Worker, head: Head, receive: Receive, reply: Reply) -> None:
    """Raises RelayError before anything has been sent."""
    started = time.monotonic()
    caller, _ = await worker.callers.authenticate(head)
    channel, _, target = head.raw_path.partition(PREFIX)[2].partition("/")
    route = await channel_for(worker, channel)
    if route.provider.protocol != "proxy" or not (caller.is_admin or caller.group in route.groups):
        raise Forbidden("该渠道不能通过代理访问")
    if not route.base_url:
        raise BadRequest("the channel has no base URL")
    body = await read_body(receive, head, worker.limits.body)
    headers = [(name, value) for name, value in head.headers.items() if name not in NOT_SENT]
    headers.append(("authorization", route.key))
    url = f"{route.base_url}/{target}" + (f"?{head.query}" if head.query else "")
    lifeline = Lifeline(receive, worker.alarms)
    lifeline.watch()
    answer = worker.clients.send(head.method, url, headers, body, proxy=route.proxy)
    try:
        async with lifeline.interruptible():
            await answer.open()
            await pass_on(answer, reply)
    except RelayError:
        if not reply.started:
            raise
        # Cut short on purpose: a chunked answer without its end tells the caller that something is missing.
    finally:
        lifeline.stop()
        answer.close()
        await asyncio.to_thread(_log, caller, route, reply.request_id, head, started)
    if lifeline.reason is not None:
        raise CallerLeft


async def pass_on(answer: Answer, reply: Reply) -> None:
    """An answer whose head is there, as it comes."""
    headers = [(name, value) for name, value in answer.headers if name not in NOT_PASSED_ON]
    await reply.start(answer.status, headers)
    async for chunk in answer.chunks():
        await reply.body(chunk, more=True)
    await reply.body(b"", more=False)


def _log(caller: Caller, route: Route, request_id: str, head: Head, started: float) -> None:
    try:
        log_free_call(
            caller.user_id,
            f"{head.method} {head.path}"[:500],
            username=caller.username,
            token_name=caller.token_name,
            token_id=caller.token_id,
            channel_id=route.channel_id,
            request_id=request_id,
            elapsed_time=int((time.monotonic() - started) * 1000),
        )
    finally:
        connections.close_all()
