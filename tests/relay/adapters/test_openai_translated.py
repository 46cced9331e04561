"""OpenAI's protocol as an upstream for callers of other dialects.

Shapes: https://platform.openai.com/docs/api-reference/chat, and the vendors' own pages named beside the adapters.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.pricing import Usage
from relay import sse
from relay.adapters.base import Adapter, Job
from relay.adapters.openai.adapter import TRANSLATED
from relay.errors import BadRequest, UpstreamError
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
    Picture,
    Pictures,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
    fold,
)
from relay.neutral.request import (
    Chat,
    Embeddings,
    Images,
    Media,
    OutputFormat,
    Request,
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

OPENAI: Adapter = TRANSLATED["openai"]
AZURE: Adapter = TRANSLATED["azure-openai"]
HI = [Turn("user", [Text("Hi")])]


def job(request: Request, kind: int = 1, model: str = "gpt-4o", **config: Any) -> Job:
    changes = {"base_url": "https://res.example"} if kind in (3, 8, 50) else {}
    return Job(cases.route(kind, config=config, **changes), model, model, request)


async def sent(request: Request, kind: int = 1, model: str = "gpt-4o", **config: Any) -> dict[str, Any]:
    adapter = AZURE if kind == 3 else OPENAI
    outside = cases.FakeOutside(cases.load("azure_chat"))
    body: dict[str, Any] = orjson.loads((await adapter.prepare(job(request, kind, model, **config), outside)).body)
    return body


def events(*chunks: Any) -> list[Event]:
    """What a stream of these documents is read as, whatever its chunk borders."""
    raw = [b"data: " + (chunk if isinstance(chunk, bytes) else orjson.dumps(chunk)) + b"\n\n" for chunk in chunks]
    ways = [cases.events_of(OPENAI, job(Chat(HI)), portions) for portions in cases.portions(raw)]
    for way in ways[1:]:
        assert [str(event) for event in way] == [str(event) for event in ways[0]]
    return ways[0]


def delta(delta: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **members}
    return {"id": "chatcmpl-1", "created": 17, "choices": [choice]}


def answer(message: dict[str, Any], finish: str = "stop", **members: Any) -> bytes:
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return orjson.dumps({"id": "chatcmpl-1", "created": 17, "choices": choices, **members})


def read(body: bytes) -> Any:
    return OPENAI.read(job(Chat(HI)), body)


@pytest.mark.parametrize("name", ["azure_chat", "azure_stream", "ali_bailian_stream", "baiduv2_stream"])
async def test_the_wire_cases_of_the_family(name):
    """The cases show the answer passed on untouched; translated, it has our id and the model that was asked for."""
    case = cases.load(name)
    case = case.but(
        volatile=["openai_response.id", "openai_response.model", "openai_stream[*].id", "openai_stream[*].model"]
    )
    await cases.check(case, AZURE if name.startswith("azure") else OPENAI)


async def test_the_wire_case_of_embeddings():
    case = cases.load("azure_embeddings")
    await cases.check_answer(case, AZURE, cases.job_of(case))


async def test_the_wire_case_of_images():
    case = cases.load("azure_image")
    expected = case["openai_response"]
    picture = {name: expected["data"][0][name] for name in ("url", "revised_prompt")}
    await cases.check(case.but(openai_response={**expected, "data": [picture]}), AZURE)


async def test_a_whole_conversation_becomes_messages():
    chat = Chat(
        [
            Turn("user", [Text("Look"), Media("image", data="aGk=", mime="image/png", detail="low")]),
            Turn("assistant", [Thought("Hm.", "sig"), Text("A"), Text("B"), ToolCall("c1", "look", "")]),
            Turn("user", [Text("Go on"), ToolResult("c1", "look", [Text("4"), Media("image", url="https://x/y.png")])]),
        ],
        system=[Text("Be brief."), Text("No jokes.")],
    )
    assert (await sent(chat))["messages"] == [
        {"role": "system", "content": "Be brief.\nNo jokes."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": "AB",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Go on"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
            ],
        },
    ]


@pytest.mark.parametrize(("kind", "kept"), [(36, "Hm."), (25, "Hm."), (1, None), (28, None)])
async def test_earlier_thoughts_go_to_providers_that_want_them_back(kind, kept):
    chat = Chat([*HI, Turn("assistant", [Thought("Hm."), ToolCall("c1", "look", "{}")])])
    assert (await sent(chat, kind))["messages"][1].get("reasoning_content") == kept


async def test_geminis_signature_goes_to_gemini_alone():
    chat = Chat([*HI, Turn("assistant", [ToolCall("c1", "look", "{}", "Zw==")])])
    assert "extra_content" not in (await sent(chat))["messages"][1]["tool_calls"][0]
    call = (await sent(chat, 51))["messages"][1]["tool_calls"][0]
    assert call["extra_content"] == {"google": {"thought_signature": "Zw=="}}


async def test_sounds_and_files_are_given_as_data():
    parts: list[Any] = [
        Media("audio", data="aGk=", mime="audio/mpeg"),
        Media("file", data="aGk=", mime="application/pdf", name="a.pdf"),
        Media("file", data="aGk=", mime="text/plain"),
        Media("file", url="https://x/y.pdf"),
    ]
    outside = cases.FakeOutside(cases.load("azure_chat"))
    outside.media_by_url["https://x/y.pdf"] = Media("file", data="eQ==", mime="application/pdf", name="y.pdf")
    outgoing = await OPENAI.prepare(job(Chat([Turn("user", parts)])), outside)
    assert orjson.loads(outgoing.body)["messages"][0]["content"] == [
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "text", "text": "hi"},
        {"type": "file", "file": {"filename": "y.pdf", "file_data": "data:application/pdf;base64,eQ=="}},
    ]


async def test_tools_their_choice_and_the_form_of_the_answer():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    chat = Chat(
        HI,
        tools=[Tool("look", "Looks.", schema, True), Tool("rest")],
        tool_choice=ToolChoice("named", "look"),
        parallel_tools=False,
        output=OutputFormat("schema", schema, strict=True),
    )
    body = await sent(chat)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "look", "description": "Looks.", "parameters": schema, "strict": True},
        },
        {"type": "function", "function": {"name": "rest", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert body["parallel_tool_calls"] is False
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


async def test_a_choice_without_tools_is_not_sent():
    assert "tool_choice" not in await sent(Chat(HI, tool_choice=ToolChoice("auto"), parallel_tools=True))


async def test_a_stream_asks_for_its_usage_where_the_provider_knows_how():
    assert (await sent(Chat(HI, stream=True)))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in await sent(Chat(HI, stream=True), 28)
    assert "stream" not in await sent(Chat(HI))
    route = cases.route(1, refuses_stream_options=True)
    prepared = await OPENAI.prepare(
        Job(route, "gpt-4o", "gpt-4o", Chat(HI, stream=True)), cases.FakeOutside(cases.load("azure_chat"))
    )
    assert "stream_options" not in orjson.loads(prepared.body)


@pytest.mark.parametrize(
    ("model", "kind", "name"),
    [
        ("gpt-4o", 1, "max_tokens"),
        ("o3-mini", 1, "max_completion_tokens"),
        ("gpt-5.2", 3, "max_completion_tokens"),
        ("openai/gpt-5", 20, "max_completion_tokens"),
        ("gpt-5-of-mistral", 28, "max_tokens"),
        ("claude-sonnet-5", 50, "max_tokens"),
    ],
)
async def test_the_maximum_has_the_name_the_model_knows(model, kind, name):
    body = await sent(Chat(HI, max_tokens=7), kind, model)
    assert {member: body[member] for member in body if "max" in member} == {name: 7}


async def test_reasoning_models_get_no_sampling_they_would_refuse():
    chat = Chat(HI, temperature=0.2, top_p=0.5, presence_penalty=1, logprobs=True, top_logprobs=2, seed=3)
    assert set(await sent(chat, model="o3")) == {"model", "messages", "seed"}
    assert (await sent(chat))["temperature"] == 0.2
    chat.thinking = Thinking("none")
    assert (await sent(chat, model="gpt-5.1"))["temperature"] == 0.2


CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
CLOSED = {**CITY, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict", "told"),
    [
        ({**CLOSED, "required": ["city"]}, True, True),
        (CLOSED, True, None),
        ({**CITY, "required": ["city"]}, True, None),
        ({**CLOSED, "properties": {"a": CLOSED}, "required": ["a"]}, True, None),
        ({**CLOSED, "properties": {"a": {"anyOf": [CLOSED, {"type": "null"}]}}, "required": ["a"]}, True, None),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}, "required": ["a"]}, True, None),
        ({**CLOSED, "properties": {"a": {"type": ["object", "null"]}}, "required": ["a"]}, True, None),
        ({**CLOSED, "properties": {"properties": {"type": "string"}}, "required": ["properties"]}, True, True),
        ({**CLOSED, "properties": {"a": {"enum": [{"type": "object"}]}}, "required": ["a"]}, True, True),
        (CLOSED, False, False),
        (CLOSED, None, None),
    ],
)
async def test_a_tool_is_strict_where_openai_can_hold_a_model_to_it(schema, strict, told):
    """It refuses members that may be left out, which Anthropic's strict tools may have."""
    (tool,) = (await sent(Chat(HI, tools=[Tool("look", "", schema, strict)])))["tools"]
    assert tool["function"].get("strict") is told
    assert tool["function"]["parameters"] == schema


@pytest.mark.parametrize(("model", "told"), [("o3-mini", None), ("o4-mini", None), ("gpt-5", False), ("gpt-4o", False)])
async def test_the_first_reasoning_models_are_told_nothing_of_calls_at_once(model, told):
    """https://github.com/run-llama/llama_index/issues/20865: o1, o3 and o4-mini refuse the member, true or false."""
    chat = Chat(HI, tools=[Tool("look")], parallel_tools=False)
    assert (await sent(chat, model=model)).get("parallel_tool_calls") is told


@pytest.mark.parametrize(
    ("thinking", "kind", "model", "members"),
    [
        (Thinking("max"), 1, "o3", {"reasoning_effort": "high"}),
        (Thinking("none"), 1, "o3", {"reasoning_effort": "low"}),
        (Thinking("minimal"), 1, "gpt-5-mini", {"reasoning_effort": "minimal"}),
        (Thinking("none"), 1, "gpt-5", {"reasoning_effort": "minimal"}),
        (Thinking("xhigh"), 1, "gpt-5.1", {"reasoning_effort": "high"}),
        (Thinking("max"), 1, "gpt-5.2", {"reasoning_effort": "xhigh"}),
        (Thinking(budget=1024), 1, "gpt-5", {"reasoning_effort": "low"}),
        (Thinking(budget=8192), 1, "gpt-5", {"reasoning_effort": "medium"}),
        (Thinking(budget=30000), 1, "gpt-5", {"reasoning_effort": "high"}),
        (Thinking(budget=-1), 1, "gpt-5", {}),
        (Thinking(adaptive=True, shown=True), 1, "gpt-5", {}),
        (Thinking("high"), 1, "gpt-4o", {}),
        (Thinking("high"), 36, "deepseek-v4", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        (Thinking(budget=0), 36, "deepseek-v4", {"thinking": {"type": "disabled"}}),
        (Thinking(adaptive=True), 40, "doubao-seed", {"thinking": {"type": "enabled"}}),
        (Thinking(budget=512), 49, "qwen3", {"enable_thinking": True, "thinking_budget": 512}),
        (Thinking("none"), 49, "qwen3", {"enable_thinking": False}),
        (Thinking("max"), 51, "gemini-3-pro", {"reasoning_effort": "high"}),
        (Thinking("xhigh"), 20, "z-ai/glm-5", {"reasoning_effort": "xhigh"}),
    ],
)
async def test_what_is_wanted_of_reasoning_is_said_as_the_provider_understands_it(thinking, kind, model, members):
    body = await sent(Chat(HI, thinking=thinking), kind, model)
    assert {name: body[name] for name in body if name not in ("model", "messages")} == members


async def test_members_of_other_families_stay_behind():
    extra = {"prompt_cache_key": "k", "safety_settings": [], "logit_bias": {"1": 2}}
    body = await sent(Chat(HI, top_k=5, stop=["."], user="u", n=2, extra=extra))
    assert set(body) == {"model", "messages", "prompt_cache_key", "logit_bias", "stop", "user", "n"}
    assert (await sent(Chat(HI, top_k=5), 20))["top_k"] == 5


@pytest.mark.parametrize(
    "part",
    [
        Media("image", url="gs://bucket/a.png"),
        Media("audio", data="aGk=", mime="audio/flac"),
        Media("file", data="/w==", mime="text/plain"),
    ],
)
async def test_what_the_upstream_cannot_take_is_refused(part):
    with pytest.raises(BadRequest):
        await sent(Chat([Turn("user", [part])]))


async def test_a_mode_the_provider_lacks_is_refused_so_that_another_channel_may_answer():
    with pytest.raises(UpstreamError, match="do not serve images"):
        await sent(Images("a fox"), 41)


@settings(max_examples=150)
@given(strategies.chats(), st.sampled_from([1, 3, 20, 28, 36, 49, 51]))
async def test_no_conversation_raises_anything_but_bad_request(chat, kind):
    try:
        body = await sent(chat, kind)
    except BadRequest:
        return
    assert body["messages"] or not (chat.turns or any(text.text for text in chat.system))


@pytest.mark.parametrize(
    ("version", "mode", "url"),
    [
        ("2024-10-21", Chat(HI), "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
        ("v1", Chat(HI), "/openai/v1/chat/completions"),
        ("latest", Embeddings(["a"]), "/openai/v1/embeddings"),
        ("preview", Images("a"), "/openai/v1/images/generations?api-version=preview"),
    ],
)
async def test_azure_has_two_addresses(version, mode, url):
    outside = cases.FakeOutside(cases.load("azure_chat"))
    outgoing = await AZURE.prepare(job(mode, 3, api_version=version), outside)
    assert outgoing.url == "https://res.example" + url
    assert ("api-key", "key-EXAMPLE") in outgoing.headers


async def test_azures_v1_address_may_be_the_channels_own():
    route = cases.route(3, config={"api_version": "v1"}, base_url="https://res.example/openai/v1")
    outgoing = await AZURE.prepare(
        Job(route, "gpt-4.1", "gpt-4.1", Chat(HI)), cases.FakeOutside(cases.load("azure_chat"))
    )
    assert outgoing.url == "https://res.example/openai/v1/chat/completions"


def test_a_native_request_has_the_same_address_and_credential():
    assert OPENAI.native(job(Chat(HI), 40), "/v1/chat/completions", "") == (
        "https://ark.cn-beijing.volces.com/api/v3/chat/completions",
        [("Authorization", "Bearer key-EXAMPLE")],
    )


def test_a_whole_answer():
    message = {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "Hm.",
        "refusal": None,
        "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}],
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}],
    }
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read(answer(message, "tool_calls", usage=usage)) == [
        Started("chatcmpl-1", 17),
        ThoughtPiece("Hm."),
        TextPiece("Hello"),
        Cited({"type": "url_citation", "url_citation": {"url": "u"}}),
        CallStarted(0, "c1", "look"),
        CallPiece(0, '{"a":1}'),
        Finished(FinishReason.TOOL_CALLS),
        Counted(Usage(9, 4, cached_tokens=5, audio_prompt_tokens=1, reasoning_tokens=3)),
    ]


def test_a_stream_of_calls():
    read = events(
        delta({"role": "assistant", "content": None}),
        delta(
            {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": ""}}]}
        ),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]}),
        delta({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "rest", "arguments": "{}"}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        delta({}, "tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        b"[DONE]",
    )
    assert read == [
        Started("chatcmpl-1", 17),
        CallStarted(0, "a", "look"),
        CallPiece(0, '{"x"'),
        CallStarted(1, "b", "rest"),
        CallPiece(1, "{}"),
        CallPiece(0, ":1}"),
        Finished(FinishReason.TOOL_CALLS),
        Counted(Usage(1, 2)),
    ]


@pytest.mark.parametrize(
    "numbers",
    [(0, 0), (None, None), (3, 7)],
    ids=["every call is number 0", "calls have no number", "numbers do not begin at 0"],
)
def test_calls_are_told_apart_however_the_provider_numbers_them(numbers):
    def call(number: int | None, call_id: str, arguments: Any) -> dict[str, Any]:
        numbered = {} if number is None else {"index": number}
        return delta({"tool_calls": [{**numbered, "id": call_id, "function": {"name": "f", "arguments": arguments}}]})

    read = events(call(numbers[0], "a", '{"x":1}'), call(numbers[1], "b", {"x": 2}), delta({}, "stop"), b"[DONE]")
    calls = fold(read).choices[0].calls
    assert [(one.id, orjson.loads(one.arguments)) for one in calls] == [("a", {"x": 1}), ("b", {"x": 2})]


def test_calls_without_number_and_name_of_their_own_come_whole():
    def call(x: int) -> dict[str, Any]:
        return {"function": {"name": "f", "arguments": {"x": x}}}

    read = events(delta({"tool_calls": [call(1), call(2)]}), delta({}, "stop"))
    assert [one.arguments for one in fold(read).choices[0].calls] == ['{"x":1}', '{"x":2}']


def test_the_older_function_call_is_a_call():
    read = events(
        delta({"function_call": {"name": "look", "arguments": ""}}),
        delta({"function_call": {"arguments": '{"x":1}'}}),
        delta({}, "function_call"),
    )
    assert read[1:] == [CallStarted(0, "", "look"), CallPiece(0, '{"x":1}'), Finished(FinishReason.TOOL_CALLS)]


def test_thoughts_refusals_logprobs_and_pictures():
    entry = {"token": "a", "logprob": -0.1}
    read = events(
        delta({"reasoning": "Hm."}),
        delta({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "So."}]}, {"text": "A"}]}),
        delta({"refusal": "No."}, logprobs={"content": [entry]}),
        delta({"images": [{"image_url": {"url": "data:image/png;base64,aGk="}}]}),
        delta({}, "stop"),
    )
    assert read[1:] == [
        ThoughtPiece("Hm."),
        ThoughtPiece("So."),
        TextPiece("A"),
        RefusalPiece("No."),
        Logprobs([entry]),
        MediaPiece("image/png", "aGk="),
        Finished(FinishReason.STOP),
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("normal", FinishReason.STOP),
        ("model_length", FinishReason.LENGTH),
        ("insufficient_system_resource", FinishReason.STOP),
        ("a new word", FinishReason.STOP),
    ],
)
def test_every_vendors_end_is_one_of_four(reason, finish):
    assert events(delta({"content": "a"}, reason))[-1] == Finished(finish)
    assert read(answer({"content": "a"}, reason))[-1] == Finished(finish)


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}},
            Usage(9, 1, cached_tokens=4),
        ),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}}, Usage(9, 1, cached_tokens=4)),
        ({"x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}}, Usage(9, 1)),
        ({"choices": [{"delta": {}, "usage": {"prompt_tokens": 9, "completion_tokens": 1}}]}, Usage(9, 1)),
        ({"usage": {"total_tokens": 10, "completion_tokens": 4}}, Usage(6, 4)),
        (
            {"usage": {"prompt_tokens": 3, "completion_tokens": -5, "prompt_tokens_details": {"cached_tokens": 1e300}}},
            Usage(3, 0, cached_tokens=3),
        ),
        (
            {"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 6}}},
            Usage(9, 0, cached_tokens=6, cache_write_tokens=3),
        ),
        ({"usage": {"prompt_tokens": 1e300, "completion_tokens": "many"}}, Usage(10**9, 0)),
    ],
)
def test_usage_is_found_wherever_it_is_and_never_believed_when_absurd(document, usage):
    assert events(document, b"[DONE]")[-1] == Counted(usage)


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        ({"error": {"message": "no", "type": "t", "code": "c"}}, 502, "no"),
        ({"error": {"message": "slow down", "code": 429}}, 429, "slow down"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "choices": None}, 401, "login fail"),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, 429, "rate limit"),
        ({"code": 11200, "message": "auth", "sid": "s"}, 401, "auth"),
        ({"code": 10013, "message": "bad words", "sid": "s"}, 400, "bad words"),
    ],
)
def test_an_error_inside_a_200_is_an_error(document, status, message):
    with pytest.raises(UpstreamError, match=message) as caught:
        read(orjson.dumps(document))
    assert (caught.value.status, caught.value.retry) == (status, status != 400)
    assert caught.value.answered == (0 if status == 502 else status)  # 502 is what we make of it
    failed = events(delta({"content": "a"}), document, delta({"content": "b"}))
    assert isinstance(failed[-1], Failed)
    assert (failed[-1].error.status, failed[-1].error.answered) == (status, 0)
    assert failed[:-1] == [Started("chatcmpl-1", 17), TextPiece("a")]


def test_a_success_that_names_its_code_is_none():
    members = {"code": 0, "message": "Success", "sid": "s", "base_resp": {"status_code": 0, "status_msg": ""}}
    whole = {**orjson.loads(answer({"content": "a"})), **members}
    assert TextPiece("a") in read(orjson.dumps(whole))
    assert TextPiece("a") in events({**delta({"content": "a"}, "stop"), **members})
    assert TextPiece("a") in events({**delta({"content": "a"}, "stop"), "code": 200})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[5]}'])
def test_what_is_no_answer_is_an_error(body):
    with pytest.raises(UpstreamError):
        read(body)


def test_a_stream_without_an_end_is_broken():
    assert isinstance(events(delta({"content": "a"}))[-1], Failed)
    assert not isinstance(events(delta({"content": "a"}, "stop"))[-1], Failed)
    assert not isinstance(events(delta({"content": "a"}), b"[DONE]")[-1], Failed)


def test_a_document_in_place_of_a_stream_is_the_error_it_tells_of():
    refused = orjson.dumps({"base_resp": {"status_code": 1004, "status_msg": "login fail"}})
    for portions in cases.portions([refused]):
        read = cases.events_of(OPENAI, job(Chat(HI, stream=True)), portions)
        assert [type(event) for event in read] == [Failed]
        assert isinstance(read[0], Failed)
        assert (read[0].error.status, read[0].error.message) == (401, "login fail")


def test_azures_first_chunk_of_filters_says_nothing():
    assert events({"id": "", "choices": [], "prompt_filter_results": []}, delta({"content": "a"}, "stop"))[:2] == [
        Started("chatcmpl-1", 17),
        TextPiece("a"),
    ]


async def test_embeddings():
    body = await sent(Embeddings(["a", [1, 2]], 8, "base64", user="u"), model="text-embedding-3-small")
    assert body == {
        "model": "text-embedding-3-small",
        "input": ["a", [1, 2]],
        "dimensions": 8,
        "encoding_format": "base64",
        "user": "u",
    }
    entries = [{"index": 1, "embedding": [2, 3.5]}, {"index": 0, "embedding": "AACAPw=="}]
    document = orjson.dumps({"data": entries, "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    assert OPENAI.read(job(Embeddings(["a"])), document) == Vectors(["AACAPw==", [2.0, 3.5]], Usage(3, 0))
    wrong: dict[str, Any]
    for wrong in ({"data": []}, {"data": [{"embedding": [1, "x"]}]}, {"data": [{"embedding": [1]}, {}]}):
        with pytest.raises(UpstreamError):
            OPENAI.read(job(Embeddings(["a"])), orjson.dumps(wrong))


async def test_images():
    body = await sent(Images("a fox", 2, "1024x1024", encoding="b64_json"), model="dall-e-3")
    assert body == {
        "model": "dall-e-3",
        "prompt": "a fox",
        "n": 2,
        "size": "1024x1024",
        "response_format": "b64_json",
    }
    assert "response_format" not in await sent(Images("a fox", encoding="b64_json"), model="gpt-image-1")
    document = orjson.dumps({"created": 17, "data": [{"url": "https://x/y", "revised_prompt": "r"}]})
    assert OPENAI.read(job(Images("a")), document) == Pictures([Picture("https://x/y", "", "r")], 17)
    with pytest.raises(UpstreamError):
        OPENAI.read(job(Images("a")), b'{"data":[{}]}')


@settings(max_examples=150)
@given(strategies.portions(), st.booleans())
def test_no_bytes_of_an_upstream_raise_anything_unexpected(portions, shaped):
    if shaped:
        portions = [b'data: {"choices":[{"delta":' + portion.strip()[6:] + b"}]}\n\n" for portion in portions]
    reader = OPENAI.reader(job(Chat(HI)))
    try:
        found = [event for portion in portions for event in reader.feed(portion)] + reader.close()
    except sse.EventTooLong:
        return
    assert sum(isinstance(event, Failed) for event in found) <= 1


@given(
    st.recursive(
        strategies.json_values,
        lambda inner: st.dictionaries(
            st.sampled_from(
                [
                    *("choices", "message", "delta", "tool_calls", "function", "content", "usage", "error", "index"),
                    *("base_resp", "status_code", "code", "sid", "data", "embedding", "finish_reason", "images"),
                ]
            ),
            inner | st.lists(inner, max_size=2),
            max_size=4,
        ),
        max_leaves=12,
    )
)
def test_no_json_of_an_upstream_raises_anything_unexpected(document):
    for request in (Chat(HI), Embeddings(["a"]), Images("a")):
        try:
            OPENAI.read(job(request), orjson.dumps(document))
        except UpstreamError:
            continue
    events_of = cases.events_of(OPENAI, job(Chat(HI)), [b"data: " + orjson.dumps(document) + b"\n\n"])
    assert events_of


def test_pieces_that_name_their_call_by_its_id_alone_come_to_that_call():
    """No index, no name after the first piece, and the calls' pieces in turns."""

    def piece(call_id: str, arguments: str, **function: str) -> dict[str, Any]:
        return delta({"tool_calls": [{"id": call_id, "function": {"arguments": arguments, **function}}]})

    read = events(
        piece("a", '{"x":', name="f"),
        piece("b", '{"y":', name="g"),
        piece("a", "1}"),
        piece("b", "2}"),
        delta({}, "tool_calls"),
        b"[DONE]",
    )
    calls = fold(read).choices[0].calls
    assert [(one.id, one.name, one.arguments) for one in calls] == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_nothing_is_read_after_the_last_word():
    after = [delta({"content": "B"}), {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 7}}]
    read = events(delta({"content": "A"}, "stop"), b"[DONE]", *after, {"error": {"message": "late"}})
    assert read == [Started("chatcmpl-1", 17), TextPiece("A"), Finished(FinishReason.STOP)]


LONG_ID = "toolu_" + "x" * 60


async def ids(kind: int, *given: str) -> list[tuple[str, str]]:
    """What the upstream gets for them: (in the call, in its result)."""
    turns = [
        *HI,
        Turn("assistant", [ToolCall(one, "look", "{}") for one in given]),
        Turn("user", [ToolResult(one, "look", [Text("ok")]) for one in given]),
    ]
    _, called, *results = (await sent(Chat(turns), kind, "m"))["messages"]
    calls = [call["id"] for call in called["tool_calls"]]
    return list(zip(calls, [result["tool_call_id"] for result in results], strict=True))


async def test_mistral_is_given_ids_of_nine_letters_or_digits():
    """It refuses others: "Tool call id was abc123 but must be a-z, A-Z, 0-9, with a length of 9."

    https://github.com/langchain-ai/langchain/pull/24668
    """
    read = await ids(28, "call_1", "call_2", "abcDEF123", LONG_ID)

    assert all(re.fullmatch("[a-zA-Z0-9]{9}", one) for pair in read for one in pair)
    assert all(call == result for call, result in read)
    assert len({call for call, _ in read}) == 4
    assert read[2] == ("abcDEF123", "abcDEF123")


async def test_ids_longer_than_openai_takes_are_shortened_alike_in_call_and_result():
    """It refuses them: "string too long. Expected a string with maximum length 40"."""
    read = await ids(1, LONG_ID, LONG_ID + "y", "x" * 40, "call_1")

    assert all(call == result and len(call) <= 40 for call, result in read)
    assert len({call for call, _ in read}) == 4
    assert read[2:] == [("x" * 40, "x" * 40), ("call_1", "call_1")]
