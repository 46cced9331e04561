"""Listening to answers of the Responses API. Shapes: https://platform.openai.com/docs/api-reference/responses-streaming."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Usage
from relay import sse
from relay.adapters.base import Job
from relay.adapters.openai.adapter import RESPONSES
from relay.dialects.responses.dialect import ResponsesDialect
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    fold,
)
from relay.neutral.request import Chat
from relay.types import Call, Mode
from tests.relay.wire import cases, strategies

OPENAI = RESPONSES["openai"]
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 13,
}
COUNTED = Counted(Usage(9, 4, cached_tokens=5, reasoning_tokens=3))
OUTPUT: list[dict[str, Any]] = [
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"id": "ws_1", "type": "web_search_call", "status": "completed"},
    {
        "id": "msg_1",
        "type": "message",
        "content": [{"type": "output_text", "text": "Hello"}, {"type": "refusal", "refusal": "No."}],
    },
    {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
]


def job(kind: int = 1, **changes: Any) -> Job:
    return Job(cases.route(kind, **changes), "gpt-5", "gpt-5", Chat([]))


def events(*documents: dict[str, Any]) -> list[Event]:
    raw = [b"event: x\n", *(b"data: " + orjson.dumps(document) + b"\n\n" for document in documents)]
    ways = [cases.events_of(OPENAI, job(), portions) for portions in cases.portions(raw)]
    for way in ways[1:]:
        assert [str(event) for event in way] == [str(event) for event in ways[0]]
    return ways[0]


def test_a_whole_response_is_heard():
    response = {"id": "resp_1", "created_at": 17, "status": "completed", "output": OUTPUT, "usage": USAGE}
    assert OPENAI.read(job(), orjson.dumps(response)) == [
        Started("resp_1", 17),
        ThoughtPiece("Hm."),
        TextPiece("Hello"),
        RefusalPiece("No."),
        CallStarted(0, "c1", "look"),
        CallPiece(0, "{}"),
        Finished(FinishReason.TOOL_CALLS),
        COUNTED,
    ]


def test_a_stream_is_heard():
    read = events(
        {"type": "response.created", "response": {"id": "resp_1", "created_at": 17}},
        {"type": "response.in_progress", "response": {"id": "resp_1"}},
        {"type": "response.output_item.added", "output_index": 0, "item": OUTPUT[0]},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm."},
        {"type": "response.web_search_call.searching", "output_index": 1},
        {"type": "response.output_text.delta", "output_index": 2, "delta": "Hello"},
        {"type": "response.refusal.delta", "output_index": 2, "delta": "No."},
        {"type": "response.output_item.added", "output_index": 3, "item": {**OUTPUT[3], "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{}"},
        {"type": "response.output_item.done", "output_index": 3, "item": OUTPUT[3]},
        {"type": "response.completed", "response": {"id": "resp_1", "output": OUTPUT, "usage": USAGE}},
    )
    assert read == [
        Started("resp_1", 17),
        TextPiece(""),
        ThoughtPiece("Hm."),
        TextPiece("Hello"),
        RefusalPiece("No."),
        CallStarted(0, "c1", "look"),
        CallPiece(0, "{}"),
        Finished(FinishReason.TOOL_CALLS),
        COUNTED,
    ]


def test_what_is_written_is_heard_again():
    spoken: list[Event] = [
        Started("resp_1", 17),
        ThoughtPiece("Hm."),
        TextPiece("Hello"),
        CallStarted(0, "c1", "look"),
        CallPiece(0, "{}"),
        Finished(FinishReason.TOOL_CALLS),
        COUNTED,
    ]
    writer = ResponsesDialect().writer(Call(Mode.RESPONSES, "", "", "", "", b"", {}, "gpt-5"))
    raw = b"".join([writer.write(event) for event in spoken]) + writer.end()
    for portions in cases.portions([raw]):
        heard = cases.events_of(OPENAI, job(), portions)
        assert [event for event in heard if event != TextPiece("")] == spoken


def test_an_incomplete_response_ends_for_its_reason():
    told = {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}}
    assert events(told) == [Finished(FinishReason.LENGTH)]


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "no"}}}, 429),
        ({"type": "error", "code": "server_error", "message": "no", "param": None}, 502),
        ({"error": {"message": "no", "type": "t"}}, 502),
    ],
)
def test_a_failure_ends_the_stream(told, status):
    read = events({"type": "response.output_text.delta", "delta": "a"}, told, {"type": "response.completed"})
    assert read[0] == TextPiece("a")
    assert isinstance(read[1], Failed)
    assert (read[1].error.status, read[1].error.message, len(read)) == (status, "no", 2)


def test_a_whole_response_that_failed_is_an_error():
    for response in (
        {"status": "failed", "error": {"code": "server_error", "message": "no"}},
        {"error": {"message": "no"}},
    ):
        with pytest.raises(UpstreamError, match="no"):
            OPENAI.read(job(), orjson.dumps(response))


def test_a_stream_without_its_last_event_is_broken():
    assert isinstance(events({"type": "response.output_text.delta", "delta": "a"})[-1], Failed)


@pytest.mark.parametrize(
    ("kind", "changes", "url"),
    [
        (1, {}, "https://api.openai.com/v1/responses"),
        (
            3,
            {"base_url": "https://res.example", "config": {"api_version": "2024-10-21"}},
            "https://res.example/openai/v1/responses",
        ),
    ],
)
def test_the_upstreams_that_speak_it_have_an_address_for_it(kind, changes, url):
    adapter = RESPONSES["azure-openai" if kind == 3 else "openai"]
    assert adapter.native(job(kind, **changes), "/v1/responses", "")[0] == url


def test_an_upstream_that_does_not_speak_it_refuses():
    with pytest.raises(UpstreamError, match="do not serve responses"):
        OPENAI.native(job(36), "/v1/responses", "")


_MEMBERS = st.sampled_from(
    ["type", "response", "delta", "item", "output", "usage", "error", "status", "output_index", "content"]
)
_TYPES = st.sampled_from(
    [
        "response.created",
        "response.completed",
        "response.failed",
        "response.output_item.added",
        "error",
        "function_call",
    ]
)


@given(
    st.lists(
        st.recursive(
            strategies.json_values | _TYPES,
            lambda inner: st.dictionaries(_MEMBERS, inner | st.lists(inner, max_size=2), max_size=4),
            max_leaves=10,
        ),
        max_size=4,
    ),
    strategies.portions(),
)
def test_no_bytes_of_an_upstream_raise_anything_unexpected(documents, portions):
    raw = [b"data: " + orjson.dumps(document) + b"\n\n" for document in documents] + portions
    try:
        read = cases.events_of(OPENAI, job(), raw)
    except sse.EventTooLong:
        return
    assert sum(isinstance(event, Failed) for event in read) <= 1
    for document in documents:
        try:
            fold(OPENAI.read(job(), orjson.dumps(document)))  # type: ignore[arg-type]
        except UpstreamError:
            continue
