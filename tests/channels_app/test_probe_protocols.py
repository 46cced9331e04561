"""Channels of protocols other than OpenAI's are tested by a real call in their own protocol, over a real socket."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import override_settings

from audit.services import SYSTEM
from billing.models import Log
from channels_app import probe, testing
from channels_app.models import Channel, ChannelStatus
from options import services as option_services
from options.services import set_option
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db
PROMPT = "Output only your specific model name with no additional text."
HTML = b"<html><body>Sign in to the network</body></html>"


@dataclass
class Server:
    """Answers every request with the answer of its path, else with the one at ""; (path, headers, body) are `seen`."""

    url: str = ""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    leave: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False

    def says(self, document: Any, status: int = 200, path: str = "") -> None:
        self.answers[path] = status, document if isinstance(document, bytes) else json.dumps(document).encode()


@contextmanager
def serving() -> Iterator[Server]:
    script = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.seen.append((self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            if script.hangs:
                script.leave.wait(30)
                return
            status, answer = script.answers.get(self.path) or script.answers[""]
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if answer == HTML else "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield script
        finally:
            script.leave.set()
            server.shutdown()


@pytest.fixture
def upstream() -> Iterator[Server]:
    with serving() as server:
        yield server


@dataclass(frozen=True)
class Kind:
    """A channel type: what its upstream is asked, what it says when healthy, and when it refuses the key."""

    type: int
    model: str
    path: str
    credential: tuple[str, str]
    says: Any
    refuses: Any


KINDS = {
    "Anthropic": Kind(
        14,
        "claude-haiku-4-5",
        "/v1/messages",
        ("x-api-key", "key-1"),
        {"id": "m", "type": "message", "content": [{"type": "text", "text": "I am it"}], "stop_reason": "end_turn"},
        {"type": "error", "error": {"type": "authentication_error", "message": "no such key"}},
    ),
    "Gemini": Kind(
        24,
        "gemini-2.5-flash",
        "/v1beta/models/gemini-2.5-flash:generateContent",
        ("x-goog-api-key", "key-1"),
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "I am it"}]}, "finishReason": "STOP"}]},
        {"error": {"code": 401, "message": "no such key", "status": "UNAUTHENTICATED"}},
    ),
    "Ollama": Kind(
        30,
        "qwen3:8b",
        "/api/chat",
        ("authorization", "Bearer key-1"),
        {"model": "qwen3:8b", "message": {"role": "assistant", "content": "I am it"}, "done": True},
        {"error": "no such key"},
    ),
    "Cohere": Kind(
        35,
        "command-a-03-2025",
        "/v2/chat",
        ("authorization", "Bearer key-1"),
        {"id": "c", "message": {"content": [{"type": "text", "text": "I am it"}]}, "finish_reason": "COMPLETE"},
        {"message": "no such key"},
    ),
    "Zhipu": Kind(
        16,
        "glm-4-flash",
        "/api/paas/v4/chat/completions",
        ("authorization", "Bearer key-1"),
        {"id": "z", "choices": [{"index": 0, "message": {"content": "I am it"}, "finish_reason": "stop"}]},
        {"error": {"code": "1000", "message": "no such key"}},
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def channel_of(kind: Kind, upstream: Server, **fields: Any) -> Channel:
    fields = {"models": kind.model, **fields}
    return made(type=kind.type, base_url=upstream.url, key="key-1", name="mine", **fields)


@each_kind
def test_a_channel_that_answers_passes(upstream: Server, kind: Kind) -> None:
    upstream.says(kind.says)
    channel = channel_of(kind, upstream, system_prompt="Be brief.")

    verdict = probe.test_channel(channel.pk)

    assert (verdict.success, verdict.message, verdict.model) == (True, "I am it", kind.model)
    assert verdict.seconds > 0
    ((path, headers, body),) = upstream.seen
    assert path == kind.path
    assert headers[kind.credential[0]] == kind.credential[1]
    assert PROMPT in body.decode()
    assert "Be brief" not in body.decode()
    assert Log.objects.get().content == "渠道 mine 测试成功，响应：I am it"


@each_kind
def test_a_refused_key_is_told_and_disables(upstream: Server, kind: Kind) -> None:
    set_option(SYSTEM, "AutomaticDisableChannelEnabled", "true")
    upstream.says(kind.refuses, 401)
    channel = channel_of(kind, upstream)

    verdict = probe.test_channel(channel.pk)

    assert verdict.message == "http status code: 401, error message: no such key"
    assert (verdict.success, verdict.refused, verdict.seconds) == (False, True, 0.0)
    change = testing.judge(channel.pk, ChannelStatus.ENABLED, verdict, option_services.load())
    assert change is ChannelStatus.AUTO_DISABLED


@each_kind
def test_a_busy_upstream_fails_and_stays(upstream: Server, kind: Kind) -> None:
    upstream.says({"error": {"message": "slow down", "type": "rate_limit_error"}, "message": "slow down"}, 429)

    verdict = probe.test_channel(channel_of(kind, upstream).pk)

    assert verdict.message == "http status code: 429, error message: slow down"
    assert (verdict.success, verdict.refused) == (False, False)


@each_kind
def test_an_upstream_that_hangs_fails_in_time(upstream: Server, kind: Kind) -> None:
    upstream.hangs = True
    with override_settings(RELAY_TIMEOUT=1):
        verdict = probe.test_channel(channel_of(kind, upstream).pk)
    assert (verdict.success, verdict.message) == (False, "the upstream did not answer in time")


@each_kind
@pytest.mark.parametrize("status", [200, 401])
def test_a_page_in_place_of_an_answer_fails_and_says_nothing_about_the_account(
    upstream: Server, kind: Kind, status: int
) -> None:
    upstream.says(HTML, status)

    verdict = probe.test_channel(channel_of(kind, upstream).pk)

    assert (verdict.success, verdict.refused) == (False, False)
    assert verdict.message
    assert upstream.url not in verdict.message


@each_kind
def test_an_answer_without_text_fails(upstream: Server, kind: Kind) -> None:
    upstream.says({})
    verdict = probe.test_channel(channel_of(kind, upstream).pk)
    assert not verdict.success
    assert verdict.message


@each_kind
def test_an_answer_without_end_is_cut_short(upstream: Server, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MAX_ANSWER", 1000)
    upstream.says({**kind.says, "more": "x" * 5000})
    assert probe.test_channel(channel_of(kind, upstream).pk).message == "the upstream's answer is too long"


def test_a_task_that_is_never_done_fails_in_time(upstream: Server) -> None:
    """Each question about it is answered at once; the limit is that of all of them together."""
    upstream.says({"output": {"task_id": "t", "task_status": "RUNNING"}})
    channel = made(type=17, base_url=upstream.url, key="key-1", models="wanx-v1")
    with override_settings(RELAY_TIMEOUT=1):
        verdict = probe.test_channel(channel.pk)
    assert (verdict.success, verdict.message) == (False, "the upstream did not answer in time")


def test_an_address_nobody_listens_at_fails() -> None:
    verdict = probe.test_channel(made(type=14, base_url="http://127.0.0.1:1", key="k", models="claude-haiku-4-5").pk)
    assert (verdict.success, verdict.message) == (False, "the upstream cannot be reached")


def test_the_mapped_name_goes_upstream(upstream: Server) -> None:
    kind = KINDS["Anthropic"]
    upstream.says(kind.says)
    channel = channel_of(kind, upstream, models="mine", model_mapping='{"mine": "claude-opus-5-5"}')
    assert probe.test_channel(channel.pk).model == "mine"
    assert json.loads(upstream.seen[0][2])["model"] == "claude-opus-5-5"


@pytest.mark.parametrize(
    ("kind", "model", "path", "says", "message"),
    [
        ("Ollama", "nomic-embed-text", "/api/embed", {"embeddings": [[0.5, 0.25]]}, "embedding of 2 numbers"),
        (
            "Gemini",
            "gemini-embedding-001",
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
            {"embeddings": [{"values": [0.5]}]},
            "embedding of 1 numbers",
        ),
        ("Cohere", "rerank-v3.5", "/v2/rerank", {"results": [{"index": 0, "relevance_score": 0.5}]}, "relevance 0.500"),
        ("Zhipu", "cogview-4", "/api/paas/v4/images/generations", {"data": [{"url": "https://x/1.png"}]}, "one image"),
    ],
)
def test_each_kind_of_model_is_asked_for_what_it_makes(
    upstream: Server, kind: str, model: str, path: str, says: Any, message: str
) -> None:
    upstream.says(says)
    verdict = probe.test_channel(channel_of(KINDS[kind], upstream, models=model).pk)
    assert (verdict.message, verdict.success) == (message, True)
    assert upstream.seen[0][0] == path


def vertex(upstream: Server) -> Channel:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "a@b.example", "private_key": key.decode()}
    adc = json.dumps({**account, "token_uri": upstream.url + "/token"})
    config = {"region": "us-east5", "vertex_ai_project_id": "p1", "vertex_ai_adc": adc}
    return made(type=42, key="", base_url=upstream.url, models="gemini-2.5-flash", config=config)


def test_a_vertex_channel_is_tested_with_a_token_of_its_own(upstream: Server) -> None:
    upstream.says(KINDS["Gemini"].says)
    upstream.says({"access_token": "ya29.T", "expires_in": 3599}, path="/token")

    assert probe.test_channel(vertex(upstream).pk).message == "I am it"

    (token, _, _), (path, headers, _) = upstream.seen
    assert token == "/token"
    assert path.endswith("/projects/p1/locations/us-east5/publishers/google/models/gemini-2.5-flash:generateContent")
    assert headers["authorization"] == "Bearer ya29.T"


def test_a_refused_service_account_refuses_the_channel(upstream: Server) -> None:
    upstream.says({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400, "/token")

    verdict = probe.test_channel(vertex(upstream).pk)

    assert verdict.refused
    assert verdict.message == "http status code: 401, error message: Invalid JWT Signature."


def test_a_withdrawn_protocol_says_what_to_do() -> None:
    verdict = probe.test_channel(made(type=11, models="PaLM-2").pk)
    assert not verdict.success
    assert "map it to a Gemini model" in verdict.message


def test_the_proxy_of_the_channel_is_used(upstream: Server) -> None:
    upstream.says(KINDS["Ollama"].says)
    channel = made(
        type=30, key="k", base_url="http://ollama.invalid", models="qwen3:8b", config={"proxy": upstream.url}
    )
    with override_settings(RELAY_PROXY="http://127.0.0.1:1"):
        assert probe.test_channel(channel.pk).success
    assert upstream.seen[0][0] == "http://ollama.invalid/api/chat"
