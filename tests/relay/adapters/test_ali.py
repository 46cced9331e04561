"""DashScope: chats, embeddings, pictures (https://help.aliyun.com/en/model-studio/qwen-api-via-dashscope)."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.ali.adapter import Ali
from relay.adapters.ali.images import MOST_LOOKS
from relay.adapters.base import Job
from relay.errors import BadRequest, UpstreamError, UpstreamTimeout
from relay.neutral.events import (
    Cited,
    Counted,
    Failed,
    Finished,
    FinishReason,
    Picture,
    Pictures,
    TextPiece,
    ThoughtPiece,
    fold,
)
from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    Images,
    Json,
    Media,
    OutputFormat,
    Part,
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
from tests.relay.adapters.vendors import HELLO, IMAGE, PIXEL, WEATHER, Answers, job_for, read_stream, sse

BASE = "https://dashscope.aliyuncs.com"
DRAW = Images("a cat", n=1, size="1024x1024")
SUBMITTED = (200, {"output": {"task_id": "t/1", "task_status": "PENDING"}})
URL = "https://pictures.example/1.png"


async def at_once(_seconds: float) -> None:
    """A task's next state is there already."""


ADAPTER = Ali(sleep=at_once)


def job(request: Request, model: str = "qwen-plus", config: Json | None = None) -> Job:
    return job_for(17, "sk-ali", request, model, config)


async def sent(request: Request, model: str = "qwen-plus") -> Json:
    document: Json = orjson.loads((await ADAPTER.prepare(job(request, model), Answers())).body)
    return document


async def draw(answers: list[tuple[int, Json]], request: Images = DRAW, model: str = "wanx-v1") -> Pictures:
    """What the pipeline does: open, then read what came with status 200."""
    answer = await ADAPTER.open(job(request, model), Answers(answers))
    body = await answer.read(1 << 20)
    if answer.status != 200:
        raise ADAPTER.failure(answer.status, body, None)
    pictures = ADAPTER.read(job(request, model), body)
    assert isinstance(pictures, Pictures)
    return pictures


def task(status: str, **output: object) -> tuple[int, Json]:
    return 200, {"request_id": "r", "output": {"task_id": "t/1", "task_status": status, **output}}


@pytest.mark.parametrize(
    ("model", "turns", "interface"),
    [
        ("qwen-plus", HELLO, "text-generation"),
        ("qwen-max-latest", HELLO, "text-generation"),
        ("qwen3-coder-plus", HELLO, "text-generation"),
        ("qwen-vl-plus", HELLO, "multimodal-generation"),
        ("qwen3-vl-plus", HELLO, "multimodal-generation"),
        ("qvq-72b-preview", HELLO, "multimodal-generation"),
        ("qwen3-omni-flash", HELLO, "multimodal-generation"),
        ("qwen2-audio-instruct", HELLO, "multimodal-generation"),
        ("qwen3.7-plus", HELLO, "multimodal-generation"),
        ("some-new-model", [Turn("user", [Text("see"), IMAGE])], "multimodal-generation"),
        ("some-new-model", [Turn("user", [ToolResult("c", "t", [IMAGE])])], "multimodal-generation"),
    ],
)
async def test_models_and_media_choose_the_interface(model: str, turns: list[Turn], interface: str) -> None:
    outgoing = await ADAPTER.prepare(job(Chat(turns), model), Answers())

    assert outgoing.url == f"{BASE}/api/v1/services/aigc/{interface}/generation"


async def test_parts_of_a_multimodal_content_are_named_by_what_they_hold() -> None:
    parts: list[Part] = [
        Text("see"),
        IMAGE,
        Media("image", url="https://example.com/a.png"),
        Media("video", url="https://example.com/a.mp4"),
        Media("audio", data="aGk=", mime="audio/mpeg"),
    ]

    body = await sent(Chat([Turn("user", parts)], system=[Text("Be brief.")]), "qwen3-omni-flash")

    assert body["input"]["messages"] == [
        {"role": "system", "content": [{"text": "Be brief."}]},
        {
            "role": "user",
            "content": [
                {"text": "see"},
                {"image": f"data:image/png;base64,{PIXEL}"},
                {"image": "https://example.com/a.png"},
                {"video": "https://example.com/a.mp4"},
                {"audio": "data:audio/mpeg;base64,aGk="},
            ],
        },
    ]


async def test_a_history_with_calls_and_thoughts_goes_out_whole() -> None:
    turns = [
        *HELLO,
        Turn("assistant", [Thought("hm"), ToolCall("c1", "get_weather", "")]),
        Turn("user", [ToolResult("c1", "get_weather", [Text("4 C")]), Text("so?")]),
    ]

    call = {"id": "c1", "type": "function", "index": 0, "function": {"name": "get_weather", "arguments": "{}"}}
    assert (await sent(Chat(turns)))["input"]["messages"][1:] == [
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "4 C", "name": "get_weather"},
        {"role": "user", "content": "so?"},
    ]


@pytest.mark.parametrize(
    ("chat", "member", "value"),
    [
        (Chat(HELLO, temperature=0.0), "temperature", 0.0),
        (Chat(HELLO, top_p=1.0), "top_p", 0.9999),
        (Chat(HELLO, n=3), "n", 3),
        (Chat(HELLO, thinking=Thinking("none")), "enable_thinking", False),
        (Chat(HELLO, thinking=Thinking("high")), "enable_thinking", True),
        (Chat(HELLO, thinking=Thinking(budget=500)), "thinking_budget", 500),
        (Chat(HELLO, extra={"enable_search": True}), "enable_search", True),
        (Chat(HELLO, extra={"messages_": 1}), "messages_", None),
        (Chat(HELLO, output=OutputFormat("json")), "response_format", {"type": "json_object"}),
        (
            Chat(HELLO, output=OutputFormat("schema", {"type": "object"}, "a")),
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        ),
        (Chat(HELLO, tools=[WEATHER], tool_choice=ToolChoice("none")), "tool_choice", "none"),
        (Chat(HELLO, tools=[WEATHER], parallel_tools=True), "parallel_tool_calls", True),
        (
            Chat(HELLO, tools=[WEATHER], tool_choice=ToolChoice("required")),
            "tool_choice",
            {"type": "function", "function": {"name": "get_weather"}},
        ),
    ],
)
async def test_what_is_asked_is_a_parameter(chat: Chat, member: str, value: object) -> None:
    assert (await sent(chat))["parameters"].get(member) == value


async def test_the_purpose_of_embeddings_is_told() -> None:
    body = await sent(Embeddings(["a"], purpose=Embed.QUERY), "text-embedding-v4")

    assert body["parameters"] == {"text_type": "query"}


@pytest.mark.parametrize(
    "request_",
    [
        Chat([Turn("user", [Media("file", data="aGk=")])]),
        Chat([Turn("assistant", [IMAGE])]),
        Chat(HELLO, tools=[Tool("a"), Tool("b")], tool_choice=ToolChoice("required")),
        Embeddings([[1, 2]]),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(request_: Request) -> None:
    with pytest.raises(BadRequest):
        await sent(request_)


def test_the_older_form_of_an_answer_is_read() -> None:
    body = orjson.dumps({"output": {"text": "Hi", "finish_reason": "stop"}, "request_id": "r"})

    (choice,) = fold(ADAPTER.read(job(Chat(HELLO)), body)).choices  # type: ignore[arg-type]

    assert (choice.text, choice.finish) == ("Hi", FinishReason.STOP)


def test_thoughts_sources_and_details_of_usage_are_read() -> None:
    found = {"url": "https://news.example", "title": "News"}
    body = orjson.dumps(
        {
            "output": {
                "choices": [{"message": {"reasoning_content": "hm", "content": "Hi"}, "finish_reason": "stop"}],
                "search_info": {"search_results": [found, found]},
            },
            "usage": {
                "input_tokens": 9,
                "output_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 5},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
        }
    )

    events = ADAPTER.read(job(Chat(HELLO)), body)

    assert isinstance(events, list)
    cited = {**found, "start_index": 0, "end_index": 0}
    assert [event for event in events if isinstance(event, Cited)] == [
        Cited({"type": "url_citation", "url_citation": cited})
    ]
    assert ThoughtPiece("hm") in events
    assert Counted(Usage(9, 4, cached_tokens=5, reasoning_tokens=3)) in events


def test_each_choice_ends_once() -> None:
    def event(index: int, content: str, finish: str | None) -> Json:
        return {"output": {"choices": [{"index": index, "message": {"content": content}, "finish_reason": finish}]}}

    stream = sse(
        event(0, "a", None), event(1, "b", "null"), event(0, "", "stop"), event(1, "", "length"), event(0, "", "stop")
    )

    events = read_stream(ADAPTER, job(Chat(HELLO, n=2, stream=True)), stream)

    assert [event for event in events if isinstance(event, Finished)] == [
        Finished(FinishReason.STOP, 0),
        Finished(FinishReason.LENGTH, 1),
    ]


def test_a_stream_without_its_end_is_broken() -> None:
    stream = sse({"output": {"choices": [{"message": {"content": "a"}, "finish_reason": "null"}]}})

    assert isinstance(read_stream(ADAPTER, job(Chat(HELLO, stream=True)), stream)[-1], Failed)


def test_an_error_in_the_middle_of_a_stream_ends_it() -> None:
    beginning = {"output": {"choices": [{"message": {"content": "a"}, "finish_reason": "null"}]}}
    error = b'id:2\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling","message":"slow","request_id":"r"}\n\n'

    events = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), sse(beginning) + error + sse(beginning))

    assert [event for event in events if isinstance(event, TextPiece)] == [TextPiece("a")]
    assert isinstance(events[-1], Failed)
    assert (events[-1].error.status, events[-1].error.code, events[-1].error.param) == (429, "Throttling", "r")


@pytest.mark.parametrize(
    ("code", "status", "retry"),
    [
        ("InvalidApiKey", 401, True),
        ("Arrearage", 403, True),
        ("ModelNotFound", 404, True),
        ("Throttling.RateQuota", 429, True),
        ("InvalidParameter.DataInspection", 400, False),
        ("DataInspectionFailed", 400, False),
        ("InternalError.Timeout", 500, True),
    ],
)
def test_an_error_under_status_200_gets_the_status_it_stands_for(code: str, status: int, retry: bool) -> None:
    body = orjson.dumps({"code": code, "message": "told", "request_id": "r"})

    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Chat(HELLO)), body)
    (event,) = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), body)

    assert (caught.value.status, caught.value.retry, caught.value.code, caught.value.kind) == (
        status,
        retry,
        code,
        code,
    )
    assert isinstance(event, Failed)
    assert event.error.status == status


def test_an_error_answer_keeps_its_code_and_its_pause() -> None:
    body = orjson.dumps({"code": "Throttling", "message": "slow", "request_id": "r"})

    error = ADAPTER.failure(429, body, 7.0)

    assert (error.status, error.code, error.param, error.retry_after) == (429, "Throttling", "r", 7.0)


# --- pictures -------------------------------------------------------------------------------------------------------


async def test_a_picture_is_waited_for() -> None:
    outside = Answers([SUBMITTED, task("PENDING"), task("RUNNING"), task("SUCCEEDED", results=[{"url": URL}])])

    answer = await ADAPTER.open(job(DRAW, "wanx-v1"), outside)

    assert ADAPTER.read(job(DRAW, "wanx-v1"), await answer.read(1 << 20)) == Pictures([Picture(url=URL)])
    assert [(asked.method, asked.url) for asked in outside.asked[1:]] == [("GET", f"{BASE}/api/v1/tasks/t%2F1")] * 3
    assert dict(outside.asked[1].headers) == {"Authorization": "Bearer sk-ali"}


@pytest.mark.parametrize(
    ("state", "code", "status"),
    [
        ("FAILED", "DataInspectionFailed", 400),
        ("FAILED", "InternalError", 500),
        ("CANCELED", "", 502),
        ("UNKNOWN", "", 502),
    ],
)
async def test_a_task_that_ends_without_a_picture_is_an_error_nobody_pays_for(
    state: str, code: str, status: int
) -> None:
    with pytest.raises(UpstreamError) as caught:
        await draw([SUBMITTED, task(state, code=code, message="told")])

    assert caught.value.status == status


async def test_a_task_that_never_ends_is_given_up() -> None:
    with pytest.raises(UpstreamTimeout):
        await draw([SUBMITTED, *[task("RUNNING")] * MOST_LOOKS])


async def test_a_look_that_fails_is_repeated_and_a_refused_one_is_not() -> None:
    drawn = await draw([SUBMITTED, (503, {}), task("SUCCEEDED", results=[{"url": URL}])])
    with pytest.raises(UpstreamError) as caught:
        await draw([SUBMITTED, (403, {"code": "AccessDenied", "message": "no"})])

    assert drawn.pictures == [Picture(url=URL)]
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")


async def test_a_request_that_is_refused_makes_no_task() -> None:
    with pytest.raises(UpstreamError) as caught:
        await draw([(400, {"code": "InvalidParameter", "message": "size", "request_id": "r"})])

    assert (caught.value.status, caught.value.retry, caught.value.param) == (400, False, "r")


async def test_an_answer_without_a_task_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        await draw([(200, {"output": {}})])


async def test_of_several_pictures_those_that_were_drawn_count() -> None:
    failed = {"code": "DataInspectionFailed", "message": "no"}

    drawn = await draw([SUBMITTED, task("SUCCEEDED", results=[failed, {"url": URL, "actual_prompt": "a black cat"}])])

    assert drawn.pictures == [Picture(url=URL, revised_prompt="a black cat")]


async def test_none_of_several_pictures_is_an_error() -> None:
    with pytest.raises(UpstreamError) as caught:
        await draw([SUBMITTED, task("SUCCEEDED", results=[{"code": "DataInspectionFailed", "message": "no"}])])

    assert caught.value.status == 400


async def test_bytes_are_fetched_for_who_wants_them() -> None:
    request = Images("a cat", encoding="b64_json")

    drawn = await draw([SUBMITTED, task("SUCCEEDED", results=[{"url": URL}])], request)

    assert drawn.pictures == [Picture(data=PIXEL)]


async def test_a_picture_that_cannot_be_fetched_is_no_fault_of_the_caller() -> None:
    request = Images("a cat", encoding="b64_json")

    with pytest.raises(UpstreamError) as caught:
        await draw([SUBMITTED, task("SUCCEEDED", results=[{"url": "https://gone.example"}])], request)

    assert "gone" not in caught.value.message


async def test_newer_models_draw_at_once() -> None:
    outside = Answers([(200, {"output": {"choices": [{"message": {"content": [{"image": URL}]}}]}})])
    request = Images("a cat", n=2, size="1328x1328", extra={"negative_prompt": "dogs", "watermark": False})

    answer = await ADAPTER.open(job(request, "qwen-image-plus"), outside)

    (asked,) = outside.asked
    assert asked.url.endswith("/multimodal-generation/generation")
    assert "X-DashScope-Async" not in dict(asked.headers)
    assert orjson.loads(asked.body) == {
        "model": "qwen-image-plus",
        "input": {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]},
        "parameters": {"n": 2, "size": "1328*1328", "negative_prompt": "dogs", "watermark": False},
    }
    drawn = ADAPTER.read(job(request, "qwen-image-plus"), await answer.read(1 << 20))
    assert drawn == Pictures([Picture(url=URL)])


async def test_models_of_other_vendors_lose_their_prefix() -> None:
    assert (await sent(DRAW, "ali-stable-diffusion-xl"))["model"] == "stable-diffusion-xl"
