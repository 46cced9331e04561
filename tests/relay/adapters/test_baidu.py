"""Wenxin: tokens, requests, answers and errors (https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t)."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.baidu.adapter import Baidu
from relay.adapters.base import Job
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Failed, Finished, FinishReason, TextPiece, fold
from relay.neutral.request import (
    Chat,
    Embeddings,
    Json,
    OutputFormat,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.relay.adapters.vendors import HELLO, IMAGE, WEATHER, Answers, job_for, read_stream, sse

TOKEN = (200, {"access_token": "24.first", "expires_in": 2_592_000})
DONE = {"id": "as-1", "result": "Hi", "finish_reason": "normal", "usage": {"prompt_tokens": 1, "total_tokens": 3}}


def job(request: Request, model: str = "ERNIE-4.0-8K", key: str = "AK|SK") -> Job:
    return job_for(15, key, request, model)


async def sent(request: Request) -> Json:
    document: Json = orjson.loads((await Baidu().prepare(job(request), Answers([TOKEN]))).body)
    return document


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("ERNIE-4.0-8K", "chat/completions_pro"),
        ("ERNIE-3.5-8K", "chat/completions"),
        ("ERNIE-3.5-8K-0205", "chat/ernie-3.5-8k-0205"),
        ("ERNIE-Lite-8K-0922", "chat/eb-instant"),
        ("ERNIE-Speed-8K", "chat/ernie_speed"),
        ("BLOOMZ-7B", "chat/bloomz_7b1"),
        ("My/Model", "chat/my%2Fmodel"),
    ],
)
async def test_a_model_is_part_of_the_address(model: str, place: str) -> None:
    outgoing = await Baidu().prepare(job(Chat(HELLO), model), Answers([TOKEN]))

    start = "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/"
    assert outgoing.url == f"{start}{place}?access_token=24.first"


async def test_the_key_pair_goes_to_the_exchange_alone() -> None:
    outside = Answers([TOKEN])

    outgoing = await Baidu().prepare(job(Chat(HELLO), key="the-key|the&secret"), outside)

    (exchange,) = outside.asked
    assert exchange.url.endswith("?grant_type=client_credentials&client_id=the-key&client_secret=the%26secret")
    assert "Authorization" not in dict(outgoing.headers)
    assert "secret" not in outgoing.url
    assert b"secret" not in outgoing.body


async def test_one_token_serves_many_calls_of_a_key_and_of_no_other() -> None:
    outside = Answers([TOKEN, (200, {"access_token": "24.other", "expires_in": 1})])
    adapter = Baidu()

    urls = [(await adapter.prepare(job(Chat(HELLO), key=key), outside)).url for key in ("A|S", "A|S", "B|S")]

    assert [url.rpartition("=")[2] for url in urls] == ["24.first", "24.first", "24.other"]
    assert len(outside.asked) == 2


@pytest.mark.parametrize("code", [110, 111])
async def test_a_token_that_is_refused_is_exchanged_anew_and_the_request_sent_again(code: int) -> None:
    refusal = {"error_code": code, "error_msg": "Access token invalid or no longer valid"}
    outside = Answers([TOKEN, (200, refusal), (200, {"access_token": "24.second", "expires_in": 9}), (200, DONE)])
    adapter = Baidu()

    answer = await adapter.open(job(Chat(HELLO)), outside)

    assert orjson.loads(await answer.read(1000)) == DONE
    assert [
        request.url.rpartition("access_token=")[2] for request in outside.asked if "access_token" in request.url
    ] == [
        "24.first",
        "24.second",
    ]


async def test_a_request_is_sent_again_once_only() -> None:
    refusal = {"error_code": 110, "error_msg": "no"}
    outside = Answers([TOKEN, (200, refusal), TOKEN, (200, refusal)])
    adapter = Baidu()

    answer = await adapter.open(job(Chat(HELLO)), outside)

    assert outside.answers == []
    with pytest.raises(UpstreamError) as caught:
        adapter.read(job(Chat(HELLO)), await answer.read(1000))
    assert caught.value.status == 401


async def test_an_answer_that_is_no_refusal_is_handed_on_as_it_came() -> None:
    outside = Answers([TOKEN, (200, DONE)])

    answer = await Baidu().open(job(Chat(HELLO)), outside)

    assert (answer.status, orjson.loads(await answer.read(1000))) == (200, DONE)
    assert [orjson.loads(chunk) async for chunk in answer.chunks()] == [DONE]


async def test_a_refused_key_pair_is_told_without_the_pair() -> None:
    refusal = {"error": "invalid_client", "error_description": "unknown client id"}

    with pytest.raises(UpstreamError) as caught:
        await Baidu().prepare(job(Chat(HELLO), key="the-key|the-secret"), Answers([(401, refusal)]))

    error = caught.value
    assert (error.status, error.answered, error.message, error.code) == (
        401,
        401,
        "unknown client id",
        "invalid_client",
    )


async def test_an_exchange_that_fails_otherwise_says_nothing_about_the_key() -> None:
    with pytest.raises(UpstreamError) as caught:
        await Baidu().prepare(job(Chat(HELLO)), Answers([(500, {})]))

    assert (caught.value.answered, caught.value.code) == (0, "token_exchange_failed")


async def test_a_key_of_one_part_is_the_channels_mistake() -> None:
    with pytest.raises(UpstreamError, match=r"APIKey\|SecretKey"):
        await Baidu().prepare(job(Chat(HELLO), key="one"), Answers())


@pytest.mark.parametrize(
    ("chat", "member", "value"),
    [
        (Chat(HELLO, temperature=0.0), "temperature", 0.01),
        (Chat(HELLO, temperature=1.7), "temperature", 1.0),
        (Chat(HELLO, frequency_penalty=1.0), "penalty_score", 1.5),
        (Chat(HELLO, frequency_penalty=-2.0), "penalty_score", 1.0),
        (Chat(HELLO, max_tokens=1), "max_output_tokens", 2),
        (Chat(HELLO, stop=list("abcd")), "stop", list("abcd")),
        (Chat(HELLO, output=OutputFormat("json")), "response_format", "json_object"),
        (Chat(HELLO, system=[Text("a"), Text("b")]), "system", "a\nb"),
        (Chat(HELLO, extra={"disable_search": True}), "disable_search", True),
        (Chat(HELLO, tools=[WEATHER], tool_choice=ToolChoice("none")), "functions", None),
        (
            Chat(HELLO, tools=[WEATHER], tool_choice=ToolChoice("required")),
            "tool_choice",
            {"type": "function", "function": {"name": "get_weather"}},
        ),
    ],
)
async def test_what_is_asked_goes_where_the_upstream_looks_for_it(chat: Chat, member: str, value: object) -> None:
    assert (await sent(chat)).get(member) == value


async def test_beside_functions_the_system_text_is_said_by_the_user() -> None:
    body = await sent(Chat(HELLO, system=[Text("Be brief.")], tools=[WEATHER]))

    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": "Be brief.\n\nHi"}]


async def test_several_calls_of_a_turn_become_turns_each_with_its_result() -> None:
    turns = [
        *HELLO,
        Turn("assistant", [Text("Let me see."), ToolCall("c1", "a", "{}"), ToolCall("c2", "b", "")]),
        Turn("user", [ToolResult("c2", "b", [Text("two")]), ToolResult("c1", "a", [Text("one")]), Text("so?")]),
    ]

    assert (await sent(Chat(turns)))["messages"][1:] == [
        {"role": "assistant", "content": "Let me see.", "function_call": {"name": "a", "arguments": "{}"}},
        {"role": "function", "name": "a", "content": "one"},
        {"role": "assistant", "content": "", "function_call": {"name": "b", "arguments": "{}"}},
        {"role": "function", "name": "b", "content": "two"},
        {"role": "user", "content": "so?"},
    ]


async def test_a_result_nobody_asked_for_is_told_all_the_same() -> None:
    turns = [Turn("user", [ToolResult("c9", "a", [Text("one")])])]

    assert (await sent(Chat(turns)))["messages"] == [{"role": "function", "name": "a", "content": "one"}]


@pytest.mark.parametrize(
    "request_",
    [
        Chat(HELLO, n=2),
        Chat([Turn("user", [IMAGE])]),
        Chat([Turn("user", [ToolResult("c", "t", [IMAGE])])]),
        Chat(HELLO, tools=[Tool("a"), Tool("b")], tool_choice=ToolChoice("required")),
        Embeddings([[1, 2]]),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(request_: Request) -> None:
    with pytest.raises(BadRequest):
        await sent(request_)


@pytest.mark.parametrize(
    ("code", "status", "retry"),
    [
        (3, 404, True),
        (4, 429, True),
        (6, 403, True),
        (17, 429, True),
        (110, 401, True),
        (336003, 400, False),
        (336100, 503, True),
        (336501, 429, True),
        (336000, 500, True),
        (999, 500, True),
    ],
)
def test_an_error_under_status_200_gets_the_status_it_stands_for(code: int, status: int, retry: bool) -> None:
    body = orjson.dumps({"error_code": code, "error_msg": "told"})

    with pytest.raises(UpstreamError) as caught:
        Baidu().read(job(Chat(HELLO)), body)
    in_place_of_a_stream = read_stream(Baidu(), job(Chat(HELLO, stream=True)), body)
    in_a_stream = read_stream(Baidu(), job(Chat(HELLO, stream=True)), sse(orjson.loads(body)))

    for error in (caught.value, in_place_of_a_stream[-1].error, in_a_stream[-1].error):  # type: ignore[union-attr]
        assert (error.message, error.status, error.retry) == ("told", status, retry)
        assert (error.code, error.kind) == (code, "baidu_error")


def test_a_document_that_is_no_error_is_no_stream_either() -> None:
    (event,) = read_stream(Baidu(), job(Chat(HELLO, stream=True)), orjson.dumps(DONE))

    assert isinstance(event, Failed)


def test_a_stream_without_its_end_is_broken() -> None:
    events = read_stream(Baidu(), job(Chat(HELLO, stream=True)), sse({"id": "a", "result": "Hi", "is_end": False}))

    assert TextPiece("Hi") in events
    assert isinstance(events[-1], Failed)


def test_what_was_cut_off_ended_by_its_length() -> None:
    body = orjson.dumps({"id": "a", "result": "Hi", "is_truncated": True})

    assert Finished(FinishReason.LENGTH) in Baidu().read(job(Chat(HELLO)), body)  # type: ignore[operator]


def test_a_function_call_of_a_stream_is_read_once() -> None:
    call = {"name": "get_weather", "arguments": '{"city":"Oslo"}', "thoughts": "hm"}
    stream = sse(
        {"id": "a", "result": "", "function_call": call, "is_end": False},
        {"id": "a", "result": "", "function_call": call, "is_end": True, "finish_reason": "function_call"},
    )

    (choice,) = fold(read_stream(Baidu(), job(Chat(HELLO, stream=True)), stream)).choices

    assert [(made.name, made.arguments) for made in choice.calls] == [("get_weather", '{"city":"Oslo"}')]
    assert (choice.thought, choice.finish) == ("hm", FinishReason.TOOL_CALLS)


def test_the_total_is_what_counts() -> None:
    body = orjson.dumps(
        {"id": "a", "result": "Hi", "usage": {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 9}}
    )

    assert Counted(Usage(4, 5)) in Baidu().read(job(Chat(HELLO)), body)  # type: ignore[operator]


def test_embeddings_come_in_the_order_of_the_inputs() -> None:
    body = orjson.dumps(
        {"data": [{"index": 1, "embedding": [0.3]}, {"index": 0, "embedding": [0.1]}], "usage": {"total_tokens": 4}}
    )

    vectors = Baidu().read(job(Embeddings(["a", "b"]), "Embedding-V1"), body)

    assert (vectors.vectors, vectors.usage) == ([[0.1], [0.3]], Usage(4, 0))  # type: ignore[union-attr]


@pytest.mark.parametrize("data", [[], [{"index": 0}], [{"embedding": ["x"]}], None])
def test_an_answer_without_vectors_is_none(data: object) -> None:
    with pytest.raises(UpstreamError):
        Baidu().read(job(Embeddings(["a"]), "Embedding-V1"), orjson.dumps({"data": data}))
