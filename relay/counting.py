"""Counting the tokens of a prompt, which costs nothing: by the upstream where it can, else by our own tokenizer."""

from __future__ import annotations

from relay.adapters.registry import ADAPTERS
from relay.asgi import JSON, Receive, Reply, read_body
from relay.authenticate import check_model
from relay.dialects.base import Dialect
from relay.errors import UpstreamError
from relay.lifeline import Lifeline
from relay.outside import Outside
from relay.passages.overheard import Overheard
from relay.route import plan_for
from relay.threads import in_computing_thread
from relay.types import Attempt, Call, Head, Mode
from relay.upstream_errors import ERROR_LIMIT
from relay.worker import Worker


async def count(worker: Worker, head: Head, mode: Mode, dialect: Dialect, receive: Receive, reply: Reply) -> None:
    """Raises RelayError, CallerLeft. What the upstream cannot count at the moment is counted here."""
    caller, suffix = await worker.callers.authenticate(head)
    body = await read_body(receive, head, worker.limits.body)
    call = dialect.read(mode, head, body)
    call.headers = head.headers
    check_model(caller, call.model)
    snapshot, plan = await plan_for(worker, caller, call.model, suffix)
    route = plan.next()
    counted: bytes | None = None
    if route is not None and route.provider.protocol in dialect.native:
        model = route.upstream_model(call.model)
        attempt = Attempt(route, model, snapshot.prices.price(model, route.type, caller.group))
        lifeline = Lifeline(receive, worker.alarms)
        lifeline.watch()
        try:
            async with lifeline.interruptible():
                counted = await _asked(worker, dialect, call, attempt)
        finally:
            lifeline.stop()
    if counted is None:
        counted = await in_computing_thread(dialect.count, call)
    await reply.whole(200, counted, [JSON])


async def _asked(worker: Worker, dialect: Dialect, call: Call, attempt: Attempt) -> bytes | None:
    """The upstream's own count; None when it has none to give. Raises UpstreamError: it refuses the request."""
    route = attempt.route
    outside = Outside(worker.clients, worker.credentials, worker.contents, route.proxy)
    passage = Overheard(outside, ADAPTERS[route.provider.protocol], dialect, call, attempt)
    try:
        answer = await passage.open()
    except UpstreamError:
        return None
    try:
        body = await answer.read(ERROR_LIMIT)
    except UpstreamError:
        return None
    finally:
        answer.close()
    if answer.status == 200:
        return body
    error = passage.failure(answer.status, body, answer.retry_after)
    if not error.retry:
        raise error
    return None
