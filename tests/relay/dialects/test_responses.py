"""OpenAI's Responses API for upstreams that have none: checked with the types of OpenAI's own SDK.

Event order: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from billing import tokens
from billing.pricing import Usage
from relay.dialects.responses import tools as responses_tools
from relay.dialects.responses.dialect import ResponsesDialect
from relay.errors import BadRequest, UpstreamError
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
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    fold,
)
from relay.neutral.request import (
    Media,
    OutputFormat,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from relay.types import Call, Head, Mode
from tests.relay.wire import cases, strategies

DIALECT = ResponsesDialect()
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
HEAD = Head("POST", "/v1/responses", "/v1/responses", "", {"content-type": "application/json"}, "127.0.0.1")
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": True}
PATCH = {"type": "custom", "name": "patch", "description": "Patches.", "format": {"type": "text"}}
STOP = Finished(FinishReason.STOP)
SPOKEN: list[Event] = [
    Started("chatcmpl-abc", 17),
    ThoughtPiece("Hm"),
    ThoughtPiece("m."),
    ThoughtPiece(signature="c2ln"),
    TextPiece("Hel"),
    TextPiece("lo"),
    CallStarted(0, "call_a", "look"),
    CallPiece(0, '{"a"'),
    CallPiece(0, ":1}"),
    CallStarted(1, "call_b", "look"),
    STOP,
    Counted(Usage(9, 4, cached_tokens=5, reasoning_tokens=3)),
]


def call(**document: Any) -> Call:
    return DIALECT.read(Mode.RESPONSES, HEAD, orjson.dumps({"model": "gpt-x", "input": "Hi", **document}))


def neutral(**document: Any) -> Any:
    return DIALECT.neutral(call(**document))


def parsed(raw: bytes) -> list[Any]:
    """The events as OpenAI's SDK has them, after a look at their numbers and names."""
    events = []
    for number, block in enumerate(raw.split(b"\n\n")[:-1]):
        name, data = block.split(b"\n")
        document = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + document["type"].encode()
        assert document["sequence_number"] == number
        events.append(EVENT.validate_python(document))
    return events


def streamed(events: list[Event], **document: Any) -> list[Any]:
    writer = DIALECT.writer(call(stream=True, **document))
    return parsed(b"".join([writer.write(event) for event in events]) + writer.end())


def whole(events: list[Event], **document: Any) -> Any:
    body = DIALECT.whole(call(**document), fold(events))
    return Response.model_validate(orjson.loads(body))


def test_a_text_is_one_turn_and_instructions_are_the_system():
    chat = neutral(instructions="Be brief.", max_output_tokens=5, temperature=0, user="u", stream=True)
    assert chat.turns == [Turn("user", [Text("Hi")])]
    assert chat.system == [Text("Be brief.")]
    assert (chat.max_tokens, chat.temperature, chat.user, chat.stream) == (5, 0, "u", True)


def test_items_are_turns():
    chat = neutral(
        input=[
            {"role": "developer", "content": "No jokes."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A"}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "4"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "5"}]},
            {"role": "user", "content": "Go on"},
        ]
    )
    assert chat.system == [Text("No jokes.")]
    assert chat.turns == [
        Turn("user", [Text("Look")]),
        Turn("assistant", [Thought("Hm."), Text("A"), ToolCall("c1", "look", "{}"), ToolCall("c2", "look", "{}")]),
        Turn("user", [ToolResult("c1", "look", [Text("4")]), ToolResult("c2", "look", [Text("5")])]),
        Turn("user", [Text("Go on")]),
    ]


def test_media_are_addresses_or_data():
    parts = [
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
    ]
    assert neutral(input=[{"role": "user", "content": parts}]).turns[0].parts == [
        Media("image", data="aGk=", mime="image/png", detail="low"),
        Media("file", data="aGk=", mime="application/pdf", name="a.pdf"),
        Media("file", url="https://x/y.pdf"),
    ]


def test_tools_their_choice_and_the_form_of_the_answer():
    schema = {"type": "object", "properties": {}}
    chat = neutral(
        tools=[LOOK, {"type": "namespace", "name": "files", "description": "d", "tools": [LOOK]}],
        tool_choice={"type": "function", "name": "look"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        prompt_cache_key="k",
        metadata={"a": "b"},
        truncation="auto",
        include=["reasoning.encrypted_content"],
    )
    assert chat.tools == [Tool("look", "", schema, True), Tool("files__look", "", schema, True)]
    assert chat.tool_choice == ToolChoice("named", "look")
    assert chat.parallel_tools is False
    assert chat.output == OutputFormat("schema", schema, "n", "", True)
    assert chat.thinking == Thinking("high", shown=True)
    assert chat.extra == {"prompt_cache_key": "k", "verbosity": "low"}


@pytest.mark.parametrize(
    "kind",
    [
        *("web_search", "web_search_preview", "file_search", "computer_use_preview", "mcp", "image_generation"),
        *("code_interpreter", "local_shell", "shell", "apply_patch"),
    ],
)
def test_a_tool_of_openais_own_is_left_out(kind):
    chat = neutral(tools=[{"type": kind}, LOOK], tool_choice="auto")
    assert ([tool.name for tool in chat.tools], chat.tool_choice) == (["look"], ToolChoice("auto"))

    alone = neutral(tools=[{"type": kind}], tool_choice="auto", parallel_tool_calls=True)
    assert (alone.tools, alone.tool_choice, alone.parallel_tools) == ([], None, None)


def test_beside_tools_of_openais_own_a_function_can_be_forced():
    tools = [{"type": "web_search"}, LOOK]
    assert neutral(tools=tools, tool_choice="required").tool_choice == ToolChoice("required")
    named = {"type": "function", "name": "look"}
    assert neutral(tools=tools, tool_choice=named).tool_choice == ToolChoice("named", "look")
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}, named]}
    assert neutral(tools=tools, tool_choice=allowed).tool_choice == ToolChoice("required")


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_of_the_tools_only_the_allowed_ones_are_told(mode):
    """https://platform.openai.com/docs/guides/function-calling (`allowed_tools`)."""
    tools = [LOOK, {**LOOK, "name": "delete_all"}, PATCH, {"type": "namespace", "name": "files", "tools": [LOOK]}]

    def told(*named: dict[str, str]) -> list[str]:
        chat = neutral(tools=tools, tool_choice={"type": "allowed_tools", "mode": mode, "tools": list(named)})
        assert chat.tool_choice == ToolChoice(mode)
        return [tool.name for tool in chat.tools]

    assert told({"type": "custom", "name": "patch"}) == ["patch"]
    assert told({"type": "function", "name": "files__look"}) == ["files__look"]
    assert "delete_all" not in told({"type": "function", "name": "look"})


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([{"type": "web_search"}, LOOK], {"type": "web_search"}),
        ([{"type": "web_search"}], "required"),
        (
            [{"type": "web_search"}, LOOK],
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
        ),
    ],
)
def test_a_tool_of_openais_own_that_is_forced_is_refused(tools, choice):
    with pytest.raises(BadRequest, match="tool_choice"):
        neutral(tools=tools, tool_choice=choice)


@pytest.mark.parametrize(
    "document",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"store": True},
        {"prompt": {"id": "pmpt_1"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"type": "web_search_call", "id": "ws_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
        {"input": [{"role": "user", "content": [{"type": "hologram"}]}]},
        {"tool_choice": {"type": "file_search"}},
        {"tools": [{"name": "f"}]},
        {"tools": [{"type": 5, "name": "f"}]},
        {"text": {"format": {"type": "grammar"}}},
        {"reasoning": {"effort": "heroic"}},
    ],
)
def test_what_only_openai_can_do_is_refused_and_never_dropped(document):
    with pytest.raises(BadRequest):
        neutral(**document)


@pytest.mark.parametrize(
    "document",
    [
        {"model": ""},
        {"input": ""},
        {"input": 5},
        {"input": ["x"]},
        {"stream": "yes"},
        {"max_output_tokens": -1},
        {"background": True},
    ],
)
def test_what_cannot_be_routed_or_billed_is_refused_at_once(document):
    with pytest.raises(BadRequest):
        call(**document)


def test_the_prompt_is_weighed_by_its_text_and_its_pictures():
    long = call(input=[{"role": "user", "content": [{"type": "input_text", "text": "x" * 1000}]}])
    assert long.prompt_estimate > 300
    url = "data:image/png;base64," + "a" * 100_000
    shown = call(input=[{"role": "user", "content": [{"type": "input_image", "image_url": url}]}])
    assert 1105 <= shown.prompt_estimate < 1300
    assert call(instructions="x" * 1000).prompt_estimate > 300
    assert call(max_output_tokens=7).max_tokens == 7


def test_a_stream_has_the_documented_order():
    events = streamed(SPOKEN, tools=[LOOK])
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event.output_index for event in events if event.type == "response.output_item.done"] == [0, 1, 2, 3]
    assert events[0].response.id == events[-1].response.id == "resp_abc"
    assert events[13].text == "Hello"
    assert (events[20].arguments, events[23].arguments) == ('{"a":1}', "{}")


def test_the_last_event_holds_the_whole_response_and_so_does_a_plain_answer():
    last = streamed(SPOKEN, tools=[LOOK])[-1].response
    plain = whole(SPOKEN, tools=[LOOK])
    for response in (last, plain):
        assert [item.type for item in response.output] == ["reasoning", "message", "function_call", "function_call"]
        assert response.output_text == "Hello"
        assert (response.status, response.model, response.created_at) == ("completed", "gpt-x", 17)
        assert [one.arguments for one in response.output[2:]] == ['{"a":1}', "{}"]
        assert [one.call_id for one in response.output[2:]] == ["call_a", "call_b"]
        assert {one.status for one in response.output[1:]} == {"completed"}
        assert response.usage.model_dump(exclude_none=True) == {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 13,
        }


def test_openais_sdk_adds_up_the_stream():
    """Its own accumulator takes the events one by one, and ends with the response."""
    writer = DIALECT.writer(call(stream=True, tools=[LOOK]))
    state: Any = ResponseStreamState(input_tools=openai.omit, text_format=openai.omit)
    raw = b"".join([writer.write(event) for event in SPOKEN]) + writer.end()
    seen = [told for event in parsed(raw) for told in state.handle_event(event)]
    assert seen[-1].type == "response.completed"
    assert seen[-1].response.output_text == "Hello"


def test_the_request_is_repeated_in_the_response():
    response = whole(
        [Started("x"), STOP], tools=[LOOK], metadata={"a": "b"}, temperature=0.5, store=True, instructions="Be."
    )
    assert (response.metadata, response.temperature, response.instructions) == ({"a": "b"}, 0.5, "Be.")
    assert response.tools[0].name == "look"
    assert response.model_dump()["store"] is False  # nothing is kept here


@pytest.mark.parametrize(
    ("reason", "told"), [(FinishReason.LENGTH, "max_output_tokens"), (FinishReason.CONTENT_FILTER, "content_filter")]
)
def test_an_answer_cut_short_is_incomplete_and_says_why(reason, told):
    events: list[Event] = [Started("x"), TextPiece("a"), Finished(reason)]
    last = streamed(events)[-1]
    assert last.type == "response.incomplete"
    for response in (last.response, whole(events)):
        assert (response.status, response.incomplete_details.reason) == ("incomplete", told)
        assert response.output[0].status == "incomplete"


def test_a_stream_that_broke_ends_as_failed():
    writer = DIALECT.writer(call(stream=True))
    raw = writer.write(Started("x")) + writer.write(TextPiece("a")) + writer.fail(UpstreamError("gone"), "R")
    last = parsed(raw)[-1]
    assert (last.type, last.response.status) == ("response.failed", "failed")
    assert (last.response.error.code, last.response.error.message) == ("server_error", "gone (request id: R)")


def test_a_stream_that_was_passed_on_is_not_begun_again_by_its_failure():
    asked = call(tools=[{"type": "web_search"}], include=5, reasoning="x", text=7)
    (limited,) = parsed(DIALECT.writer(asked).fail(UpstreamError("slow", status=429), "R"))
    assert (limited.type, limited.response.error.code) == ("response.failed", "rate_limit_exceeded")
    assert limited.response.id.startswith("resp_")


def test_the_prompt_is_counted_like_the_chat_it_amounts_to():
    asked = call(
        instructions="Be brief.",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Look at it, please"}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "four"},
        ],
        tools=[LOOK],
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    )
    chat = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look at it, please"},
            {
                "role": "assistant",
                "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}],
            },
            {"role": "tool", "content": "four"},
        ],
        "tools": [LOOK],
        "response_format": {"json_schema": asked.document["text"]["format"]},
    }
    counted = DIALECT.prompt_tokens(asked, "gpt-4o", rough=False)
    assert counted == tokens.count_prompt("chat", "gpt-4o", chat) > 20
    assert DIALECT.prompt_tokens(call(), "gpt-4o", rough=False) < counted


def test_a_response_is_the_first_choice_alone():
    events: list[Event] = [Started("x"), TextPiece("a"), TextPiece("b", 1), Finished(FinishReason.LENGTH, 1), STOP]
    assert streamed(events)[-1].response.output_text == "a"
    assert whole(events).output_text == "a"


def test_refusals_citations_logprobs_and_pictures_have_their_places():
    entry = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    place = {"url": "u", "title": "t", "start_index": 0, "end_index": 1}
    cited = {"type": "url_citation", "url_citation": place}
    events: list[Event] = [
        Started("x"),
        TextPiece("a"),
        Logprobs([entry]),
        Cited(cited),
        RefusalPiece("No."),
        MediaPiece("image/png", "aGk="),
        STOP,
    ]
    for response in (streamed(events)[-1].response, whole(events)):
        said, refused = response.output[0].content
        assert (said.text, refused.refusal) == ("a", "No.")
        assert said.annotations[0].model_dump() == {"type": "url_citation", **place}
        assert said.logprobs[0].token == "a"
        assert (response.output[1].type, response.output[1].result) == ("image_generation_call", "aGk=")
    kinds = [event.type for event in streamed(events)]
    assert "response.output_text.annotation.added" in kinds
    assert kinds.index("response.refusal.delta") > kinds.index("response.output_text.done")


def test_signed_thoughts_come_back_to_their_upstream():
    events: list[Event] = [
        Started("x"),
        ThoughtPiece("Hm."),
        ThoughtPiece(signature="c2ln"),
        ThoughtPiece(redacted="eHg="),
        TextPiece("A"),
        CallStarted(0, "c1", "look", signature="Zw=="),
        STOP,
    ]
    include = ["reasoning.encrypted_content"]
    for response in (streamed(events, include=include)[-1].response, whole(events, include=include)):
        output = [item.model_dump(exclude_none=True) for item in response.output]
        assert neutral(input=[{"role": "user", "content": "Hi"}, *output]).turns[1].parts == [
            Thought("Hm.", "c2ln"),
            Thought(redacted="eHg="),
            Text("A"),
            ToolCall("c1", "look", "{}", "Zw=="),
        ]
    unasked = whole(events).output
    assert [item.type for item in unasked] == ["reasoning", "message", "function_call"]
    assert unasked[0].encrypted_content is None


def test_thoughts_in_openais_own_encryption_are_left_unread():
    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAAAA=="}
    chat = neutral(input=[{"role": "user", "content": "Hi"}, item, {"role": "assistant", "content": "A"}])
    assert chat.turns[1].parts == [Text("A")]


def test_a_tool_of_a_namespace_is_called_by_its_own_name():
    tools = [{"type": "namespace", "name": "files", "description": "d", "tools": [LOOK]}]
    events: list[Event] = [Started("x"), CallStarted(0, "c1", "files__look"), CallPiece(0, "{}"), STOP]
    called = whole(events, tools=tools).output[0]
    assert (called.name, called.namespace) == ("look", "files")
    back = neutral(tools=tools, input=[{"role": "user", "content": "Hi"}, called.model_dump(exclude_none=True)])
    assert back.turns[1].parts == [ToolCall("c1", "files__look", "{}")]


def test_a_custom_tool_gets_plain_text():
    assert neutral(tools=[PATCH]).tools[0].parameters["required"] == ["input"]
    events: list[Event] = [
        Started("x"),
        CallStarted(0, "c1", "patch"),
        CallPiece(0, '{"input":"*** Be'),
        CallPiece(0, 'gin"}'),
        STOP,
    ]
    kinds = streamed(events, tools=[PATCH])
    assert [event.type for event in kinds[2:6]] == [
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]
    item = kinds[-1].response.output[0]
    assert (item.type, item.name, item.input, item.call_id) == ("custom_tool_call", "patch", "*** Begin", "c1")
    back = neutral(
        tools=[PATCH],
        input=[
            {"role": "user", "content": "Hi"},
            item.model_dump(exclude_none=True),
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        ],
    )
    assert back.turns[1].parts == [ToolCall("c1", "patch", '{"input":"*** Begin"}')]
    assert back.turns[2].parts == [ToolResult("c1", "patch", [Text("done")])]


def test_a_native_body_changes_by_what_it_must_and_nothing_else():
    body = b'{"model": "a",  "input":"Hi", "max_output_tokens":900, "odd":1e2}'
    asked = DIALECT.read(Mode.RESPONSES, HEAD, body)
    attempt: Any = SimpleNamespace(model="a", route=cases.route(1), max_tokens=None)
    assert DIALECT.native_body(asked, attempt) is asked.body
    attempt = SimpleNamespace(model="b", route=cases.route(1, system_prompt="Be."), max_tokens=10)
    changed = DIALECT.native_body(asked, attempt)
    assert b'"odd":1e2' in changed
    assert orjson.loads(changed) == {
        "model": "b",
        "input": "Hi",
        "max_output_tokens": 10,
        "odd": 100.0,
        "instructions": "Be.",
    }


_ITEMS = st.lists(
    st.dictionaries(
        st.sampled_from(
            ["type", "role", "content", "output", "arguments", "summary", "name", "call_id", "text", "input"]
        ),
        strategies.json_values
        | st.sampled_from(["message", "user", "assistant", "function_call", "function_call_output", "reasoning"])
        | st.lists(
            st.fixed_dictionaries({"type": st.sampled_from(["input_text", "input_image"]), "text": st.just("a")})
        ),
        max_size=5,
    ),
    max_size=3,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["input", "tools", "tool_choice", "text", "reasoning", "instructions", "include", "top_logprobs"]
        ),
        strategies.json_values | _ITEMS,
    )
)
def test_no_document_raises_anything_but_bad_request(document):
    body = orjson.dumps({"model": "m", **document})
    try:
        asked = DIALECT.read(Mode.RESPONSES, HEAD, body)
        DIALECT.neutral(asked)
    except BadRequest:
        return
    assert responses_tools.declared(asked.document) is not None
    assert DIALECT.prompt_tokens(asked, "gpt-4o", rough=True) >= 0
    for event in SPOKEN:
        DIALECT.writer(asked).write(event)
