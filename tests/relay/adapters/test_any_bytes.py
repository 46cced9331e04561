"""No answer with the members these protocols know, whatever their values, makes reading fail in an unforeseen way.

It is an answer or an error of the upstream, and the same one wherever the borders of its chunks lie. Requests, and
bytes of every kind: test_every_adapter.py.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.adapters.base import Adapter, Job
from relay.adapters.bedrock.adapter import Bedrock
from relay.adapters.cloudflare import Cloudflare
from relay.adapters.cohere.adapter import Cohere
from relay.adapters.coze import Coze
from relay.adapters.deepl import DeepL
from relay.adapters.ollama import Ollama
from relay.adapters.replicate.adapter import Replicate
from relay.errors import UpstreamError
from relay.neutral.events import Event, Failed, fold
from relay.neutral.request import Chat, Embeddings, Images, Request, Rerank, Text, Turn
from relay.sse import EventTooLong
from tests.relay.adapters.test_bedrock_answers import frame, header
from tests.relay.wire import strategies
from tests.relay.wire.cases import load, route

CONFIG = {"region": "us-east-1", "ak": "AK", "sk": "SK", "user_id": "acc0"}
# Adapter, type of the channel, its `api_version` ("" where nothing hangs on it), model.
KINDS: list[tuple[Adapter, int, str, str]] = [
    (Ollama(), 30, "", "qwen3:8b"),
    (Bedrock(), 33, "", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    (Bedrock(), 33, "", "amazon.nova-2-lite-v1:0"),
    (Bedrock(), 33, "invoke", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    (Bedrock(), 33, "invoke", "meta.llama3-8b-instruct-v1:0"),
    (Coze(), 34, "", "bot-1"),
    (Cohere(), 35, "", "command-a-03-2025"),
    (Cohere(), 35, "v1", "command-r-08-2024"),
    (Cloudflare(), 37, "", "@cf/meta/llama-3.1-8b-instruct"),
    (DeepL(), 38, "", "deepl-zh"),
    (Replicate(), 46, "", "meta/meta-llama-3-8b-instruct"),
]
each_kind = pytest.mark.parametrize(("adapter", "kind", "version", "model"), KINDS)
REQUESTS: dict[type[Request], Request] = {
    Chat: Chat([Turn("user", [Text("Hi")])], stream=True),
    Embeddings: Embeddings(["a"]),
    Rerank: Rerank("q", ["a", "b"]),
    Images: Images("a cat"),
}


def _payloads(name: str) -> list[tuple[str, Any]]:
    """The events of a wire case's stream as (name, document)."""
    case = load(name)
    if "upstream_stream_decoded" in case.document:
        decoded = case["upstream_stream_decoded"]
        return [(event.get("event_type", ""), event.get("payload", event)) for event in decoded]
    lines = [line.removeprefix("data: ") for line in case["upstream_stream"]]
    return [("", json.loads(line)) for line in lines if line.startswith("{")]


CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLED = {"name": "look", "parameters": {"city": "Oslo"}}
WEB = {"title": "T", "location": {"web": {"url": "https://x.example"}}}
ANSWER = {"id": "m1", "type": "answer", "content": "Hi", "reasoning_content": "hm"}
# What each protocol sends: events of streams, then whole answers.
SENT: dict[tuple[int, str], list[tuple[str, Any]]] = {
    (30, ""): [
        *_payloads("ollama_tool_stream"),
        ("", {"error": "no memory"}),
        ("", load("ollama_embeddings")["upstream_response"]),
    ],
    (33, ""): [
        *_payloads("bedrock_converse_tool_stream"),
        (
            "contentBlockDelta",
            {"contentBlockIndex": 1, "delta": {"reasoningContent": {"text": "hm", "signature": "s"}}},
        ),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"citation": WEB}}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"image": {"source": {"bytes": "aGk="}}}}),
        ("throttlingException", {"message": "no more"}),
        ("", load("bedrock_converse_chat")["upstream_response"]),
    ],
    (33, "invoke"): [
        *_payloads("bedrock_invoke_stream"),
        *_payloads("anthropic_tool_stream"),
        *_payloads("anthropic_thinking_stream"),
        ("throttlingException", {"message": "no more"}),
        ("", {"generation": "Hi", "prompt_token_count": 7, "generation_token_count": 1, "stop_reason": None}),
        ("", {"generation": "", "stop_reason": "length", "amazon-bedrock-invocationMetrics": {"outputTokenCount": 3}}),
        ("", {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
        ("", load("bedrock_invoke_chat")["upstream_response"]),
    ],
    (34, ""): [
        ("conversation.chat.created", {"id": "c1"}),
        ("conversation.message.delta", ANSWER),
        ("conversation.message.completed", ANSWER),
        ("conversation.chat.completed", {"usage": {"input_count": 7, "output_count": 2}}),
        ("conversation.chat.failed", {"last_error": {"code": 4013, "msg": "too fast"}}),
        ("done", "[DONE]"),
        ("", {"code": 4100, "msg": "no"}),
    ],
    (35, ""): [
        *_payloads("cohere_v2_tool_stream"),
        *_payloads("cohere_v2_stream"),
        ("", load("cohere_v2_chat")["upstream_response"]),
        (
            "",
            {
                "message": {
                    "content": [{"text": "Hi"}],
                    "tool_calls": [CALL],
                    "citations": [{"sources": [{"document": {}}]}],
                }
            },
        ),
        ("", load("cohere_embeddings")["upstream_response"]),
        ("", {"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"tokens": {"input_tokens": 1}}}),
    ],
    (35, "v1"): [
        *_payloads("cohere_v1_stream"),
        ("", {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "name": "look", "text": "hm"}}),
        ("", {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": "{}"}}),
        ("", {"event_type": "tool-calls-generation", "tool_calls": [CALLED, CALLED]}),
        ("", {"event_type": "search-results", "documents": [{"id": "d", "url": "https://x.example", "title": "T"}]}),
        ("", {"event_type": "citation-generation", "citations": [{"start": 0, "end": 1, "document_ids": ["d"]}]}),
        ("", {"message": "no"}),
        (
            "",
            {"text": "Hi", "tool_calls": [CALLED], "citations": [{"document_ids": ["d"]}], "documents": [{"id": "d"}]},
        ),
        ("", load("cohere_v1_chat")["upstream_response"]),
        ("", load("cohere_embeddings")["upstream_response"]),
    ],
    (37, ""): [
        ("", {"id": "x", "choices": [{"index": 0, "delta": {"content": "Hi", "tool_calls": [{"index": 0, **CALL}]}}]}),
        (
            "",
            {"choices": [{"message": {"tool_calls": [CALL]}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}},
        ),
        ("", {"data": [{"index": 0, "embedding": [0.5]}]}),
        ("", {"success": False, "errors": [{"code": 1, "message": "no"}]}),
    ],
    (38, ""): [("", load("deepl_chat")["upstream_response"])],
    (46, ""): [
        ("output", "Hi"),
        ("done", {"reason": "canceled"}),
        ("error", {"detail": "no"}),
        ("", {"id": "p", "status": "succeeded", "output": ["a"], "error": None, "metrics": {"input_token_count": 1}}),
        ("", {"id": "p", "status": "succeeded", "output": "https://x.example", "completed_at": "2025-02-19T10:30:00Z"}),
    ],
}
ODD = strategies.json_values | st.sampled_from([1e300, -1, 10**30, "", [], {}, [None], {"message": None}])


@st.composite
def mangled(draw: st.DrawFn, document: Any) -> Any:
    """The document, with something odd in one place of it, or without it; as it is, now and then."""
    if not draw(st.integers(0, 5)) or not isinstance(document, dict | list) or not document:
        return draw(ODD)
    places: list[Any] = sorted(document) if isinstance(document, dict) else list(range(len(document)))
    place = draw(st.sampled_from(places))
    copy: Any = document.copy()
    match draw(st.sampled_from(["deeper", "deeper", "deeper", "gone", "same"])):
        case "deeper":
            copy[place] = draw(mangled(document[place]))
        case "gone":
            del copy[place]
    return copy


def framed(name: str, document: Any) -> list[bytes]:
    """The same event in every framing."""
    payload = json.dumps(document).encode()
    named = ("exception", ":exception-type") if name.endswith("Exception") else ("event", ":event-type")
    headers = header(":message-type", named[0]) + header(named[1], name)
    event = b"event: " + name.encode() + b"\n" if name else b""
    inner = json.dumps({"bytes": base64.b64encode(payload).decode(), "p": "abc"}).encode()
    wrapped = frame(header(":message-type", "event") + header(":event-type", "chunk"), inner)
    return [
        frame(headers, payload),
        event + b"data: " + payload + b"\n\n",
        payload + b"\n",
        frame(headers, payload) if name.endswith("Exception") else wrapped,
    ]


FRAMING = {(33, ""): 0, (33, "invoke"): 3, (30, ""): 2, (35, "v1"): 2, (38, ""): 2}  # of the others: 1


@st.composite
def streams(draw: st.DrawFn, kind: tuple[int, str]) -> list[bytes]:
    chunks = []
    for _ in range(draw(st.integers(0, 6))):
        name, document = draw(st.sampled_from(SENT[kind]))
        if draw(st.booleans()):
            document = draw(mangled(document))
        chunks.append(framed(name, document)[FRAMING.get(kind, 1)])
    if draw(st.integers(0, 3)) == 0:
        chunks.insert(draw(st.integers(0, len(chunks))), draw(st.binary(max_size=40)))
    return chunks


def job(kind: int, version: str, model: str, request: Request) -> Job:
    return Job(route(kind, config={**CONFIG, "api_version": version}), model, model, request)


@each_kind
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_document_is_an_answer_or_an_error_of_the_upstream(adapter, kind, version, model, data):
    request = REQUESTS[data.draw(st.sampled_from(adapter.requests))]
    document = data.draw(mangled(data.draw(st.sampled_from([sent for _, sent in SENT[kind, version]]))))
    try:
        read = adapter.read(job(kind, version, model, request), json.dumps(document).encode())
        if isinstance(read, list):
            fold(read)
    except UpstreamError:
        return


def _read(adapter: Adapter, on: Job, chunks: list[bytes]) -> list[Event]:
    reader = adapter.reader(on)
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()


def _told(events: list[Event]) -> list[object]:
    return [(event.error.status, event.error.message) if isinstance(event, Failed) else event for event in events]


@each_kind
@settings(deadline=None, max_examples=60)
@given(data=st.data(), size=st.integers(1, 9))
def test_every_stream_is_read_alike_wherever_its_chunks_end(adapter, kind, version, model, data, size):
    chunks = data.draw(streams((kind, version)) | strategies.portions())
    on = job(kind, version, model, REQUESTS[Chat])
    whole = b"".join(chunks)
    try:
        events = _read(adapter, on, chunks)
    except EventTooLong:
        return
    finer = _read(adapter, on, [whole[start : start + size] for start in range(0, len(whole), size)])

    assert _without_ids(_told(events)) == _without_ids(_told(finer))
    assert not any(isinstance(event, Failed) for event in events[:-1])
    if not any(isinstance(event, Failed) for event in events):
        fold(events)


def _without_ids(events: list[object]) -> list[str]:
    """Calls without an id get a random one."""
    return [repr(event).partition("CallStarted(")[0] or "call" for event in events]
