"""What Claude is asked and what its answers mean (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_app.providers import PROVIDERS
from channels_app.snapshot import Route
from relay.adapters.anthropic.adapter import Anthropic
from relay.adapters.anthropic.models import traits
from relay.adapters.anthropic.request import body
from relay.adapters.anthropic.schema import closed
from relay.adapters.base import Job, Outgoing
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Json,
    Media,
    OutputFormat,
    Part,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.relay.wire.cases import check, load, names
from tests.relay.wire.strategies import chats

SONNET = "claude-sonnet-4-5-20250929"  # budgets
EITHER = "claude-opus-4-6"  # budgets and adaptive thinking
NEWEST = "claude-opus-5-5"  # adaptive thinking alone, no sampling
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = Tool("get_weather", "Look up the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


def route(**changes: Any) -> Route:
    given: dict[str, Any] = {
        "channel_id": 7,
        "type": 14,
        "provider": PROVIDERS[14],
        "name": "claude",
        "key": "sk-ant-EXAMPLE",
        "base_url": "https://api.anthropic.com",
        "enabled": True,
        "model_mapping": {},
        "config": {},
        "system_prompt": "",
        "priority": 0,
        "weight": 0,
        "groups": frozenset({"default"}),
        "proxy": "",
        "refuses_stream_options": False,
    }
    return Route(**{**given, **changes})


def job(chat: Chat, model: str = SONNET, **headers: str) -> Job:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Job(route(), model, model, chat, named)


def said(*parts: Part, role: Any = "user") -> Turn:
    return Turn(role, list(parts))


def asked(model: str = SONNET, **members: Any) -> Json:
    members.setdefault("turns", [said(Text("Hi"))])
    return body(job(Chat(**members), model))


def prepared(one: Job) -> Outgoing:
    return asyncio.run(Anthropic().prepare(one, None))  # type: ignore[arg-type]  # nothing outside is needed


def sent(outgoing: Outgoing) -> tuple[dict[str, str], Json]:
    return {name.lower(): value for name, value in outgoing.headers}, json.loads(outgoing.body)


@pytest.mark.parametrize("name", names("anthropic_"))
def test_the_wire_cases_hold(name: str) -> None:
    asyncio.run(check(load(name), Anthropic(), optional=("tool_choice",) if name == "anthropic_tool_stream" else ()))


@given(chats(), st.sampled_from([SONNET, EITHER, NEWEST, "claude-2.1", "glm-5"]))
@settings(deadline=None)
def test_every_conversation_is_sent_or_refused_with_a_reason(chat: Chat, model: str) -> None:
    try:
        document = json.loads(prepared(job(chat, model)).body)
    except BadRequest:
        return
    assert document["messages"]
    assert all(block for message in document["messages"] for block in message["content"])
    thinking = document.get("thinking", {})
    if thinking.get("type") == "enabled":
        assert 1024 <= thinking["budget_tokens"] < document["max_tokens"]
    if document.get("tool_choice", {}).get("type") in ("any", "tool"):
        assert not thinking


class TestRequest:
    def test_goes_to_messages_with_key_and_version(self) -> None:
        outgoing = prepared(job(Chat([said(Text("Hi"))], max_tokens=5)))
        headers, document = sent(outgoing)

        assert (outgoing.method, outgoing.url) == ("POST", "https://api.anthropic.com/v1/messages")
        assert headers["x-api-key"] == "sk-ant-EXAMPLE"
        assert headers["anthropic-version"] == "2023-06-01"
        assert "anthropic-beta" not in headers
        assert document == {
            "model": SONNET,
            "max_tokens": 5,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        }

    def test_the_callers_version_and_betas_travel_on(self) -> None:
        one = job(Chat([said(Text("Hi"))], temperature=0.5), anthropic_version="2026-10-21", anthropic_beta="a,b")
        headers, document = sent(prepared(one))

        assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2026-10-21", "a,b")
        assert "temperature" not in document  # that version refuses it

    def test_a_stream_says_so_in_body_and_header(self) -> None:
        headers, document = sent(prepared(job(Chat([said(Text("Hi"))], stream=True))))

        assert document["stream"] is True
        assert headers["accept"] == "text/event-stream"

    def test_system_texts_are_joined_and_stay_blocks_where_one_is_cached(self) -> None:
        mark = {"type": "ephemeral"}

        assert asked(system=[Text("One."), Text(""), Text("Two.")])["system"] == "One.\nTwo."
        assert asked(system=[Text("One.", mark), Text("Two.")])["system"] == [
            {"type": "text", "text": "One.", "cache_control": mark},
            {"type": "text", "text": "Two."},
        ]

    def test_tool_results_come_first_in_one_message_of_the_user(self) -> None:
        turns = [
            said(Text("Compare.")),
            said(ToolCall("A", "f", '{"x":1}'), ToolCall("B.1", "f", ""), role="assistant"),
            said(ToolResult("A", "f", [Text("one")])),
            said(Text("And now?"), ToolResult("B.1", "f", [], failed=True)),
        ]

        assert asked(turns=turns)["messages"][1:] == [
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "A", "name": "f", "input": {"x": 1}},
                    {"type": "tool_use", "id": "B_1", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "A", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "B_1", "is_error": True},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ]

    def test_a_picture_in_a_tools_result_stays_one(self) -> None:
        turns = [said(ToolResult("A", "f", [Text("see"), Media("image", data=PIXEL, mime="image/jpg")]))]

        (result,) = asked(turns=turns)["messages"][0]["content"]
        source = {"type": "base64", "media_type": "image/jpeg", "data": PIXEL}
        assert result["content"] == [{"type": "text", "text": "see"}, {"type": "image", "source": source}]

    def test_empty_texts_are_left_out_and_a_prefill_ends_without_white_space(self) -> None:
        turns = [
            said(Text(""), Text("Go on")),
            said(Text(""), role="assistant"),
            said(Text(" "), Text("It is \n"), role="assistant"),
        ]

        assert asked(turns=turns)["messages"] == [
            {"role": "user", "content": [{"type": "text", "text": "Go on"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "It is"}]},
        ]

    @pytest.mark.parametrize(
        ("media", "source"),
        [
            (Media("image", url="https://e.example/a.png"), {"type": "url", "url": "https://e.example/a.png"}),
            (
                Media("file", data="JVBERi0=", mime="application/pdf"),
                {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            ),
            (Media("file", data="SGk=", mime="text/csv"), {"type": "text", "media_type": "text/plain", "data": "Hi"}),
        ],
    )
    def test_media_keep_their_source(self, media: Media, source: Json) -> None:
        (block,) = asked(turns=[said(media)])["messages"][0]["content"]

        assert block["source"] == source
        assert block["type"] == ("image" if media.kind == "image" else "document")

    @pytest.mark.parametrize(
        "media",
        [
            Media("image", data="AA==", mime="image/tiff"),
            Media("image", url="gs://bucket/a.png"),
            Media("audio", data="AA==", mime="audio/wav"),
            Media("file", data="AA==", mime="application/zip"),
            Media("file", data="not base64", mime="text/plain"),
        ],
    )
    def test_media_that_cannot_be_read_are_refused(self, media: Media) -> None:
        with pytest.raises(BadRequest):
            asked(turns=[said(media)])

    @pytest.mark.parametrize(
        ("choice", "parallel", "expected"),
        [
            (None, None, None),
            (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
            (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
            (ToolChoice("named", "get_weather"), None, {"type": "tool", "name": "get_weather"}),
            (ToolChoice("none"), False, {"type": "none"}),
        ],
    )
    def test_tool_choice(self, choice: ToolChoice | None, parallel: bool | None, expected: Json | None) -> None:
        document = asked(tools=[WEATHER], tool_choice=choice, parallel_tools=parallel)

        assert document.get("tool_choice") == expected
        assert "tool_choice" not in asked(tool_choice=choice, parallel_tools=parallel)  # refused without tools

    def test_a_tool_keeps_its_schema_strictness_and_cache_mark(self) -> None:
        mark = {"type": "ephemeral", "ttl": "1h"}
        document = asked(tools=[Tool("f"), Tool("g", "G.", {"type": "object", "$defs": {}}, True, mark)])

        assert document["tools"] == [
            {"name": "f", "input_schema": {"type": "object", "properties": {}}},
            {
                "name": "g",
                "description": "G.",
                "input_schema": {"type": "object", "$defs": {}, "additionalProperties": False},
                "strict": True,
                "cache_control": mark,
            },
        ]

    @pytest.mark.parametrize("strict", [True, False])
    def test_models_without_schemas_hear_of_no_strict_tool(self, strict: bool) -> None:
        """ "'claude-sonnet-4-20250514' does not support strict tools": https://github.com/eigent-ai/eigent/issues/1649."""
        (tool,) = asked("claude-sonnet-4-20250514", tools=[Tool("g", "", {"type": "object"}, strict)])["tools"]

        assert tool == {"name": "g", "input_schema": {"type": "object"}}

    def test_bounds_of_a_strict_tool_are_told_and_those_of_others_stay(self) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
        strict, free = asked(tools=[Tool("a", "", schema, True), Tool("b", "", schema, False)])["tools"]

        assert strict["input_schema"]["properties"]["n"] == {"type": "integer", "description": '{"minimum":1}'}
        assert free["input_schema"] == schema

    def test_a_schema_is_closed_and_older_models_are_told_it(self) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}}}}
        wanted = OutputFormat("schema", schema)

        closed = asked(output=wanted)["output_config"]["format"]["schema"]
        assert closed["additionalProperties"] is False
        assert closed["properties"]["a"]["items"]["additionalProperties"] is False
        assert '"properties"' in asked("claude-3-5-haiku-20241022", output=wanted)["system"]
        assert "JSON" in asked(output=OutputFormat("json"))["system"]

    def test_more_than_one_answer_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="n must be 1"):
            asked(n=2)

    def test_a_conversation_without_a_message_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="at least one message"):
            asked(turns=[], system=[Text("Be brief.")])

    def test_only_members_of_anthropics_own_travel_along(self) -> None:
        document = asked(
            extra={"container": "c_1", "store": True, "service_tier": "default"}, user="u", stop=["\n", "END"]
        )

        assert (document["container"], document["service_tier"]) == ("c_1", "standard_only")
        assert "store" not in document
        assert (document["metadata"], document["stop_sequences"]) == ({"user_id": "u"}, ["END"])


class TestSampling:
    def test_temperature_ends_at_one(self) -> None:
        assert asked(temperature=1.7, top_k=5) | {"temperature": 1, "top_k": 5} == asked(temperature=1.7, top_k=5)

    def test_temperature_wins_over_top_p_where_a_model_takes_one(self) -> None:
        both = {"temperature": 0.5, "top_p": 0.9}

        assert "top_p" not in asked(SONNET, **both)
        assert asked("claude-3-haiku-20240307", **both)["top_p"] == 0.9

    def test_the_newest_models_get_none(self) -> None:
        document = asked(NEWEST, temperature=0.5, top_p=0.9, top_k=4)

        assert not {"temperature", "top_p", "top_k"} & set(document)

    def test_thinking_leaves_little_of_it(self) -> None:
        thinking = Thinking(budget=1024)

        document = asked(temperature=0.5, top_p=0.5, top_k=4, thinking=thinking)
        assert not {"temperature", "top_p", "top_k"} & set(document)
        assert asked(temperature=1.0, thinking=thinking)["temperature"] == 1
        assert asked(top_p=0.97, thinking=thinking)["top_p"] == 0.97


class TestThinking:
    @pytest.mark.parametrize(
        ("model", "thinking", "maximum", "expected"),
        [
            (SONNET, Thinking(budget=1024), 2048, {"type": "enabled", "budget_tokens": 1024}),
            (SONNET, Thinking(budget=9000), 2048, {"type": "enabled", "budget_tokens": 2047}),
            (SONNET, Thinking(effort="high"), 64000, {"type": "enabled", "budget_tokens": 24576}),
            (SONNET, Thinking(effort="high"), 2000, {"type": "enabled", "budget_tokens": 1600}),
            (SONNET, Thinking(effort="low"), 1000, None),  # no room for the least budget
            (SONNET, Thinking(adaptive=True), 64000, {"type": "enabled", "budget_tokens": 8192}),
            (SONNET, Thinking(effort="none"), 64000, None),
            (SONNET, Thinking(budget=0), 64000, None),
            (EITHER, Thinking(effort="low"), 2048, {"type": "adaptive"}),
            (EITHER, Thinking(budget=2000), 4096, {"type": "enabled", "budget_tokens": 2000}),
            (NEWEST, Thinking(budget=2000), 4096, {"type": "adaptive"}),
            (NEWEST, Thinking(budget=-1, shown=False), 4096, {"type": "adaptive", "display": "omitted"}),
            (NEWEST, Thinking(effort="high", shown=False), 4096, None),  # an effort and no wish for thoughts
            ("claude-3-5-haiku-20241022", Thinking(effort="high"), 4096, None),
        ],
    )
    def test_is_said_in_the_models_words(
        self, model: str, thinking: Thinking, maximum: int, expected: Json | None
    ) -> None:
        assert asked(model, thinking=thinking, max_tokens=maximum).get("thinking") == expected

    @pytest.mark.parametrize(
        ("model", "thinking", "effort"),
        [
            (NEWEST, Thinking(effort="minimal"), "low"),
            (NEWEST, Thinking(effort="xhigh"), "xhigh"),
            (EITHER, Thinking(effort="xhigh"), "high"),
            (EITHER, Thinking(effort="max"), "max"),
            (NEWEST, Thinking(budget=10_000), "medium"),
            (NEWEST, Thinking(effort="high", shown=False), "high"),
            (SONNET, Thinking(effort="high"), None),
        ],
    )
    def test_effort_goes_to_models_that_have_it(self, model: str, thinking: Thinking, effort: str | None) -> None:
        assert asked(model, thinking=thinking).get("output_config", {}).get("effort") == effort

    def test_without_a_maximum_the_budget_comes_on_top_as_far_as_the_model_goes(self) -> None:
        opus = "claude-opus-4-1-20250805"
        assert asked(thinking=Thinking(effort="medium"))["max_tokens"] == 8192 + 8192
        assert asked(opus, thinking=Thinking(effort="max"))["max_tokens"] == 32_000
        assert asked(thinking=Thinking(effort="medium"), stream=True)["max_tokens"] == 64_000
        beyond = asked(opus, thinking=Thinking(budget=50_000))
        assert (beyond["max_tokens"], beyond["thinking"]["budget_tokens"]) == (32_000, 31_999)

    @pytest.mark.parametrize(
        ("model", "plain", "stream"),
        [
            ("claude-opus-5-5", 8192, 128_000),
            ("global.anthropic.claude-opus-4-7", 8192, 128_000),
            ("claude-sonnet-4-6", 8192, 128_000),
            ("claude-next", 8192, 128_000),
            ("claude-haiku-4-5@20251001", 8192, 64_000),
            ("claude-opus-4-5-20251101", 8192, 64_000),
            ("claude-sonnet-4-20250514", 8192, 64_000),
            ("claude-opus-4-20250514", 8192, 32_000),
            ("claude-opus-4-1-20250805", 8192, 32_000),
            ("claude-3-7-sonnet-latest", 8192, 64_000),
            ("claude-3-5-haiku-20241022", 8192, 8192),
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", 4096, 4096),
            ("claude-3-opus-20240229", 4096, 4096),
            ("claude-2.1", 4096, 4096),
            ("claude-instant-1.2", 4096, 4096),
            ("MiniMax-M2", 8192, 8192),
        ],
    )
    def test_who_names_no_maximum_gets_what_the_model_writes(self, model: str, plain: int, stream: int) -> None:
        assert asked(model)["max_tokens"] == plain
        assert asked(model, stream=True)["max_tokens"] == stream
        assert asked(model, stream=True, max_tokens=7)["max_tokens"] == 7

    def test_a_forced_tool_outweighs_thinking(self) -> None:
        document = asked(thinking=Thinking(budget=2000), tools=[WEATHER], tool_choice=ToolChoice("required"))

        assert "thinking" not in document
        assert document["tool_choice"] == {"type": "any"}

    def test_signed_thoughts_are_sent_back_and_others_are_not(self) -> None:
        turns = [
            said(Text("Hi")),
            said(Thought("why", "sig"), Thought(redacted="xyz"), Thought("unsigned"), Text("So."), role="assistant"),
            said(Text("On.")),
        ]

        assert asked(turns=turns)["messages"][1]["content"] == [
            {"type": "thinking", "thinking": "why", "signature": "sig"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "So."},
        ]

    def test_a_foreign_model_behind_the_protocol_gets_its_thoughts_back_unsigned(self) -> None:
        turns = [said(Text("Hi")), said(Thought("why"), Text("So."), role="assistant"), said(Text("On."))]

        (thought, _) = asked("glm-5", turns=turns)["messages"][1]["content"]
        assert thought == {"type": "thinking", "thinking": "why", "signature": ""}

    @pytest.mark.parametrize(("thought", "thinks"), [(Thought("why", "sig"), True), (Thought("why"), False)])
    def test_a_tool_loop_thinks_on_only_with_its_signed_thought(self, thought: Thought, thinks: bool) -> None:
        turns = [
            said(Text("Hi")),
            said(thought, ToolCall("A", "f", "{}"), role="assistant"),
            said(ToolResult("A", "f", [Text("1")])),
        ]

        assert ("thinking" in asked(turns=turns, thinking=Thinking(budget=2000))) is thinks
        assert asked(NEWEST, turns=turns, thinking=Thinking(adaptive=True))["thinking"] == {"type": "adaptive"}

    @pytest.mark.parametrize(
        ("name", "like"),
        [
            ("us.anthropic.claude-opus-4-6-v1:0", EITHER),
            ("anthropic/claude-opus-4.7", NEWEST),
            ("claude-sonnet-4-5@20250929", SONNET),
            ("claude-mythos-preview", NEWEST),
            ("claude-fable-5", NEWEST),
            ("claude-3-opus-20240229", "claude-3-5-haiku-20241022"),
            ("claude-2.1", "claude-3-5-haiku-20241022"),
            ("claude-instant-1.2", "claude-3-5-haiku-20241022"),
            ("claude-sonnet-4-20250514", "claude-3-7-sonnet-20250219"),
        ],
    )
    def test_generations_are_told_by_name(self, name: str, like: str) -> None:
        assert traits(name) == traits(like)


class TestNative:
    def test_addresses_that_are_not_https_are_fetched_for_it(self) -> None:
        opened = [Anthropic().takes_url(f"{scheme}://e.example/a.png") for scheme in ("https", "http", "gs")]

        assert opened == [True, False, False]

    def test_path_query_version_and_betas_are_the_callers(self) -> None:
        one = job(Chat([]), anthropic_version="2026-10-21", anthropic_beta="x")
        url, headers = Anthropic().native(one, "/v1/messages/count_tokens", "beta=true")

        assert url == "https://api.anthropic.com/v1/messages/count_tokens?beta=true"
        assert {("x-api-key", "sk-ant-EXAMPLE"), ("anthropic-version", "2026-10-21"), ("anthropic-beta", "x")} <= set(
            headers
        )


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "integer", "minimum": 0}, {"type": "integer", "description": '{"minimum":0}'}),
        (
            {"type": "string", "maxLength": 9, "description": "A."},
            {"type": "string", "description": 'A.\n\n{"maxLength":9}'},
        ),
        ({"type": "string", "format": "color"}, {"type": "string", "description": '{"format":"color"}'}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": '{"minItems":2}'}),
        ({"type": "array", "minItems": 1}, {"type": "array", "minItems": 1}),
        (
            {"anyOf": [{"type": "number", "multipleOf": 2}]},
            {"anyOf": [{"type": "number", "description": '{"multipleOf":2}'}]},
        ),
        ({"enum": [{"minimum": 1}]}, {"enum": [{"minimum": 1}]}),
    ],
)
def test_a_bound_that_is_refused_is_told_in_the_description(schema: Json, made: Json) -> None:
    """https://github.com/agentjido/req_llm/issues/302: "For 'integer' type, property 'minimum' is not supported"."""
    assert closed(schema) == made


def test_members_that_are_called_like_bounds_are_members() -> None:
    named = {"minimum": {"type": "integer"}, "format": {"type": "string"}, "default": {"type": "object"}}

    made = closed({"type": "object", "properties": named})

    assert made["properties"] == {**named, "default": {"type": "object", "additionalProperties": False}}
    assert "description" not in made


def test_an_object_that_may_be_null_is_closed_like_any_other() -> None:
    """`additionalProperties` must be false: https://platform.claude.com/docs/en/build-with-claude/structured-outputs."""
    maybe = {"type": ["object", "null"], "properties": {"b": {"type": ["string", "null"]}}}

    made = closed({"type": "object", "properties": {"a": maybe}})

    assert made["properties"]["a"] == {**maybe, "additionalProperties": False}
    assert made["additionalProperties"] is False
    assert closed({**maybe, "additionalProperties": True})["additionalProperties"] is True
