"""What Claude's answers mean, whole and as streams (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Usage
from relay.adapters.anthropic.adapter import Anthropic
from relay.adapters.anthropic.request import body
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextPiece,
    ThoughtPiece,
    fold,
)
from relay.neutral.request import Chat, Json
from relay.sse import EventTooLong
from tests.relay.adapters.test_anthropic import SONNET, job
from tests.relay.wire.cases import DIALECT, call_of, job_of, load

MEMBERS = ["type", "message", "content_block", "delta", "usage", "error", "input", "text", "content"]
KINDS = ["message_start", "content_block_start", "content_block_delta", "message_delta", "error"]
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5)
SHAPES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=12,
)


def message(*blocks: Json, stop: str = "end_turn", usage: Json | None = None, **members: Any) -> bytes:
    document = {"id": "msg_1", "type": "message", "role": "assistant", "model": SONNET, "content": list(blocks)}
    figures = {"input_tokens": 8, "output_tokens": 5} if usage is None else usage
    return json.dumps({**document, "stop_reason": stop, "usage": figures, **members}).encode()


def read(answer: bytes) -> list[Event]:
    return Anthropic().read(job(Chat([])), answer)


def usage_of(events: list[Event]) -> Usage | None:
    counted = [event.usage for event in events if isinstance(event, Counted)]
    return counted[-1] if counted else None


class TestWholeAnswer:
    def test_blocks_become_text_thoughts_and_calls(self) -> None:
        events = read(
            message(
                {"type": "thinking", "thinking": "why", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "text", "text": "Let me "},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "text", "text": "see."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
                stop="tool_use",
            )
        )
        answer = fold(events)
        (choice,) = answer.choices

        assert (answer.id, choice.text, choice.finish) == ("msg_1", "Let me see.", FinishReason.TOOL_CALLS)
        assert choice.thoughts == [ThoughtPiece("why", "sig"), ThoughtPiece(redacted="xyz")]
        assert [(call.id, call.name, call.arguments) for call in choice.calls] == [
            ("toolu_1", "f", '{"a":1}'),
            ("toolu_2", "g", "{}"),
        ]

    def test_citations_of_addresses_name_the_text_they_stand_for(self) -> None:
        cited = {"type": "web_search_result_location", "url": "https://e.example", "title": "E", "cited_text": "x"}
        events = read(message({"type": "text", "text": "A. "}, {"type": "text", "text": "B.", "citations": [cited]}))

        place = {"url": "https://e.example", "title": "E", "start_index": 3, "end_index": 5}
        assert [event for event in events if isinstance(event, Cited)] == [
            Cited({"type": "url_citation", "url_citation": place})
        ]

    @pytest.mark.parametrize(
        ("stop", "reason"),
        [
            ("end_turn", FinishReason.STOP),
            ("stop_sequence", FinishReason.STOP),
            ("pause_turn", FinishReason.STOP),
            ("max_tokens", FinishReason.LENGTH),
            ("model_context_window_exceeded", FinishReason.LENGTH),
            ("refusal", FinishReason.CONTENT_FILTER),
            ("something new", FinishReason.STOP),
        ],
    )
    def test_stop_reasons(self, stop: str, reason: FinishReason) -> None:
        events = read(message({"type": "text", "text": "A"}, stop=stop, stop_sequence="END"))

        assert [event for event in events if isinstance(event, Finished)] == [Finished(reason, stop_sequence="END")]

    def test_the_prompt_is_all_that_was_fed_in_and_writes_are_told_apart_by_their_life(self) -> None:
        usage = {
            "input_tokens": 8,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 1800,
            "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150},
            "output_tokens": 25,
            "output_tokens_details": {"thinking_tokens": 18},
        }

        assert usage_of(read(message(usage=usage))) == Usage(
            2008,
            25,
            cached_tokens=1800,
            cache_write_tokens=50,
            cache_write_long_tokens=150,
            reasoning_tokens=18,
        )

    def test_absurd_usage_is_bounded_and_missing_usage_is_none(self) -> None:
        absurd = usage_of(read(message(usage={"input_tokens": -5, "output_tokens": 10**15})))

        assert absurd == Usage(0, 10**9)
        assert usage_of(read(message(usage={}))) is None

    def test_an_error_inside_a_200_has_the_status_of_its_type(self) -> None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

        with pytest.raises(UpstreamError, match="Overloaded") as caught:
            read(json.dumps(error).encode())
        assert (caught.value.status, caught.value.kind, caught.value.retry) == (529, "overloaded_error", True)

    def test_an_error_answer_keeps_its_type_and_message(self) -> None:
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}, "request_id": "r"}
        failure = Anthropic().failure(400, json.dumps(error).encode(), None)

        assert (failure.status, failure.kind, failure.message) == (400, "invalid_request_error", "too long")
        assert not failure.retry

    @pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"content": "text"}'])
    def test_what_is_no_message_is_an_error_of_the_upstream(self, answer: bytes) -> None:
        with pytest.raises(UpstreamError):
            read(answer)


def stream(*events: Json) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def listened(data: bytes, *borders: int) -> list[Event]:
    """The events of a stream cut at these places."""
    reader = Anthropic().reader(job(Chat([])))
    events: list[Event] = []
    for start, end in zip((0, *borders), (*borders, len(data)), strict=True):
        events += reader.feed(data[start:end])
    return events + reader.close()


def start(**usage: int) -> Json:
    return {"type": "message_start", "message": {"id": "msg_9", "usage": usage}}


def begun(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, kind: str, **delta: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def stopped(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str, **usage: Any) -> tuple[Json, Json]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}, {"type": "message_stop"}


TOOLS = stream(
    start(input_tokens=420, cache_read_input_tokens=80, output_tokens=2),
    begun(0, type="thinking", thinking="", signature=""),
    piece(0, "thinking_delta", thinking="Hm."),
    piece(0, "signature_delta", signature="sig"),
    stopped(0),
    begun(1, type="text", text=""),
    {"type": "ping"},
    piece(1, "text_delta", text="Überlege…"),
    stopped(1),
    begun(2, type="tool_use", id="toolu_W", name="get_weather", input={}),
    piece(2, "input_json_delta", partial_json=""),
    piece(2, "input_json_delta", partial_json='{"city": "O'),
    piece(2, "input_json_delta", partial_json='slo"}'),
    stopped(2),
    begun(3, type="server_tool_use", id="s", name="web_search", input={}),
    piece(3, "input_json_delta", partial_json='{"query": "x"}'),
    stopped(3),
    begun(4, type="tool_use", id="toolu_T", name="get_time", input={}),
    stopped(4),
    *ended("tool_use", output_tokens=71, output_tokens_details={"thinking_tokens": 3}),
)
TOOL_EVENTS = [
    Started("msg_9"),
    Counted(Usage(500, 0, cached_tokens=80)),
    ThoughtPiece("Hm."),
    ThoughtPiece(signature="sig"),
    TextPiece("Überlege…"),
    CallStarted(0, "toolu_W", "get_weather"),
    CallPiece(0, '{"city": "O'),
    CallPiece(0, 'slo"}'),
    TextPiece(""),  # the search: nothing to count
    CallStarted(1, "toolu_T", "get_time"),
    CallPiece(1, "{}"),
    Finished(FinishReason.TOOL_CALLS),
    Counted(Usage(500, 71, cached_tokens=80, reasoning_tokens=3)),
]


def test_signed_thoughts_come_back_through_openais_dialect() -> None:
    """As `thinking_blocks`, in which its clients bring them back; a tool loop with a budget goes on thinking so."""
    case = load("anthropic_thinking_stream")
    thought = {"type": "thinking", "thinking": "why", "signature": "sig"}
    used = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    answer = json.loads(DIALECT.whole(call_of(case), fold(read(message(thought, used, stop="tool_use")))))
    spoken = answer["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "1"}
    request = case["openai_request"]
    following = case.but(openai_request={**request, "messages": [*request["messages"], spoken, result]})

    document = body(job_of(following))
    assert document["messages"][1] == {"role": "assistant", "content": [thought, used]}
    assert document["thinking"] == {"type": "enabled", "budget_tokens": 1024}


class TestStream:
    def test_events_come_in_order_and_calls_are_counted_from_zero(self) -> None:
        assert listened(TOOLS) == TOOL_EVENTS

    @given(st.lists(st.integers(0, len(TOOLS)), max_size=8).map(sorted))
    def test_chunk_borders_change_nothing(self, borders: list[int]) -> None:
        assert listened(TOOLS, *borders) == TOOL_EVENTS

    def test_the_last_report_counts_and_nothing_is_added_up(self) -> None:
        data = stream(start(input_tokens=12, output_tokens=4), *ended("end_turn", input_tokens=12, output_tokens=7))

        assert usage_of(listened(data)) == Usage(12, 7)

    def test_a_prompt_that_is_told_at_the_end_only_counts(self) -> None:
        data = stream(start(input_tokens=0, output_tokens=0), *ended("end_turn", input_tokens=31, output_tokens=7))

        assert usage_of(listened(data)) == Usage(31, 7)

    def test_an_error_in_the_stream_ends_it(self) -> None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        *_, last = events = listened(
            stream(start(), begun(0, type="text", text=""), error, piece(0, "text_delta", text="x"))
        )

        assert isinstance(last, Failed)
        assert (last.error.status, last.error.kind, last.error.message) == (529, "overloaded_error", "Overloaded")
        assert len([event for event in events if isinstance(event, Failed)]) == 1

    def test_an_error_quotes_no_address_and_no_key(self) -> None:
        told = "see https://inner.example/x for sk-ant-SECRETSECRET"
        (last,) = listened(stream({"type": "error", "error": {"type": "api_error", "message": told}}))

        assert isinstance(last, Failed)
        assert last.error.message == "see [address] for [key]"

    @pytest.mark.parametrize("end", [b"", b"data: {\n\n"])
    def test_a_stream_that_breaks_off_fails(self, end: bytes) -> None:
        *_, last = listened(stream(start(input_tokens=1), begun(0, type="text", text="A")) + end)

        assert isinstance(last, Failed)

    def test_the_mark_of_other_protocols_is_ignored(self) -> None:
        assert listened(TOOLS + b"data: [DONE]\n\n") == TOOL_EVENTS

    @given(st.binary(max_size=400), st.integers(0, 2**32))
    def test_any_bytes_are_read_without_surprise(self, data: bytes, seed: int) -> None:
        chosen = random.Random(seed)
        place = chosen.randrange(len(TOOLS))
        mixed = TOOLS[:place] + data + TOOLS[place + chosen.randrange(200) :]
        try:
            listened(mixed, *sorted(chosen.randrange(len(mixed)) for _ in range(5)))
        except EventTooLong:
            pytest.fail("no event is that long")
        with suppress(UpstreamError):
            read(data)

    @given(SHAPES, st.sampled_from(KINDS))
    def test_members_of_any_shape_are_read_without_surprise(self, value: Any, kind: str) -> None:
        members = value if isinstance(value, dict) else {"message": value, "delta": value, "content_block": value}
        events = listened(stream({**members, "type": kind, "usage": value}, *ended("end_turn")))

        assert any(isinstance(event, Finished | Failed) for event in events)
