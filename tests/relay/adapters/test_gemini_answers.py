"""What Gemini's answers mean (https://ai.google.dev/api/generate-content; events as in the wire cases)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.gemini.adapter import Gemini
from relay.adapters.gemini.answer import AnswerReader, read_answer
from relay.adapters.gemini.usage import usage_of
from relay.adapters.json_objects import Objects
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Json,
    Logprobs,
    MediaPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
)
from relay.neutral.request import Chat, Embeddings
from relay.sse import EventTooLong
from tests.relay.wire.cases import route

COUNTS: Json = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}


def chunk(*parts: Json, finish: str = "", index: int = 0, **members: Any) -> Json:
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": "r1", **members}


def events_of(*chunks: Json) -> list[Event]:
    reader = AnswerReader()
    sent = b"".join(b"data: " + orjson.dumps(one) + b"\r\n\r\n" for one in chunks)
    return reader.feed(sent) + reader.close()


def failed(events: list[Event]) -> UpstreamError:
    assert isinstance(events[-1], Failed)
    return events[-1].error


def test_parts_are_told_apart() -> None:
    answer = chunk(
        {"text": "hm", "thought": True},
        {"text": "see", "thoughtSignature": "AAAA"},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"inlineData": {"mimeType": "image/png", "data": "ZHJhZnQ="}, "thought": True},
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c1"}, "thoughtSignature": "BBBB"},
        {"functionCall": {"name": "g"}},
        finish="STOP",
        usageMetadata=COUNTS,
    )
    events = read_answer(orjson.dumps(answer))
    made = events[6]
    assert isinstance(made, CallStarted)
    assert made.id.startswith("call_")
    assert len(made.id) > len("call_")
    assert events == [
        Started("r1"),
        ThoughtPiece("hm"),
        TextPiece("see", signature="AAAA"),
        MediaPiece("image/png", "aGk="),
        CallStarted(0, "c1", "f", signature="BBBB"),
        CallPiece(0, '{"a":1}'),
        CallStarted(1, made.id, "g"),
        CallPiece(1, "{}"),
        Counted(Usage(5, 2)),
        Finished(FinishReason.TOOL_CALLS),
    ]


def test_code_that_ran_is_shown_with_its_output() -> None:
    answer = chunk(
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        finish="STOP",
    )
    words = "".join(event.text for event in read_answer(orjson.dumps(answer)) if isinstance(event, TextPiece))
    assert words == "\n```python\nprint(1)\n```\n\n```\n1\n```\n"


def test_log_probabilities_have_openais_form() -> None:
    answer = chunk({"text": "A"}, finish="STOP")
    answer["candidates"][0]["logprobsResult"] = {
        "chosenCandidates": [{"token": "A", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "B", "logProbability": -1.5}]}],
    }
    found = [event for event in read_answer(orjson.dumps(answer)) if isinstance(event, Logprobs)]
    assert found[0].entries == [
        {
            "token": "A",
            "logprob": -0.5,
            "bytes": [65],
            "top_logprobs": [{"token": "B", "logprob": -1.5, "bytes": [66]}],
        }
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("IMAGE_SAFETY", FinishReason.CONTENT_FILTER),
        ("OTHER", FinishReason.STOP),
        ("SOMETHING_NEW", FinishReason.STOP),
    ],
)
def test_reasons_to_finish(said: str, reason: FinishReason) -> None:
    assert events_of(chunk({"text": "x"}, finish=said))[-1] == Finished(reason)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "NO_IMAGE"])
def test_a_failed_answer_without_content_is_the_upstreams_failure(reason: str) -> None:
    error = failed(events_of(chunk(finish=reason)))
    assert (error.status, error.retry, error.code) == (502, True, reason.lower())


def test_a_filtered_answer_without_content_is_an_answer() -> None:
    assert events_of(chunk(finish="SAFETY"))[-1] == Finished(FinishReason.CONTENT_FILTER)


def test_a_finish_reason_with_every_chunk_finishes_once() -> None:
    events = events_of(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="MAX_TOKENS"))
    assert events == [Started("r1"), TextPiece("a"), TextPiece("b"), Finished(FinishReason.LENGTH)]


def test_choices_finish_each_for_itself() -> None:
    events = events_of(
        chunk({"text": "a"}, finish="STOP"), chunk({"functionCall": {"name": "f"}}, finish="STOP", index=1)
    )
    assert events[-2:] == [Finished(FinishReason.STOP, 0), Finished(FinishReason.TOOL_CALLS, 1)]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_blocked_prompt_is_the_callers_to_mend(streamed: bool) -> None:
    answer = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    if streamed:
        error = failed(events_of(answer))
    else:
        with pytest.raises(UpstreamError) as caught:
            read_answer(orjson.dumps(answer))
        error = caught.value
    assert (error.status, error.code, error.retry) == (400, "content_filter", False)
    assert "PROHIBITED_CONTENT" in error.message


def test_a_stream_without_a_finish_was_broken_off() -> None:
    assert failed(events_of(chunk({"text": "a"}))).code == "stream_broken"
    assert failed(AnswerReader().close()).code == "stream_broken"


def fed(*chunks: Json) -> tuple[list[Event], bool]:
    """The events before the upstream closes, and whether the reader waits for more."""
    reader = AnswerReader()
    events = [event for one in chunks for event in reader.feed(b"data: " + orjson.dumps(one) + b"\r\n\r\n")]
    return events, reader.over


def test_the_last_chunk_ends_the_answer_whether_or_not_the_upstream_hangs_up() -> None:
    last = chunk({"text": "b"}, finish="STOP", usageMetadata=COUNTS)
    events, over = fed(chunk({"text": "a"}), last)

    assert over
    assert events[-3:] == [TextPiece("b"), Counted(Usage(5, 2)), Finished(FinishReason.STOP)]


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk({"text": "a"}), chunk({"text": "b"}, usageMetadata=COUNTS)],  # no reason yet
        [chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP")],  # nothing is counted yet
        [chunk({"text": "a"}), chunk(finish="STOP", usageMetadata={"promptTokenCount": 5})],  # not what was said
        # Models before 1.5 named one with every chunk.
        [chunk({"text": "a"}, finish="STOP", usageMetadata=COUNTS), chunk({"text": "b"}, finish="STOP")],
        [chunk({"text": "whole"}, finish="STOP", usageMetadata=COUNTS)],
    ],
)
def test_what_may_not_be_the_last_chunk_ends_nothing(chunks: list[Json]) -> None:
    events, over = fed(*chunks)

    assert not over
    assert not any(isinstance(event, Finished) for event in events)


def test_every_one_of_several_answers_is_waited_for() -> None:
    reader = AnswerReader(choices=2)
    first = [chunk({"text": "a"}), chunk(finish="STOP", usageMetadata=COUNTS)]
    second = [chunk({"text": "b"}, index=1), chunk(finish="MAX_TOKENS", index=1, usageMetadata=COUNTS)]
    over = []
    for one in (*first, *second):
        events = reader.feed(b"data: " + orjson.dumps(one) + b"\n\n")
        over.append(reader.over)

    assert over == [False, False, False, True]
    assert events[-2:] == [Finished(FinishReason.STOP, 0), Finished(FinishReason.LENGTH, 1)]


def test_after_the_last_chunk_only_figures_count() -> None:
    last = chunk({"text": "b"}, finish="STOP", usageMetadata=COUNTS)
    late = chunk({"text": "late"}, usageMetadata={**COUNTS, "thoughtsTokenCount": 4})

    events = events_of(chunk({"text": "a"}), last, chunk({"text": "late"}), late)

    assert events[-2:] == [Finished(FinishReason.STOP), Counted(Usage(5, 6, reasoning_tokens=4))]


def test_a_last_chunk_after_which_nothing_was_said_is_an_error_that_nothing_follows() -> None:
    last = chunk(finish="MALFORMED_FUNCTION_CALL", usageMetadata=COUNTS)
    events = events_of(chunk(), last, chunk(usageMetadata={**COUNTS, "thoughtsTokenCount": 4}))

    assert failed(events).code == "malformed_function_call"
    assert events[-2] == Counted(Usage(5, 2))


def test_the_end_of_an_array_is_waited_for() -> None:
    reader = AnswerReader()
    last = chunk({"text": "b"}, finish="STOP", usageMetadata=COUNTS)

    events = reader.feed(orjson.dumps([chunk({"text": "a"}), last])[:-1])

    assert Finished(FinishReason.STOP) in events
    assert not reader.over


def test_nothing_follows_an_error_inside_a_stream() -> None:
    told = {"error": {"code": 429, "message": "Quota of AIzaSECRETSECRET", "status": "RESOURCE_EXHAUSTED"}}
    events = events_of(chunk({"text": "a"}), told, chunk({"text": "b"}, finish="STOP"))
    assert [type(event) for event in events] == [Started, TextPiece, Failed]
    error = failed(events)
    assert (error.status, error.kind) == (429, "RESOURCE_EXHAUSTED")
    code: Any = error.code
    assert code == 429
    assert "SECRET" not in error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3", b"{}", b'{"candidates": []}', b'{"error": "x"}'])
def test_what_is_no_answer_is_the_upstreams_failure(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read_answer(body)


def test_an_error_in_a_list_is_read_and_tells_how_long_to_wait() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}]
    told = [{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details}}]
    error = Gemini().failure(429, orjson.dumps(told), None)
    assert (error.message, error.kind, error.retry_after) == ("slow down", "RESOURCE_EXHAUSTED", 12.5)
    assert Gemini().failure(503, b"<h1>Busy</h1>", 3.0).retry_after == 3.0
    assert "no such thing" in Gemini().failure(404, b'{"message": "no such thing"}', None).message


# Usage (https://ai.google.dev/api/generate-content#UsageMetadata)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({}, None),
        ({"trafficType": "ON_DEMAND"}, None),
        (
            {"promptTokenCount": 6, "candidatesTokenCount": 2, "thoughtsTokenCount": 62, "cachedContentTokenCount": 4},
            Usage(6, 64, cached_tokens=4, reasoning_tokens=62),
        ),
        ({"promptTokenCount": 6, "toolUsePromptTokenCount": 10, "candidatesTokenCount": 2}, Usage(16, 2)),
        ({"promptTokenCount": 6, "totalTokenCount": 6}, Usage(6, 0)),
        ({"promptTokenCount": 6, "totalTokenCount": 10}, Usage(6, 4)),
        ({"promptTokenCount": -6, "candidatesTokenCount": 10**12}, Usage(0, 10**9)),
        ({"promptTokenCount": "6", "candidatesTokenCount": 1.5}, Usage(0, 1)),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 1, "cachedContentTokenCount": 9},
            Usage(5, 1, cached_tokens=5),
        ),
        (
            {
                "promptTokenCount": 30,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 5},
                    {"modality": "AUDIO", "tokenCount": 20},
                    {"modality": "IMAGE", "tokenCount": 5},
                ],
                "candidatesTokenCount": 9,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 8}],
            },
            Usage(30, 9, audio_prompt_tokens=20, image_prompt_tokens=5, image_completion_tokens=8),
        ),
    ],
)
def test_what_is_counted(counts: Json, usage: Usage | None) -> None:
    assert usage_of(counts) == usage


def test_text_that_a_report_leaves_out_comes_after_it() -> None:
    events = events_of(
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 4, "totalTokenCount": 4}),
        chunk({"text": "b"}, finish="STOP", usageMetadata=COUNTS),
    )
    assert events[1:5] == [Counted(Usage(4, 0)), TextPiece("a"), TextPiece("b"), Counted(Usage(5, 2))]


# Forms and borders

FORMS = [
    b"data: " + orjson.dumps(chunk({"text": 'quo"te \\ {'})) + b"\r\n\r\n"
    b"data: " + orjson.dumps(chunk({"text": "é}"}, finish="STOP", usageMetadata=COUNTS)) + b"\r\n\r\n",
    b"[" + orjson.dumps(chunk({"text": 'quo"te \\ {'})) + b",\r\n"
    + orjson.dumps(chunk({"text": "é}"}, finish="STOP", usageMetadata=COUNTS)) + b"\n]",
]  # fmt: skip


@pytest.mark.parametrize("sent", FORMS, ids=["events", "array"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_borders_of_chunks_and_the_form_change_nothing(sent: bytes, size: int) -> None:
    reader = AnswerReader()
    events = [event for start in range(0, len(sent), size) for event in reader.feed(sent[start : start + size])]
    assert events + reader.close() == [
        Started("r1"),
        TextPiece('quo"te \\ {'),
        TextPiece("é}"),
        Counted(Usage(5, 2)),
        Finished(FinishReason.STOP),
    ]


def test_an_error_that_is_no_event_is_read() -> None:
    reader = AnswerReader()
    events = reader.feed(b'{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}') + reader.close()
    assert failed(events).status == 503


def test_an_object_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.json_objects.MAX_EVENT", 100)
    objects = Objects()
    for _ in range(6):
        assert objects.feed(b'{"a": "bcdefghij') == []
    with pytest.raises(EventTooLong):
        objects.feed(b'{"a": "bcdefghij')


pieces = st.lists(
    st.binary(max_size=12)
    | st.sampled_from([b"data: ", b"{", b"}", b"[", b'"', b"\\", b"\r\n\r\n", b'{"candidates":[', b'"parts":[{"text":'])
    | st.sampled_from(FORMS),
    max_size=8,
)


@given(pieces)
@hypothesis_settings(max_examples=200, deadline=None)
def test_no_bytes_whatever_break_the_reader(sent: list[bytes]) -> None:
    reader = AnswerReader()
    events = [event for piece in sent for event in reader.feed(piece)] + reader.close()
    said = [event for event in events if not isinstance(event, Counted)]  # figures may come last
    assert isinstance(said[-1], Failed | Finished)
    assert not any(isinstance(event, Failed) for event in events[:-1])
    assert sum(isinstance(event, Failed) for event in events) <= 1


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("candidates", "content", "parts", "text", "functionCall", "args", "name", "inlineData", "data"),
                    *("index", "finishReason", "usageMetadata", "promptTokenCount", "promptFeedback", "blockReason"),
                    *("error", "message", "embeddings", "values", "code", "details", "retryDelay", "logprobsResult"),
                    "chosenCandidates",
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(values)
@hypothesis_settings(max_examples=300, deadline=None)
def test_no_json_whatever_breaks_the_reading(answer: Any) -> None:
    body = orjson.dumps(answer)
    for request in (Chat([]), Embeddings(["a"])):
        try:
            Gemini().read(Job(route(24), "m", "m", request), body)
        except UpstreamError:
            continue
    assert isinstance(Gemini().failure(500, body, None), UpstreamError)


def test_arguments_nested_without_end_are_the_upstreams_failure() -> None:
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    body = b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":' + deep + b"}}]}}]}"
    with pytest.raises(UpstreamError, match="nested"):
        read_answer(body)


# Embeddings (https://ai.google.dev/api/embeddings)


def vectors(answer: Json, inputs: int = 2) -> Vectors:
    read = Gemini().read(Job(route(24), "m", "m", Embeddings(["x"] * inputs)), orjson.dumps(answer))
    assert isinstance(read, Vectors)
    return read


def test_vectors_keep_their_order_and_are_counted_where_the_upstream_does() -> None:
    answer = {"embeddings": [{"values": [1, 0.5]}, {"values": [0.25]}], "usageMetadata": {"promptTokenCount": 9}}
    assert vectors(answer) == Vectors([[1.0, 0.5], [0.25]], Usage(9, 0))
    assert vectors({"embedding": {"values": [1]}}, 1) == Vectors([[1.0]], None)


@pytest.mark.parametrize(
    "answer", [{}, {"embeddings": [{"values": [1]}]}, {"embeddings": [{"values": ["a"]}, {"values": [1]}]}]
)
def test_vectors_that_are_missing_or_none_are_the_upstreams_failure(answer: Json) -> None:
    with pytest.raises(UpstreamError):
        vectors(answer)
