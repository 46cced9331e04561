"""Responses that an upstream keeps: going on from one, and asking for it again (OpenAI's Responses API).

GET and DELETE /v1/responses/{id}, POST …/cancel, GET …/input_items go, free of charge, to the channel that has it:
https://platform.openai.com/docs/api-reference/responses. What one user was answered does not exist for another.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

from django.db import DatabaseError, InterfaceError

from accounts.callers import Caller
from channels_app import stored_responses
from channels_app.snapshot import Route
from relay.adapters.openai.channels import adapter_for
from relay.asgi import Receive, Reply, read_body
from relay.dialects.base import Dialect
from relay.dialects.responses.dialect import ResponsesDialect
from relay.errors import BadRequest, CallerLeft, PreviousResponseNotFound, RelayError, ResponseNotFound
from relay.lifeline import Lifeline
from relay.proxy import pass_on
from relay.route import Plan, current, named
from relay.threads import in_database_thread, look_up
from relay.types import Call, Head, Mode
from relay.upstream_errors import ERROR_LIMIT, normalise
from relay.worker import Worker

log = logging.getLogger(__name__)

PATH = re.compile(r"/v1/responses/(?P<id>[^/]+)(?P<what>/cancel|/input_items)?")
METHODS = {"": ("GET", "DELETE"), "/cancel": ("POST",), "/input_items": ("GET",)}
GONE = (200, 204, 404)  # what an upstream answers to a DELETE when it has the response no more
RECORDS = "its stored responses"  # as a caller is told what cannot be looked up
RESPONSES = ResponsesDialect()


async def narrow(plan: Plan, caller: Caller, dialect: Dialect, call: Call) -> None:
    """Leave the plan those channels that can do what no translation could. Raises BadRequest, GatewayError.

    A call that goes on from a response is left the one channel that has it.
    """
    if not plan.keep(lambda route: dialect.is_native(route, call.mode)):
        raise BadRequest(
            f"no channel of model {call.model} can use {call.needs_native}: none keeps anything between calls"
        )
    if call.continues:
        channel_id = await _channel_of(caller.user_id, call.continues)
        if not plan.keep(lambda route: route.channel_id == channel_id):
            raise PreviousResponseNotFound(call.continues)


async def remember(user_id: int, response_id: str, channel_id: int) -> None:
    """An answer is given all the same when this cannot be written: it has been generated, and is paid for."""
    try:
        await in_database_thread(stored_responses.remember, user_id, response_id, channel_id)
    except (DatabaseError, InterfaceError) as error:
        log.warning(
            "a response kept by channel #%d cannot be gone on from: %s", channel_id, str(error).splitlines()[:1]
        )


def asked(method: str, path: str) -> re.Match[str] | None:
    """Whether this is a request about a kept response."""
    found = PATH.fullmatch(path)
    return found if found and method in METHODS[found["what"] or ""] else None


async def serve(worker: Worker, head: Head, found: re.Match[str], receive: Receive, reply: Reply) -> None:
    """Raises RelayError before anything has been sent."""
    caller, suffix = await worker.callers.authenticate(head)
    response_id, what = found["id"], found["what"] or ""
    route = await _route_of(worker, caller, response_id, suffix)
    body = await read_body(receive, head, worker.limits.body)
    adapter = adapter_for(route)
    url = adapter.url(route, Mode.RESPONSES, f"/v1/responses/{quote(response_id, safe='')}{what}", head.query, "")
    headers = [*adapter.headers(route), ("Accept", head.headers.get("accept") or "application/json")]
    if body:
        headers.append(("Content-Type", head.headers.get("content-type") or "application/json"))
    lifeline = Lifeline(receive, worker.alarms)
    lifeline.watch()
    answer = worker.clients.send(head.method, url, headers, body, proxy=route.proxy)
    try:
        async with lifeline.interruptible():
            await answer.open()
        if head.method == "DELETE" and answer.status in GONE:
            await look_up(RECORDS, stored_responses.forget, caller.user_id, response_id)
        async with lifeline.interruptible():
            if answer.status >= 400:
                raise normalise(answer.status, await answer.read(ERROR_LIMIT), answer.retry_after)
            await pass_on(answer, reply)
    except RelayError:
        if not reply.started:
            raise
        # Cut short on purpose: a chunked answer without its end tells the caller that something is missing.
    finally:
        lifeline.stop()
        answer.close()
    if lifeline.was_cut:
        raise CallerLeft


async def _route_of(worker: Worker, caller: Caller, response_id: str, suffix: str) -> Route:
    """Raises ResponseNotFound also when the channel is gone, disabled, or not the one that the key's suffix names."""
    channel_id = await _channel_of(caller.user_id, response_id)
    snapshot = current(worker)
    route = snapshot.channels.get(channel_id) if channel_id is not None else None
    if route is None or not route.enabled or not RESPONSES.is_native(route, Mode.RESPONSES):
        raise ResponseNotFound(response_id)
    if suffix and named(snapshot, suffix) is not route:
        raise ResponseNotFound(response_id)
    return route


async def _channel_of(user_id: int, response_id: str) -> int | None:
    return await look_up(RECORDS, stored_responses.channel_of, user_id, response_id)
