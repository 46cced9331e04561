"""Cohere's chat in version 1: https://docs.cohere.com/v1/reference/chat, /v1/docs/tool-use, /v1/docs/streaming."""

from __future__ import annotations

import cohere.types as sdk
import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.cohere.adapter import Cohere
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextPiece,
    ThoughtPiece,
    fold,
)
from relay.neutral.request import (
    Chat,
    Embeddings,
    Json,
    Media,
    OutputFormat,
    Rerank,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.relay.wire.cases import FakeOutside, check, load, names, portions, route

ADAPTER = Cohere()
HELLO = [Turn("user", [Text("Hi")])]
CALL = ToolCall("c1", "look", '{"city":"Oslo"}')
CALLED = {"name": "look", "parameters": {"city": "Oslo"}}


def on_v1(**config):
    return route(35, "co-EXAMPLE", {"api_version": "v1", **config})


def job(request, model="command-r-08-2024"):
    return Job(on_v1(), model, model, request)


async def outgoing(request, model="command-r-08-2024"):
    return await ADAPTER.prepare(job(request, model), FakeOutside(load("cohere_v1_chat")))


async def sent(request, model="command-r-08-2024") -> Json:
    document: Json = orjson.loads((await outgoing(request, model)).body)
    return document


@pytest.mark.parametrize("name", names("cohere_v1_"))
async def test_keeps_to_the_wire_case(name):
    await check(load(name), ADAPTER, route=on_v1(base_url="https://api.cohere.ai"))


def test_both_wire_cases_are_here():
    assert names("cohere_v1_") == ["cohere_v1_chat", "cohere_v1_stream"]


async def test_only_chat_goes_to_v1():
    assert (await outgoing(Chat(HELLO))).url.endswith("/v1/chat")
    assert (await outgoing(Embeddings(["a"]))).url.endswith("/v2/embed")
    assert (await outgoing(Rerank("q", ["a"]))).url.endswith("/v2/rerank")


@pytest.mark.parametrize("config", [{}, {"api_version": "v2"}])
async def test_a_channel_that_does_not_ask_for_v1_is_served_by_v2(config):
    asked = Job(route(35, "co-EXAMPLE", config), "m", "m", Chat(HELLO))

    assert (await ADAPTER.prepare(asked, FakeOutside(load("cohere_v2_chat")))).url.endswith("/v2/chat")


async def test_a_history_of_calls_is_told_with_the_calls_that_results_answer():
    turns = [
        Turn("user", [Text("Weather?")]),
        Turn("assistant", [Thought("I look."), CALL, ToolCall("c2", "ask", "")]),
        Turn("user", [ToolResult("c1", "look", [Text("4 C")])]),
        Turn("user", [ToolResult("c2", "ask", [Text("gone")], failed=True), ToolResult("c9", "lost", [Text("?")])]),
    ]
    results = [
        {"call": CALLED, "outputs": [{"output": "4 C"}]},
        {"call": {"name": "ask", "parameters": {}}, "outputs": [{"error": "gone"}]},
        {"call": {"name": "lost", "parameters": {}}, "outputs": [{"output": "?"}]},
    ]
    history = [
        {"role": "USER", "message": "Weather?"},
        {"role": "CHATBOT", "message": "I look.", "tool_calls": [CALLED, {"name": "ask", "parameters": {}}]},
    ]

    last = await sent(Chat(turns))
    assert (last["message"], last["tool_results"], last["chat_history"]) == ("", results, history)

    later = await sent(Chat([*turns, Turn("user", [Text("and so?")])]))
    assert (later["message"], later["chat_history"]) == (
        "and so?",
        [*history, {"role": "TOOL", "tool_results": results}],
    )
    assert "tool_results" not in later

    at_once = await sent(Chat([*turns[:3], Turn("assistant", [Text("4.")]), Turn("user", [Text("thanks")])]))
    assert at_once["chat_history"][2:] == [
        {"role": "TOOL", "tool_results": results[:1]},
        {"role": "CHATBOT", "message": "4."},
    ]


async def test_tools_are_described_by_parameters_of_pythons_types():
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "City name"},
            "days": {"type": ["null", "integer"], "minimum": 1},
            "units": {"type": "array", "description": "which", "items": {"type": "string"}},
            "odd": True,
        },
        "required": ["city"],
    }
    body = await sent(Chat(HELLO, tools=[Tool("look", "Looks.", schema), Tool("bare")]))

    assert body["tools"] == [
        {
            "name": "look",
            "description": "Looks.",
            "parameter_definitions": {
                "city": {"type": "str", "required": True, "description": "City name"},
                "days": {"type": "int", "required": False, "description": 'JSON schema: {"minimum":1}'},
                "units": {
                    "type": "list",
                    "required": False,
                    "description": 'which (JSON schema: {"items":{"type":"string"}})',
                },
                "odd": {"type": "str", "required": False},
            },
        },
        {"name": "bare", "description": "", "parameter_definitions": {}},
    ]
    for tool in body["tools"]:
        sdk.Tool.model_validate(tool)


async def test_tools_are_left_out_for_the_choice_of_none():
    assert "tools" not in await sent(Chat(HELLO, tools=[Tool("t")], tool_choice=ToolChoice("none")))
    assert "tools" in await sent(Chat(HELLO, tools=[Tool("t")], tool_choice=ToolChoice("auto")))


@pytest.mark.parametrize(
    ("chat", "member", "value"),
    [
        (Chat(HELLO, top_p=1.0), "p", 0.99),
        (Chat(HELLO, top_k=900), "k", 500),
        (Chat(HELLO, seed=7), "seed", 7),
        (Chat(HELLO, stop=list("abcde")), "stop_sequences", list("abcde")),
        (Chat(HELLO, output=OutputFormat("json")), "response_format", {"type": "json_object"}),
        (
            Chat(HELLO, output=OutputFormat("schema", {"type": "object"})),
            "response_format",
            {"type": "json_object", "schema": {"type": "object"}},
        ),
        (Chat(HELLO, extra={"safety_mode": "NONE"}), "safety_mode", "NONE"),
        (Chat(HELLO), "stream", None),
        (Chat(HELLO), "chat_history", None),
    ],
)
async def test_what_is_asked_goes_where_the_upstream_looks_for_it(chat, member, value):
    assert (await sent(chat)).get(member) == value


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        (Chat(HELLO, n=2), "n must be 1"),
        (Chat([]), "the last one must be the user's"),
        (Chat([*HELLO, Turn("assistant", [Text("Well,")])]), "the last one must be the user's"),
        (Chat([Turn("user", [Text("see"), Media("image", data="aGk=")])]), "takes texts only"),
        (Chat([Turn("user", [ToolResult("c", "t", [Media("image", data="aGk=")])])]), "no media as a tool's result"),
        (Chat(HELLO, tools=[Tool("t")], tool_choice=ToolChoice("required")), "leaves it to the model"),
        (Chat(HELLO, tools=[Tool("t")], tool_choice=ToolChoice("named", "t")), "leaves it to the model"),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(chat, said):
    with pytest.raises(BadRequest, match=said):
        await sent(chat)


def test_a_plan_calls_and_figures_are_read():
    answer = {
        "response_id": "r",
        "text": "I look.",
        "finish_reason": "COMPLETE",
        "tool_calls": [CALLED, {"name": "ask", "parameters": {}}],
        "meta": {"billed_units": {"input_tokens": 2.0, "output_tokens": 3.0}},
    }
    sdk.NonStreamedChatResponse.model_validate(answer)
    events = ADAPTER.read(job(Chat(HELLO)), orjson.dumps(answer))
    assert isinstance(events, list)
    choice = fold(events).choices[0]

    assert (choice.thought, choice.text, choice.finish) == ("I look.", "", FinishReason.TOOL_CALLS)
    assert [(call.name, call.arguments) for call in choice.calls] == [("look", '{"city":"Oslo"}'), ("ask", "{}")]
    assert len({call.id for call in choice.calls}) == 2
    assert events[-1] == Counted(Usage(2, 3))


PLACE = {"url": "https://x.example", "title": "X", "start_index": 0, "end_index": 2}
CITATION = {"start": 0, "end": 2, "text": "Hi", "document_ids": ["d1", "d2", "d9"]}
DOCUMENTS = [{"id": "d1", "url": "https://x.example", "title": "X"}, {"id": "d2", "snippet": "s"}]


def test_sources_with_an_address_are_cited():
    answer = {"response_id": "r", "text": "Hi", "citations": [CITATION], "documents": DOCUMENTS}
    cited = Cited({"type": "url_citation", "url_citation": PLACE})

    events = ADAPTER.read(job(Chat(HELLO)), orjson.dumps(answer))
    assert isinstance(events, list)
    assert [event for event in events if isinstance(event, Cited)] == [cited]

    streamed = stream(
        {"event_type": "search-results", "documents": DOCUMENTS},
        {"event_type": "text-generation", "text": "Hi"},
        {"event_type": "citation-generation", "citations": [CITATION]},
        END,
    )
    assert streamed == [TextPiece("Hi"), cited, Finished(FinishReason.STOP)]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("COMPLETE", FinishReason.STOP),
        ("STOP_SEQUENCE", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("ERROR_LIMIT", FinishReason.LENGTH),
    ],
)
def test_why_the_model_stopped_is_told_in_openais_words(reason, finish):
    whole = ADAPTER.read(job(Chat(HELLO)), orjson.dumps({"text": "Hi", "finish_reason": reason}))

    assert isinstance(whole, list)
    assert Finished(finish) in whole
    assert stream({"event_type": "stream-end", "finish_reason": reason}) == [Finished(finish)]


@pytest.mark.parametrize(("reason", "status"), [("ERROR", 502), ("ERROR_TOXIC", 502), ("TIMEOUT", 504)])
def test_a_generation_that_failed_is_an_error_and_not_an_answer(reason, status):
    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Chat(HELLO)), orjson.dumps({"text": "", "finish_reason": reason}))
    assert caught.value.status == status

    failed = stream({"event_type": "stream-end", "finish_reason": reason, "response": {"text": "Hi"}})[-1]
    assert isinstance(failed, Failed)
    assert failed.error.status == status


@pytest.mark.parametrize("answer", [{"message": "invalid request"}, {}, {"text": None}])
def test_an_answer_of_another_shape_is_an_error(answer):
    with pytest.raises(UpstreamError, match=answer.get("message") or "holds no text"):
        ADAPTER.read(job(Chat(HELLO)), orjson.dumps(answer))


END = {"event_type": "stream-end", "is_finished": True, "finish_reason": "COMPLETE", "response": {}}


def lines(*documents) -> list[bytes]:
    return [orjson.dumps(each) + b"\n" for each in documents]


def read(chunks):
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    return [event for each in chunks for event in reader.feed(each)] + reader.close()


def stream(*documents):
    return read(lines(*documents))


def test_calls_come_in_pieces_and_are_not_told_twice():
    chunks = [
        {"text": "I look."},
        {"index": 0, "name": "look"},
        {"index": 0, "parameters": '{"city":'},
        {"index": 0, "parameters": '"Oslo"}'},
        {"index": 1.0, "name": "ask"},
        {"index": 7, "parameters": "of no call"},
    ]
    whole = [CALLED, {"name": "ask", "parameters": {"a": 1}}, {"name": "late", "parameters": {}}]
    data = lines(
        {"event_type": "stream-start", "generation_id": "g"},
        *({"event_type": "tool-calls-chunk", "tool_call_delta": each} for each in chunks),
        {"event_type": "tool-calls-generation", "text": "I look.", "tool_calls": whole},
        END,
    )

    for borders in portions(data):
        events = read(borders)
        choice = fold(events).choices[0]
        assert (choice.thought, choice.finish) == ("I look.", FinishReason.TOOL_CALLS)
        assert [(call.name, call.arguments) for call in choice.calls] == [
            ("look", '{"city":"Oslo"}'),
            ("ask", '{"a":1}'),
            ("late", "{}"),
        ]


def test_a_call_without_arguments_ends_up_with_an_empty_object():
    started, piece, finished = stream({"event_type": "tool-calls-chunk", "tool_call_delta": {"name": "look"}}, END)

    assert isinstance(started, CallStarted)
    assert (piece, finished) == (CallPiece(0, "{}"), Finished(FinishReason.TOOL_CALLS))


def test_the_same_stream_as_server_sent_events_is_read_too():
    case = load("cohere_v1_stream")
    bare = [line.encode() + b"\n" for line in case["upstream_stream"]]
    framed = [b"event: x\ndata: " + line + b"\n" for line in bare]

    assert read(framed) == read(bare)
    assert read(bare)[0] == Started("g-2")


def test_nothing_is_read_after_the_last_word():
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))

    assert reader.feed(lines(END)[0]) == [Finished(FinishReason.STOP)]
    assert reader.over
    assert reader.feed(lines({"event_type": "text-generation", "text": "more"})[0]) == []
    assert reader.close() == []


@pytest.mark.parametrize("documents", [[], [{"event_type": "text-generation", "text": "Hi"}]])
def test_a_stream_without_its_end_is_broken_off(documents):
    failed = stream(*documents)[-1]

    assert isinstance(failed, Failed)
    assert failed.error.code == "stream_broken"


def test_an_error_in_place_of_an_event_ends_the_stream():
    said, failed = stream({"event_type": "text-generation", "text": "Hi"}, {"message": "too many tokens"}, END)

    assert said == TextPiece("Hi")
    assert isinstance(failed, Failed)
    assert (failed.error.status, failed.error.message) == (502, "too many tokens")


def test_thoughts_of_the_plan_and_text_are_told_apart():
    events = stream(
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"text": "plan"}},
        {"event_type": "text-generation", "text": "Hi"},
        END,
    )

    assert events[:2] == [ThoughtPiece("plan"), TextPiece("Hi")]
