"""Workers AI: https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.cloudflare import Cloudflare
from relay.errors import UpstreamError
from relay.neutral.events import Counted, TextPiece, Vectors, fold
from relay.neutral.request import Chat, Embeddings, Text, Turn
from tests.relay.wire.cases import FakeOutside, load, route

ADAPTER = Cloudflare()
MODEL = "@cf/meta/llama-3.1-8b-instruct"
CHAT = Chat([Turn("user", [Text("Hi")])])
GATEWAY = "https://gateway.ai.cloudflare.com/v1/acc/gate/workers-ai"


def job(request, **config):
    return Job(route(37, config={"user_id": "acc0", **config}), MODEL, MODEL, request)


async def outgoing(request, **config):
    return await ADAPTER.prepare(job(request, **config), FakeOutside(load("ollama_chat")))


@pytest.mark.parametrize(
    ("request_", "config", "url"),
    [
        (CHAT, {}, "https://api.cloudflare.com/client/v4/accounts/acc0/ai/v1/chat/completions"),
        (Embeddings(["a"]), {}, "https://api.cloudflare.com/client/v4/accounts/acc0/ai/v1/embeddings"),
        (CHAT, {"base_url": GATEWAY}, GATEWAY + "/v1/chat/completions"),
    ],
)
async def test_calls_the_account_or_the_gateway(request_, config, url):
    asked = await outgoing(request_, **config)

    assert asked.url == url
    assert dict(asked.headers)["Authorization"] == "Bearer key-EXAMPLE"
    assert orjson.loads(asked.body)["model"] == MODEL


@pytest.mark.parametrize("account", ["", "../acc1"])
async def test_a_channel_without_an_account_calls_nobody(account):
    with pytest.raises(UpstreamError) as caught:
        await outgoing(CHAT, user_id=account)
    assert caught.value.code == "channel_misconfigured"


def test_answers_and_their_usage_are_read_as_they_are():
    answer = {"choices": [{"message": {"content": None, "tool_calls": []}, "finish_reason": "stop"}]}
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}

    events = ADAPTER.read(job(CHAT), orjson.dumps({**answer, "usage": usage}))
    vectors = {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}}

    assert isinstance(events, list)
    assert fold(events).choices[0].text == ""
    assert Counted(Usage(4, 2)) in events
    assert ADAPTER.read(job(Embeddings(["a"])), orjson.dumps(vectors)) == Vectors([[0.5]], Usage(3, 0))


def test_streams_are_openais():
    reader = ADAPTER.reader(job(CHAT))

    assert TextPiece("Hi") in reader.feed(b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n')


def test_errors_are_told_in_cloudflares_form_with_any_status():
    body = orjson.dumps(
        {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}], "result": None}
    )

    error = ADAPTER.failure(401, body, None)
    assert (error.status, error.message) == (401, "Authentication error")
    assert error.body("x")["error"]["code"] == 10000
    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(CHAT), body)
    assert (caught.value.status, caught.value.message) == (502, "Authentication error")
    assert ADAPTER.failure(429, b'{"error":{"message":"slow"}}', None).message == "slow"
