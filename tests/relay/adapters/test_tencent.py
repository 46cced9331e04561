"""Hunyuan: signatures, requests, answers and errors (https://cloud.tencent.com/document/api/1729/105701)."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.tencent.adapter import Tencent
from relay.adapters.tencent.signing import authorization
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Failed, Finished, FinishReason, TextPiece, ThoughtPiece, fold
from relay.neutral.request import (
    Chat,
    Embeddings,
    Json,
    Media,
    Part,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.relay.adapters.vendors import HELLO, IMAGE, PIXEL, WEATHER, Answers, job_for, read_stream, sse
from tests.relay.wire.cases import load

KEY = "1250000000|AKIDEXAMPLE|SecretKeyExample"
ADAPTER = Tencent(clock=lambda: 1_739_961_000.9)
DESCRIBED = {
    "Type": "function",
    "Function": {
        "Name": "get_weather",
        "Description": "Look up the weather.",
        "Parameters": '{"type":"object","properties":{"city":{"type":"string"}}}',
    },
}


def job(request: Request, key: str = KEY, config: Json | None = None) -> Job:
    return job_for(23, key, request, "hunyuan-turbos", config)


async def sent(request: Request) -> Json:
    document: Json = orjson.loads((await ADAPTER.prepare(job(request), Answers())).body)
    return document


def wrapped(**members: object) -> bytes:
    return orjson.dumps({"Response": {"RequestId": "r-1", **members}})


def test_the_signature_is_that_of_the_vector() -> None:
    signing = load("tencent_chat")["signing"]

    made = authorization(
        signing["secret_id"],
        signing["secret_key"],
        "hunyuan.tencentcloudapi.com",
        "ChatCompletions",
        signing["body_raw"].encode(),
        signing["timestamp"],
    )

    assert made == signing["authorization"]


async def test_a_request_is_signed_over_the_bytes_it_sends() -> None:
    case = load("tencent_chat")
    hunyuan_lite = job_for(23, KEY, Chat([Turn("user", [Text("ping")])]), "hunyuan-lite")

    headers = dict((await ADAPTER.prepare(hunyuan_lite, Answers())).headers)

    assert headers["Authorization"] == case["signing"]["authorization"]
    assert headers["X-TC-Timestamp"] == "1739961000"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://hunyuan.example:8443", "hunyuan.example:8443"),
        ("https://Hunyuan.example:443", "hunyuan.example"),
        ("http://[::1]:81", "[::1]:81"),
    ],
)
async def test_the_host_that_is_signed_is_the_one_that_is_called(base_url: str, host: str) -> None:
    outgoing = await ADAPTER.prepare(job(Chat(HELLO), config={"base_url": base_url}), Answers())

    expected = authorization("AKIDEXAMPLE", "SecretKeyExample", host, "ChatCompletions", outgoing.body, 1_739_961_000)
    assert outgoing.url == base_url + "/"
    assert dict(outgoing.headers)["Authorization"] == expected


async def test_a_key_without_bars_goes_to_the_compatible_interface() -> None:
    outgoing = await ADAPTER.prepare(job(Chat(HELLO), key="sk-compatible"), Answers())

    assert outgoing.url == "https://api.hunyuan.cloud.tencent.com/v1/chat/completions"
    assert dict(outgoing.headers)["Authorization"] == "Bearer sk-compatible"
    assert orjson.loads(outgoing.body)["messages"] == [{"role": "user", "content": "Hi"}]


def test_the_compatible_interface_is_read_as_what_it_is() -> None:
    answer = {"id": "c", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    chunk = {"id": "c", "choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    compatible = job(Chat(HELLO, stream=True), key="sk-compatible")

    assert fold(ADAPTER.read(compatible, orjson.dumps(answer))).choices[0].text == "Hi"  # type: ignore[arg-type]
    assert TextPiece("Hi") in read_stream(ADAPTER, compatible, sse(chunk, "[DONE]"))


async def test_a_key_of_two_parts_is_the_channels_mistake() -> None:
    with pytest.raises(UpstreamError, match=r"AppId\|SecretId\|SecretKey") as caught:
        await ADAPTER.prepare(job(Chat(HELLO), key="secret-one|secret-two"), Answers())

    assert "secret-one" not in caught.value.message


async def test_a_history_with_calls_and_results_goes_out_whole() -> None:
    turns = [
        *HELLO,
        Turn("assistant", [ToolCall("c1", "get_weather", '{"city":"Oslo"}')]),
        Turn("user", [ToolResult("c1", "get_weather", [Text("4 C")])]),
        Turn("user", [Text("so?")]),
    ]

    assert (await sent(Chat(turns, system=[Text("a"), Text("b")])))["Messages"] == [
        {"Role": "system", "Content": "a\nb"},
        {"Role": "user", "Content": "Hi"},
        {
            "Role": "assistant",
            "Content": "",
            "ToolCalls": [
                {"Id": "c1", "Type": "function", "Function": {"Name": "get_weather", "Arguments": '{"city":"Oslo"}'}}
            ],
        },
        {"Role": "tool", "ToolCallId": "c1", "Content": "4 C"},
        {"Role": "user", "Content": "so?"},
    ]


async def test_an_image_goes_as_an_address_or_as_data() -> None:
    parts: list[Part] = [Text("see"), Media("image", url="https://example.com/a.png"), IMAGE]

    assert (await sent(Chat([Turn("user", parts)])))["Messages"][0]["Contents"] == [
        {"Type": "text", "Text": "see"},
        {"Type": "image_url", "ImageUrl": {"Url": "https://example.com/a.png"}},
        {"Type": "image_url", "ImageUrl": {"Url": f"data:image/png;base64,{PIXEL}"}},
    ]


@pytest.mark.parametrize(
    ("choice", "members"),
    [
        (None, {"Tools": [DESCRIBED]}),
        (ToolChoice("auto"), {"Tools": [DESCRIBED], "ToolChoice": "auto"}),
        (ToolChoice("none"), {"Tools": [DESCRIBED], "ToolChoice": "none"}),
        (ToolChoice("required"), {"Tools": [DESCRIBED], "ToolChoice": "custom", "CustomTool": DESCRIBED}),
        (
            ToolChoice("named", "get_weather"),
            {"Tools": [DESCRIBED], "ToolChoice": "custom", "CustomTool": DESCRIBED},
        ),
    ],
)
async def test_a_choice_of_tools_is_said_in_the_upstreams_words(choice: ToolChoice | None, members: Json) -> None:
    body = await sent(Chat(HELLO, tools=[WEATHER], tool_choice=choice))

    assert {name: value for name, value in body.items() if "Tool" in name} == members


@pytest.mark.parametrize(
    ("chat", "member", "value"),
    [
        (Chat(HELLO, temperature=3.0), "Temperature", 2.0),
        (Chat(HELLO, top_p=1.5), "TopP", 1.0),
        (Chat(HELLO, stop=["END"]), "Stop", ["END"]),
        (Chat(HELLO, seed=7), "Seed", 7),
        (Chat(HELLO, seed=10_001), "Seed", None),  # beyond what it takes
        (Chat(HELLO, thinking=Thinking("high")), "EnableThinking", True),
        (Chat(HELLO, thinking=Thinking(budget=0)), "EnableThinking", False),
        (Chat(HELLO, extra={"enable_enhancement": True}), "EnableEnhancement", True),
        (Chat(HELLO, extra={"SearchInfo": True}), "SearchInfo", True),
        (Chat(HELLO, extra={"Messages": []}), "Messages", [{"Role": "user", "Content": "Hi"}]),
    ],
)
async def test_what_is_asked_goes_where_the_upstream_looks_for_it(chat: Chat, member: str, value: object) -> None:
    assert (await sent(chat)).get(member) == value


@pytest.mark.parametrize(
    "request_",
    [
        Chat(HELLO, n=2),
        Chat([Turn("user", [Media("audio", data="aGk=")])]),
        Chat([Turn("user", [Media("image", url="gs://bucket/a.png")])]),
        Chat(HELLO, tools=[Tool("a"), Tool("b")], tool_choice=ToolChoice("required")),
        Chat(HELLO, tools=[Tool("a")], tool_choice=ToolChoice("named", "b")),
        Embeddings([[1, 2]]),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(request_: Request) -> None:
    with pytest.raises(BadRequest):
        await sent(request_)


def test_thoughts_text_and_calls_are_read() -> None:
    message = {
        "Role": "assistant",
        "ReasoningContent": "hm",
        "Content": "Let me see.",
        "ToolCalls": [
            {"Id": "c1", "Type": "function", "Function": {"Name": "a", "Arguments": '{"x":1}'}},
            {"Id": "c2", "Type": "function", "Function": {"Name": "b", "Arguments": "{}"}},
        ],
    }

    answer = fold(
        ADAPTER.read(job(Chat(HELLO)), wrapped(Choices=[{"Message": message, "FinishReason": "stop"}]))  # type: ignore[arg-type]
    )

    (choice,) = answer.choices
    assert (choice.thought, choice.text) == ("hm", "Let me see.")
    assert [(call.id, call.name, call.arguments) for call in choice.calls] == [
        ("c1", "a", '{"x":1}'),
        ("c2", "b", "{}"),
    ]
    assert choice.finish is FinishReason.TOOL_CALLS


def test_calls_of_a_stream_come_in_pieces() -> None:
    def delta(finish: str = "", **members: object) -> Json:
        return {"Id": "t", "Choices": [{"Index": 0, "Delta": members, "FinishReason": finish}]}

    def call(index: int, call_id: str, name: str, arguments: str) -> Json:
        return {"Index": index, "Id": call_id, "Function": {"Name": name, "Arguments": arguments}}

    stream = sse(
        delta(ReasoningContent="hm"),
        delta(ToolCalls=[call(0, "c1", "a", '{"x"')]),
        delta(ToolCalls=[call(0, "c1", "a", ":1}")]),
        delta(ToolCalls=[call(0, "c2", "b", "{}")]),  # another call under the same index
        delta(ToolCalls=[call(1, "c3", "c", "{")]),
        delta(ToolCalls=[call(1, "", "", "}")]),
        delta("tool_calls"),
    )

    events = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), stream)

    (choice,) = fold(events).choices
    assert ThoughtPiece("hm") in events
    assert [(made.id, made.name, made.arguments) for made in choice.calls] == [
        ("c1", "a", '{"x":1}'),
        ("c2", "b", "{}"),
        ("c3", "c", "{}"),
    ]
    assert choice.finish is FinishReason.TOOL_CALLS


def test_what_was_censored_ends_as_filtered() -> None:
    stream = sse({"Choices": [{"Delta": {"Content": "a"}, "FinishReason": "sensitive"}]})

    assert Finished(FinishReason.CONTENT_FILTER) in read_stream(ADAPTER, job(Chat(HELLO, stream=True)), stream)


def test_a_stream_without_its_end_is_broken() -> None:
    stream = sse({"Choices": [{"Delta": {"Content": "a"}, "FinishReason": ""}]})

    assert isinstance(read_stream(ADAPTER, job(Chat(HELLO, stream=True)), stream)[-1], Failed)


@pytest.mark.parametrize(
    ("code", "status", "retry"),
    [
        ("AuthFailure.SignatureFailure", 401, True),
        ("UnauthorizedOperation", 403, True),
        ("InvalidParameterValue.Model", 400, False),
        ("MissingParameter", 400, False),
        ("LimitExceeded", 429, True),
        ("RequestLimitExceeded", 429, True),
        ("ResourceInsufficient.ChargeResourceExhausted", 429, True),
        ("ResourceUnavailable.InArrears", 403, True),
        ("FailedOperation.ResourcePackExhausted", 403, True),
        ("FailedOperation.EngineServerError", 500, True),
        ("InternalError", 500, True),
    ],
)
def test_an_error_under_status_200_gets_the_status_it_stands_for(code: str, status: int, retry: bool) -> None:
    body = wrapped(Error={"Code": code, "Message": "told"})

    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Chat(HELLO)), body)
    events = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), body)

    error = caught.value
    assert (error.message, error.status, error.answered, error.retry) == ("told", status, status, retry)
    assert (error.code, error.kind) == (code, "tencent_error")
    assert isinstance(events[-1], Failed)
    assert (events[-1].error.status, events[-1].error.code) == (status, code)


def test_an_error_in_the_middle_of_a_stream_ends_it() -> None:
    stream = sse(
        {"Choices": [{"Delta": {"Content": "a"}, "FinishReason": ""}]},
        {"ErrorMsg": {"Msg": "too many", "Code": 4001}},
        {"Choices": [{"Delta": {"Content": "b"}, "FinishReason": "stop"}]},
    )

    events = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), stream)

    assert TextPiece("b") not in events
    assert isinstance(events[-1], Failed)
    assert events[-1].error.message == "too many"


def test_embeddings_cost_their_total() -> None:
    """The upstream names no prompt: embeddings would be free."""
    body = wrapped(Data=[{"Index": 1, "Embedding": [0.3]}, {"Index": 0, "Embedding": [0.1]}], Usage={"TotalTokens": 4})

    vectors = ADAPTER.read(job(Embeddings(["a", "b"])), body)

    assert (vectors.vectors, vectors.usage) == ([[0.1], [0.3]], Usage(4, 0))  # type: ignore[union-attr]


async def test_embeddings_are_asked_by_their_own_action() -> None:
    outgoing = await ADAPTER.prepare(job(Embeddings(["a", "b"])), Answers())

    assert dict(outgoing.headers)["X-TC-Action"] == "GetEmbedding"
    assert orjson.loads(outgoing.body) == {"InputList": ["a", "b"]}


def test_absurd_usage_is_not_believed() -> None:
    body = wrapped(
        Choices=[{"Message": {"Content": "a"}, "FinishReason": "stop"}],
        Usage={"PromptTokens": -5, "CompletionTokens": 10**12},
    )

    assert Counted(Usage(0, 10**9)) in ADAPTER.read(job(Chat(HELLO)), body)  # type: ignore[operator]
