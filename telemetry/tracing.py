"""OpenTelemetry: the spans of a call, made when it is over out of what was noted on the way.

    POST /v1/chat/completions      the call; goes on from the caller's traceparent
    ├── authenticate               with reading the request and choosing its channels
    ├── hold                       where the call had to wait for it
    ├── chat gpt-4o-mini           one attempt at one upstream, by the conventions for generative AI (gen_ai.*)
    └── settle                     waiting for the books

While it is off a call pays for a look at a switch, and nothing of OpenTelemetry is imported. The caller's traceparent
ends here: upstreams are strangers and are never sent one.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

from billing.pricing import Usage
from config import unused
from relay.errors import RelayError
from relay.told import Trace
from relay.types import Attempt, Head
from telemetry import switches
from telemetry.calls import FIRST_BYTE, HOLD, PLAN, SETTLE

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

PHASES = {PLAN: "authenticate", HOLD: "hold", SETTLE: "settle"}
OPERATIONS = {"completions": "text_completion", "responses": "chat"}  # others are called what we call them
PROVIDERS = {"gemini": "gcp.gemini", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock", "azure": "azure.ai.openai"}


class _Kept:
    provider: TracerProvider | None = None
    tracer: Any = None


def start() -> None:
    """Once in each worker, where OTEL_EXPORTER_OTLP_ENDPOINT or its like for traces is set."""
    unused.let_in()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    told = {"service.version": settings.VERSION, "service.instance.id": f"{socket.gethostname()}-{os.getpid()}"}
    if not settings.OTEL_SERVICE_NAME:
        told["service.name"] = "one-api"
    provider = TracerProvider(resource=Resource.create(told))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _Kept.provider, _Kept.tracer = provider, provider.get_tracer("one-api", settings.VERSION)
    switches.tracing = tell


def stop() -> None:
    """Send what is waiting. Blocks for some seconds at most."""
    switches.tracing = None
    if _Kept.provider is not None:
        _Kept.provider.shutdown()
        _Kept.provider = _Kept.tracer = None


@dataclass(slots=True)
class _Try:
    """An attempt, as its span will tell it. Times are monotonic seconds."""

    attempt: Attempt
    began: float
    ended: float
    first_byte: float = 0.0
    error: RelayError | None = None
    usage: Usage | None = None


def tell(trace: Trace, head: Head, request_id: str, status: int) -> None:
    """A call is over: make its spans, and hand them to the thread that exports them."""
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer = _Kept.tracer
    if tracer is None:
        return
    now = time.monotonic()
    epoch = time.time_ns() - int(now * 1e9)

    def at(moment: float) -> int:
        return epoch + int(moment * 1e9)

    path = trace.call.path if trace.call else ""
    attributes = {
        "http.request.method": head.method,
        "http.response.status_code": status,
        "one_api.request_id": request_id,
        **({"url.path": path, "http.route": path} if path else {}),
        **(
            {"one_api.user.id": trace.caller.user_id, "one_api.token.id": trace.caller.token_id} if trace.caller else {}
        ),
    }
    parent = TraceContextTextMapPropagator().extract(head.headers)
    name = f"{head.method} {path}".rstrip()
    call = tracer.start_span(name, parent, SpanKind.SERVER, attributes, start_time=at(trace.started))
    if status >= 500:
        call.set_status(Status(StatusCode.ERROR))
    here = set_span_in_context(call)
    steps = trace.steps or []
    for what, began, ended in steps:
        phase = PHASES.get(what) if isinstance(what, int) else None
        if phase:
            tracer.start_span(phase, here, start_time=at(began)).end(at(ended))
    for one in _tries(steps, now):
        span = tracer.start_span(
            f"{_operation(trace)} {one.attempt.model}",
            here,
            SpanKind.CLIENT,
            _attributes(trace, one),
            start_time=at(one.began),
        )
        if one.first_byte:
            span.add_event("first_byte", timestamp=at(one.first_byte))
        if one.error is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(at(one.ended))
    call.end(at(now))


def _tries(steps: list[tuple[object, float, float]], end: float) -> Iterator[_Try]:
    """The attempts among the steps. Each ends with its failure, its settlement, or the call."""
    one: _Try | None = None
    for what, began, ended in steps:
        if isinstance(what, Attempt):
            if one is not None:
                yield one
            one = _Try(what, began, end)
        elif one is None:
            continue
        elif what == FIRST_BYTE:
            one.first_byte = ended
        elif what == SETTLE:
            one.ended = began
        elif isinstance(what, Usage):
            one.usage = what
        elif isinstance(what, RelayError):
            one.error, one.ended = what, began
    if one is not None:
        yield one


def _operation(trace: Trace) -> str:
    mode = trace.call.mode.value if trace.call else ""
    return OPERATIONS.get(mode, mode)


def _attributes(trace: Trace, one: _Try) -> dict[str, Any]:
    attempt, error, usage = one.attempt, one.error, one.usage
    protocol = attempt.route.provider.protocol
    found: dict[str, Any] = {
        "gen_ai.operation.name": _operation(trace),
        "gen_ai.provider.name": PROVIDERS.get(protocol, protocol),
        "gen_ai.request.model": attempt.model,
        "one_api.channel.id": attempt.route.channel_id,
    }
    if trace.call and trace.call.max_tokens:
        found["gen_ai.request.max_tokens"] = trace.call.max_tokens
    if error is not None:
        found["error.type"] = type(error).__name__
        found["http.response.status_code"] = getattr(error, "answered", 0) or error.status
    elif one.first_byte:
        found["http.response.status_code"] = 200
    if usage is not None:
        found["gen_ai.usage.input_tokens"] = usage.prompt_tokens
        found["gen_ai.usage.output_tokens"] = usage.completion_tokens
        if usage.cached_tokens:
            found["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    return found
