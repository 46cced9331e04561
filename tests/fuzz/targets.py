"""What is fuzzed: each takes bytes or documents of any kind and raises only where a promise is broken.

A request is served or refused with a 4xx; an answer is read, or is the upstream's error; no usage is negative.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from billing.pricing import Usage
from relay import multipart, reading, routes, splice, sse
from relay.adapters.base import Outgoing
from relay.adapters.registry import ADAPTERS
from relay.errors import RelayError, UpstreamError
from relay.neutral.events import Counted
from relay.neutral.request import Request
from relay.types import Call, Head, Mode
from tests.relay.adapters.test_every_adapter import FAMILIES, PLAIN, events_of, job_of, prepared, row_of

BOUNDARY = "multipart/form-data; boundary=B"
PROTOCOLS = sorted(ADAPTERS)
# What is asked for, at which path, and a plain document of it.
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
    ("/v1/completions", {"prompt": ["hi", "ho"]}),
    ("/v1/embeddings", {"input": ["hi"]}),
    ("/v1/images/generations", {"prompt": "hi", "size": "1024x1024"}),
    ("/v1/moderations", {"input": "hi"}),
    ("/v1/edits", {"instruction": "hi", "input": "ho"}),
    ("/v1/audio/speech", {"input": "hi", "voice": "x"}),
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "tools": []}),
    ("/v1/messages", {"max_tokens": 5, "system": "a", "messages": [{"role": "user", "content": "hi"}], "tools": []}),
    ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "hi"}]}),
    ("/v1/rerank", {"query": "hi", "documents": ["a", {"text": "b"}], "top_n": 1}),
    ("/v1beta/models/m:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "tools": [{}]}),
    ("/v1beta/models/m:streamGenerateContent", {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {}}),
    ("/v1beta/models/m:countTokens", {"contents": [{"parts": [{"text": "hi"}]}]}),
    ("/v1beta/models/m:embedContent", {"content": {"parts": [{"text": "hi"}]}}),
    ("/v1beta/models/m:batchEmbedContents", {"requests": [{"model": "m", "content": {"parts": [{"text": "hi"}]}}]}),
]


def any_event_stream(data: bytes, size: int) -> None:
    """The same events wherever the chunks end, and not a byte of them lost."""
    whole, pieces = sse.Parser(), sse.Parser()
    events = whole.feed(data)
    cut = [event for start in range(0, len(data), size) for event in pieces.feed(data[start : start + size])]
    assert b"".join(event.raw for event in events) in data
    assert [event.data for event in cut if event.data] == [event.data for event in events if event.data]


def any_form(body: bytes, content_type: str = BOUNDARY) -> None:
    try:
        form = multipart.parse(content_type, body)
    except RelayError as refused:
        the_callers(refused)
        return
    for name, (start, end) in form.spans.items():
        assert body[start:end].decode(errors="replace") == form.fields[name]
        assert multipart.replace(body, form, name, "x") == body[:start] + b"x" + body[end:]


def any_object(body: bytes) -> None:
    """What is taken says to every reader what it says to ours, and a change changes nothing else."""
    try:
        document = splice.parse(body)
    except RelayError as refused:
        the_callers(refused)
        return
    found = splice.members(body)
    assert {name: orjson.loads(body[start:end]) for name, start, end in found} == document
    assert [name for name, _, _ in found] == list(document)
    changed = splice.replace(body, document, {"model": "other"})
    assert orjson.loads(changed) == {**document, "model": "other"}


def read(path: str, body: bytes) -> Call | None:
    """The call, None where it is refused with a 4xx."""
    asked = routes.find(path)
    assert asked is not None
    head = Head("POST", path, path, "", {"content-type": "application/json"}, "127.0.0.1")
    try:
        call = asked.dialect.read(asked.mode, head, body, asked.model)
    except RelayError as refused:
        the_callers(refused)
        return None
    assert call.max_tokens is None or call.max_tokens >= 0
    assert call.times >= 1
    assert call.prompt_estimate >= 0
    return call


def any_request(path: str, body: bytes, protocol: str) -> None:
    """Read by the dialect of its path and written for an upstream, or refused with a 4xx."""
    call = read(path, body)
    asked = routes.find(path)
    if call is None or asked is None:
        return
    asked.dialect.prompt_tokens(call, "gpt-4o", rough=True)
    try:
        request: Request = asked.dialect.neutral(call)
        if not isinstance(request, ADAPTERS[protocol].requests):
            return
        model = (*row_of(protocol).models, *FAMILIES)[0]
        outgoing: Outgoing = prepared(protocol, model, request)
    except RelayError as refused:
        the_callers(refused)
        return
    except orjson.JSONEncodeError:  # relay.passages.translated tells the caller so
        return
    assert isinstance(orjson.loads(outgoing.body), dict)
    assert not any("\n" in text or "\r" in text for pair in outgoing.headers for text in pair)


def any_stream(protocol: str, data: bytes) -> None:
    """An adapter's reader of streams over any bytes."""
    try:
        events = events_of(protocol, (*row_of(protocol).models, *FAMILIES)[0], "x", [data])
    except sse.EventTooLong:
        return
    for event in events:
        if isinstance(event, Counted):
            not_negative(event.usage)


def any_answer(protocol: str, data: bytes) -> None:
    adapter = ADAPTERS[protocol]
    for kind in adapter.requests:
        try:
            found: Any = adapter.read(job_of(protocol, (*row_of(protocol).models, *FAMILIES)[0], PLAIN[kind]), data)
        except UpstreamError:
            continue
        for event in found if isinstance(found, list) else [found]:
            if getattr(event, "usage", None) is not None:
                not_negative(event.usage)


def any_answer_untouched(data: bytes) -> None:
    """What OpenAI-speaking upstreams send, of which only the usage is read."""
    call = Call(Mode.CHAT, "/v1/chat/completions", "", "", "", b"{}", {"messages": []}, "m")
    try:
        generated = reading.read_json(call, data)
    except UpstreamError:
        return
    if generated.usage is not None:
        not_negative(generated.usage)


def any_events_untouched(data: bytes) -> None:
    reader = reading.StreamReader(hides_usage=True)
    for event in sse.Parser().feed(data):
        if event.data is not None:
            reader.feed(event.data)
    if reader.generated.usage is not None:
        not_negative(reader.generated.usage)


def the_callers(refused: RelayError) -> None:
    """Whose mistake it is."""
    assert 400 <= refused.status < 500, refused


def not_negative(usage: Usage) -> None:
    for field in dataclasses.fields(usage):
        value = getattr(usage, field.name)
        assert not isinstance(value, int | float) or value >= 0, usage
