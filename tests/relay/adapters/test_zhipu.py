"""GLM (https://docs.bigmodel.cn/api-reference), and the withdrawn API before it."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.zhipu.adapter import Zhipu
from relay.adapters.zhipu.v3 import json_web_token
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Failed, Finished, FinishReason, Picture, Pictures, TextPiece, fold
from relay.neutral.request import (
    Chat,
    Embeddings,
    Images,
    Json,
    OutputFormat,
    Request,
    Text,
    Thinking,
    Thought,
    ToolCall,
    ToolChoice,
    Turn,
)
from tests.relay.adapters.vendors import HELLO, IMAGE, PIXEL, WEATHER, Answers, job_for, read_stream, sse
from tests.relay.wire.cases import load

ADAPTER = Zhipu(clock=lambda: 1_739_961_000.0)
STREAM = Chat(HELLO, stream=True)


def job(request: Request, model: str = "glm-4.7", key: str = "abc123.s3cr3t") -> Job:
    return job_for(16, key, request, model)


async def sent(request: Request, model: str = "glm-4.7") -> Json:
    document: Json = orjson.loads((await ADAPTER.prepare(job(request, model), Answers())).body)
    return document


@pytest.mark.parametrize("key", ["abc123.s3cr3t", "sk-without-a-dot"])
@pytest.mark.parametrize("model", ["glm-4-flash", "charglm-4", "emohaa", "codegeex-4"])
async def test_every_model_in_service_is_asked_by_version_4_with_the_plain_key(model: str, key: str) -> None:
    outgoing = await ADAPTER.prepare(job(Chat(HELLO), model, key), Answers())

    assert outgoing.url == "https://open.bigmodel.cn/api/paas/v4/chat/completions"
    assert dict(outgoing.headers)["Authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    ("chat", "member", "value"),
    [
        (Chat(HELLO, temperature=1.2), "temperature", 1),
        (Chat(HELLO, temperature=0.0), "temperature", 0.0),
        (Chat(HELLO, top_p=1.5), "top_p", 1),
        (Chat(HELLO, stop=["a"]), "stop", ["a"]),
        (Chat(HELLO, user="u-1"), "user_id", "u-1"),
        (Chat(HELLO, user="u-1"), "user", None),
        (Chat(HELLO, presence_penalty=1.0), "presence_penalty", None),
        (Chat(HELLO, thinking=Thinking("none")), "thinking", {"type": "disabled"}),
        (Chat(HELLO, thinking=Thinking(budget=500)), "thinking", {"type": "enabled"}),
        (Chat(HELLO, thinking=Thinking("high")), "reasoning_effort", None),
        (Chat(HELLO, extra={"tool_stream": True}), "tool_stream", True),
        (Chat(HELLO, tools=[WEATHER], tool_choice=ToolChoice("none")), "tools", None),
        (Chat(HELLO, tools=[WEATHER], tool_choice=ToolChoice("auto")), "tool_choice", "auto"),
    ],
)
async def test_what_is_asked_keeps_to_the_upstreams_bounds(chat: Chat, member: str, value: object) -> None:
    assert (await sent(chat)).get(member) == value


async def test_newer_models_take_an_effort() -> None:
    assert (await sent(Chat(HELLO, thinking=Thinking("high")), "glm-5.2"))["reasoning_effort"] == "high"


async def test_a_schema_is_told_in_words_beside_the_json_mode() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    body = await sent(Chat(HELLO, system=[Text("Be brief.")], output=OutputFormat("schema", schema, "place")))

    assert body["response_format"] == {"type": "json_object"}
    system = "".join(message["content"] for message in body["messages"] if message["role"] == "system")
    assert "Be brief." in system
    assert orjson.dumps(schema).decode() in system


async def test_an_image_goes_as_data() -> None:
    content = (await sent(Chat([Turn("user", [Text("see"), IMAGE])]), "glm-4.6v"))["messages"][0]["content"]

    assert content[1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


async def test_thoughts_before_a_call_are_sent_back() -> None:
    turns = [*HELLO, Turn("assistant", [Thought("hm"), ToolCall("c1", "get_weather", "{}")])]

    assert (await sent(Chat(turns)))["messages"][1]["reasoning_content"] == "hm"


@pytest.mark.parametrize("request_", [Chat(HELLO, n=2), Images("a cat", n=2), Embeddings([[1, 2]])])
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(request_: Request) -> None:
    with pytest.raises(BadRequest):
        await sent(request_)


@pytest.mark.parametrize(
    ("code", "status", "retry"),
    [("1002", 401, True), ("1113", 402, True), ("1214", 400, False), ("1301", 400, False), ("1302", 429, True)],
)
def test_an_error_under_status_200_gets_the_status_it_stands_for(code: str, status: int, retry: bool) -> None:
    document = {"error": {"code": code, "message": "told"}}

    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Chat(HELLO)), orjson.dumps(document))
    events = read_stream(ADAPTER, job(STREAM), sse(document))

    error = caught.value
    assert (error.message, error.status, error.retry, error.kind, error.code) == (
        "told",
        status,
        retry,
        "zhipu_error",
        code,
    )
    assert isinstance(events[-1], Failed)
    assert (events[-1].error.status, events[-1].error.kind) == (status, "zhipu_error")


def test_an_error_answer_keeps_its_own_status() -> None:
    error = ADAPTER.failure(429, b'{"error":{"code":"1002","message":"told"}}', 3.0)

    assert (error.status, error.kind, error.retry_after) == (429, "zhipu_error", 3.0)


def test_what_was_censored_ends_as_filtered() -> None:
    stream = sse({"choices": [{"delta": {"content": "a"}, "finish_reason": "sensitive"}]}, "[DONE]")

    assert Finished(FinishReason.CONTENT_FILTER) in read_stream(ADAPTER, job(STREAM), stream)


async def test_a_pictures_bytes_are_fetched_for_who_wants_them() -> None:
    request = Images("a cat", encoding="b64_json")
    outside = Answers([(200, {"created": 7, "data": [{"url": "https://pictures.example/1.png"}]})])

    answer = await ADAPTER.open(job(request, "cogview-4"), outside)

    drawn = ADAPTER.read(job(request, "cogview-4"), await answer.read(1 << 20))
    assert drawn == Pictures([Picture(data=PIXEL)], 7)


@pytest.mark.parametrize("document", [{"data": []}, {"data": [{}]}, {"error": {"code": "1301", "message": "no"}}, {}])
def test_no_picture_is_an_error_nobody_pays_for(document: Json) -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(Images("a cat"), "cogview-4"), orjson.dumps(document))


# --- version 3 ------------------------------------------------------------------------------------------------------


def test_the_token_of_version_3_is_that_of_the_vector() -> None:
    signing = load("zhipu_v3_chat")["signing"]

    assert json_web_token(signing["key"], signing["now_ms"]) == signing["token"]


async def test_version_3_gets_its_token_without_the_word_bearer() -> None:
    outgoing = await ADAPTER.prepare(job(Chat(HELLO), "chatglm_turbo"), Answers())

    assert dict(outgoing.headers)["Authorization"] == load("zhipu_v3_chat")["signing"]["token"]


@pytest.mark.parametrize("key", ["without-a-dot", ".secret", "id."])
async def test_version_3_needs_both_parts_of_a_key(key: str) -> None:
    with pytest.raises(UpstreamError, match=r"ID\.SECRET"):
        await ADAPTER.prepare(job(Chat(HELLO), "chatglm_turbo", key), Answers())


async def test_version_3_takes_texts_only() -> None:
    with pytest.raises(BadRequest):
        await sent(Chat([Turn("user", [IMAGE])]), "chatglm_turbo")


def test_an_error_of_version_3_comes_under_status_200() -> None:
    body = orjson.dumps({"code": 1302, "msg": "told", "success": False})

    with pytest.raises(UpstreamError, match="told") as caught:
        ADAPTER.read(job(Chat(HELLO), "chatglm_turbo"), body)

    assert (caught.value.status, caught.value.code, caught.value.kind) == (429, "1302", "zhipu_error")


def test_text_of_version_3_keeps_its_blanks_and_its_line_breaks() -> None:
    stream = (
        b'event:add\nid:7\ndata: a\ndata:\n\nevent:finish\nmeta:{"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    )

    events = read_stream(ADAPTER, job(STREAM, "chatglm_turbo"), stream)

    assert fold(events).id == "7"
    assert TextPiece(" a\n") in events
    assert Counted(Usage(1, 2)) in events


@pytest.mark.parametrize("stream", [b"event:add\ndata:a\n\n", b"event:error\ndata:told\n\nevent:finish\n\n"])
def test_a_stream_of_version_3_that_does_not_finish_has_failed(stream: bytes) -> None:
    events = read_stream(ADAPTER, job(STREAM, "chatglm_turbo"), stream)

    assert isinstance(events[-1], Failed)
    assert sum(isinstance(event, Failed) for event in events) == 1
