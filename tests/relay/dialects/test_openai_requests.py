"""What callers of OpenAI's API write, in the neutral form."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.dialects.openai import request as openai_request
from relay.errors import BadRequest
from relay.neutral.request import (
    Embed,
    Embeddings,
    Images,
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
from tests.relay.wire import cases, strategies


def chat(*messages: dict[str, Any], **members: Any) -> Any:
    return openai_request.chat({"model": "m", "messages": list(messages) or [user("Hi")], **members})


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize("name", cases.names(""))
def test_the_request_of_every_wire_case_is_understood(name):
    request = cases.DIALECT.neutral(cases.call_of(cases.load(name)))
    assert not isinstance(request, Rerank)
    assert request.user == cases.load(name)["openai_request"].get("user", "")


def test_system_and_developer_messages_are_gathered_wherever_they_stand():
    request = chat(
        {"role": "system", "content": "Be brief."},
        user("Hi"),
        {
            "role": "developer",
            "content": [{"type": "text", "text": "No jokes.", "cache_control": {"type": "ephemeral"}}],
        },
    )
    assert request.system == [Text("Be brief."), Text("No jokes.", {"type": "ephemeral"})]
    assert request.turns == [Turn("user", [Text("Hi")])]


@pytest.mark.parametrize("content", [{"content": None}, {}, {"content": ""}, {"content": []}])
def test_a_turn_of_calls_needs_no_content(content):
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    request = chat(user("Hi"), {"role": "assistant", "tool_calls": [call], "refusal": None, **content})
    assert request.turns[1] == Turn("assistant", [ToolCall("call_1", "look", '{"a":1}')])


def test_a_tool_result_knows_the_name_of_its_tool():
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "4"}]}
    request = chat(user("Hi"), {"role": "assistant", "tool_calls": [call]}, result)
    assert request.turns[2] == Turn("user", [ToolResult("call_1", "look", [Text("4")])])


def test_an_empty_tool_result_stays_a_result():
    request = chat(user("Hi"), {"role": "tool", "tool_call_id": "call_1", "content": ""})
    assert request.turns[1].parts == [ToolResult("call_1", "", [])]


def test_functions_are_the_older_form_of_tools():
    called = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    request = chat(
        user("Hi"),
        called,
        {"role": "function", "name": "look", "content": "4"},
        functions=[{"name": "look", "parameters": {"type": "object"}}],
        function_call={"name": "look"},
    )
    call, result = request.turns[1].parts[0], request.turns[2].parts[0]
    assert (call.name, call.arguments, result.name, result.parts) == ("look", "{}", "look", [Text("4")])
    assert call.id == result.call_id != ""
    assert request.tools == [Tool("look", "", {"type": "object"})]
    assert request.tool_choice == ToolChoice("named", "look")


def test_thoughts_and_signatures_of_earlier_turns_are_kept():
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHg="},
    ]
    call = {
        "id": "c",
        "function": {"name": "look", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "Zw=="}},
    }
    request = chat(
        user("Hi"),
        {"role": "assistant", "content": "A", "reasoning_content": "Hm.", "thinking_blocks": blocks},
        {"role": "assistant", "content": "B", "reasoning_content": "So."},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "assistant", "content": "C", "extra_content": call["extra_content"]},
    )
    assert request.turns[4].parts == [Text("C", signature="Zw==")]
    assert request.turns[1].parts == [Thought("Hm.", "c2ln"), Thought(redacted="eHg="), Text("A")]
    assert request.turns[2].parts == [Thought("So."), Text("B")]
    assert request.turns[3].parts == [ToolCall("c", "look", "{}", "Zw==")]


def test_media_come_as_addresses_or_as_data():
    parts = [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "DATA:;base64,aGk="}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
        {"type": "video_url", "video_url": {"url": "gs://bucket/a.mp4"}},
    ]
    assert chat(user(parts)).turns[0].parts == [
        Media("image", url="https://example.com/a.png", detail="low"),
        Media("image", data="aGk=", mime="image/png"),
        Media("image", data="aGk="),
        Media("audio", data="aGk=", mime="audio/mpeg"),
        Media("file", data="aGk=", mime="application/pdf", name="a.pdf"),
        Media("video", url="gs://bucket/a.mp4"),
    ]


@pytest.mark.parametrize(
    ("members", "maximum"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ({"max_tokens": 0}, None),
        ({}, None),
    ],
)
def test_the_newer_name_of_the_maximum_comes_first_and_zero_limits_nothing(members, maximum):
    assert chat(**members).max_tokens == maximum


def test_zeros_are_kept_where_they_mean_something():
    request = chat(temperature=0, top_p=0, seed=0, presence_penalty=0, stop="END", n=1, logprobs=False)
    assert (request.temperature, request.top_p, request.seed, request.presence_penalty) == (0, 0, 0, 0)
    assert (request.stop, request.n, request.logprobs) == (["END"], 1, False)


@pytest.mark.parametrize(
    ("members", "thinking"),
    [
        ({}, None),
        ({"reasoning_effort": "xhigh"}, Thinking("xhigh")),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Thinking(budget=2048, shown=True)),
        ({"thinking": {"type": "enabled"}}, Thinking(budget=-1, shown=True)),
        ({"thinking": {"type": "disabled"}}, Thinking(budget=0)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Thinking(adaptive=True, shown=False)),
        ({"enable_thinking": False, "thinking_budget": 9}, Thinking(budget=0)),
        ({"enable_thinking": True, "thinking_budget": 9}, Thinking(budget=9, shown=True)),
        (
            {"extra_body": {"google": {"thinking_config": {"thinking_budget": 5, "include_thoughts": True}}}},
            Thinking(budget=5, shown=True),
        ),
        ({"extra_body": {"google": {"thinking_config": {"thinking_level": "LOW"}}}}, Thinking("low")),
    ],
)
def test_every_vendors_way_to_ask_for_thoughts_is_understood(members, thinking):
    assert chat(**members).thinking == thinking


def test_structured_output_keeps_its_schema():
    schema = {"type": "object", "properties": {}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    assert chat(response_format=form).output == OutputFormat("schema", schema, "n", "", True)
    assert chat(response_format={"type": "json_object"}).output == OutputFormat("json")


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ("required", ToolChoice("required")),
        ("none", ToolChoice("none")),
        ({"type": "function", "function": {"name": "look"}}, ToolChoice("named", "look")),
    ],
)
def test_the_choice_of_tools(choice, read):
    assert chat(tool_choice=choice, tools=[]).tool_choice == read


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """https://platform.openai.com/docs/guides/function-calling (`allowed_tools`)."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_of_the_tools_only_the_allowed_ones_are_told(mode):
    tools = [{"type": "function", "function": {"name": name}} for name in ("look", "delete_all", "read")]
    request = chat(tools=tools, tool_choice=allowed(mode, "read", "look"))
    assert ([tool.name for tool in request.tools], request.tool_choice) == (["look", "read"], ToolChoice(mode))


def test_to_allow_no_tool_that_is_described_is_refused():
    tools = [{"type": "function", "function": {"name": "look"}}]
    with pytest.raises(BadRequest, match="allowed"):
        chat(tools=tools, tool_choice=allowed("auto", "other"))


def test_results_of_one_turns_calls_are_one_turn():
    calls = [{"id": one, "type": "function", "function": {"name": "look", "arguments": "{}"}} for one in "ab"]
    picture = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    turns = chat(
        user("Hi"),
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": [picture]},
        {"role": "tool", "tool_call_id": "b", "content": "ok"},
        user("So?"),
    ).turns
    shown = ToolResult("a", "look", [Media("image", url="https://x/y.png")])
    assert turns[2:] == [
        Turn("user", [shown, ToolResult("b", "look", [Text("ok")])]),
        Turn("user", [Text("So?")]),
    ]


def test_what_only_openais_family_knows_is_kept_as_it_came():
    request = chat(logit_bias={"50256": -100}, prompt_cache_key="k", store=False, user="u")
    assert request.extra == {"logit_bias": {"50256": -100}, "prompt_cache_key": "k", "store": False}
    assert request.user == "u"


@pytest.mark.parametrize(
    "document",
    [
        {"messages": [{"role": "wizard", "content": "x"}]},
        {"messages": [user([{"type": "hologram"}])]},
        {"messages": [user([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}])]},
        {"messages": [user([{"type": "file", "file": {"file_id": "file-1"}}])]},
        {"messages": [user(5)]},
        {"messages": [user("x")], "tools": [{"type": "web_search"}]},
        {"messages": [user("x")], "tool_choice": "maybe"},
        {"messages": [user("x")], "temperature": "hot"},
        {"messages": [user("x")], "response_format": {"type": "xml"}},
        {"messages": [user("x")], "reasoning_effort": "heroic"},
    ],
)
def test_what_cannot_be_understood_is_refused_and_never_dropped(document):
    with pytest.raises(BadRequest):
        openai_request.chat(document)


_MEMBERS = st.sampled_from(
    [
        *("messages", "tools", "functions", "tool_choice", "function_call", "response_format", "stop", "max_tokens"),
        *("temperature", "thinking", "reasoning_effort", "extra_body", "prompt", "input", "encoding_format", "n"),
    ]
)
_MESSAGES = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "function_call", "thinking_blocks", "type", "image_url"]),
        strategies.json_values | st.sampled_from(["user", "assistant", "tool", "text"]),
    ),
    max_size=3,
)


@given(st.dictionaries(_MEMBERS, strategies.json_values | _MESSAGES))
def test_no_document_raises_anything_but_bad_request(document):
    for build in (openai_request.chat, openai_request.completion, openai_request.embeddings, openai_request.images):
        try:
            build(document)
        except BadRequest:
            continue


def test_an_older_completion_is_a_conversation_of_one_turn():
    request = openai_request.completion({"model": "m", "prompt": ["Say"], "max_tokens": 4, "stop": ["."]})
    assert request.turns == [Turn("user", [Text("Say")])]
    assert (request.max_tokens, request.stop) == (4, ["."])


@pytest.mark.parametrize("members", [{"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"suffix": "x"}, {"best_of": 2}])
def test_an_older_completion_is_refused_where_it_has_no_translation(members):
    with pytest.raises(BadRequest):
        openai_request.completion({"model": "m", "prompt": "a", **members})


@pytest.mark.parametrize(
    ("given", "inputs"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_inputs_of_embeddings_are_texts_or_tokens(given, inputs):
    assert openai_request.embeddings({"input": given}).inputs == inputs


def test_an_embedding_may_say_what_it_is_for():
    request = openai_request.embeddings(
        {"input": "a", "input_type": "query", "dimensions": 8, "encoding_format": "base64"}
    )
    assert request == Embeddings(["a"], 8, "base64", Embed.QUERY, extra={"input_type": "query"})


def test_pictures_are_asked_for_with_their_size_and_encoding():
    document = {"model": "m", "prompt": "a fox", "n": 2, "size": "1024x1024", "response_format": "b64_json", "seed": 4}
    assert openai_request.images(document) == Images("a fox", 2, "1024x1024", encoding="b64_json", extra={"seed": 4})


def test_a_request_read_again_from_its_own_bytes_is_the_same():
    document = cases.load("gemini_tools")["openai_request"]
    assert openai_request.chat(document) == openai_request.chat(orjson.loads(orjson.dumps(document)))
