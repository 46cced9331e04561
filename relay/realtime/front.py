"""The handshake of a session: a caller is refused with an HTTP status, and let in once an upstream is there.

A bare ASGI application, not a consumer of Django Channels: a consumer hands every frame through a layer, a queue and a
dispatch by name for groups and database threads of which a session has no use, and would stand behind Django's
start-up of the console's half. Sound arrives in up to 50 frames a second and session; they are looked at once here.
"""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

from websockets.asyncio.client import ClientConnection

from accounts.callers import Caller
from channels_app.snapshot import Snapshot
from config.logging import request_id as logged_request_id
from relay import request_id
from relay.adapters.openai.channels import adapter_for
from relay.asgi import JSON, Receive, Scope, Send, read_head
from relay.authenticate import KEY_HEADERS, check_model
from relay.errors import BadRequest, GatewayError, NoChannel, RelayError, UpstreamError
from relay.pipeline import report_failure
from relay.realtime.line import connect
from relay.realtime.session import Session
from relay.realtime.tab import Tab
from relay.route import Plan, plan_for
from relay.told import Trace
from relay.types import Attempt, Call, Head, Mode
from relay.worker import Worker
from telemetry import calls

log = logging.getLogger(__name__)

PATH = "/v1/realtime"
# Browsers cannot send headers with a handshake; OpenAI's clients put the key among the subprotocols.
KEY_PREFIX = "openai-insecure-api-key."
SPOKEN = ("realtime", "openai-beta.realtime-v1")  # subprotocols an upstream would answer with
PASSED_ON = ("openai-beta", "openai-safety-identifier")
KIND = calls.kind("openai", "realtime")
BETA = ("OpenAI-Beta", "realtime=v1")


def handles(path: str) -> bool:
    return path.rstrip("/") == PATH


class Realtime:
    """The ASGI application of WebSockets; `worker` is started before the first session comes."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        session_id = request_id.new()
        logged_request_id.set(session_id)
        trace = Trace()
        calls.begun()
        status = 200
        try:
            await self._serve(scope, receive, send, session_id, trace)
        except RelayError as error:
            status = error.status
            self._worker.failures.note(trace, session_id, error)
            await _refuse(scope, send, error, session_id)
        except Exception as error:
            # The process's edge for one session: whatever was not foreseen is logged with its id and told as 500.
            log.exception("session %s failed: %s", session_id, type(error).__name__)
            failure = GatewayError("the gateway failed to serve this session", code="internal_error")
            status = failure.status
            self._worker.failures.note(trace, session_id, failure)
            await _refuse(scope, send, failure, session_id)
        finally:
            calls.over(KIND, status, trace.started, stream=True)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, session_id: str, trace: Trace) -> None:
        """Raises RelayError before the caller was let in."""
        worker = self._worker
        head = read_head({**scope, "method": "GET"}, worker.limits.trusted_proxies)
        offered = [part.strip() for part in head.headers.get("sec-websocket-protocol", "").split(",")]
        _take_key(head, offered)
        caller, suffix = await worker.callers.authenticate(head)
        trace.caller, trace.head = caller, head
        model = _model(head.query)
        call = Call(Mode.REALTIME, PATH, "", "", "", b"", {}, model, stream=True, headers=head.headers, ip=head.ip)
        trace.call = call
        check_model(caller, model)
        snapshot, plan = await plan_for(worker, caller, model, suffix)
        if not plan.keep(lambda route: Mode.REALTIME in route.provider.modes):
            raise BadRequest(f"no channel of model {model} serves {PATH}", code="unsupported_mode")
        trace.routed = True
        tab = Tab(worker.books, caller, call, snapshot.options, snapshot.prices, session_id)
        try:
            line = await self._connect(snapshot, plan, caller, call, tab, _upstream_headers(head, offered), session_id)
        except BaseException:
            trace.attempt = tab.attempt
            await tab.close(None)
            raise
        chosen = next((one for one in SPOKEN if one in offered), None)
        headers = [(b"x-oneapi-request-id", session_id.encode())]
        session = Session(worker, head, caller, model, tab, line, session_id)
        try:
            await send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})
        except OSError:  # gone while the upstream was being called
            await tab.close(None)
            await line.close()
            return
        failure = await session.run(receive, send)
        if failure is not None:
            worker.failures.note(trace, session_id, failure)
        if isinstance(failure, UpstreamError) and tab.attempt is not None:
            worker.health.report(tab.attempt.route, failure)

    async def _connect(
        self,
        snapshot: Snapshot,
        plan: Plan,
        caller: Caller,
        call: Call,
        tab: Tab,
        headers: list[tuple[str, str]],
        session_id: str,
    ) -> ClientConnection:
        """Channel after channel until one lets us in. Raises the last one's refusal, and what the books refuse."""
        failure: UpstreamError | None = None
        for _ in range(1 + plan.retries):
            route = plan.next()
            if route is None:
                break
            model = route.upstream_model(call.model)
            attempt = Attempt(route, model, snapshot.prices.price(model, route.type, caller.group))
            await tab.open(attempt)
            try:
                adapter = adapter_for(route)
                own = adapter.headers(route)
                line = await connect(adapter.realtime_url(route, model), [*own, *headers], proxy=route.proxy)
            except UpstreamError as error:
                failure = error
                report_failure(self._worker, session_id, route, error)
                if not error.retry:
                    break
            else:
                self._worker.health.report(route, None)
                calls.answered(route.channel_id)
                return line
        raise failure or NoChannel(f"当前分组 {caller.group} 下对于模型 {call.model} 无可用渠道")


def _take_key(head: Head, offered: list[str]) -> None:
    """The key from the subprotocols, where no header has one."""
    if any(head.headers.get(name) for name in KEY_HEADERS):
        return
    key = next((one.removeprefix(KEY_PREFIX) for one in offered if one.startswith(KEY_PREFIX)), "")
    if key:
        head.headers["authorization"] = f"Bearer {key}"


def _model(query: str) -> str:
    """Raises BadRequest."""
    members = parse_qs(query)
    for name in ("call_id", "intent"):
        if name in members:
            raise BadRequest(f"{name} is not offered here: a session is a conversation with the model it names")
    model = members.get("model", [""])[0] or members.get("deployment", [""])[0]
    if not model:
        raise BadRequest("model is required: ?model=…", param="model")
    return model


def _upstream_headers(head: Head, offered: list[str]) -> list[tuple[str, str]]:
    headers = [(name, head.headers[name]) for name in PASSED_ON if head.headers.get(name)]
    if "openai-beta" not in head.headers and SPOKEN[1] in offered:
        headers.append(BETA)
    return headers


async def _refuse(scope: Scope, send: Send, error: RelayError, session_id: str) -> None:
    """With status and body where the server can (it must be asked before the upgrade), else by closing."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    body = error.encode(session_id)
    headers = [JSON, (b"x-oneapi-request-id", session_id.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": [*headers, *error.headers]})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
