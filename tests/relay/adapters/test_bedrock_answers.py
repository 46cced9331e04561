"""What Bedrock answers: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html."""

from __future__ import annotations

import struct
from binascii import crc32
from typing import Any

import orjson
import pytest
from botocore.eventstream import EventStreamBuffer

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.bedrock.adapter import Bedrock
from relay.adapters.eventstream import BadFrame, Decoder
from relay.errors import UpstreamError
from relay.neutral.events import (
    Cited,
    Counted,
    Failed,
    Finished,
    FinishReason,
    MediaPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    fold,
)
from relay.neutral.request import Chat, Text, Turn
from relay.sse import MAX_EVENT, EventTooLong
from tests.relay.wire.cases import portions, route

ADAPTER = Bedrock()
JOB = Job(route(33), "m", "m", Chat([Turn("user", [Text("Hi")])], stream=True))


def header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()


def frame(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return body + struct.pack(">I", crc32(body))


def event(kind: str, payload: dict[str, Any]) -> bytes:
    return frame(header(":message-type", "event") + header(":event-type", kind), orjson.dumps(payload))


def delta(index: int, **members) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": members})


STOP = event("messageStop", {"stopReason": "end_turn"})


def stream(*frames: bytes):
    reader = ADAPTER.reader(JOB)
    return [each for chunk in frames for each in reader.feed(chunk)] + reader.close()


def test_reads_frames_as_amazons_own_decoder_does():
    odd = b"\x01b\x00" + b"\x01n\x04" + bytes(4) + b"\x01x\x06\x00\x02hi" + b"\x01u\x09" + bytes(16)  # other types
    data = frame(header("a", "é") + odd + header("z", ""), b"payload") + frame(b"", b"")

    buffer = EventStreamBuffer()
    buffer.add_data(data)
    theirs = [({k: v for k, v in m.headers.items() if isinstance(v, str)}, m.payload) for m in buffer]
    ours = [(message.headers, message.payload) for message in Decoder().feed(data)]

    assert [payload for _, payload in ours] == [payload for _, payload in theirs]
    assert ours[0][0] == {"a": "é", "z": ""}


@pytest.mark.parametrize("position", [0, 5, 9, 14, -6, -1])
def test_a_flipped_bit_is_noticed_wherever_it_is(position):
    damaged = bytearray(STOP)
    damaged[position] ^= 1

    with pytest.raises(BadFrame):
        list(Decoder().feed(bytes(damaged)))


@pytest.mark.parametrize("headers", [b"\x09ab", b"\x01a\x0c", b"\x01a\x07\xff", b"\x01\xff\x07\x00\x00", b"\x01a"])
def test_headers_of_no_known_form_are_damage(headers):
    with pytest.raises(BadFrame):
        list(Decoder().feed(frame(headers, b"")))


def test_a_message_without_end_is_refused_at_its_head():
    lengths = struct.pack(">II", MAX_EVENT + 1, 0)

    with pytest.raises(EventTooLong):
        list(Decoder().feed(lengths + struct.pack(">I", crc32(lengths))))


def test_damage_fails_the_stream_after_what_came_whole_whatever_the_borders():
    data = [event("messageStart", {}), delta(0, text="Hi"), STOP[:-1] + b"\x00", delta(0, text="never")]

    for borders in portions(data):
        events = stream(*borders)
        assert events[:2] == [Started(), TextPiece("Hi")]
        assert [type(each) for each in events[2:]] == [Failed]


def test_thoughts_come_with_their_signatures_and_in_secret():
    events = stream(
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": "sig"}),
        delta(1, reasoningContent={"redactedContent": "cmVk"}),
        STOP,
    )

    assert events[:3] == [ThoughtPiece("hm"), ThoughtPiece(signature="sig"), ThoughtPiece(redacted="cmVk")]


def test_calls_are_counted_from_zero_and_one_without_arguments_gets_an_empty_object():
    call = {"toolUse": {"toolUseId": "t1", "name": "look"}}
    events = stream(
        delta(0, text="I look."),
        event("contentBlockStart", {"contentBlockIndex": 4, "start": call}),
        event("contentBlockStop", {"contentBlockIndex": 4}),
        delta(9, toolUse={"input": "of no call"}),
        STOP,
    )

    assert [(each.id, each.name, each.arguments) for each in fold(events).choices[0].calls] == [("t1", "look", "{}")]
    assert Finished(FinishReason.TOOL_CALLS) in events


def test_pictures_and_sources_are_read():
    events = stream(
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "webp"}}}),
        delta(0, image={"source": {"bytes": "aGk="}}),
        delta(1, text="see"),
        delta(1, citation={"title": "T", "location": {"web": {"url": "https://x.example"}}}),
        delta(1, citation={"title": "T", "location": {"documentPage": {"documentIndex": 0}}}),
        STOP,
    )

    place = {"url": "https://x.example", "title": "T", "start_index": 3, "end_index": 3}
    assert events[0] == MediaPiece("image/webp", "aGk=")
    assert [each for each in events if isinstance(each, Cited)] == [
        Cited({"type": "url_citation", "url_citation": place})
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("malformed_tool_use", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
        ("content_filtered", FinishReason.CONTENT_FILTER),
    ],
)
def test_why_the_model_stopped_is_told_in_openais_words(said, reason):
    assert stream(event("messageStop", {"stopReason": said})) == [Finished(reason)]


def test_the_cache_is_part_of_the_prompt():
    usage = {
        "inputTokens": 10,
        "outputTokens": 5,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 50,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 30}],
    }

    assert Counted(Usage(160, 5, cached_tokens=100, cache_write_tokens=30, cache_write_long_tokens=20)) in stream(
        STOP, event("metadata", {"usage": usage})
    )


@pytest.mark.parametrize(
    ("name", "status", "retry"),
    [
        ("throttlingException", 429, True),
        ("modelStreamErrorException", 424, True),
        ("validationException", 400, False),
        ("serviceUnavailableException", 503, True),
        ("modelTimeoutException", 408, True),
        ("somethingNewException", 500, True),
    ],
)
def test_an_exception_in_a_stream_ends_it_with_its_own_status(name, status, retry):
    headers = header(":message-type", "exception") + header(":exception-type", name)
    data = [delta(0, text="Hi"), frame(headers, b'{"message":"no more"}'), delta(0, text="never")]

    for borders in portions(data):
        said, failed = stream(*borders)
        assert said == TextPiece("Hi")
        assert isinstance(failed, Failed)
        error = failed.error
        assert (error.status, error.message, error.code, error.retry) == (status, "no more", name, retry)


def test_an_error_of_the_transport_ends_a_stream():
    headers = header(":message-type", "error") + header(":error-code", "Broken") + header(":error-message", "pipe")

    [failed] = stream(frame(headers, b""))

    assert isinstance(failed, Failed)
    assert (failed.error.status, failed.error.message) == (500, "pipe")


@pytest.mark.parametrize("frames", [[], [delta(0, text="Hi")], [STOP, STOP[:20]]])
def test_a_stream_that_breaks_off_is_not_called_whole(frames):
    last = stream(*frames)[-1]

    assert isinstance(last, Failed)
    assert last.error.code == "stream_broken"


def test_a_whole_answer_has_everything_a_stream_has():
    answer = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                    {"reasoningContent": {"redactedContent": "cmVk"}},
                    {"text": "Hi"},
                    {"image": {"format": "png", "source": {"bytes": "aGk="}}},
                    {
                        "citationsContent": {
                            "content": [{"text": "cited"}],
                            "citations": [{"title": "T", "location": {"web": {"url": "https://x.example"}}}],
                        }
                    },
                    {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}},
                    {"toolUse": {"toolUseId": "t2", "name": "look", "input": {}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 4, "outputTokens": 2, "totalTokens": 6},
    }

    whole = fold(ADAPTER.read(JOB, orjson.dumps(answer)))
    choice = whole.choices[0]

    assert choice.thoughts == [ThoughtPiece("hm", "sig"), ThoughtPiece(redacted="cmVk")]
    assert choice.text == "Hicited"
    assert choice.media == [MediaPiece("image/png", "aGk=")]
    assert [annotation["url_citation"]["title"] for annotation in choice.annotations] == ["T"]
    assert [(call.id, call.arguments) for call in choice.calls] == [("t1", '{"a":1}'), ("t2", "{}")]
    assert choice.finish is FinishReason.TOOL_CALLS
    assert whole.usage == Usage(4, 2)


@pytest.mark.parametrize("body", [b"no", b"[]", b"{}", b'{"output":{"message":[]}}', b'{"message":"denied"}'])
def test_an_answer_without_a_message_is_an_error(body):
    with pytest.raises(UpstreamError):
        ADAPTER.read(JOB, body)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (429, b'{"message":"Too many tokens"}', "Too many tokens"),
        (
            403,
            b'{"Message":"User: arn:aws:iam::123456789012:user/bob is not allowed"}',
            "User: [resource] is not allowed",
        ),
        (400, b'{"message":"bad model arn:aws-cn:bedrock:cn-north-1:1:x/y"}', "bad model [resource]"),
        (503, b"<html>busy</html>", "bad response status code 503 Service Unavailable: busy"),
    ],
)
def test_an_error_answer_keeps_its_status_and_names_no_account(status, body, message):
    error = ADAPTER.failure(status, body, 7.0)

    assert (error.status, error.message) == (status, message)
    assert error.retry_after == 7.0
