"""The relay's front: who serves a request, and what the caller gets when something goes wrong.

A bare ASGI callable: no Django middleware, no ORM on the way.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from config import frontend
from config.cycle import ANSWER
from config.logging import request_id as logged_request_id
from relay import idempotent, models_api, request_id, routes, stored
from relay.asgi import JSON, Receive, Reply, Scope, Send, read_head
from relay.billing_api import subscription, usage
from relay.counting import count
from relay.errors import CallerLeft, GatewayError, NotFound, NotImplementedYet, RelayError
from relay.pipeline import serve
from relay.proxy import serve_proxy
from relay.types import Head
from relay.worker import Worker
from telemetry import calls, switches

log = logging.getLogger(__name__)

NO_EXTENSIONS: dict[str, Any] = {}
BILLING = {
    f"{prefix}/dashboard/billing/{name}": handler
    for prefix in ("", "/v1")
    for name, handler in (("subscription", subscription), ("usage", usage))
}
# What OpenAI has and this gateway does not (contract, 1.3): methods and the form of the path.
NOT_IMPLEMENTED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (methods, re.compile(pattern))
    for methods, pattern in (
        ("GET POST", r"/v1/files"),
        ("GET DELETE", r"/v1/files/[^/]+"),
        ("GET", r"/v1/files/[^/]+/content"),
        ("GET POST", r"/v1/fine_tuning/jobs"),
        ("GET", r"/v1/fine_tuning/jobs/[^/]+(/events)?"),
        ("POST", r"/v1/fine_tuning/jobs/[^/]+/cancel"),
        ("DELETE", r"/v1/models/.+"),
        ("GET POST", r"/v1/assistants"),
        ("GET POST DELETE", r"/v1/assistants/[^/]+"),
        ("GET POST", r"/v1/assistants/[^/]+/files"),
        ("GET DELETE", r"/v1/assistants/[^/]+/files/[^/]+"),
        ("POST", r"/v1/threads"),
        ("GET POST DELETE", r"/v1/threads/[^/]+"),
        ("POST", r"/v1/threads/[^/]+/messages"),
        ("GET POST", r"/v1/threads/[^/]+/messages/[^/]+"),
        ("GET", r"/v1/threads/[^/]+/messages/[^/]+/files(/[^/]+)?"),
        ("GET POST", r"/v1/threads/[^/]+/runs"),
        ("GET POST", r"/v1/threads/[^/]+/runs/[^/]+"),
        ("POST", r"/v1/threads/[^/]+/runs/[^/]+/(submit_tool_outputs|cancel)"),
        ("GET", r"/v1/threads/[^/]+/runs/[^/]+/steps(/[^/]+)?"),
    )
)
PREFLIGHT = (
    (b"access-control-allow-methods", b"GET,POST,PUT,PATCH,DELETE,OPTIONS"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"43200"),
)
PROXY = "/v1/oneapi/proxy/"
MODELS = re.compile(r"/v1(?:alpha|beta)?/models(?:/(?P<name>.+))?")


def handles(path: str) -> bool:
    """Whether a path belongs to the relay and not to Django."""
    return path.startswith(("/v1/", "/v1beta/", "/v1alpha/", "/v2/", "/dashboard/billing/")) or path == "/v1"


class Relay:
    """The ASGI application of the relay's half; `worker` is started before the first request comes."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = read_head(scope, self._worker.limits.trusted_proxies)
        at_once = scope.get("extensions", NO_EXTENSIONS).get(ANSWER)
        reply = Reply(send, request_id.new(), cors="origin" in head.headers, at_once=at_once)
        logged_request_id.set(reply.request_id)
        calls.begun()
        if switches.tracing is not None:
            reply.trace.steps = []
        try:
            await self._dispatch(head, receive, reply)
        except CallerLeft:
            return
        except RelayError as error:
            self._worker.failures.note(reply.trace, reply.request_id, error)
            await _answer(reply, head, error)
        except Exception as error:
            # The process's edge for one request: whatever was not foreseen is logged with its id and told as 500.
            log.exception("request %s failed: %s", reply.request_id, type(error).__name__)
            failure = GatewayError("the gateway failed to serve this request", code="internal_error")
            self._worker.failures.note(reply.trace, reply.request_id, failure)
            await _answer(reply, head, failure)
        finally:
            trace = reply.trace
            calls.over(trace.kind, reply.status, trace.started, trace.call is not None and trace.call.stream)
            if switches.tracing is not None:
                switches.tracing(trace, head, reply.request_id, reply.status)

    async def _dispatch(self, head: Head, receive: Receive, reply: Reply) -> None:
        """Raises RelayError, CallerLeft."""
        path = head.path.rstrip("/") or "/"
        if head.method == "OPTIONS" and "origin" in head.headers and not path.startswith(PROXY):
            await reply.whole(204, b"", PREFLIGHT)
            return
        asked = routes.find(path) if head.method == "POST" else None
        if asked is not None:
            reply.trace.kind = asked.kind
            if head.path != path or asked.path:
                head = _at(head, asked.path or path)
            if asked.dialect is routes.GEMINI:
                head = routes.with_key_of_query(head)
            if asked.counts:
                await count(self._worker, head, asked.mode, asked.dialect, receive, reply)
            elif idempotent.HEADER in head.headers:
                await idempotent.serve(self._worker, head, asked, receive, reply)
            else:
                await serve(self._worker, head, asked.mode, asked.dialect, receive, reply, asked.model)
        elif path.startswith(PROXY):
            await serve_proxy(self._worker, head, receive, reply)
        elif head.method == "GET" and (listed := MODELS.fullmatch(path)):
            shape = models_api.shape_for(head)
            head = routes.with_key_of_query(head) if shape is models_api.GOOGLE else head
            if listed["name"]:
                await models_api.one_model(self._worker, head, reply, shape, listed["name"])
            else:
                await models_api.list_models(self._worker, head, reply, shape)
        elif head.method == "GET" and path in BILLING:
            await BILLING[path](self._worker, head, reply)
        elif kept := stored.asked(head.method, path):
            await stored.serve(self._worker, head, kept, receive, reply)
        else:
            await self._refuse(head, path, reply)

    async def _refuse(self, head: Head, path: str, reply: Reply) -> None:
        for methods, pattern in NOT_IMPLEMENTED:
            if head.method in methods.split() and pattern.fullmatch(path):
                await self._worker.callers.authenticate(head)
                raise NotImplementedYet("API not implemented")
        if url := frontend.elsewhere(head.raw_path, head.query):
            await reply.whole(301, b"", [(b"location", url.encode("latin-1"))])
            return
        raise NotFound(f"Invalid URL ({head.method} {head.path})")


async def _answer(reply: Reply, head: Head, error: RelayError) -> None:
    """The error as the caller's answer, in the dialect of its path. An answer that has begun can only be ended."""
    if reply.started:
        await reply.body(b"", more=False)
        return
    extra = ((b"cache-control", b"no-store"),) if error.status == 404 else ()
    await reply.whole(error.status, _told(head, error, reply.request_id), [JSON, *extra, *error.headers])


def _told(head: Head, error: RelayError, request_id: str) -> bytes:
    return routes.dialect_of(head.path.rstrip("/")).failure(error, request_id)


def _at(head: Head, path: str) -> Head:
    return Head(head.method, path, head.raw_path, head.query, head.headers, head.ip)
