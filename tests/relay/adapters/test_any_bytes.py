"""No request makes these protocols fail in an unforeseen way, and no bytes of an upstream do.

Whatever a dialect can read is sent or refused as the caller's mistake; whatever an upstream sends is an answer or an
error of the upstream, and the same one wherever the borders of its chunks lie.
"""

from __future__ import annotations

import asyncio
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.adapters.base import Adapter, Job
from relay.adapters.bedrock import Bedrock
from relay.adapters.cloudflare import Cloudflare
from relay.adapters.cohere import Cohere
from relay.adapters.coze import Coze
from relay.adapters.deepl import DeepL
from relay.adapters.ollama import Ollama
from relay.adapters.replicate import Replicate
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Event, Failed, fold
from relay.neutral.request import Chat, Embeddings, Images, Request, Rerank, Text, Turn
from relay.sse import EventTooLong
from tests.relay.adapters.test_bedrock_answers import frame, header
from tests.relay.wire import strategies
from tests.relay.wire.cases import FakeOutside, load, route

CONFIG = {"region": "us-east-1", "ak": "AK", "sk": "SK", "user_id": "acc0"}
KINDS: list[tuple[Adapter, int, str]] = [
    (Ollama(), 30, "qwen3:8b"),
    (Bedrock(), 33, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    (Bedrock(), 33, "amazon.nova-2-lite-v1:0"),
    (Coze(), 34, "bot-1"),
    (Cohere(), 35, "command-a-03-2025"),
    (Cloudflare(), 37, "@cf/meta/llama-3.1-8b-instruct"),
    (DeepL(), 38, "deepl-zh"),
    (Replicate(), 46, "meta/meta-llama-3-8b-instruct"),
]
each_kind = pytest.mark.parametrize(("adapter", "kind", "model"), KINDS, ids=lambda value: getattr(value, "name", None))
REQUESTS: dict[type[Request], Request] = {
    Chat: Chat([Turn("user", [Text("Hi")])], stream=True),
    Embeddings: Embeddings(["a"]),
    Rerank: Rerank("q", ["a", "b"]),
    Images: Images("a cat"),
}

# JSON with the members these protocols know, and values they do not expect there.
MEMBERS = [
    "type",
    "event",
    "message",
    "delta",
    "content",
    "text",
    "thinking",
    "tool_calls",
    "tool_plan",
    "function",
    "name",
    "arguments",
    "id",
    "index",
    "usage",
    "tokens",
    "input_tokens",
    "output_tokens",
    "finish_reason",
    "citations",
    "sources",
    "document",
    "url",
    "error",
    "done",
    "done_reason",
    "prompt_eval_count",
    "eval_count",
    "logprobs",
    "embeddings",
    "float",
    "results",
    "relevance_score",
    "meta",
    "billed_units",
    "translations",
    "output",
    "status",
    "metrics",
    "stopReason",
    "toolUse",
    "toolUseId",
    "input",
    "reasoningContent",
    "reasoningText",
    "signature",
    "redactedContent",
    "image",
    "source",
    "bytes",
    "contentBlockIndex",
    "start",
    "code",
    "msg",
    "data",
    "last_error",
    "input_count",
    "reason",
    "choices",
    "success",
    "errors",
]
VALUES = st.one_of(
    strategies.json_values,
    st.sampled_from(
        ["message-start", "content-delta", "tool-call-start", "tool-call-delta", "tool-call-end", "answer"]
    ),
    st.sampled_from(["message-end", "citation-start", "succeeded", "failed", "stop", "COMPLETE", "ERROR", 1e300, -1]),
)
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6),
    max_leaves=25,
)
OBJECTS = st.dictionaries(st.sampled_from(MEMBERS), DOCUMENTS, max_size=8)
NAMES = st.sampled_from(
    [
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
        "throttlingException",
        "output",
        "error",
        "done",
        "conversation.chat.created",
        "conversation.message.delta",
        "conversation.message.completed",
        "conversation.chat.completed",
        "conversation.chat.failed",
    ]
)


def _sent(name: str, document: object) -> st.SearchStrategy[bytes]:
    """The same event in every framing."""
    payload = json.dumps(document).encode()
    headers = header(":message-type", "exception" if name.endswith("Exception") else "event") + header(
        ":exception-type" if name.endswith("Exception") else ":event-type", name
    )
    return st.sampled_from(
        [
            payload + b"\n",
            b"data: " + payload + b"\n\n",
            b"event: " + name.encode() + b"\ndata: " + payload + b"\n\n",
            frame(headers, payload),
        ]
    )


EVENTS = st.tuples(NAMES, OBJECTS).flatmap(lambda pair: _sent(*pair))
STREAMS = strategies.portions() | st.lists(EVENTS, max_size=8)


def job(kind: int, model: str, request: Request) -> Job:
    return Job(route(kind, config=CONFIG), model, model, request)


@each_kind
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_every_request_is_sent_or_refused_as_the_callers_mistake(adapter, kind, model, data):
    of_type = {
        Chat: strategies.chats(),
        Embeddings: strategies.embeddings,
        Images: strategies.pictures,
        Rerank: st.builds(Rerank, strategies.words, st.lists(strategies.words, min_size=1, max_size=3)),
    }
    request = data.draw(st.one_of([of_type[each] for each in adapter.requests]))

    try:
        outgoing = asyncio.run(adapter.prepare(job(kind, model, request), FakeOutside(load("ollama_chat"))))
    except BadRequest:
        return
    assert isinstance(orjson.loads(outgoing.body), dict)


@each_kind
@settings(deadline=None, max_examples=60)
@given(document=OBJECTS | DOCUMENTS, data=st.data())
def test_every_document_is_an_answer_or_an_error_of_the_upstream(adapter, kind, model, document, data):
    request = REQUESTS[data.draw(st.sampled_from(adapter.requests))]
    try:
        read = adapter.read(job(kind, model, request), json.dumps(document).encode())
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
@given(chunks=STREAMS, size=st.integers(1, 9))
def test_every_stream_is_read_alike_wherever_its_chunks_end(adapter, kind, model, chunks, size):
    on = job(kind, model, REQUESTS[Chat])
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
