"""Vertex AI: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.

Claude there: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai; access tokens:
https://developers.google.com/identity/protocols/oauth2/service-account.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.adapters.base import Job
from relay.adapters.vertex.access import SCOPE, TOKEN_URI, access
from relay.adapters.vertex.adapter import Vertex
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import CallPiece, CallStarted, Counted, Finished, FinishReason, TextPiece, fold
from relay.neutral.request import Chat, Embed, Embeddings, Json, Media, Text, Turn
from tests.relay.adapters.vendors import HELLO, IMAGE, WEATHER, Answers
from tests.relay.wire import strategies
from tests.relay.wire.cases import check, load, names, route, route_of

NOW = 1_739_961_000.0
ADAPTER = Vertex(clock=lambda: NOW)
TOKEN = {"access_token": "ya29.EXAMPLE", "expires_in": 3599, "token_type": "Bearer"}
USER = {"type": "authorized_user", "client_id": "C", "client_secret": "S", "refresh_token": "1//R"}
CLAUDE, GEMINI, LLAMA = "claude-sonnet-4-6", "gemini-2.5-flash", "meta/llama-4-maverick-17b-128e-instruct-maas"
BELOW = "/v1/projects/demo-proj/locations/us-central1"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def account(key) -> Json:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "own-proj",
        "private_key_id": "kid-1",
        "private_key": pem,
        "client_email": "robot@demo-proj.iam.gserviceaccount.com",
        "token_uri": TOKEN_URI,
    }


def config(account: Json, **changes: str) -> Json:
    members = {"region": "us-central1", "vertex_ai_project_id": "demo-proj", "vertex_ai_adc": json.dumps(account)}
    return {**members, **changes}


def job(account: Json, request: Any, model: str = GEMINI, **changes: Any) -> Job:
    headers = changes.pop("headers", {})
    return Job(route(42, changes.pop("key", ""), config(account, **changes)), model, model, request, headers)


async def prepared(on: Job, *answers: tuple[int, Json]) -> tuple[Any, Answers]:
    outside = Answers(list(answers) or [(200, TOKEN)])
    return await ADAPTER.prepare(on, outside), outside


@pytest.mark.parametrize("name", names("vertex_"))
async def test_keeps_to_the_wire_case(name, account):
    case = load(name)
    members = {**case["config"], "vertex_ai_adc": json.dumps(account)}
    loose = [path for path in case.volatile if "Authorization" not in path]  # the fake Google gives the case's token
    await check(case.but(volatile=loose), ADAPTER, route=route_of(case.but(config=members)))


def test_the_wire_cases_are_here():
    assert len(names("vertex_")) == 4


async def test_exchanges_a_signed_assertion_for_the_token(account, key):
    outgoing, outside = await prepared(job(account, Chat(HELLO)))

    (asked,) = outside.asked
    assert (asked.method, asked.url) == ("POST", TOKEN_URI)
    form = parse_qs(asked.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (assertion,) = form["assertion"]
    head, claims, signed, signature = jwt._unverified_decode(assertion)
    assert head == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}
    assert crypt.verify_signature(signed, signature, public)
    assert claims == {
        "iss": account["client_email"],
        "scope": SCOPE,
        "aud": TOKEN_URI,
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    assert dict(outgoing.headers)["Authorization"] == "Bearer ya29.EXAMPLE"


async def test_a_token_is_kept_for_all_models_of_one_file_and_no_other(account):
    outside = Answers([(200, TOKEN), (200, {**TOKEN, "access_token": "another"})])
    await ADAPTER.prepare(job(account, Chat(HELLO)), outside)
    await ADAPTER.prepare(job(account, Chat(HELLO), CLAUDE), outside)
    assert len(outside.asked) == 1

    outgoing = await ADAPTER.prepare(job({**account, "private_key_id": "kid-2"}, Chat(HELLO)), outside)
    assert dict(outgoing.headers)["Authorization"] == "Bearer another"


async def test_a_token_refused_before_its_time_is_exchanged_once_more(account):
    adapter, on = Vertex(clock=lambda: NOW), job(account, Chat(HELLO))
    no, fresh = {"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}, {**TOKEN, "access_token": "new"}
    outside = Answers([(200, TOKEN), (401, no), (200, fresh), (200, {}), (200, {})])

    assert (await adapter.open(on, outside)).status == 200
    assert (await adapter.open(on, outside)).status == 200

    tokens = [dict(asked.headers).get("Authorization") for asked in outside.asked]
    assert tokens == [None, "Bearer ya29.EXAMPLE", None, "Bearer new", "Bearer new"]


async def test_an_account_that_is_refused_with_every_token_is_told_so(account):
    no = {"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}
    outside = Answers([(200, TOKEN), (401, no), (200, TOKEN), (401, no)])
    assert (await Vertex(clock=lambda: NOW).open(job(account, Chat(HELLO)), outside)).status == 401
    assert not outside.answers


async def test_a_users_file_is_exchanged_by_its_refresh_token():
    _, outside = await prepared(job(USER, Chat(HELLO)))

    (asked,) = outside.asked
    assert asked.url == "https://oauth2.googleapis.com/token"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["C"],
        "client_secret": ["S"],
        "refresh_token": ["1//R"],
    }


async def test_a_refused_exchange_is_the_accounts_fault_and_another_channel_may_help(account):
    told = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    with pytest.raises(UpstreamError) as caught:
        await prepared(job(account, Chat(HELLO)), (400, told))
    error = caught.value
    assert (error.message, error.answered, error.structured, error.retry) == ("Invalid JWT Signature.", 401, True, True)


@pytest.mark.parametrize("answer", [(500, {"error": "server_error"}), (200, {}), (400, {})])
async def test_an_exchange_that_fails_otherwise_says_nothing_about_the_account(account, answer):
    with pytest.raises(UpstreamError) as caught:
        await prepared(job(account, Chat(HELLO)), answer)
    assert (caught.value.code, caught.value.structured, caught.value.retry) == ("token_exchange_failed", False, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"region": "evil.example/"},
        {"region": ""},
        {"vertex_ai_project_id": "a/b"},
        {"vertex_ai_adc": ""},
        {"vertex_ai_adc": "not json"},
        {"vertex_ai_adc": '{"type": "external_account"}'},
        {"vertex_ai_adc": '{"type": "service_account", "client_email": "a@b"}'},
        {"vertex_ai_adc": '{"type": "service_account", "client_email": "a@b", "private_key": "nonsense"}'},
    ],
)
async def test_a_channel_that_cannot_call_says_what_is_wrong_and_asks_nobody(account, changes):
    outside = Answers()
    with pytest.raises(UpstreamError) as caught:
        await ADAPTER.prepare(job(account, Chat(HELLO), **changes), outside)
    assert (caught.value.code, caught.value.retry) == ("channel_misconfigured", True)
    assert "nonsense" not in caught.value.message
    assert not outside.asked


async def test_the_key_may_hold_it_all(account):
    key = "europe-west4|key-proj|" + json.dumps({**account, "note": "a|b"}, indent=1)
    on = job(account, Chat(HELLO), key=key, region="", vertex_ai_project_id="", vertex_ai_adc="")
    assert (await prepared(on))[0].url.startswith(
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/key-proj/locations/europe-west4/"
    )


def test_the_file_names_the_project_where_the_channel_does_not(account):
    assert access(route(42, "", config(account, vertex_ai_project_id=""))).project == "own-proj"


@pytest.mark.parametrize(
    ("region", "base_url", "address"),
    [
        ("us-east5", "", "https://us-east5-aiplatform.googleapis.com"),
        ("global", "", "https://aiplatform.googleapis.com"),
        ("eu", "", "https://aiplatform.eu.rep.googleapis.com"),
        ("us", "", "https://aiplatform.us.rep.googleapis.com"),
        ("us-east5", "https://proxy.example/vertex/", "https://proxy.example/vertex"),
    ],
)
def test_calls_the_host_of_the_region_unless_the_channel_has_an_address(account, region, base_url, address):
    found = access(route(42, "", config(account, region=region, base_url=base_url)))
    assert found.address("x") == f"{address}/v1/projects/demo-proj/locations/{region}/x"


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        (GEMINI, False, "publishers/google/models/gemini-2.5-flash:generateContent"),
        (GEMINI, True, "publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("google/gemini-2.5-pro", False, "publishers/google/models/gemini-2.5-pro:generateContent"),
        (CLAUDE, False, "publishers/anthropic/models/claude-sonnet-4-6:rawPredict"),
        ("claude-opus-4-5@20251101", True, "publishers/anthropic/models/claude-opus-4-5@20251101:streamRawPredict"),
        ("anthropic/claude-opus-5-5", True, "publishers/anthropic/models/claude-opus-5-5:streamRawPredict"),
        (LLAMA, True, "endpoints/openapi/chat/completions"),
        ("a?b#c", False, "publishers/google/models/a%3Fb%23c:generateContent"),
    ],
)
async def test_each_model_is_called_where_its_publisher_is(account, model, stream, path):
    outgoing, _ = await prepared(job(account, Chat(HELLO, stream=stream), model))
    assert outgoing.url == f"https://us-central1-aiplatform.googleapis.com{BELOW}/{path}"
    assert dict(outgoing.headers)["Accept"] == ("text/event-stream" if stream else "application/json")


async def test_claude_gets_anthropics_body_without_what_is_named_elsewhere(account):
    request = Chat(
        [Turn("user", [Text("Hi"), IMAGE])], tools=[WEATHER], stream=True, max_tokens=9, extra={"service_tier": "auto"}
    )
    outgoing, _ = await prepared(job(account, request, CLAUDE, headers={"anthropic-beta": "context-1m-2025-08-07"}))

    body = orjson.loads(outgoing.body)
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert (body["stream"], body["max_tokens"], body["tools"][0]["name"]) == (True, 9, "get_weather")
    assert body["messages"][0]["content"][1]["source"]["type"] == "base64"
    assert not {"model", "service_tier"} & set(body)
    assert dict(outgoing.headers)["anthropic-beta"] == "context-1m-2025-08-07"
    assert "anthropic-version" not in dict(outgoing.headers)


@pytest.mark.parametrize("stream", [False, True])
async def test_only_betas_that_claude_on_vertex_knows_travel_on(account, stream):
    """Claude Code sends betas of Anthropic's own API; one that Vertex does not know is answered with 400 there.

    https://github.com/anthropics/claude-code/issues/21625
    """
    named = (
        "claude-code-20250219, interleaved-thinking-2025-05-14,prompt-caching-scope-2026-01-05,context-1m-2025-08-07"
    )
    headers = {"anthropic-beta": named}

    outgoing, _ = await prepared(job(account, Chat(HELLO, stream=stream), CLAUDE, headers=headers))

    assert dict(outgoing.headers)["anthropic-beta"] == "interleaved-thinking-2025-05-14,context-1m-2025-08-07"
    unknown = {"anthropic-beta": "claude-code-20250219"}
    outgoing, _ = await prepared(job(account, Chat(HELLO), CLAUDE, headers=unknown))
    assert "anthropic-beta" not in dict(outgoing.headers)


@pytest.mark.parametrize("model", [GEMINI, LLAMA])
async def test_other_models_of_vertex_hear_nothing_of_betas(account, model):
    headers = {"anthropic-beta": "context-1m-2025-08-07"}

    outgoing, _ = await prepared(job(account, Chat(HELLO), model, headers=headers))

    assert "anthropic-beta" not in dict(outgoing.headers)


async def test_gemini_gets_its_tools_and_pictures(account):
    parts: Any = [Text("Look"), IMAGE, Media("file", url="gs://bucket/a.pdf", mime="application/pdf")]
    outgoing, _ = await prepared(job(account, Chat([Turn("user", parts)], tools=[WEATHER])))

    body = orjson.loads(outgoing.body)
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "get_weather"
    assert [next(iter(part)) for part in body["contents"][0]["parts"]] == ["text", "inlineData", "fileData"]


def test_only_cloud_storage_is_opened_there():
    assert ADAPTER.takes_url("gs://bucket/cat.png")
    assert not ADAPTER.takes_url("https://example.com/cat.png")


async def test_open_models_are_asked_and_read_in_openais_form(account):
    on = job(account, Chat(HELLO, stream=True, top_k=3), LLAMA)
    outgoing, _ = await prepared(on)
    body = orjson.loads(outgoing.body)
    assert (body["model"], body["stream_options"]) == (LLAMA, {"include_usage": True})
    assert body["messages"] == [{"role": "user", "content": "Hi"}]

    reader = ADAPTER.reader(on)
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hey"}, "finish_reason": "stop"}]}
    events = reader.feed(b"data: " + orjson.dumps(chunk) + b"\n\ndata: [DONE]\n\n") + reader.close()
    assert TextPiece("Hey") in events
    assert Finished(FinishReason.STOP) in events

    whole = {"id": "c", "choices": [{"index": 0, "message": {"content": "Hey"}, "finish_reason": "stop"}]}
    read = ADAPTER.read(on, orjson.dumps(whole))
    assert isinstance(read, list)
    assert fold(read).choices[0].text == "Hey"


def test_calls_of_both_families_are_read(account):
    called = [{"content": {"parts": [{"functionCall": {"name": "look", "args": {"a": 1}}}]}, "finishReason": "STOP"}]
    gemini = ADAPTER.read(job(account, Chat(HELLO)), orjson.dumps({"candidates": called}))
    blocks = [{"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}]
    message = {"id": "m", "type": "message", "content": blocks, "stop_reason": "tool_use"}
    claude = ADAPTER.read(job(account, Chat(HELLO), CLAUDE), orjson.dumps(message))
    for events in (gemini, claude):
        assert isinstance(events, list)
        assert [event.name for event in events if isinstance(event, CallStarted)] == ["look"]
        arguments = "".join(event.fragment for event in events if isinstance(event, CallPiece))
        assert orjson.loads(arguments) == {"a": 1}
        assert Finished(FinishReason.TOOL_CALLS) in events


def test_calls_in_claudes_streams_are_read(account):
    case = load("anthropic_tool_stream")
    reader = ADAPTER.reader(job(account, Chat(HELLO, stream=True), CLAUDE))
    events = [event for line in case["upstream_stream"] for event in reader.feed(line.encode() + b"\n")]
    events += reader.close()
    assert [event for event in events if isinstance(event, CallStarted)]
    assert [event for event in events if isinstance(event, Counted)]
    assert Finished(FinishReason.TOOL_CALLS) in events


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (
            {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}},
            429,
            ("Quota exceeded", "RESOURCE_EXHAUSTED", 429),
        ),
        (
            [{"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}],
            404,
            ("no such model", "NOT_FOUND", 404),
        ),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            529,
            ("Overloaded", "overloaded_error", None),
        ),
        ([{"error": {"message": "bad", "type": "invalid_request_error"}}], 400, ("bad", "invalid_request_error", None)),
    ],
)
def test_errors_of_every_publisher_keep_message_and_type(body, status, told):
    error = ADAPTER.failure(status, orjson.dumps(body), None)
    assert (error.message, error.kind, error.code, error.status) == (*told, status)


def test_a_page_in_place_of_an_error_is_told_as_usual():
    error = ADAPTER.failure(502, b"<html>Bad gateway</html>", None)
    assert (error.status, error.structured) == (502, False)


async def test_older_models_embed_by_prediction(account):
    asked = Embeddings(["a", "b"], dimensions=128, purpose=Embed.QUERY)
    on = job(account, asked, "text-embedding-005")
    outgoing, _ = await prepared(on)

    assert outgoing.url.endswith("/publishers/google/models/text-embedding-005:predict")
    assert orjson.loads(outgoing.body) == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_QUERY"},
            {"content": "b", "task_type": "RETRIEVAL_QUERY"},
        ],
        "parameters": {"outputDimensionality": 128},
    }
    told = [{"embeddings": {"values": [0.5, place], "statistics": {"token_count": 3.0}}} for place in (1, 2)]
    vectors = ADAPTER.read(on, orjson.dumps({"predictions": told}))
    assert not isinstance(vectors, list)
    assert vectors.vectors == [[0.5, 1.0], [0.5, 2.0]]
    assert vectors.usage is not None
    assert vectors.usage.prompt_tokens == 6


@pytest.mark.parametrize(
    ("inputs", "action", "body"),
    [
        (
            ["a"],
            "embedContent",
            {"content": {"parts": [{"text": "a"}]}, "embedContentConfig": {"outputDimensionality": 64}},
        ),
        (
            ["a", "b"],
            "batchEmbedContents",
            {
                "requests": [
                    {"content": {"parts": [{"text": text}]}, "embedContentConfig": {"outputDimensionality": 64}}
                    for text in "ab"
                ]
            },
        ),
    ],
)
async def test_geminis_models_embed_contents(account, inputs, action, body):
    on = job(account, Embeddings(inputs, dimensions=64), "gemini-embedding-2")
    outgoing, _ = await prepared(on)

    assert outgoing.url.endswith(f"/publishers/google/models/gemini-embedding-2:{action}")
    assert orjson.loads(outgoing.body) == body
    values = [{"values": [0.5]} for _ in inputs]
    answer: Json = {"embedding": values[0]} if len(inputs) == 1 else {"embeddings": values}
    vectors = ADAPTER.read(on, orjson.dumps({**answer, "usageMetadata": {"promptTokenCount": 4}}))
    assert not isinstance(vectors, list)
    assert vectors.vectors == [[0.5] for _ in inputs]
    assert vectors.usage is not None
    assert vectors.usage.prompt_tokens == 4


@pytest.mark.parametrize(
    "told",
    [
        {"predictions": []},
        {"predictions": [{"embeddings": {"values": ["x"]}}]},
        {"predictions": [7]},
        {"error": {"message": "no", "status": "INTERNAL"}},
        [],
    ],
)
def test_an_answer_without_vectors_is_an_error_of_the_upstream(account, told):
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(account, Embeddings(["a"]), "text-embedding-005"), orjson.dumps(told))


async def test_token_numbers_are_refused(account):
    with pytest.raises(BadRequest, match="token ids"):
        await prepared(job(account, Embeddings([[1, 2]]), "text-embedding-005"))


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, LLAMA, "gemini-embedding-2", "text-embedding-005"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_document_is_an_answer_or_an_error_of_the_upstream(model, data):
    members = st.sampled_from(["candidates", "content", "predictions", "embeddings", "embedding", "values", "error"])
    document = data.draw(
        st.dictionaries(members, st.dictionaries(members, strategies.json_values) | strategies.json_values)
    )
    request = Embeddings(["a"]) if "embedding" in model else Chat(HELLO)
    ADAPTER.failure(400, json.dumps(document).encode(), None)
    try:
        read = ADAPTER.read(job(USER, request, model), json.dumps(document).encode())
        if isinstance(read, list):
            fold(read)
    except UpstreamError:
        return
