"""What clients of Anthropic's API ask for, read (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.pricing import Price
from relay.adapters.anthropic.request import body
from relay.adapters.base import Job
from relay.dialects.anthropic.count import count
from relay.dialects.anthropic.dialect import AnthropicDialect
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Json,
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
from relay.types import Attempt, Call, Head, Mode
from tests.relay.adapters.test_anthropic import EITHER, PIXEL, route
from tests.relay.wire.strategies import json_values

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
HI = [{"role": "user", "content": "Hi"}]
MARK = {"type": "ephemeral"}


def head(path: str = "/v1/messages", query: str = "") -> Head:
    return Head("POST", path, path, query, {"content-type": "application/json"}, "127.0.0.1")


def called(path: str = "/v1/messages", **members: Any) -> Call:
    document = {"model": "claude-x", "max_tokens": 100, "messages": HI, **members}
    return AnthropicDialect().read(Mode.CHAT, head(path), json.dumps(document).encode())


def asked(**members: Any) -> Chat:
    return AnthropicDialect().neutral(called(**members))


def turn(*blocks: Json, role: str = "user") -> Json:
    return {"role": role, "content": list(blocks)}


# What Claude Code 2.1 sends, shortened.
CLAUDE_CODE: Json = {
    "model": "claude-x",
    "max_tokens": 128000,
    "stream": True,
    "system": [
        {"type": "text", "text": "x-billing: cc"},
        {"type": "text", "text": "You are an agent.", "cache_control": {**MARK, "ttl": "1h"}},
    ],
    "messages": [
        turn({"type": "text", "text": "List files."}),
        {"role": "system", "content": "Reminder: be brief."},
        turn(
            {"type": "thinking", "thinking": "ls", "signature": "sig"},
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "Bash",
                "input": {"command": "ls"},
                "caller": {"type": "direct"},
            },
            role="assistant",
        ),
        turn({"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.txt", "cache_control": MARK}),
        {"role": "system", "content": [{"type": "text", "text": "Again."}]},
    ],
    "tools": [
        {"name": "Bash", "description": "Run.", "input_schema": {"type": "object"}, "eager_input_streaming": True},
        {"name": "Web", "description": "Fetch.", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "s"})},
    "diagnostics": {"previous_message_id": None},
}


class TestReading:
    def test_model_stream_and_maximum_are_read(self) -> None:
        call = called(stream=True)

        assert (call.model, call.stream, call.max_tokens, call.mode) == ("claude-x", True, 100, Mode.CHAT)

    @pytest.mark.parametrize(
        ("members", "problem"),
        [
            ({"model": None}, "model: Field required"),
            ({"model": 7}, "model: Input should be a non-empty string"),
            ({"messages": None}, "messages: Field required"),
            ({"messages": []}, "messages: at least one message is required"),
            ({"messages": ["Hi"]}, "messages: Input should be a list of objects"),
            ({"max_tokens": None}, "max_tokens: Field required"),
            ({"max_tokens": -1}, "max_tokens: Input should be a whole number"),
            ({"max_tokens": True}, "max_tokens: Input should be a whole number"),
            ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ],
    )
    def test_what_cannot_be_routed_or_priced_is_refused(self, members: Json, problem: str) -> None:
        with pytest.raises(BadRequest, match=problem) as caught:
            called(**members)
        assert caught.value.status == 400

    def test_counting_needs_no_maximum(self) -> None:
        assert called("/v1/messages/count_tokens", max_tokens=None).max_tokens is None

    def test_a_picture_weighs_its_pixels_and_not_its_bytes(self) -> None:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL + "A" * 400_000}
        heavy = called(messages=[turn({"type": "image", "source": source})]).prompt_estimate

        assert heavy < 100

    def test_system_and_tools_are_part_of_the_prompt(self) -> None:
        plain = called().prompt_estimate
        tools = [{"name": "f", "description": "word " * 200, "input_schema": {"type": "object"}}]

        assert called(system="word " * 200).prompt_estimate > plain + 300
        assert called(tools=tools).prompt_estimate > plain + 300


class TestTranslation:
    def test_claude_code_is_understood(self) -> None:
        call = AnthropicDialect().read(Mode.CHAT, head(query="beta=true"), json.dumps(CLAUDE_CODE).encode())
        chat = AnthropicDialect().neutral(call)

        assert [text.text for text in chat.system] == [
            "x-billing: cc",
            "You are an agent.",
            "Reminder: be brief.",
            "Again.",
        ]
        assert chat.system[1].cache == {"type": "ephemeral", "ttl": "1h"}
        assert chat.turns == [
            Turn("user", [Text("List files.")]),
            Turn("assistant", [Thought("ls", "sig"), ToolCall("toolu_1", "Bash", '{"command":"ls"}')]),
            Turn("user", [ToolResult("toolu_1", "Bash", [Text("a.txt")], cache=MARK)]),
        ]
        assert chat.tools == [Tool("Bash", "Run.", {"type": "object"}), Tool("Web", "Fetch.", {"type": "object"})]
        assert chat.thinking == Thinking("high", shown=False, adaptive=True)
        assert (chat.max_tokens, chat.stream, chat.extra) == (128000, True, {})
        assert len(chat.user) == 64  # a digest: others take no longer one

    def test_claude_code_reaches_claude_on_a_cloud_with_thoughts_and_cache_marks(self) -> None:
        call = AnthropicDialect().read(Mode.CHAT, head(query="beta=true"), json.dumps(CLAUDE_CODE).encode())
        document = body(Job(route(), EITHER, EITHER, AnthropicDialect().neutral(call)))

        assert document["thinking"] == CLAUDE_CODE["thinking"]
        assert document["output_config"] == CLAUDE_CODE["output_config"]
        assert document["system"][:2] == CLAUDE_CODE["system"]
        thought, used = CLAUDE_CODE["messages"][2]["content"]
        used = {name: value for name, value in used.items() if name != "caller"}
        assert document["messages"] == [
            CLAUDE_CODE["messages"][0],
            turn(thought, used, role="assistant"),
            CLAUDE_CODE["messages"][3],
        ]
        assert [tool["name"] for tool in document["tools"]] == ["Bash", "Web"]
        assert "context_management" not in document

    def test_sampling_and_stops_are_read(self) -> None:
        chat = asked(temperature=0.5, top_p=0.9, top_k=4, stop_sequences=["END"], metadata={"user_id": "u"})

        assert (chat.temperature, chat.top_p, chat.top_k, chat.stop, chat.user) == (0.5, 0.9, 4, ["END"], "u")

    def test_media_of_every_source_are_read(self) -> None:
        base64 = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
        chat = asked(
            messages=[
                turn(
                    {"type": "image", "source": base64, "cache_control": MARK},
                    {"type": "image", "source": {"type": "url", "url": "https://e.example/a.png"}},
                    {"type": "document", "source": pdf, "title": "T"},
                    {"type": "document", "source": {"type": "url", "url": "https://e.example/a.pdf"}},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "D"},
                        "title": "T",
                    },
                    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "C"}]}},
                    {
                        "type": "search_result",
                        "title": "S",
                        "source": "src",
                        "content": [{"type": "text", "text": "R"}],
                    },
                )
            ]
        )

        assert chat.turns[0].parts == [
            Media("image", data=PIXEL, mime="image/png", cache=MARK),
            Media("image", url="https://e.example/a.png"),
            Media("file", data="JVBERi0=", mime="application/pdf", name="T"),
            Media("file", url="https://e.example/a.pdf", mime="application/pdf"),
            Text("T\nD"),
            Text("C"),
            Text("S\nsrc\nR"),
        ]

    def test_a_failed_result_with_a_picture_stays_both(self) -> None:
        base64 = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "text", "text": "see"}, {"type": "image", "source": base64}]
        chat = asked(
            messages=[
                turn({"type": "tool_use", "id": "A", "name": "f", "input": {}}, role="assistant"),
                turn(
                    {"type": "tool_result", "tool_use_id": "A", "content": content, "is_error": True},
                    {"type": "tool_result", "tool_use_id": "?"},
                ),
            ]
        )

        assert chat.turns[1].parts == [
            ToolResult("A", "f", [Text("see"), Media("image", data=PIXEL, mime="image/png")], failed=True),
            ToolResult("?", "", []),
        ]

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            ({"type": "auto"}, (ToolChoice("auto"), None)),
            ({"type": "any", "disable_parallel_tool_use": True}, (ToolChoice("required"), False)),
            ({"type": "tool", "name": "f"}, (ToolChoice("named", "f"), None)),
            ({"type": "none"}, (ToolChoice("none"), None)),
        ],
    )
    def test_tool_choice(self, choice: Json, expected: Any) -> None:
        chat = asked(tool_choice=choice)

        assert (chat.tool_choice, chat.parallel_tools) == expected

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({}, None),
            ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Thinking(budget=2000, shown=True)),
            ({"thinking": {"type": "adaptive"}}, Thinking(shown=True, adaptive=True)),
            ({"thinking": {"type": "disabled"}}, Thinking(budget=0, shown=False)),
            ({"output_config": {"effort": "max"}}, Thinking("max", shown=False)),
        ],
    )
    def test_thinking(self, members: Json, expected: Thinking | None) -> None:
        assert asked(**members).thinking == expected

    @pytest.mark.parametrize("name", ["output_config", "output_format"])
    def test_a_schema_is_read_from_its_place_of_today_and_of_the_beta(self, name: str) -> None:
        form = {"type": "json_schema", "schema": {"type": "object"}}
        members = {"output_config": {"format": form}} if name == "output_config" else {"output_format": form}

        assert asked(**members).output == OutputFormat("schema", {"type": "object"}, name="response")

    def test_a_mark_on_the_whole_request_marks_its_last_block(self) -> None:
        chat = asked(
            messages=[*HI, turn({"type": "text", "text": "A"}, {"type": "text", "text": "B"})], cache_control=MARK
        )

        assert chat.turns[1].parts == [Text("A"), Text("B", MARK)]

    def test_tools_of_anthropics_own_are_left_out(self) -> None:
        mine = {"name": "look", "input_schema": {"type": "object"}}
        for choice in ("auto", "any", "none"):
            chat = asked(tools=[SEARCH, mine, {"type": "bash_20250124", "name": "bash"}], tool_choice={"type": choice})
            assert [tool.name for tool in chat.tools] == ["look"]
            assert chat.tool_choice is not None

        alone = asked(tools=[SEARCH], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
        assert (alone.tools, alone.tool_choice, alone.parallel_tools) == ([], None, None)

    @pytest.mark.parametrize(
        ("members", "problem"),
        [
            ({"tools": [SEARCH], "tool_choice": {"type": "any"}}, "tool_choice: web_search can be run by"),
            ({"tools": [SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}}, "tool_choice: web_search"),
            ({"mcp_servers": [{"type": "url", "url": "https://m.example"}]}, "mcp_servers: served by Anthropic's own"),
            ({"container": "c_1"}, "container: served by Anthropic's own"),
            ({"max_tokens": 0}, "max_tokens: 0"),
            (
                {"messages": [turn({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})]},
                "messages.0.content.0: blocks of type 'server_tool_use' are served by Anthropic's own channels only",
            ),
            (
                {"messages": [turn({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
                "messages.0.content.0.source: files kept by Anthropic",
            ),
        ],
    )
    def test_what_only_anthropic_itself_has_is_refused(self, members: Json, problem: str) -> None:
        call = called(**members)  # but for their own channels, where the bytes go through

        with pytest.raises(BadRequest, match=problem):
            AnthropicDialect().neutral(call)

    @pytest.mark.parametrize(
        "members",
        [
            {"messages": [{"role": "robot", "content": "x"}]},
            {"messages": [{"role": "user"}]},
            {"messages": [turn({"type": "text"})]},
            {"messages": [{"role": "user", "content": ["x"]}]},
            {"messages": [turn({"type": "text", "text": "x", "cache_control": 1})]},
            {"messages": [turn({"type": "tool_use", "id": "A", "name": "f", "input": "{}"}, role="assistant")]},
            {"messages": [turn({"type": "image"})]},
            {"system": [{"type": "image", "source": {"type": "url", "url": "https://e.example"}}]},
            {"system": 5},
            {"tools": {}},
            {"tools": [{"name": "f"}]},
            {"tools": ["f"]},
            {"tool_choice": "auto"},
            {"tool_choice": {"type": "tool"}},
            {"temperature": "hot"},
            {"top_k": True},
            {"stop_sequences": "END"},
            {"thinking": {"type": "enabled"}},
            {"thinking": "on"},
            {"output_config": {"format": {"type": "json_schema"}}},
        ],
    )
    def test_wrong_shapes_are_refused_with_a_reason(self, members: Json) -> None:
        with pytest.raises(BadRequest, match=r"^(messages|system|tool|temperature|top_k|stop|think|output)"):
            asked(**members)


KINDS = ["text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "tool_result"]
SOURCES = ["base64", "url", "text", "content", "file"]
values = st.recursive(
    json_values | st.sampled_from(["auto", "tool", "enabled", "adaptive", "json_schema", "custom", "user"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.fixed_dictionaries(
            {"type": st.sampled_from([*KINDS, *SOURCES])},
            optional=dict.fromkeys(("text", "source", "content", "data", "id", "name", "input", "tool_use_id"), inner),
        )
    ),
    max_leaves=10,
)
MEMBERS = (
    *("system", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences", "temperature"),
    *("top_k", "service_tier", "cache_control", "max_tokens", "stream"),
)
requests = st.fixed_dictionaries(
    {
        "model": st.just("m") | values,
        "max_tokens": st.just(100) | values,
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": values})
        )
        | values,
    },
    optional={name: values for name in MEMBERS if name != "max_tokens"},
)


@given(requests)
@settings(deadline=None)
def test_whatever_is_sent_is_understood_or_refused_with_a_reason(document: Json) -> None:
    data = json.dumps(document).encode()
    try:
        call = AnthropicDialect().read(Mode.CHAT, head(), data)
    except BadRequest:
        return
    assert count(call) >= 0
    with suppress(BadRequest):
        assert AnthropicDialect().neutral(call).turns is not None
    AnthropicDialect().writer(call)
    json.loads(AnthropicDialect().native_body(call, attempt("claude-y", 50, "Obey.")))


def attempt(model: str = "claude-x", most: int | None = None, prompt: str = "") -> Attempt:
    return Attempt(route(system_prompt=prompt), model, Price.__new__(Price), max_tokens=most)


class TestOwnChannels:
    def test_bytes_go_through_untouched(self) -> None:
        body = json.dumps(CLAUDE_CODE, indent=3).encode()
        call = AnthropicDialect().read(Mode.CHAT, head(), body)

        assert AnthropicDialect().native_body(call, attempt()) == body

    def test_only_model_prompt_and_maximum_are_changed(self) -> None:
        call = AnthropicDialect().read(Mode.CHAT, head(), json.dumps(CLAUDE_CODE).encode())
        changed = json.loads(AnthropicDialect().native_body(call, attempt("claude-y", 500, "Obey.")))

        assert changed == {**CLAUDE_CODE, "model": "claude-y", "max_tokens": 500, "system": "Obey."}

    @pytest.mark.parametrize(
        ("most", "thinking"),
        [
            (5000, {"type": "enabled", "budget_tokens": 2000}),
            (2000, {"type": "enabled", "budget_tokens": 1999}),
            (1024, {"type": "disabled"}),
        ],
    )
    def test_a_budget_stays_below_a_lowered_maximum(self, most: int, thinking: Json) -> None:
        call = called(max_tokens=9000, thinking={"type": "enabled", "budget_tokens": 2000})

        assert json.loads(AnthropicDialect().native_body(call, attempt(most=most)))["thinking"] == thinking

    def test_counting_gets_no_maximum(self) -> None:
        call = called("/v1/messages/count_tokens", max_tokens=None)

        assert json.loads(AnthropicDialect().native_body(call, attempt(most=5)))["max_tokens"] is None

    @pytest.mark.parametrize(("model", "kept"), [("claude-y", ["text"]), ("glm-5", ["thinking", "text"])])
    def test_thoughts_another_upstream_left_unsigned_do_not_reach_claude(self, model: str, kept: list[str]) -> None:
        """Our own writer made them, when a channel of another protocol answered an earlier turn."""
        unsigned = {"type": "thinking", "thinking": "why", "signature": ""}
        spoken = turn(unsigned, {"type": "text", "text": "So."}, role="assistant")
        call = called(messages=[*HI, spoken, turn(unsigned, role="assistant"), *HI])
        messages = json.loads(AnthropicDialect().native_body(call, attempt(model)))["messages"]

        assert [block["type"] for block in messages[1]["content"]] == kept
        assert len(messages) == (3 if model == "claude-y" else 4)
