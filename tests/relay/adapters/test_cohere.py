"""Cohere, version 2: https://docs.cohere.com/reference/chat, /chat-stream, /embed, /rerank. Version 1: cohere_v1."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.cohere.adapter import Cohere
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Cited, Counted, Failed, Finished, FinishReason, Ranked, TextPiece, ThoughtPiece, fold
from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    Json,
    Media,
    OutputFormat,
    Rerank,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.relay.wire.cases import FakeOutside, check, load, names, route

ADAPTER = Cohere()
HELLO = [Turn("user", [Text("Hi")])]


def job(request, model="command-a-03-2025"):
    return Job(route(35), model, model, request)


async def outgoing(request, model="command-a-03-2025"):
    return await ADAPTER.prepare(job(request, model), FakeOutside(load("cohere_v2_chat")))


async def sent(request, model="command-a-03-2025") -> Json:
    document: Json = orjson.loads((await outgoing(request, model)).body)
    return document


@pytest.mark.parametrize("name", [*names("cohere_v2_"), "cohere_embeddings"])
async def test_keeps_to_the_wire_case(name):
    await check(load(name), ADAPTER, route=route(35, "co-EXAMPLE", {"base_url": "https://api.cohere.com"}))


async def test_a_name_that_asked_for_web_search_is_served_by_the_plain_model():
    """The connectors behind these names were withdrawn on 2025-09-15."""
    body = await sent(Chat(HELLO), "command-r-internet")

    assert body["model"] == "command-r"
    assert "connectors" not in body


async def test_every_turn_is_sent():
    turns = [Turn("user", [Text("1")]), Turn("assistant", [Text("2")]), Turn("user", [Text("3"), Text("4")])]

    assert [message["content"] for message in (await sent(Chat(turns)))["messages"]] == ["1", "2", "34"]


@pytest.mark.parametrize(("given", "p"), [(0.0, 0.01), (0.5, 0.5), (1.0, 0.99)])
async def test_p_is_kept_in_the_range_the_upstream_takes(given, p):
    assert (await sent(Chat(HELLO, top_p=given)))["p"] == p


@pytest.mark.parametrize(
    ("choice", "said", "left"),
    [
        (None, None, ["a", "b"]),
        (ToolChoice("auto"), None, ["a", "b"]),
        (ToolChoice("none"), "NONE", ["a", "b"]),
        (ToolChoice("required"), "REQUIRED", ["a", "b"]),
        (ToolChoice("named", "b"), "REQUIRED", ["b"]),
    ],
)
async def test_a_choice_of_tools_is_said_in_the_upstreams_words(choice, said, left):
    body = await sent(Chat(HELLO, tools=[Tool("a"), Tool("b", strict=True)], tool_choice=choice))

    assert body.get("tool_choice") == said
    assert [tool["function"]["name"] for tool in body["tools"]] == left
    assert body["strict_tools"] is True


async def test_a_choice_without_tools_is_not_sent():
    assert "tool_choice" not in await sent(Chat(HELLO, tool_choice=ToolChoice("required")))


async def test_a_history_with_calls_goes_out_whole():
    turns = [
        Turn("assistant", [Thought("I look."), ToolCall("c1", "look", "")]),
        Turn("user", [Text("so?"), ToolResult("c1", "look", [Text("4 C")])]),
    ]

    assert (await sent(Chat(turns, system=[Text("a"), Text("b")])))["messages"] == [
        {"role": "system", "content": "a\n\nb"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            "tool_plan": "I look.",
        },
        {"role": "tool", "tool_call_id": "c1", "content": "4 C"},
        {"role": "user", "content": "so?"},
    ]


async def test_images_go_as_addresses_or_as_data():
    media = [
        Media("image", url="https://example.com/a.png", detail="low"),
        Media("image", data="aGk=", mime="image/gif"),
    ]

    content = (await sent(Chat([Turn("user", [Text("see"), *media])])))["messages"][0]["content"]

    assert content == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,aGk="}},
    ]


@pytest.mark.parametrize(
    ("chat", "member", "value"),
    [
        (Chat(HELLO, thinking=Thinking("none")), "thinking", {"type": "disabled"}),
        (Chat(HELLO, thinking=Thinking("high")), "thinking", None),
        (Chat(HELLO, thinking=Thinking(budget=500)), "thinking", {"type": "enabled", "token_budget": 500}),
        (Chat(HELLO, output=OutputFormat("json")), "response_format", {"type": "json_object"}),
        (
            Chat(HELLO, output=OutputFormat("schema", {"type": "object"})),
            "response_format",
            {"type": "json_object", "json_schema": {"type": "object"}},
        ),
        (Chat(HELLO, extra={"safety_mode": "NONE"}), "safety_mode", "NONE"),
        (Chat(HELLO, stop=list("abcde")), "stop_sequences", list("abcde")),
    ],
)
async def test_what_is_asked_goes_where_the_upstream_looks_for_it(chat, member, value):
    assert (await sent(chat)).get(member) == value


@pytest.mark.parametrize(
    "request_",
    [
        Chat(HELLO, n=2),
        Chat([Turn("user", [Media("file", data="aGk=")])]),
        Chat([Turn("user", [ToolResult("c", "t", [Media("image", data="aGk=")])])]),
        Embeddings([[1, 2]]),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(request_):
    with pytest.raises(BadRequest):
        await sent(request_)


async def test_the_purpose_of_embeddings_is_told():
    assert (await sent(Embeddings(["a"], purpose=Embed.QUERY)))["input_type"] == "search_query"
    assert (await sent(Embeddings(["a"], extra={"input_type": "clustering"})))["input_type"] == "clustering"


async def test_documents_are_ranked():
    request = Rerank("which?", ["a", "b"], top_n=1, extra={"max_tokens_per_doc": 9, "rank_fields": ["x"]})

    asked = await outgoing(request, "rerank-v3.5")
    answer = {
        "id": "r1",
        "results": [{"index": 1, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 1}},
    }

    assert asked.url.endswith("/v2/rerank")
    assert orjson.loads(asked.body) == {
        "model": "rerank-v3.5",
        "query": "which?",
        "documents": ["a", "b"],
        "top_n": 1,
        "max_tokens_per_doc": 9,
    }
    assert ADAPTER.read(job(request), orjson.dumps(answer)) == Ranked([(1, 0.9)], None, "r1")


def test_plan_thoughts_text_calls_and_citations_are_all_read():
    answer = {
        "id": "c1",
        "finish_reason": "TOOL_CALL",
        "message": {
            "tool_plan": "plan",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}],
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "look"}}],
            "citations": [
                {"start": 0, "end": 2, "sources": [{"document": {"url": "https://x.example", "title": "X"}}]}
            ],
        },
        "usage": {"billed_units": {"input_tokens": 2.0, "output_tokens": 3.0}, "cached_tokens": 9.0},
    }

    events = ADAPTER.read(job(Chat(HELLO)), orjson.dumps(answer))
    assert isinstance(events, list)
    choice = fold(events).choices[0]

    assert (choice.thought, choice.text, choice.finish) == ("planhm", "Hi", FinishReason.TOOL_CALLS)
    assert [(call.id, call.name, call.arguments) for call in choice.calls] == [("t1", "look", "{}")]
    place = {"url": "https://x.example", "title": "X", "start_index": 0, "end_index": 2}
    assert Cited({"type": "url_citation", "url_citation": place}) in events
    assert Counted(Usage(2, 3, cached_tokens=2)) in events  # never more than the prompt


@pytest.mark.parametrize(("reason", "status"), [("ERROR", 502), ("TIMEOUT", 504)])
def test_a_generation_that_failed_is_an_error_and_not_an_answer(reason, status):
    answer = {"id": "c", "finish_reason": reason, "message": {"content": []}}
    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Chat(HELLO)), orjson.dumps(answer))
    assert caught.value.status == status

    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    events = reader.feed(b'data: {"type":"message-end","delta":{"finish_reason":"%s"}}\n\n' % reason.encode())
    assert isinstance(events[-1], Failed)
    assert events[-1].error.status == status
    assert reader.close() == []


def stream(*documents):
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    return [
        event for each in documents for event in reader.feed(b"data: " + orjson.dumps(each) + b"\n\n")
    ] + reader.close()


def test_thoughts_are_told_from_text_in_streams():
    said = [{"thinking": "hm"}, {"text": "Hi"}]
    events = stream(*[{"type": "content-delta", "delta": {"message": {"content": part}}} for part in said])

    assert events[:2] == [ThoughtPiece("hm"), TextPiece("Hi")]
    assert isinstance(events[-1], Failed)  # no message-end: broken off


def test_a_call_without_arguments_ends_up_with_an_empty_object_and_calls_are_counted_from_zero():
    start = {"id": "t1", "function": {"name": "look"}}
    events = stream(
        {"type": "tool-call-start", "index": 3, "delta": {"message": {"tool_calls": start}}},
        {"type": "tool-call-end", "index": 3},
        {"type": "tool-call-delta", "index": 8, "delta": {"message": {"tool_calls": {"function": {"arguments": "x"}}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    )

    assert [(call.name, call.arguments) for call in fold(events).choices[0].calls] == [("look", "{}")]
    assert Finished(FinishReason.TOOL_CALLS) in events


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (Chat(HELLO), {"message": "invalid request"}),
        (Chat(HELLO), {}),
        (Embeddings(["a"]), {"embeddings": {"float": "x"}}),
        (Rerank("q", ["a"]), {"results": None}),
    ],
)
def test_an_answer_of_another_shape_is_an_error(request_, answer):
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(request_), orjson.dumps(answer))


def test_an_error_answer_keeps_status_and_message():
    error = ADAPTER.failure(429, b'{"message":"slow down","id":"x"}', 3.0)

    assert (error.status, error.message, error.retry_after) == (429, "slow down", 3.0)
