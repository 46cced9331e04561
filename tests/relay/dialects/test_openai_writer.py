"""Neutral events as OpenAI's clients get them: checked with the types of OpenAI's own SDK."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from billing.pricing import Usage
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Event,
    Finished,
    FinishReason,
    Logprobs,
    MediaPiece,
    Picture,
    Pictures,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
    fold,
)
from relay.types import Call, Mode
from tests.relay.wire import cases

STOP = Finished(FinishReason.STOP)
USAGE = Counted(Usage(9, 4, cached_tokens=5, cache_write_tokens=1, cache_write_long_tokens=2, reasoning_tokens=3))
SHOWN = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
SPOKEN: list[Event] = [
    Started("abc", 17),
    ThoughtPiece("Hm"),
    ThoughtPiece("m."),
    ThoughtPiece(signature="c2ln"),
    TextPiece("Hel"),
    TextPiece("lo"),
    CallStarted(0, "call_a", "look", signature="Zw=="),
    CallPiece(0, '{"a"'),
    CallPiece(0, ":1}"),
    CallStarted(1, "", "rest"),
    STOP,
    USAGE,
]


def call(mode: Mode = Mode.CHAT, *, shows_usage: bool = True, **document: Any) -> Call:
    return Call(mode, "/v1/x", "", "", "", b"", document, "gpt-x", shows_usage=shows_usage)


def streamed(events: list[Event], **options: Any) -> list[dict[str, Any]]:
    writer = cases.DIALECT.writer(call(**options))
    payloads = (b"".join([writer.write(event) for event in events]) + writer.end()).split(b"\n\n")
    assert payloads[-2:] == [b"data: [DONE]", b""]
    return [orjson.loads(payload.removeprefix(b"data: ")) for payload in payloads[:-2]]


def whole(events: list[Event]) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(cases.DIALECT.whole(call(), fold(events)))
    ChatCompletion.model_validate(document)
    return document


def test_every_chunk_is_one_that_openais_sdk_knows():
    for chunk in streamed(SPOKEN):
        parsed = ChatCompletionChunk.model_validate(chunk)
        assert (parsed.id, parsed.created, parsed.model) == ("chatcmpl-abc", 17, "gpt-x")


def test_a_stream_has_the_canonical_order():
    chunks = streamed(SPOKEN)
    assert chunks[0]["choices"][0] == {
        "index": 0,
        "delta": {"role": "assistant", "content": ""},
        "finish_reason": None,
    }
    assert [choice["delta"] for chunk in chunks[1:6] for choice in chunk["choices"]] == [
        {"reasoning_content": "Hm"},
        {"reasoning_content": "m."},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hmm.", "signature": "c2ln"}]},
        {"content": "Hel"},
        {"content": "lo"},
    ]
    first = chunks[6]["choices"][0]["delta"]["tool_calls"][0]
    assert first == {
        "index": 0,
        "id": "call_a",
        "type": "function",
        "function": {"name": "look", "arguments": ""},
        "extra_content": {"google": {"thought_signature": "Zw=="}},
    }
    assert chunks[7]["choices"][0]["delta"] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], SHOWN)


def test_a_call_without_arguments_ends_up_with_the_empty_object():
    answer = cases.joined(streamed(SPOKEN))["choices"][0]["message"]["tool_calls"]
    assert [one["function"]["arguments"] for one in answer] == ['{"a":1}', "{}"]
    assert answer[1]["id"].startswith("call_")


IN_TURNS: list[Event] = [
    Started("x"),
    CallStarted(0, "a", "f"),
    CallStarted(1, "b", "g"),
    CallStarted(2, "c", "h"),
    CallPiece(0, '{"a":'),
    CallPiece(1, '{"b":'),
    CallPiece(0, "1}"),
    CallPiece(1, "2}"),
]


@pytest.mark.parametrize("end", [[], [Finished(FinishReason.TOOL_CALLS)]], ids=["no finish", "a finish"])
def test_calls_whose_arguments_come_in_turns_get_each_its_own(end: list[Event]):
    """The empty object is for a call that has come to its end without any, and never stands before others."""
    (choice,) = cases.joined(streamed([*IN_TURNS, *end]))["choices"]
    arguments = [one["function"]["arguments"] for one in choice["message"]["tool_calls"]]
    assert (arguments, choice["finish_reason"]) == (['{"a":1}', '{"b":2}', "{}"], "tool_calls")


def test_usage_is_shown_only_to_those_who_asked():
    assert all("usage" not in chunk for chunk in streamed(SPOKEN, shows_usage=False))


def test_the_last_count_is_the_one_shown():
    chunks = streamed([Started(), Counted(Usage(1, 0)), TextPiece("a"), STOP, Counted(Usage(1, 2))])
    assert chunks[-1]["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_each_choice_has_its_role_and_one_finish():
    chunks = streamed([Started("x"), TextPiece("a"), TextPiece("b", 1), Finished(FinishReason.LENGTH, 1), STOP, STOP])
    roles = [choice["index"] for chunk in chunks for choice in chunk["choices"] if "role" in choice["delta"]]
    ends = [(c["index"], c["finish_reason"]) for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
    assert (roles, ends) == ([0, 1], [(1, "length"), (0, "stop")])


def test_a_stream_whose_adapter_named_no_end_has_one():
    assert streamed([Started("x"), TextPiece("a")])[-1]["choices"][0]["finish_reason"] == "stop"
    assert streamed([])[-1]["choices"][0]["finish_reason"] == "stop"


def test_an_id_is_made_once_when_the_upstream_has_none():
    ids = {chunk["id"] for chunk in streamed([TextPiece("a"), TextPiece("b"), STOP])}
    assert len(ids) == 1
    assert ids.pop().startswith("chatcmpl-")


def test_an_id_that_has_the_prefix_keeps_it_once():
    assert streamed([Started("chatcmpl-1"), STOP])[0]["id"] == "chatcmpl-1"


def test_a_stream_that_broke_ends_in_an_error_and_nothing_else():
    end = cases.DIALECT.writer(call()).fail(UpstreamError("gone", code="stream_broken"), "R")
    assert orjson.loads(end.removeprefix(b"data: ")) == {
        "error": {"message": "gone (request id: R)", "type": "upstream_error", "param": "", "code": "stream_broken"}
    }
    assert end.endswith(b"\n\n")


def test_refusals_citations_logprobs_and_pictures_have_their_places():
    cited = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
    entry = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    events: list[Event] = [
        Started("x"),
        RefusalPiece("No."),
        Cited(cited),
        Logprobs([entry]),
        MediaPiece("image/png", "aGk="),
        STOP,
    ]
    choice = whole(events)["choices"][0]
    assert choice["message"]["refusal"] == "No."
    assert choice["message"]["annotations"] == [cited]
    assert choice["logprobs"] == {"content": [entry]}
    assert choice["message"]["content"] == "![image](data:image/png;base64,aGk=)"
    chunks = streamed(events, shows_usage=False)
    assert [chunk["choices"][0]["delta"] for chunk in chunks[1:3]] == [{"refusal": "No."}, {"annotations": [cited]}]
    assert chunks[3]["choices"][0]["logprobs"] == {"content": [entry]}
    assert chunks[4]["choices"][0]["delta"] == {"content": "![image](data:image/png;base64,aGk=)"}


def test_a_whole_answer_is_a_chat_completion():
    document = whole(SPOKEN)
    choice = document["choices"][0]
    assert (document["id"], document["created"], document["usage"]) == ("chatcmpl-abc", 17, SHOWN)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "tool_calls")
    assert choice["message"]["reasoning_content"] == "Hmm."
    assert choice["message"]["thinking_blocks"] == [{"type": "thinking", "thinking": "Hmm.", "signature": "c2ln"}]
    assert [one["function"]["arguments"] for one in choice["message"]["tool_calls"]] == ['{"a":1}', "{}"]


def test_an_answer_of_calls_alone_has_no_content_and_an_empty_one_has_the_empty_text():
    assert whole([CallStarted(0, "c", "look"), STOP])["choices"][0]["message"]["content"] is None
    assert whole([Started("x"), STOP])["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
def test_an_end_that_says_more_than_stop_is_kept_beside_calls(reason):
    assert whole([CallStarted(0, "c", "look"), Finished(reason)])["choices"][0]["finish_reason"] == reason.value


def test_an_older_completion_is_text_and_its_end():
    document = orjson.loads(cases.DIALECT.whole(call(Mode.COMPLETIONS), fold(SPOKEN)))
    Completion.model_validate(document)
    assert (document["id"], document["object"]) == ("cmpl-abc", "text_completion")
    assert document["choices"] == [{"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "stop"}]
    chunks = streamed(SPOKEN, mode=Mode.COMPLETIONS)
    assert [choice["text"] for chunk in chunks for choice in chunk["choices"]] == ["Hel", "lo", ""]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == SHOWN


@pytest.mark.parametrize("vector", [[1.0, -2.5], "AACAPwAAIMA="])
def test_a_vector_comes_in_the_encoding_that_was_asked_for(vector):
    vectors = Vectors([vector], Usage(3, 0))
    plain = orjson.loads(cases.DIALECT.whole(call(Mode.EMBEDDINGS), vectors))
    CreateEmbeddingResponse.model_validate(plain)
    assert plain["data"] == [{"object": "embedding", "index": 0, "embedding": [1.0, -2.5]}]
    assert plain["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    packed = orjson.loads(cases.DIALECT.whole(call(Mode.EMBEDDINGS, encoding_format="base64"), vectors))
    assert packed["data"][0]["embedding"] == "AACAPwAAIMA="


def test_a_vector_that_is_none_is_the_upstreams_fault():
    with pytest.raises(UpstreamError):
        cases.DIALECT.whole(call(Mode.EMBEDDINGS), Vectors(["???"]))
    with pytest.raises(UpstreamError):
        cases.DIALECT.whole(call(Mode.EMBEDDINGS, encoding_format="base64"), Vectors([[1e300]]))


def test_pictures_are_addresses_or_data():
    pictures = Pictures([Picture(url="https://x/y.png", revised_prompt="r"), Picture(data="aGk=")], 17, Usage(4, 9))
    document = orjson.loads(cases.DIALECT.whole(call(Mode.IMAGES), pictures))
    ImagesResponse.model_validate(document)
    assert document["data"] == [{"url": "https://x/y.png", "revised_prompt": "r"}, {"b64_json": "aGk="}]
    assert (document["created"], document["usage"]["total_tokens"]) == (17, 13)
