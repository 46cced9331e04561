"""Names of tools that an upstream does not take: it gets others, and the caller its own back.

64 characters: https://platform.openai.com/docs/api-reference/chat/create (`tools`),
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html. 128:
https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use. Letters, digits, "_" and "-" at both;
at Gemini also dots, and no digit in front: https://ai.google.dev/api/caching#FunctionDeclaration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest

from billing.pricing import Price
from relay.adapters.base import Adapter
from relay.adapters.registry import ADAPTERS
from relay.dialects.anthropic.dialect import AnthropicDialect
from relay.dialects.base import Dialect
from relay.dialects.openai.dialect import OpenAIDialect
from relay.neutral.request import Chat, Request, Text, Tool, ToolCall, ToolChoice, ToolResult, Turn
from relay.passages.names import Names
from relay.passages.translated import Translated
from relay.types import Attempt, Head, Mode
from tests.relay.adapters.vendors import Answers, sse
from tests.relay.wire.cases import FakeAnswer, Json, route

PREFIX = "mcp__plugin_chrome-devtools-mcp_chrome-devtools__performance_"
INSIGHT, TRACE = PREFIX + "analyze_insight", PREFIX + "start_trace"  # alike in their first 56 characters
DOTTED, NUMBERED = "github.create_issue", "21st_magic_builder"  # of servers of the Model Context Protocol
OPENAI, ALI, GEMINI, ANTHROPIC = 1, 17, 24, 14
MODELS = {OPENAI: "gpt-4o", ALI: "qwen-plus", GEMINI: "gemini-2.5-flash", ANTHROPIC: "claude-sonnet-4-5"}
PRICE = Price(Decimal(1), Decimal(1), Decimal(1))


class Upstream(Answers):
    """Answers once; media are left as they are."""

    async def with_media(self, request: Request, adapter: Adapter) -> None:
        assert isinstance(request, Chat)


def translated(kind: int, *names: str, stream: bool = False) -> tuple[Translated, Answers]:
    """A request of Anthropic's dialect, or of OpenAI's to Anthropic, on its way to a channel of this type.

    All names are tools; the first one was called before, and has to be called now.
    """
    schema = {"type": "object", "properties": {}}
    document: Json = {"model": "m", "max_tokens": 10, "stream": stream}
    if kind == ANTHROPIC:
        path = "/v1/chat/completions"
        called = {"id": "c1", "type": "function", "function": {"name": names[0], "arguments": "{}"}}
        document["messages"] = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        ]
        document["tools"] = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]
        document["tool_choice"] = {"type": "function", "function": {"name": names[0]}}
    else:
        path = "/v1/messages"
        document["messages"] = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": names[0], "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
        ]
        document["tools"] = [{"name": name, "input_schema": schema} for name in names]
        document["tool_choice"] = {"type": "tool", "name": names[0]}
    head = Head("POST", path, path, "", {"content-type": "application/json"}, "127.0.0.1")
    dialect: Dialect = OpenAIDialect() if kind == ANTHROPIC else AnthropicDialect()
    call = dialect.read(Mode.CHAT, head, orjson.dumps(document))
    channel = route(kind)
    outside: Any = Upstream([(200, {})])
    attempt = Attempt(channel, MODELS[kind], PRICE)
    return Translated(outside, ADAPTERS[channel.provider.protocol], dialect, call, attempt), outside


async def sent(passage: Translated, outside: Answers) -> Any:
    await passage.open()
    return orjson.loads(outside.asked[0].body)


def members(document: Any, wanted: str) -> Iterator[Any]:
    """The values of all members of that name, in their order."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name == wanted:
                yield value
            yield from members(value, wanted)
    elif isinstance(document, list):
        for value in document:
            yield from members(value, wanted)


ANSWERS = {
    OPENAI: lambda name, delta: {
        "id": "chatcmpl-1",
        "choices": [
            {
                "index": 0,
                delta: {"tool_calls": [{"index": 0, "id": "c", "function": {"name": name, "arguments": "{}"}}]},
                "finish_reason": "tool_calls",
            }
        ],
    },
    GEMINI: lambda name, _: {
        "candidates": [{"content": {"parts": [{"functionCall": {"name": name, "args": {}}}]}, "finishReason": "STOP"}]
    },
}


@pytest.mark.parametrize("kind", [OPENAI, ALI, GEMINI])
async def test_a_long_name_is_a_short_one_wherever_the_upstream_reads_it(kind: int) -> None:
    """As a tool, as the choice among tools, in an earlier call and in its result."""
    passage, outside = translated(kind, INSIGHT, "look")

    body = await sent(passage, outside)

    assert INSIGHT not in orjson.dumps(body).decode()
    names = [*members(body, "name"), *(name for several in members(body, "allowedFunctionNames") for name in several)]
    short = {name for name in names if name != "look"}
    assert len(short) == 1
    assert [len(name) for name in short] == [64]
    assert len([name for name in names if name != "look"]) >= 3


async def test_anthropic_takes_names_of_128_characters() -> None:
    passage, outside = translated(ANTHROPIC, INSIGHT, "x" * 128)
    assert set(members(await sent(passage, outside), "name")) == {INSIGHT, "x" * 128}

    passage, outside = translated(ANTHROPIC, "x" * 129)
    assert {len(name) for name in members(await sent(passage, outside), "name")} == {128}


async def test_names_that_are_short_enough_stay() -> None:
    passage, outside = translated(OPENAI, "x" * 64)
    assert set(members(await sent(passage, outside), "name")) == {"x" * 64}


@pytest.mark.parametrize("kind", [OPENAI, GEMINI])
async def test_a_whole_answer_calls_tools_by_the_callers_names(kind: int) -> None:
    passage, outside = translated(kind, INSIGHT, TRACE)
    first, second = dict.fromkeys(name for name in members(await sent(passage, outside), "name") if "__" in name)

    for short, name in ((first, INSIGHT), (second, TRACE)):
        answer = orjson.dumps(ANSWERS[kind](short, "message"))
        _, body, _ = passage.whole(FakeAnswer(200, answer), answer)
        assert [block["name"] for block in orjson.loads(body)["content"]] == [name]


@pytest.mark.parametrize("kind", [OPENAI, GEMINI])
async def test_a_stream_calls_tools_by_the_callers_names(kind: int) -> None:
    passage, outside = translated(kind, INSIGHT, TRACE, stream=True)
    _, second = dict.fromkeys(name for name in members(await sent(passage, outside), "name") if "__" in name)

    flow = passage.flow()
    written = flow.feed(sse(ANSWERS[kind](second, "delta"))) + flow.last()

    assert f'"name":"{TRACE}"'.encode() in written
    assert second.encode() not in written


@pytest.mark.parametrize(
    ("kind", "name", "form"),
    [
        (OPENAI, DOTTED, r"github_create_issue_\w+"),
        (ALI, DOTTED, r"github_create_issue_\w+"),
        (ANTHROPIC, DOTTED, r"github_create_issue_\w+"),
        (GEMINI, DOTTED, r"github\.create_issue"),
        (GEMINI, NUMBERED, r"_1st_magic_builder_\w+"),
        (OPENAI, NUMBERED, NUMBERED),
        (ANTHROPIC, "天气", r"___[0-9a-f]+"),
    ],
)
async def test_a_name_in_letters_that_are_refused_is_another_everywhere(kind: int, name: str, form: str) -> None:
    passage, outside = translated(kind, name, "look")
    body = await sent(passage, outside)

    names = [*members(body, "name"), *(name for several in members(body, "allowedFunctionNames") for name in several)]
    (told,) = set(names) - {"look"}
    assert re.fullmatch(form, told)


async def test_a_caller_is_told_its_own_name_whatever_its_letters() -> None:
    passage, outside = translated(OPENAI, DOTTED)
    told = next(members(await sent(passage, outside), "name"))

    answer = orjson.dumps(ANSWERS[OPENAI](told, "message"))
    _, body, _ = passage.whole(FakeAnswer(200, answer), answer)

    assert [block["name"] for block in orjson.loads(body)["content"]] == [DOTTED]


def shortened(*names: str) -> tuple[list[str], Names]:
    chat = Chat([], tools=[Tool(name) for name in names])
    kept = Names(chat, 64)
    return [tool.name for tool in chat.tools], kept


def test_two_long_names_with_the_same_beginning_stay_apart() -> None:
    (first, second), _ = shortened("x" * 80 + "a", "x" * 80 + "b")

    assert first != second
    assert len(first) == len(second) == 64


def test_a_name_is_shortened_alike_in_every_turn() -> None:
    assert shortened(INSIGHT)[0] == shortened("look", TRACE, INSIGHT)[0][2:]


@pytest.mark.parametrize("place", ["a tool", "a call of an earlier turn"])
def test_a_tool_that_is_called_like_a_short_name_keeps_its_name_to_itself(place: str) -> None:
    (taken,), _ = shortened(INSIGHT)
    turns = [Turn("assistant", [ToolCall("c", taken, "{}")])] if place != "a tool" else []
    chat = Chat(turns, tools=[Tool(INSIGHT), *([] if turns else [Tool(taken)])])

    Names(chat, 64)

    assert chat.tools[0].name != taken
    assert len(chat.tools[0].name) == 64
    assert [tool.name for tool in chat.tools[1:]] == ([] if turns else [taken])


def test_results_and_the_choice_go_by_the_same_short_name_as_the_tool() -> None:
    turns = [Turn("user", [ToolResult("c", INSIGHT, [Text("ok")])])]
    chat = Chat(turns, tools=[Tool(INSIGHT)], tool_choice=ToolChoice("named", INSIGHT))

    Names(chat, 64)

    (result,) = chat.turns[0].parts
    assert isinstance(result, ToolResult)
    assert chat.tool_choice is not None
    assert {chat.tools[0].name, chat.tool_choice.name, result.name} == {chat.tools[0].name}
    assert len(result.name) == 64
