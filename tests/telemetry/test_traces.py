"""Spans of real calls, as a collector receives them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fake_upstream import FakeUpstream
from tests.server import Gateway
from tests.telemetry.conftest import until
from tests.telemetry.receiver import Receiver, attributes

MODEL = "gpt-4.1"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
ROOT = Path(__file__).resolve().parents[2]


def of_trace(receiver: Receiver, trace: str = TRACE) -> dict[str, Span]:
    return {span.name: span for span in receiver.spans() if span.trace_id.hex() == trace}


def test_a_call_is_one_trace_that_goes_on_from_its_caller(
    node: Gateway, upstream: FakeUpstream, receiver: Receiver
) -> None:
    account = node.new_user(10**9)
    channel = node.add_channel(upstream.url, MODEL, name="traced")
    node.wait_until_routed(account.key, MODEL)
    upstream.reset()
    headers = {"Authorization": f"Bearer sk-{account.key}", "traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "a=b"}
    body = {"model": MODEL, "messages": [{"role": "user", "content": "a secret prompt"}]}

    answer = httpx.post(f"{node.base_url}/v1/chat/completions", json=body, headers=headers, timeout=30)

    assert answer.status_code == 200
    until(lambda: "settle" in of_trace(receiver) and "POST /v1/chat/completions" in of_trace(receiver))
    spans = of_trace(receiver)
    call, attempt = spans["POST /v1/chat/completions"], spans[f"chat {MODEL}"]
    assert set(spans) - {"hold"} == {"POST /v1/chat/completions", "authenticate", f"chat {MODEL}", "settle"}
    assert call.parent_span_id.hex() == PARENT
    assert {span.parent_span_id for span in spans.values() if span is not call} == {call.span_id}
    assert attributes(call)["one_api.request_id"] == answer.headers["x-oneapi-request-id"]
    assert attributes(attempt) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "http.response.status_code": 200,
        "one_api.channel.id": channel,
    }
    assert call.start_time_unix_nano <= attempt.start_time_unix_nano < attempt.end_time_unix_nano
    assert attempt.end_time_unix_nano <= spans["settle"].end_time_unix_nano <= call.end_time_unix_nano
    assert receiver.services() == {"one-api"}
    assert not any(b"a secret prompt" in body or account.key.encode() in body for _, body in receiver.posts)
    (seen,) = upstream.seen()
    assert not {"traceparent", "tracestate", "baggage"} & set(seen.headers)


def test_a_failed_attempt_is_a_span_of_its_own(node: Gateway, upstream: FakeUpstream, receiver: Receiver) -> None:
    account = node.new_user(10**9)
    channel = node.add_channel(upstream.scripted(status=503), "gpt-4.1-mini", name="broken")
    node.wait_until_routed(account.key, "gpt-4.1-mini")
    trace = "1" * 32
    headers = {"Authorization": f"Bearer sk-{account.key}", "traceparent": f"00-{trace}-{PARENT}-01"}
    body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}

    assert httpx.post(f"{node.base_url}/v1/chat/completions", json=body, headers=headers, timeout=30).status_code == 503

    until(lambda: "chat gpt-4.1-mini" in of_trace(receiver, trace))
    attempt = of_trace(receiver, trace)["chat gpt-4.1-mini"]
    assert attempt.status.code == 2  # an error
    assert attributes(attempt)["http.response.status_code"] == 503
    assert attributes(attempt)["one_api.channel.id"] == channel


def test_the_log_of_the_node_is_json_and_names_the_request(node: Gateway, upstream: FakeUpstream) -> None:
    account = node.new_user(10**9)
    node.add_channel(upstream.scripted(status=418), "gpt-4.1-nano", name="teapot")
    node.wait_until_routed(account.key, "gpt-4.1-nano")
    body = {"model": "gpt-4.1-nano", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer sk-{account.key}"}
    answer = httpx.post(f"{node.base_url}/v1/chat/completions", json=body, headers=headers, timeout=30)

    files = list((node.folder / "logs").glob("oneapi-*.log"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    about = [line for line in lines if line["request_id"] == answer.headers["x-oneapi-request-id"]]
    assert [line["logger"] for line in about] == ["relay.pipeline"]
    assert "failed: 418" in about[0]["message"]


def test_nothing_of_it_is_imported_where_it_is_not_configured(tmp_path: Path) -> None:
    script = (
        "import sys, config.asgi\n"
        "unwanted = ('sentry_sdk', 'google.protobuf', 'opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name, module in sys.modules.items() if module and name.startswith(unwanted)])"
    )
    environment = {"PATH": "/usr/bin:/bin", "SESSION_SECRET": "x" * 40, "SQLITE_PATH": str(tmp_path / "x.db")}
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"
