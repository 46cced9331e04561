"""A channel is tested by a real call over a real socket, and what came of it is written down."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import override_settings

from audit.services import SYSTEM
from billing.models import Log, LogType
from channels_app import probe, services
from channels_app.models import Channel
from channels_app.services import ChannelMissing
from options import versions
from tests.channels_app.test_services import lose_secrets, made
from tests.fake_upstream import FakeUpstream, running

PROMPT = "Output only your specific model name with no additional text."


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with running() as far_end:
        yield far_end


@pytest.fixture(autouse=True)
def fresh(upstream: FakeUpstream) -> None:
    upstream.reset()


pytestmark = pytest.mark.django_db


def test_a_channel_that_answers_passes(upstream: FakeUpstream) -> None:
    channel = made(name="mine", base_url=upstream.scripted(text="gpt-4o-2024"), system_prompt="Be brief.")
    version = versions.read()

    verdict = probe.test_channel(channel.pk)

    assert (verdict.success, verdict.message, verdict.model) == (True, "gpt-4o-2024", "gpt-4o")
    assert verdict.seconds > 0
    (seen,) = upstream.seen()
    assert seen.headers["authorization"] == "Bearer sk-1"
    assert seen.json() == {"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}]}
    channel.refresh_from_db()
    assert channel.test_time > 0
    assert channel.response_time == round(verdict.seconds * 1000) or channel.response_time > 0
    log = Log.objects.get()
    assert (log.type, log.user_id, log.username, log.channel_id) == (LogType.TEST, 0, "", channel.pk)
    assert (log.content, log.model_name, log.quota) == ("渠道 mine 测试成功，响应：gpt-4o-2024", "gpt-4o", 0)
    assert versions.read() == version


def test_an_error_of_the_upstream_is_told_normalised(upstream: FakeUpstream) -> None:
    channel = made(name="mine", base_url=upstream.scripted(status=401, message="Bad key sk-abcdefgh123"))

    verdict = probe.test_channel(channel.pk)

    assert verdict == probe.Probe(False, "http status code: 401, error message: Bad key [key]", 0.0, "gpt-4o")
    channel.refresh_from_db()
    assert (channel.response_time, channel.test_time > 0) == (0, True)
    assert Log.objects.get().content == f"渠道 mine 测试失败，错误：{verdict.message}"


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ({"error_in_200": True, "message": "out of money"}, "out of money"),
        ({"redirect": "http://127.0.0.1:1/"}, "http status code: 302"),
        ({"status": 500, "error": "html"}, "http status code: 500, error message: bad response status code 500"),
        ({"status": 503, "error": "empty"}, "http status code: 503"),
        ({"truncate": True}, ""),
    ],
)
def test_what_is_no_answer_fails(upstream: FakeUpstream, orders: dict[str, Any], message: str) -> None:
    verdict = probe.test_channel(made(base_url=upstream.scripted(**orders)).pk)

    assert not verdict.success
    assert verdict.message
    assert verdict.message.startswith(message)
    assert verdict.seconds == 0


@contextmanager
def answering(body: bytes, content_type: str = "application/json") -> Iterator[str]:
    """A server whose every answer is this body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "the answer is not JSON"),
        (b"[]", "the answer is not a JSON object"),
        (b"{}", "response has no choices"),
        (b'{"choices": []}', "response has no choices"),
        (b'{"choices": [{"message": {"content": null}}]}', "response content is not string"),
        (b'{"choices": [{"message": {"content": [1]}}]}', "response content is not string"),
        (b'{"error": {"message": "see https://internal.example/x", "type": "t"}}', "see [address]"),
    ],
)
def test_an_answer_of_another_shape_fails(body: bytes, message: str) -> None:
    with answering(body) as base_url:
        assert probe.test_channel(made(base_url=base_url).pk).message == message


@pytest.mark.parametrize(
    ("body", "passes", "message"),
    [
        (b'{"choices": [{"message": {"content": "hi \\ud83d"}}]}', True, "hi ?"),
        (b'{"error": {"message": "bad \\ud83d", "type": "t"}}', False, "bad ?"),
    ],
)
def test_half_a_character_is_told_as_a_question_mark(body: bytes, passes: bool, message: str) -> None:
    with answering(body) as base_url:
        verdict = probe.test_channel(made(base_url=base_url).pk)

    assert (verdict.success, verdict.message) == (passes, message)
    assert Log.objects.get().content.endswith(message)


def test_an_answer_without_end_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MAX_ANSWER", 1000)
    with answering(b'{"choices": "' + b"x" * 5000 + b'"}') as base_url:
        assert probe.test_channel(made(base_url=base_url).pk).message == "the answer is longer than 1000 bytes"


@override_settings(RELAY_TIMEOUT=1)
def test_an_upstream_that_hangs_fails_in_time(upstream: FakeUpstream) -> None:
    verdict = probe.test_channel(made(base_url=upstream.scripted(hang=True)).pk)
    assert verdict.message == "the upstream did not answer in time"


def test_an_address_nobody_listens_at_fails() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        verdict = probe.test_channel(made(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}").pk)
    assert not verdict.success
    assert "127.0.0.1" not in verdict.message


def test_the_mapped_name_goes_upstream(upstream: FakeUpstream) -> None:
    channel = made(base_url=upstream.url, model_mapping='{"gpt-4o": "my-deployment"}')

    assert probe.test_channel(channel.pk, "gpt-4o").model == "gpt-4o"

    assert upstream.seen()[0].json()["model"] == "my-deployment"


def test_azure_is_tested_at_its_deployment(upstream: FakeUpstream) -> None:
    channel = made(type=3, key="k", base_url=upstream.url, models="gpt-3.5-turbo", other="2024-03-01-preview")

    assert probe.test_channel(channel.pk).success

    (seen,) = upstream.seen()
    assert seen.target == "/openai/deployments/gpt-35-turbo/chat/completions?api-version=2024-03-01-preview"
    assert seen.headers["api-key"] == "k"


@pytest.mark.parametrize(
    ("model", "path", "member"),
    [
        ("text-embedding-3-small", "/v1/embeddings", "input"),
        ("text-moderation-latest", "/v1/moderations", "input"),
        ("tts-1-hd", "/v1/audio/speech", "input"),
        ("dall-e-3", "/v1/images/generations", "prompt"),
        ("gpt-3.5-turbo-instruct", "/v1/completions", "prompt"),
    ],
)
def test_each_kind_of_model_is_tested_at_its_own_endpoint(
    upstream: FakeUpstream, model: str, path: str, member: str
) -> None:
    verdict = probe.test_channel(made(base_url=upstream.url, models=model).pk)

    assert verdict.success, verdict.message
    assert verdict.message
    (seen,) = upstream.seen()
    assert seen.target == path
    assert seen.json()[member] == PROMPT


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"models": "whisper-1"}, "a transcription model cannot be tested by text"),
        ({"models": ""}, "the channel lists no model to test"),
        ({"type": 43, "base_url": "http://127.0.0.1:1", "models": ""}, "a proxy channel has no models to test"),
        ({"type": 14, "models": "dall-e-3"}, "Anthropic channels do not serve images"),
        ({"type": 30, "models": "bge-reranker-v2-m3"}, "Ollama channels do not serve rerank"),
        ({"type": 27, "models": "text-embedding-x"}, "MiniMax channels do not serve embeddings"),
    ],
)
def test_what_cannot_be_tested_says_so_without_a_call(fields: dict[str, Any], message: str) -> None:
    channel = made(**fields)

    verdict = probe.test_channel(channel.pk)

    assert (verdict.success, verdict.message, verdict.seconds) == (False, message, 0.0)
    assert not Log.objects.exists()
    channel.refresh_from_db()
    assert channel.test_time > 0


@pytest.mark.parametrize(
    ("listed", "wanted", "tested"),
    [
        ("gpt-4o,gpt-3.5-turbo", None, "gpt-3.5-turbo"),
        ("gpt-4o,gpt-3.5-turbo-16k", None, "gpt-4o"),
        ("gpt-4o,gpt-3.5-turbo", "", "gpt-4o"),
        ("gpt-4o,gpt-3.5-turbo", "undefined", "gpt-4o"),
        ("gpt-4o,gpt-4", "gpt-4", "gpt-4"),
        ("gpt-4o,gpt-4-turbo", "gpt-4", "gpt-4o"),
        (" gpt-4o , gpt-4", "gpt-4", "gpt-4"),
        ("", "gpt-4", "gpt-4"),
        ("", None, ""),
    ],
)
def test_the_model_is_chosen_by_its_whole_name(listed: str, wanted: str | None, tested: str) -> None:
    assert probe.choose_model(listed, wanted) == tested


def test_a_disabled_channel_can_be_tested(upstream: FakeUpstream) -> None:
    channel = made(base_url=upstream.url)
    services.set_status(SYSTEM, channel.pk, 2)
    assert probe.test_channel(channel.pk).success


def test_a_channel_whose_secret_is_lost_fails() -> None:
    channel = made()
    lose_secrets(channel)
    verdict = probe.test_channel(channel.pk)
    assert not verdict.success
    assert "SESSION_SECRET" in verdict.message


def test_a_channel_that_is_gone_is_missing() -> None:
    with pytest.raises(ChannelMissing):
        probe.test_channel(404)


def test_the_proxy_of_the_channel_wins_over_the_relays(upstream: FakeUpstream) -> None:
    channel = made(base_url="http://upstream.invalid", config={"proxy": upstream.url})
    with override_settings(RELAY_PROXY="http://127.0.0.1:1"):
        assert not probe.test_channel(made(base_url="http://upstream.invalid").pk).success
        probe.test_channel(channel.pk)
    (seen,) = upstream.seen()
    assert seen.target == "http://upstream.invalid/v1/chat/completions"


def test_a_row_older_than_the_checks_fails_and_keeps_its_key_to_itself() -> None:
    channel = made()
    Channel.objects.filter(pk=channel.pk).update(key="sk-ключ-hidden")
    verdict = probe.test_channel(channel.pk)
    assert verdict.message == "the base URL, the proxy or the key cannot be used"
