"""Coze, version 3: https://www.coze.com/open/docs/developer_guides/chat_v3."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.coze import Coze
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Failed, Finished, FinishReason, Started, TextPiece, ThoughtPiece, fold
from relay.neutral.request import Chat, Json, Media, Text, Tool, ToolCall, ToolResult, Turn
from tests.relay.wire.cases import FakeOutside, load, portions, route

ADAPTER = Coze()
HELLO = [Turn("user", [Text("Hi")])]


def job(chat: Chat, config=None) -> Job:
    return Job(route(34, config={"user_id": "u1"} if config is None else config), "bot-738", "bot-738", chat)


async def sent(chat: Chat, config=None) -> Json:
    outgoing = await ADAPTER.prepare(job(chat, config), FakeOutside(load("ollama_chat")))
    assert outgoing.url == "https://api.coze.com/v3/chat"
    body: Json = orjson.loads(outgoing.body)
    return body


def event(name: str, **data) -> bytes:
    return f"event:{name}\ndata:".encode() + orjson.dumps(data) + b"\n\n"


ANSWER = [
    event("conversation.chat.created", id="c1", status="created"),
    event("conversation.message.delta", id="m1", type="answer", content="", reasoning_content="hm"),
    event("conversation.message.delta", id="m1", type="answer", content="He"),
    event("conversation.message.delta", id="m1", type="answer", content="llo"),
    event("conversation.message.completed", id="m1", type="answer", content="Hello"),
    event("conversation.message.completed", id="m2", type="verbose", content="{}"),
    event("conversation.message.completed", id="m3", type="follow_up", content="More?"),
    event("conversation.chat.completed", id="c1", usage={"token_count": 9, "output_count": 2, "input_count": 7}),
    b'event:done\ndata:"[DONE]"\n\n',
]


async def test_a_conversation_goes_to_the_bot_with_the_systems_words_before_the_users():
    turns = [Turn("user", [Text("1")]), Turn("assistant", [Text("2")]), Turn("user", [Text("3")])]

    body = await sent(Chat(turns, system=[Text("Be brief.")], extra={"custom_variables": {"a": "b"}}))

    assert (body["bot_id"], body["user_id"], body["stream"]) == ("738", "u1", True)
    assert body["custom_variables"] == {"a": "b"}
    assert body["additional_messages"] == [
        {"role": "user", "type": "question", "content": "Be brief.\n\n1", "content_type": "text"},
        {"role": "assistant", "type": "answer", "content": "2", "content_type": "text"},
        {"role": "user", "type": "question", "content": "3", "content_type": "text"},
    ]


async def test_a_channel_without_a_user_names_the_callers():
    assert (await sent(Chat(HELLO, user="bob"), {}))["user_id"] == "bob"


async def test_media_go_by_their_addresses():
    media = Media("image", url="https://example.com/a.png")

    [message] = (await sent(Chat([Turn("user", [Text("see"), media])], system=[Text("S")])))["additional_messages"]

    assert message["content_type"] == "object_string"
    assert orjson.loads(message["content"]) == [
        {"type": "text", "text": "S\n\n"},
        {"type": "text", "text": "see"},
        {"type": "image", "file_url": "https://example.com/a.png"},
    ]


@pytest.mark.parametrize(
    "chat",
    [
        Chat(HELLO, tools=[Tool("t")]),
        Chat(HELLO, n=2),
        Chat([Turn("assistant", [ToolCall("c", "t", "{}")])]),
        Chat([Turn("user", [ToolResult("c", "t", [])])]),
        Chat([Turn("user", [Media("image", data="aGk=")])]),
        Chat([Turn("user", [])]),
    ],
)
async def test_what_a_bot_cannot_take_is_refused_before_any_call(chat):
    with pytest.raises(BadRequest):
        await sent(chat)


def test_only_deltas_of_the_answer_are_said_whatever_the_borders():
    for borders in portions(ANSWER):
        reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
        events = [each for chunk in borders for each in reader.feed(chunk)] + reader.close()

        assert events == [
            Started("c1"),
            ThoughtPiece("hm"),
            TextPiece("He"),
            TextPiece("llo"),
            Finished(FinishReason.STOP),
            Counted(Usage(7, 2)),
        ]


def test_a_whole_answer_is_put_together_from_the_stream():
    events = ADAPTER.read(job(Chat(HELLO)), b"".join(ANSWER))

    assert fold(events).choices[0].text == "Hello"


def test_an_answer_that_came_without_deltas_is_said_once():
    events = ADAPTER.read(job(Chat(HELLO)), b"".join([ANSWER[0], *ANSWER[4:]]))

    assert fold(events).choices[0].text == "Hello"


@pytest.mark.parametrize(
    ("last", "status", "message"),
    [
        (event("conversation.chat.failed", last_error={"code": 4013, "msg": "too fast"}), 429, "too fast"),
        (event("conversation.chat.requires_action"), 502, "the bot waits for a tool of its own"),
        (event("error", code=4000, msg="bad"), 400, "bad"),
    ],
)
def test_a_conversation_that_failed_is_an_error(last, status, message):
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    events = reader.feed(ANSWER[2] + last + ANSWER[3]) + reader.close()

    assert isinstance(events[-1], Failed)
    assert (events[-1].error.status, events[-1].error.message) == (status, message)
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(Chat(HELLO)), ANSWER[2] + last)


@pytest.mark.parametrize(("code", "status"), [(4100, 401), (4101, 403), (4000, 400), (99, 502)])
def test_a_refusal_inside_a_200_gets_its_status(code, status):
    body = orjson.dumps({"code": code, "msg": "no"})

    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Chat(HELLO)), body)

    assert (caught.value.status, caught.value.message, caught.value.code) == (status, "no", code)


def test_a_stream_that_breaks_off_is_not_called_whole():
    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Chat(HELLO)), ANSWER[2])
    assert caught.value.code == "stream_broken"
