"""Answers as Gemini's clients read them, checked with the types of Google's own SDK."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from billing.pricing import Usage
from relay.adapters.gemini.answer import AnswerReader, read_answer
from relay.dialects.gemini.dialect import ARRAY_TYPE, GeminiDialect
from relay.errors import (
    BadRequest,
    BooksAway,
    Forbidden,
    GatewayError,
    ModelNotFound,
    NoChannel,
    NotAuthenticated,
    RelayError,
    UpstreamError,
    UpstreamTimeout,
)
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Event,
    Finished,
    FinishReason,
    Json,
    Logprobs,
    MediaPiece,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
    fold,
)
from relay.types import Call, Head, Mode

DIALECT = GeminiDialect()
CITATION = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
ENTRY: Json = {"token": "A", "logprob": -0.5, "bytes": [65], "top_logprobs": [{"token": "B", "logprob": -1.5}]}
EVENTS: list[Event] = [
    Started("r1"),
    ThoughtPiece("hm"),
    ThoughtPiece(signature="QUFBQQ=="),
    TextPiece("see", signature="QkJCQg=="),
    Logprobs([ENTRY]),
    Cited(CITATION),
    MediaPiece("image/png", "aGk="),
    CallStarted(0, "c1", "f", signature="Q0NDQw=="),
    CallPiece(0, '{"a":'),
    CallStarted(1, "c2", "g"),
    CallPiece(0, "1}"),
    Counted(Usage(6, 64, cached_tokens=4, reasoning_tokens=62)),
    Finished(FinishReason.TOOL_CALLS),
]


def call(action: str = "streamGenerateContent", query: str = "alt=sse", thoughts: bool = True, **members: Any) -> Call:
    document = {
        "contents": [{"parts": [{"text": "Hi"}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": thoughts}},
        **members,
    }
    path = f"/v1beta/models/asked-model:{action}"
    mode = Mode.EMBEDDINGS if "mbed" in action else Mode.CHAT
    return DIALECT.read(mode, Head("POST", path, path, query, {}, "127.0.0.1"), orjson.dumps(document))


def streamed(events: list[Event], one: Call | None = None) -> bytes:
    writer = DIALECT.writer(one or call())
    return b"".join([writer.write(event) for event in events]) + writer.end()


def chunks(sent: bytes) -> list[types.GenerateContentResponse]:
    payloads = sent.split(b"\r\n\r\n")
    assert payloads[-1] == b""
    assert all(payload.startswith(b"data: ") for payload in payloads[:-1])
    documents = [orjson.loads(payload.removeprefix(b"data: ")) for payload in payloads[:-1]]
    return [types.GenerateContentResponse.model_validate(document) for document in documents]


def parts(answers: list[types.GenerateContentResponse]) -> list[types.Part]:
    """But for the empty one of the end."""
    return [
        part
        for answer in answers
        for candidate in answer.candidates or []
        if candidate.content
        for part in candidate.content.parts or []
        if as_told(part) != {"text": ""}
    ]


def as_told(part: types.Part) -> Json:
    told: Json = part.model_dump(exclude_none=True)
    return told


TOLD: list[Json] = [
    {"text": "hm", "thought": True},
    {"text": "", "thought": True, "thought_signature": b"AAAA"},
    {"text": "see", "thought_signature": b"BBBB"},
    {"inline_data": {"data": b"hi", "mime_type": "image/png"}},
    {"function_call": {"id": "c1", "name": "f", "args": {"a": 1}}, "thought_signature": b"CCCC"},
    {"function_call": {"id": "c2", "name": "g", "args": {}}},
]


def test_a_stream_is_read_by_googles_sdk() -> None:
    answers = chunks(streamed(EVENTS))
    assert [as_told(part) for part in parts(answers)] == TOLD
    assert {(answer.model_version, answer.response_id) for answer in answers} == {("asked-model", "r1")}
    ends = [candidate.finish_reason for answer in answers for candidate in answer.candidates or []]
    assert ends == [None] * (len(answers) - 1) + [types.FinishReason.STOP]
    usage = answers[-1].usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (6, 2, 62)
    assert (usage.cached_content_token_count, usage.total_token_count) == (4, 70)
    last = answers[-1].candidates
    assert last
    assert last[0].grounding_metadata
    assert last[0].grounding_metadata.model_dump(exclude_none=True) == {
        "grounding_chunks": [{"web": {"uri": "https://a.example", "title": "A"}}]
    }


def test_text_is_written_as_it_comes() -> None:
    writer = DIALECT.writer(call())
    writer.write(Started("r1"))
    assert parts(chunks(writer.write(TextPiece("a"))))[0].text == "a"
    assert writer.write(CallStarted(0, "c1", "f")) == b""
    assert parts(chunks(writer.write(Finished(FinishReason.TOOL_CALLS))))[0].function_call is not None


def test_without_events_a_stream_is_one_array() -> None:
    one = call(query="")
    assert DIALECT.content_type(one) == ARRAY_TYPE
    assert DIALECT.content_type(call()) == "text/event-stream; charset=utf-8"
    answers = [types.GenerateContentResponse.model_validate(entry) for entry in orjson.loads(streamed(EVENTS, one))]
    assert [as_told(part) for part in parts(answers)] == TOLD
    assert answers[-1].usage_metadata is not None


def test_an_empty_stream_is_whole_in_both_forms() -> None:
    answer = chunks(streamed([Started(""), Finished(FinishReason.LENGTH)]))[0]
    assert answer.response_id
    assert answer.text == ""
    array = orjson.loads(streamed([Finished(FinishReason.LENGTH)], call(query="")))
    assert [entry["candidates"][0]["finishReason"] for entry in array] == ["MAX_TOKENS"]


def test_a_whole_answer_says_the_same() -> None:
    body = DIALECT.whole(call("generateContent"), fold(EVENTS))
    answer = types.GenerateContentResponse.model_validate(orjson.loads(body))
    told = [part for part in TOLD if part.get("thought") is None]
    whole = [as_told(part) for part in parts([answer])]
    assert whole[0] == {"text": "hm", "thought": True, "thought_signature": b"AAAA"}
    assert {**told[0], "thought_signature": None} == {**whole[1], "thought_signature": None}
    assert whole[2:] == told[1:]
    assert answer.candidates
    candidate = answer.candidates[0]
    assert candidate.finish_reason is types.FinishReason.STOP
    assert candidate.logprobs_result
    assert candidate.logprobs_result.chosen_candidates
    assert candidate.logprobs_result.chosen_candidates[0].log_probability == -0.5
    assert answer.usage_metadata
    assert answer.usage_metadata.total_token_count == 70


def test_thoughts_are_for_those_who_asked() -> None:
    one = call(thoughts=False)
    assert [part.thought for part in parts(chunks(streamed(EVENTS, one)))] == [None] * 4
    whole = orjson.loads(DIALECT.whole(call("generateContent", thoughts=False), fold(EVENTS)))
    assert "hm" not in str(whole)


def test_signatures_that_are_no_bytes_are_left_out() -> None:
    answers = chunks(streamed([CallStarted(0, "c", "f", signature="no base64!"), Finished(FinishReason.TOOL_CALLS)]))
    assert as_told(parts(answers)[0]) == {"function_call": {"id": "c", "name": "f", "args": {}}}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FinishReason.STOP, "STOP"),
        (FinishReason.LENGTH, "MAX_TOKENS"),
        (FinishReason.TOOL_CALLS, "STOP"),
        (FinishReason.CONTENT_FILTER, "SAFETY"),
    ],
)
def test_reasons_to_finish(reason: FinishReason, told: str) -> None:
    events: list[Event] = [Started("r"), RefusalPiece("no"), Finished(reason)]
    assert orjson.loads(DIALECT.whole(call(), fold(events)))["candidates"][0]["finishReason"] == told


def test_every_choice_has_its_own_end() -> None:
    events: list[Event] = [
        Started("r"),
        TextPiece("a", 0),
        TextPiece("b", 1),
        Finished(FinishReason.LENGTH, 1),
        Finished(FinishReason.STOP, 0),
    ]
    last = chunks(streamed(events))[-1].candidates or []
    assert [(candidate.index, candidate.finish_reason) for candidate in last] == [
        (0, types.FinishReason.STOP),
        (1, types.FinishReason.MAX_TOKENS),
    ]


def test_what_is_written_is_read_by_our_own_reader() -> None:
    """Both halves of the protocol agree; no arguments are an empty object by then."""
    reader = AnswerReader()
    read = reader.feed(streamed(EVENTS)) + reader.close()
    again = fold(read)
    first = fold([*EVENTS, CallPiece(1, "{}")])
    assert (again.choices[0].text, again.choices[0].calls) == (first.choices[0].text, first.choices[0].calls)
    assert again.choices[0].thoughts == first.choices[0].thoughts
    assert (again.usage, again.choices[0].finish) == (first.usage, first.choices[0].finish)
    assert fold(read_answer(DIALECT.whole(call(), first))).choices[0].calls == first.choices[0].calls


@given(st.lists(st.sampled_from(EVENTS[1:11]), max_size=12))
@hypothesis_settings(max_examples=100, deadline=None)
def test_any_order_of_events_is_a_stream_that_the_sdk_reads(events: list[Event]) -> None:
    assert chunks(streamed([*events, Finished(FinishReason.STOP)]))
    assert isinstance(orjson.loads(streamed([*events, Finished(FinishReason.STOP)], call(query=""))), list)


# Embeddings


def test_vectors_of_one_and_of_many() -> None:
    content: Json = {"content": {"parts": [{"text": "a"}]}}
    packed = base64.b64encode(struct.pack("<2f", 0.5, 0.25)).decode()
    answer = Vectors([[1.0, 0.0], packed], Usage(3, 0))
    many = orjson.loads(DIALECT.whole(call("batchEmbedContents", requests=[content]), answer))
    read = types.EmbedContentResponse.model_validate({"embeddings": many["embeddings"]}).embeddings
    assert [entry.values for entry in read or []] == [[1.0, 0.0], [0.5, 0.25]]
    assert many["usageMetadata"] == {"promptTokenCount": 3}
    one = orjson.loads(DIALECT.whole(call("embedContent", **content), Vectors([[1.0]])))
    assert one == {"embedding": {"values": [1.0]}}


# Errors (https://google.aip.dev/193)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (BadRequest("x"), 400, "INVALID_ARGUMENT"),
        (NotAuthenticated("x"), 401, "UNAUTHENTICATED"),
        (Forbidden("x"), 403, "PERMISSION_DENIED"),
        (ModelNotFound("x"), 404, "NOT_FOUND"),
        (UpstreamError("x", status=413), 413, "INVALID_ARGUMENT"),
        (UpstreamError("x", status=429), 429, "RESOURCE_EXHAUSTED"),
        (GatewayError("x"), 500, "INTERNAL"),
        (UpstreamError("x"), 502, "UNAVAILABLE"),
        (NoChannel("x"), 503, "UNAVAILABLE"),
        (BooksAway("x"), 503, "UNAVAILABLE"),
        (UpstreamTimeout("x"), 504, "DEADLINE_EXCEEDED"),
        (UpstreamError("x", status=529), 529, "INTERNAL"),
        (UpstreamError("x", status=400, kind="FAILED_PRECONDITION"), 400, "FAILED_PRECONDITION"),
        (UpstreamError("x", status=404, kind="FAILED_PRECONDITION"), 404, "NOT_FOUND"),
    ],
)
def test_errors_have_googles_shape(error: RelayError, code: int, status: str) -> None:
    told = orjson.loads(DIALECT.failure(error, "REQ"))["error"]
    assert (told["code"], told["message"], told["status"]) == (code, "x", status)
    assert {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "REQ"} in told["details"]


def test_a_clients_wait_is_told_where_it_looks_for_it() -> None:
    error = UpstreamError("slow down", status=429, code="rate_limit", retry_after=12.4)
    details = orjson.loads(DIALECT.failure(error, "REQ"))["error"]["details"]
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"} in details
    assert details[0]["reason"] == "RATE_LIMIT"


def test_a_stream_that_breaks_ends_in_an_error_and_is_not_whole() -> None:
    error = UpstreamError("broken", code="stream_broken")
    writer = DIALECT.writer(call())
    sent = writer.write(TextPiece("a")) + writer.fail(error, "REQ")
    assert orjson.loads(sent.split(b"\r\n\r\n")[1].removeprefix(b"data: "))["error"]["status"] == "UNAVAILABLE"
    assert b"finishReason" not in sent
    writer = DIALECT.writer(call(query=""))
    array = orjson.loads(writer.write(TextPiece("a")) + writer.fail(error, "REQ"))
    assert list(array[1]) == ["error"]
    assert list(orjson.loads(DIALECT.writer(call(query="")).fail(error, "REQ"))[0]) == ["error"]


def test_calls_without_ids_get_one_each() -> None:
    """An id that is empty is one to clients: two such calls would be the same to them."""
    made: list[Event] = [
        Started("r"),
        CallStarted(0, "", "f"),
        CallStarted(1, "", "f"),
        Finished(FinishReason.TOOL_CALLS),
    ]
    call = Call(Mode.CHAT, "/v1beta/models/m:generateContent", "", "", "", b"", {}, "m")

    whole = types.GenerateContentResponse.model_validate_json(DIALECT.whole(call, fold(made)))

    names = [one.id for one in whole.function_calls or []]
    assert len(set(names)) == 2
    assert all(names)
