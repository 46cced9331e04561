"""What clients of Anthropic's API get: checked against the types of Anthropic's own SDK, and through it.

https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import ConfigDict, TypeAdapter, create_model

from billing.pricing import Usage
from relay.adapters.anthropic.answer import read_message
from relay.dialects.anthropic import count as anthropic_count
from relay.dialects.anthropic.dialect import AnthropicDialect
from relay.dialects.anthropic.request import counts_only
from relay.dialects.base import Writer
from relay.errors import (
    BadRequest,
    GatewayError,
    InsufficientQuota,
    ModelNotFound,
    NoChannel,
    NotAuthenticated,
    RelayError,
    TooLarge,
    UpstreamError,
)
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Logprobs,
    MediaPiece,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    fold,
)
from relay.neutral.request import Chat, Json
from relay.types import Call, Head, Mode
from tests.relay.dialects.test_anthropic_requests import called

ADAPTIVE = {"type": "adaptive"}
CACHED = Usage(2008, 5, cached_tokens=1800, cache_write_tokens=50, cache_write_long_tokens=150, reasoning_tokens=3)
EVERYTHING: list[Event] = [
    Started("chatcmpl-1"),
    ThoughtPiece("Let me "),
    ThoughtPiece("see."),
    ThoughtPiece(signature="sig"),
    ThoughtPiece(redacted="xyz"),
    TextPiece("Look"),
    TextPiece("ing."),
    Cited({"type": "url_citation", "url_citation": {"url": "https://e.example", "title": "E"}}),
    CallStarted(0, "call_1", "f"),
    CallPiece(0, '{"city": "O'),
    CallPiece(0, 'slo"}'),
    CallStarted(1, "", "g"),
    Finished(FinishReason.TOOL_CALLS),
    Counted(CACHED),
]


def streamed(events: list[Event], **members: Any) -> list[Json]:
    """The documents of the stream's events, each checked against the name it goes by."""
    writer = AnthropicDialect().writer(called(stream=True, **members))
    data = b"".join(writer.write(event) for event in events) + writer.end()
    documents = []
    for event in data.decode().removesuffix("\n\n").split("\n\n"):
        name, document = event.split("\n")
        documents.append(json.loads(document.removeprefix("data: ")))
        assert name == f"event: {documents[-1]['type']}"
    return documents


def whole(events: list[Event], **members: Any) -> Json:
    answer: Json = json.loads(AnthropicDialect().whole(called(**members), fold(events)))
    return answer


def kinds(documents: list[Json]) -> list[str]:
    """Short: the type, its block's index and what the block or delta is."""
    return [
        " ".join(
            str(word)
            for word in (
                document["type"],
                document.get("index", ""),
                (document.get("content_block") or document.get("delta") or {}).get("type", ""),
            )
            if word != ""
        )
        for document in documents
    ]


IN_TURNS: list[list[Event]] = [
    [CallStarted(1, "b", "g"), CallPiece(0, '{"n":1}'), CallPiece(1, '{"b":2'), CallStarted(2, "c", "h"),
     CallPiece(0, "}"), CallPiece(1, "}")],
    [CallStarted(1, "b", "g"), CallStarted(2, "c", "h"), CallPiece(1, '{"b"'), CallPiece(0, '{"n":1}}'),
     CallPiece(1, ":2}")],
    [CallStarted(1, "b", "g"), CallPiece(1, '{"b":2}'), CallStarted(2, "c", "h"), CallPiece(2, "{}"),
     CallPiece(0, '{"n":1}}')],
]  # fmt: skip


def inputs(documents: list[Json]) -> dict[str, Any]:
    """By the names of the tools. Deltas are those of the block that is open, and one is at a time."""
    at, names, texts = -1, {}, {}
    for document in documents:
        match document["type"]:
            case "content_block_start":
                assert at == -1
                at = document["index"]
                block = document["content_block"]
                if block["type"] == "tool_use":
                    names[at], texts[at] = block["name"], ""
            case "content_block_delta":
                assert document["index"] == at
                texts[at] = texts.get(at, "") + document["delta"].get("partial_json", "")
            case "content_block_stop":
                assert document["index"] == at
                at = -1
    return {name: json.loads(texts[index] or "{}") for index, name in names.items()}


class TestStream:
    def test_events_are_in_anthropics_order(self) -> None:
        assert kinds(streamed(EVERYTHING, thinking=ADAPTIVE)) == [
            "message_start",
            "content_block_start 0 thinking",
            "ping",
            "content_block_delta 0 thinking_delta",
            "content_block_delta 0 thinking_delta",
            "content_block_delta 0 signature_delta",
            "content_block_stop 0",
            "content_block_start 1 redacted_thinking",
            "content_block_stop 1",
            "content_block_start 2 text",
            "content_block_delta 2 text_delta",
            "content_block_delta 2 text_delta",
            "content_block_delta 2 citations_delta",
            "content_block_stop 2",
            "content_block_start 3 tool_use",
            "content_block_delta 3 input_json_delta",
            "content_block_delta 3 input_json_delta",
            "content_block_stop 3",
            "content_block_start 4 tool_use",
            "content_block_stop 4",
            "message_delta",
            "message_stop",
        ]

    def test_every_event_is_of_the_sdks_type(self) -> None:
        documents = [one for one in streamed(EVERYTHING, thinking=ADAPTIVE) if one["type"] != "ping"]

        for document in documents:
            event = TypeAdapter(RawMessageStreamEvent).validate_python(document)
            assert event.type == document["type"]
            assert _unknown(event) == []

    def test_usage_is_in_the_last_delta_without_what_the_cache_had(self) -> None:
        *_, last, _ = streamed(EVERYTHING)

        assert last["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
        assert last["usage"] == {
            "input_tokens": 8,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 1800,
            "output_tokens": 5,
            "output_tokens_details": {"thinking_tokens": 3},
        }

    def test_a_prompt_counted_first_stands_in_the_first_event(self) -> None:
        first, *_ = streamed([Started("msg_1"), Counted(Usage(40, 0, cached_tokens=30)), TextPiece("A")])

        assert first["message"]["id"] == "msg_1"
        assert first["message"]["usage"]["input_tokens"] == 10
        assert first["message"]["usage"]["cache_read_input_tokens"] == 30

    def test_an_upstreams_id_gets_the_dialects_prefix(self) -> None:
        assert streamed([Started("chatcmpl-1"), TextPiece("A")])[0]["message"]["id"] == "msg_1"
        assert streamed([TextPiece("A")])[0]["message"]["id"].startswith("msg_")

    def test_thoughts_nobody_asked_for_are_only_their_signatures(self) -> None:
        signed: list[Event] = [
            ThoughtPiece("why"),
            ThoughtPiece(signature="sig"),
            TextPiece("So."),
            Finished(FinishReason.STOP),
        ]

        documents = streamed([Started(""), *signed], thinking={"type": "adaptive", "display": "omitted"})
        assert kinds(documents)[1:5] == [
            "content_block_start 0 thinking",
            "ping",
            "content_block_delta 0 signature_delta",
            "content_block_stop 0",
        ]
        assert "why" not in json.dumps(documents)
        unsigned = streamed([Started(""), ThoughtPiece("why"), TextPiece("So.")])
        assert kinds(unsigned)[1] == "content_block_start 0 text"

    def test_text_after_a_call_opens_a_block_of_its_own(self) -> None:
        events: list[Event] = [TextPiece("A"), CallStarted(0, "c", "f"), CallPiece(0, "{}"), TextPiece("B")]

        starts = [one for one in kinds(streamed([Started(""), *events])) if "start" in one]
        assert [one.removeprefix("content_block_start ") for one in starts[1:]] == ["0 text", "1 tool_use", "2 text"]

    @pytest.mark.parametrize("later", IN_TURNS)
    def test_calls_that_come_in_turns_are_told_one_after_the_other(self, later: list[Event]) -> None:
        """A block's deltas stand between its start and its stop, and blocks do not overlap."""
        begun: list[Event] = [Started(""), CallStarted(0, "a", "f"), CallPiece(0, '{"a":')]
        documents = streamed([*begun, *later, Finished(FinishReason.TOOL_CALLS)])

        assert inputs(documents) == {"f": {"a": {"n": 1}}, "g": {"b": 2}, "h": {}}
        assert [one["content_block"]["name"] for one in documents if one["type"] == "content_block_start"] == [*"fgh"]

    def test_what_is_said_between_the_pieces_of_a_call_comes_after_it(self) -> None:
        events: list[Event] = [
            *(Started(""), CallStarted(0, "a", "f"), CallPiece(0, '{"a":'), TextPiece("So."), CallPiece(0, "1}")),
            *(CallStarted(1, "b", "g"), CallPiece(1, "{}"), Finished(FinishReason.TOOL_CALLS)),
        ]
        documents = streamed(events)

        assert inputs(documents) == {"f": {"a": 1}, "g": {}}
        starts = [one["content_block"]["type"] for one in documents if one["type"] == "content_block_start"]
        assert starts == ["tool_use", "text", "tool_use"]

    def test_arguments_that_are_never_whole_keep_nothing_back(self) -> None:
        events: list[Event] = [
            *(Started(""), CallStarted(0, "a", "f"), CallPiece(0, '{"a":'), CallStarted(1, "b", "g")),
            *(CallPiece(1, '{"b":2}'), TextPiece("So."), Finished(FinishReason.LENGTH)),
        ]
        documents = streamed(events)

        deltas = [one["delta"] for one in documents if one["type"] == "content_block_delta"]
        assert [delta.get("partial_json") or delta["text"] for delta in deltas] == ['{"a":', '{"b":2}', "So."]
        assert documents[-2]["delta"]["stop_reason"] == "max_tokens"

    def test_very_many_calls_that_come_backwards_are_told_in_their_order(self) -> None:
        many = range(1500)
        started: list[Event] = [CallStarted(one, str(one), f"f{one}") for one in many]
        pieces: list[Event] = [CallPiece(one, f'{{"n":{one}}}') for one in reversed(many)]

        documents = streamed([Started(""), *started, *pieces, Finished(FinishReason.TOOL_CALLS)])

        assert inputs(documents) == {f"f{one}": {"n": one} for one in many}

    def test_nothing_is_said_of_a_call_after_its_block(self) -> None:
        events: list[Event] = [
            *(Started(""), CallStarted(0, "a", "f"), CallPiece(0, "{}"), CallStarted(1, "b", "g")),
            *(CallPiece(0, "\n"), CallPiece(1, "{}"), TextPiece("So."), CallPiece(1, "\n")),
        ]
        assert inputs(streamed(events)) == {"f": {}, "g": {}}

    def test_calls_without_a_finish_are_an_end_for_tools(self) -> None:
        events: list[Event] = [Started(""), CallStarted(0, "a", "f"), CallPiece(0, "{}")]

        assert streamed(events)[-2]["delta"]["stop_reason"] == "tool_use"
        assert whole(events)["stop_reason"] == "tool_use"
        assert streamed([*events, Finished(FinishReason.LENGTH)])[-2]["delta"]["stop_reason"] == "max_tokens"

    def test_an_empty_answer_is_still_a_whole_message(self) -> None:
        assert kinds(streamed([])) == ["message_start", "message_delta", "message_stop"]

    @pytest.mark.parametrize(
        ("finished", "stopped"),
        [
            (Finished(FinishReason.STOP), ("end_turn", None)),
            (Finished(FinishReason.STOP, stop_sequence="END"), ("stop_sequence", "END")),
            (Finished(FinishReason.LENGTH), ("max_tokens", None)),
            (Finished(FinishReason.CONTENT_FILTER), ("refusal", None)),
        ],
    )
    def test_stop_reasons(self, finished: Finished, stopped: tuple[str, str | None]) -> None:
        events: list[Event] = [Started(""), TextPiece("A"), finished]

        delta = streamed(events)[-2]["delta"]
        assert (delta["stop_reason"], delta["stop_sequence"]) == stopped
        assert (whole(events)["stop_reason"], whole(events)["stop_sequence"]) == stopped

    def test_a_refusal_is_its_text_and_its_reason(self) -> None:
        events: list[Event] = [Started(""), RefusalPiece("No."), Finished(FinishReason.STOP)]

        assert whole(events)["content"] == [{"type": "text", "text": "No."}]
        assert whole(events)["stop_reason"] == streamed(events)[-2]["delta"]["stop_reason"] == "refusal"

    def test_what_the_dialect_has_no_place_for_is_left_out_and_a_picture_is_text(self) -> None:
        events: list[Event] = [Started(""), Logprobs([{}]), TextPiece("B", choice=1), MediaPiece("image/png", "AA==")]

        deltas = [one["delta"] for one in streamed(events) if one["type"] == "content_block_delta"]
        assert deltas == [{"type": "text_delta", "text": "![image](data:image/png;base64,AA==)"}]

    def test_a_broken_stream_ends_in_an_error_event_and_nothing_else(self) -> None:
        writer = AnthropicDialect().writer(called(stream=True))
        writer.write(TextPiece("A"))
        event = writer.fail(UpstreamError("broken off"), "req_1")

        name, document = event.decode().strip().split("\n")
        assert name == "event: error"
        assert json.loads(document.removeprefix("data: ")) == {
            "type": "error",
            "error": {"type": "api_error", "message": "broken off"},
            "request_id": "req_1",
        }


def _unknown(model: Any) -> list[str]:
    """Members the SDK's type does not have, all the way down."""
    extra = [*(model.model_extra or {})]
    for value in model.__dict__.values():
        for inner in value if isinstance(value, list) else [value]:
            if hasattr(inner, "model_extra"):
                extra += _unknown(inner)
    return extra


class TestWhole:
    def test_a_message_is_of_the_sdks_type(self) -> None:
        document = whole(EVERYTHING, thinking=ADAPTIVE)
        message = Message.model_validate(document)

        assert _unknown(message) == []
        assert (message.id, message.model, message.stop_reason) == ("msg_1", "claude-x", "tool_use")
        assert document["content"] == [
            {"type": "thinking", "thinking": "Let me see.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "Looking.", "citations": document["content"][2]["citations"]},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": document["content"][4]["id"], "name": "g", "input": {}},
        ]
        assert document["content"][2]["citations"][0]["url"] == "https://e.example"
        assert document["content"][4]["id"].startswith("toolu_")

    def test_its_usage_tells_how_long_the_cache_lives(self) -> None:
        usage = whole(EVERYTHING)["usage"]

        assert usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"] == 2008
        assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150}

    def test_claudes_own_answer_comes_through_a_cloud_unchanged(self) -> None:
        """What reaches us from Vertex or Bedrock is read and written again."""
        usage = {
            "input_tokens": 8,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 1800,
            "output_tokens": 25,
            "output_tokens_details": {"thinking_tokens": 18},
            "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150},
        }
        message = {
            "id": "msg_vrtx_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [
                {"type": "thinking", "thinking": "why", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "text", "text": "So."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Oslo"}},
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": usage,
        }

        assert whole(read_message(json.dumps(message).encode()), thinking=ADAPTIVE) == message

    def test_a_caller_without_thinking_finds_the_answer_in_the_first_block(self) -> None:
        answer = whole([Started(""), ThoughtPiece("why"), TextPiece("So."), Finished(FinishReason.STOP)])

        assert answer["content"] == [{"type": "text", "text": "So."}]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("x"), "invalid_request_error"),
        (NotAuthenticated("x"), "authentication_error"),
        (InsufficientQuota("x"), "permission_error"),
        (ModelNotFound("x"), "not_found_error"),
        (TooLarge("x"), "request_too_large"),
        (UpstreamError("x", status=429), "rate_limit_error"),
        (NoChannel("x"), "overloaded_error"),
        (GatewayError("x"), "api_error"),
        (UpstreamError("x"), "api_error"),
        (UpstreamError("x", status=504), "timeout_error"),
        (UpstreamError("x", status=529, kind="overloaded_error"), "overloaded_error"),
        (UpstreamError("x", status=402), "billing_error"),
        (UpstreamError("x", status=400, kind="billing_error"), "billing_error"),
        (UpstreamError("x", status=500, kind="server_error"), "api_error"),
        (UpstreamError("x", status=422), "invalid_request_error"),
    ],
)
def test_errors_have_anthropics_shape_and_types(error: RelayError, kind: str) -> None:
    document = json.loads(AnthropicDialect().failure(error, "req_1"))

    assert document == {"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "req_1"}


Answer = Callable[[Call, Chat], list[Event] | RelayError]


@contextmanager
def sdk(answer: Answer) -> Iterator[anthropic.Anthropic]:
    """The vendor's SDK in front of the dialect, over a socket; `answer` stands for the upstream, in neutral terms."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            dialect = AnthropicDialect()
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            call = dialect.read(Mode.CHAT, Head("POST", path, path, query, headers, "127.0.0.1"), body)
            said = answer(call, dialect.neutral(call))
            if counts_only(call):
                self.reply(200, anthropic_count.answer(anthropic_count.count(call)), "application/json")
            elif isinstance(said, RelayError):
                self.reply(said.status, dialect.failure(said, "req_1"), "application/json")
            elif call.stream:
                self.reply(200, written(dialect.writer(call), said), dialect.stream_type)
            else:
                self.reply(200, dialect.whole(call, fold(said)), "application/json")

        def reply(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        with anthropic.Anthropic(api_key="sk-test", base_url=address, max_retries=0) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def written(writer: Writer, events: list[Event]) -> bytes:
    """A stream. A `Failed` among the events breaks it off."""
    data = b""
    for event in events:
        if isinstance(event, Failed):
            return data + writer.fail(event.error, "req_1")
        data += writer.write(event)
    return data + writer.end()


class TestSdk:
    MESSAGES: Any = [{"role": "user", "content": "Hi"}]
    ASKED: Any = {"model": "m", "max_tokens": 9, "messages": MESSAGES}

    def test_a_stream_is_gathered_into_the_message(self) -> None:
        with (
            sdk(lambda call, chat: EVERYTHING) as client,
            client.messages.stream(**self.ASKED, thinking={"type": "adaptive"}) as stream,
        ):
            texts = list(stream.text_stream)
            message = stream.get_final_message()

        assert texts == ["Look", "ing."]
        blocks: Any = [block.to_dict() for block in message.content]
        assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
        assert (blocks[0]["thinking"], blocks[0]["signature"]) == ("Let me see.", "sig")
        assert [block["input"] for block in blocks[3:]] == [{"city": "Oslo"}, {}]
        assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 8, 5)

    def test_an_answer_given_back_is_understood_again(self) -> None:
        """The SDK's own objects as the next request: thoughts keep their signatures, calls find their results."""
        asked: list[Chat] = []

        def answer(call: Call, chat: Chat) -> list[Event]:
            asked.append(chat)
            return EVERYTHING

        with sdk(answer) as client:
            first = client.messages.create(**self.ASKED, thinking={"type": "adaptive"})
            used = [block.id for block in first.content if block.type == "tool_use"]
            results: Any = [{"type": "tool_result", "tool_use_id": one, "content": "ok"} for one in used]
            messages = [*self.MESSAGES, first.to_param(), {"role": "user", "content": results}]
            client.messages.create(model="m", max_tokens=9, messages=messages)

        thought, redacted, *_ = asked[1].turns[1].parts
        assert (getattr(thought, "signature", ""), getattr(redacted, "redacted", "")) == ("sig", "xyz")
        assert [getattr(part, "name", "") for part in asked[1].turns[2].parts] == ["f", "g"]

    def test_structured_output_is_asked_for_and_parsed(self) -> None:
        shape = create_model("Shape", __config__=ConfigDict(extra="forbid"), city=(str, ...))
        seen: list[Chat] = []

        def answer(call: Call, chat: Chat) -> list[Event]:
            seen.append(chat)
            return [Started(""), TextPiece('{"city": "Oslo"}'), Finished(FinishReason.STOP)]

        with sdk(answer) as client:
            message = client.messages.parse(**self.ASKED, output_format=shape)

        assert message.parsed_output == shape(city="Oslo")
        assert seen[0].output is not None
        assert (seen[0].output.schema or {})["required"] == ["city"]

    def test_tokens_are_counted(self) -> None:
        with sdk(lambda call, chat: []) as client:
            counted = client.messages.count_tokens(model="m", messages=self.MESSAGES)

        assert counted.input_tokens == 3 + 3 + 1

    @pytest.mark.parametrize(
        ("error", "raised"),
        [
            (BadRequest("wrong"), anthropic.BadRequestError),
            (NotAuthenticated("who"), anthropic.AuthenticationError),
            (ModelNotFound("no such model"), anthropic.NotFoundError),
            (UpstreamError("busy", status=429), anthropic.RateLimitError),
            (GatewayError("ours"), anthropic.InternalServerError),
        ],
    )
    def test_errors_are_the_sdks_own(self, error: RelayError, raised: type[anthropic.APIStatusError]) -> None:
        with sdk(lambda call, chat: error) as client, pytest.raises(raised, match=error.message):
            client.messages.create(**self.ASKED)

    def test_an_error_in_a_stream_is_raised(self) -> None:
        broken: list[Event] = [TextPiece("A"), Failed(UpstreamError("busy", status=529))]

        with sdk(lambda call, chat: broken) as client, pytest.raises(anthropic.APIStatusError, match="busy"):
            list(client.messages.create(**self.ASKED, stream=True))
