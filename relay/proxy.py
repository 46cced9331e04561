"""/v1/oneapi/proxy/{channel}/{target}: a request sent on as it is through a channel of type Proxy (contract, 1.5).

Not priced; a log row says that it happened. Only channels of that type, and only of the caller's own group.
"""

from __future__ import annotations

import logging
import time

from accounts.callers import Caller
from billing.batch import Settlement
from billing.waiting import BooksClosed
from channels_app.snapshot import Route
from relay.asgi import Receive, Reply, read_body
from relay.errors import BadRequest, CallerLeft, Forbidden, RelayError
from relay.lifeline import Lifeline
from relay.route import channel_for, current
from relay.told import LEFT, clean, error_code, origin
from relay.types import Head
from relay.upstream import Answer
from relay.worker import Worker

log = logging.getLogger(__name__)

MAX_PATH = 500  # characters, in a log row
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
        "traceparent",  # our caller's traces are no business of an upstream's
        "tracestate",
        "baggage",
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
    reply.trace.caller, reply.trace.head = caller, head
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
    broken = ""
    try:
        async with lifeline.interruptible():
            await answer.open()
            await pass_on(answer, reply)
    except RelayError as error:
        if not reply.started:
            raise
        # Cut short on purpose: a chunked answer without its end tells the caller that something is missing.
        broken = error_code(error)
    except CallerLeft:
        if not reply.started:
            await _enter(worker, caller, route, reply, head, started, LEFT, "")
        raise
    finally:
        lifeline.stop()
        answer.close()
        if reply.started:
            status = LEFT if lifeline.was_cut else answer.status
            await _enter(worker, caller, route, reply, head, started, status, broken)
    if lifeline.was_cut:
        raise CallerLeft


async def pass_on(answer: Answer, reply: Reply) -> None:
    """An answer whose head is there, as it comes."""
    headers = [(name, value) for name, value in answer.headers if name not in NOT_PASSED_ON]
    await reply.start(answer.status, headers)
    async for chunk in answer.chunks():
        await reply.body(chunk, more=True)
    await reply.body(b"", more=False)


async def _enter(
    worker: Worker,
    caller: Caller,
    route: Route,
    reply: Reply,
    head: Head,
    started: float,
    status: int,
    broken: str,
) -> None:
    """A call that costs nothing is in the books all the same: counted, with a ledger entry and a log row of its own."""
    free = Settlement(
        request_id=reply.request_id,
        user_id=caller.user_id,
        token_id=caller.token_id,
        limited=not caller.unlimited,
        charge=0,
        channel_id=route.channel_id,
        log={
            "content": clean(f"{head.method} {head.path}", MAX_PATH),
            "username": caller.username,
            "token_name": caller.token_name,
            "elapsed_time": int((time.monotonic() - started) * 1000),
            "group": caller.group,
            "status": status,
            "error_code": broken,
            **origin(head.ip, head.headers),
        },
        logged=current(worker).options["LogConsumeEnabled"],
    )
    try:
        await worker.books.post(free)
    except BooksClosed as error:
        log.warning("request %s through channel #%d is not in the books: %s", reply.request_id, route.channel_id, error)
