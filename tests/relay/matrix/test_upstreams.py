"""The upstreams of the matrix speak their protocols truly: the vendors' own SDKs, pointed straight at them, say so.

No gateway is between them. An upstream that no SDK of its vendor can read would prove nothing about the gateway.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import botocore.session
import cohere
import httpx
import ollama
import openai
import pytest
from botocore.config import Config

from tests.relay.matrix.clients import Client, Question
from tests.relay.matrix.clients.anthropic_messages import MessagesClient
from tests.relay.matrix.clients.gemini_content import GeminiClient
from tests.relay.matrix.clients.openai_chat import ChatClient
from tests.relay.matrix.clients.openai_responses import ResponsesClient
from tests.relay.matrix.scenes import ANSWERS, CALLS, CITY, INSTRUCTIONS, PICTURE, PLACE, TOOL, Scene
from tests.relay.matrix.upstreams import KINDS, Upstream
from tests.relay.matrix.upstreams.base import running
from tests.relay.matrix.upstreams.bedrock import KEY, REGION, SECRET
from tests.relay.matrix.upstreams.cohere import CHAT

SPOKEN_BY: list[tuple[str, type[Client]]] = [
    ("OpenAI", ChatClient),
    ("OpenAI", ResponsesClient),
    ("Anthropic", MessagesClient),
    ("Gemini", GeminiClient),
]
FUNCTION = {"name": TOOL, "description": "How warm it is.", "parameters": CITY}
TOOLS: Any = [{"type": "function", "function": FUNCTION}]


@pytest.fixture(scope="module")
def all_upstreams() -> Iterator[dict[str, Upstream]]:
    made = {upstream.name: upstream for upstream in (kind() for kind in KINDS)}
    with running(list(made.values())):
        yield made


@pytest.fixture
def at(all_upstreams: dict[str, Upstream]) -> Iterator[dict[str, Upstream]]:
    for upstream in all_upstreams.values():
        upstream.violations.clear()
    yield all_upstreams
    assert not [violation for upstream in all_upstreams.values() for violation in upstream.violations]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("scene", [Scene.HELLO, Scene.WEATHER, Scene.PICTURE, Scene.DESCRIBE, Scene.THINK])
@pytest.mark.parametrize(("name", "kind"), SPOKEN_BY, ids=[kind.name for _, kind in SPOKEN_BY])
def test_its_own_dialect(name: str, kind: type[Client], scene: Scene, stream: bool, at: dict[str, Upstream]) -> None:
    upstream = at[name]
    with closing(kind(upstream.url, upstream.key)) as client:
        answer = client.ask(Question(upstream.model(scene), scene, stream))

    assert answer.text == ANSWERS[scene].text
    assert len(answer.calls) == len(ANSWERS[scene].calls)
    told = upstream.told(ANSWERS[scene].figures)
    assert (answer.figures.prompt, answer.figures.completion) == (told.prompt, told.completion)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
@pytest.mark.parametrize(("name", "kind"), SPOKEN_BY, ids=[kind.name for _, kind in SPOKEN_BY])
def test_its_own_refusals(name: str, kind: type[Client], status: int, at: dict[str, Upstream]) -> None:
    upstream, scene = at[name], Scene[f"REFUSED_{status}"]

    with closing(kind(upstream.url, upstream.key)) as client, pytest.raises(client.errors[status]):
        client.ask(Question(upstream.model(scene), scene))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_azure(stream: bool, at: dict[str, Upstream]) -> None:
    azure = at["Azure"]
    with openai.AzureOpenAI(azure_endpoint=azure.url, api_key=azure.key, api_version="2024-10-21") as sdk:
        messages: Any = [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": Scene.HELLO.value},
        ]
        answer: Any = sdk.chat.completions.create(model="gpt-51", messages=messages, stream=stream)
        said = (
            "".join(choice.delta.content or "" for chunk in answer for choice in chunk.choices)
            if stream
            else answer.choices[0].message.content
        )

    assert said == ANSWERS[Scene.HELLO].text


@pytest.fixture
def bedrock(at: dict[str, Upstream]) -> Iterator[Any]:
    sdk = botocore.session.get_session().create_client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=at["Bedrock"].url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield sdk
    sdk.close()


def converse(scene: Scene, **more: Any) -> Any:
    content = [{"text": scene.value}, *more.pop("content", [])]
    conversation = {"system": [{"text": INSTRUCTIONS}], "messages": [{"role": "user", "content": content}]}
    return {"modelId": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", **conversation, **more}


def test_bedrock_answers_whole(bedrock: Any) -> None:
    picture = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PICTURE)}}}
    answer = bedrock.converse(**converse(Scene.PICTURE, content=[picture]))

    assert answer["output"]["message"]["content"] == [{"text": ANSWERS[Scene.PICTURE].text}]
    assert (answer["usage"]["inputTokens"], answer["usage"]["outputTokens"]) == (1500, 17)


def test_bedrock_streams_calls_in_frames_whose_sums_are_right(bedrock: Any) -> None:
    tool = {"toolSpec": {"name": TOOL, "description": "How warm it is.", "inputSchema": {"json": CITY}}}
    events = list(bedrock.converse_stream(**converse(Scene.WEATHER, toolConfig={"tools": [tool]}))["stream"])

    deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    joined = [
        "".join(delta["delta"]["toolUse"]["input"] for delta in deltas if delta["contentBlockIndex"] == index)
        for index in range(2)
    ]
    assert [text.replace(" ", "") for text in joined] == [call.replace(" ", "") for call in CALLS]
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 57


def test_bedrock_thinks_in_a_stream(bedrock: Any) -> None:
    fields = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    answer = bedrock.converse_stream(**converse(Scene.THINK, additionalModelRequestFields=fields))

    deltas = [event["contentBlockDelta"]["delta"] for event in answer["stream"] if "contentBlockDelta" in event]
    thoughts = [delta["reasoningContent"] for delta in deltas if "reasoningContent" in delta]
    assert "".join(thought.get("text", "") for thought in thoughts) == ANSWERS[Scene.THINK].thought
    assert thoughts[-1]["signature"]


def test_bedrock_fails_in_a_stream_and_refuses_in_its_own_names(bedrock: Any) -> None:
    with pytest.raises(botocore.exceptions.EventStreamError, match="internalServerException"):
        list(bedrock.converse_stream(**converse(Scene.FAILS))["stream"])
    with pytest.raises(bedrock.exceptions.ThrottlingException):
        bedrock.converse(**converse(Scene.REFUSED_429))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("scene", [Scene.HELLO, Scene.WEATHER, Scene.PICTURE, Scene.DESCRIBE, Scene.THINK])
def test_ollama(scene: Scene, stream: bool, at: dict[str, Upstream]) -> None:
    upstream = at["Ollama"]
    with_it: dict[Scene, Any] = {
        Scene.WEATHER: {"tools": TOOLS},
        Scene.DESCRIBE: {"format": PLACE},
        Scene.THINK: {"think": True},
    }
    user = {"role": "user", "content": scene.value} | ({"images": [PICTURE]} if scene is Scene.PICTURE else {})
    messages = [{"role": "system", "content": INSTRUCTIONS}, user]
    with ollama.Client(upstream.url, headers={"Authorization": f"Bearer {upstream.key}"}) as sdk:
        answer: Any = sdk.chat(upstream.model(scene), messages, stream=stream, **with_it.get(scene, {}))
        records = list(answer) if stream else [answer]

    said = ANSWERS[scene]
    assert "".join(record.message.content or "" for record in records) == said.text
    assert "".join(record.message.thinking or "" for record in records) == said.thought
    calls = [call.function.name for record in records for call in record.message.tool_calls or []]
    assert calls == [TOOL] * len(said.calls)
    assert (records[-1].prompt_eval_count, records[-1].eval_count) == (said.figures.prompt, said.figures.completion)


@pytest.fixture
def command(at: dict[str, Upstream]) -> Iterator[cohere.ClientV2]:
    with httpx.Client(timeout=30) as connections:
        yield cohere.ClientV2(at["Cohere"].key, base_url=at["Cohere"].url, max_retries=0, httpx_client=connections)


def asked(scene: Scene) -> Any:
    return {
        "model": CHAT,
        "messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": scene.value}],
    }


def test_cohere_answers_whole(command: cohere.ClientV2) -> None:
    answer: Any = command.chat(**asked(Scene.WEATHER), tools=TOOLS)

    assert [call.function.arguments for call in answer.message.tool_calls] == list(CALLS)
    assert answer.finish_reason == "TOOL_CALL"
    assert (answer.usage.tokens.input_tokens, answer.usage.tokens.output_tokens) == (1310, 57)


def test_cohere_streams(command: cohere.ClientV2) -> None:
    events: list[Any] = list(command.chat_stream(**asked(Scene.HELLO)))

    said = "".join(event.delta.message.content.text for event in events if event.type == "content-delta")
    assert said == ANSWERS[Scene.HELLO].text
    assert (events[0].type, events[-1].type) == ("message-start", "message-end")
    assert events[-1].delta.usage.tokens.output_tokens == 31


def test_cohere_streams_calls(command: cohere.ClientV2) -> None:
    events: list[Any] = list(command.chat_stream(**asked(Scene.WEATHER), tools=TOOLS))

    pieces = [event for event in events if event.type == "tool-call-delta"]
    assert "".join(piece.delta.message.tool_calls.function.arguments for piece in pieces) == "".join(CALLS)
