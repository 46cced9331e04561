"""AI Proxy's knowledge bases: the question that was asked last, and the documents it was answered from."""

from __future__ import annotations

import orjson
import pytest

from relay.adapters.aiproxy_library import AIProxyLibrary
from relay.adapters.base import Job
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Answer, Counted, Failed, Finished, FinishReason, fold
from relay.neutral.request import Chat, Json, Request, Text, Turn
from tests.relay.adapters.vendors import HELLO, IMAGE, Answers, job_for, read_stream, sse

ADAPTER = AIProxyLibrary()
FOUND = [{"title": "One", "url": "https://docs.example/1"}, {"title": "Two", "url": "https://docs.example/2"}]
LISTED = "\n\n参考文档：\n\n1. [One](https://docs.example/1)\n2. [Two](https://docs.example/2)"


def job(request: Request) -> Job:
    return job_for(21, "key", request, "gpt-4", {"library_id": "lib-7"})


def read(document: Json) -> Answer:
    return fold(ADAPTER.read(job(Chat(HELLO)), orjson.dumps(document)))


async def test_what_was_said_last_is_the_question() -> None:
    turns = [Turn("user", [Text("first")]), Turn("assistant", [Text("a")]), Turn("user", [Text("last")])]

    outgoing = await ADAPTER.prepare(job(Chat(turns, stream=True)), Answers())

    assert outgoing.url == "https://api.aiproxy.io/api/library/ask"
    assert dict(outgoing.headers)["Authorization"] == "Bearer key"
    assert orjson.loads(outgoing.body) == {"model": "gpt-4", "query": "last", "libraryId": "lib-7", "stream": True}


@pytest.mark.parametrize("request_", [Chat([]), Chat([Turn("user", [IMAGE])]), Chat(HELLO, n=2)])
async def test_what_is_no_question_is_refused_before_any_call(request_: Chat) -> None:
    with pytest.raises(BadRequest):
        await ADAPTER.prepare(job(request_), Answers())


def test_the_documents_are_listed_below_the_answer() -> None:
    (choice,) = read({"success": True, "answer": "Yes.", "documents": FOUND}).choices

    assert (choice.text, choice.finish) == ("Yes." + LISTED, FinishReason.STOP)


def test_an_answer_without_documents_lists_none() -> None:
    assert read({"success": True, "answer": "Yes.", "documents": []}).choices[0].text == "Yes."


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"success": False, "errCode": 401, "message": "told"}, 401),
        ({"success": False, "errCode": 10_001, "message": "told"}, 500),
        ({"success": False, "message": "told"}, 500),
        ({"errCode": 1, "message": "told"}, 500),
    ],
)
def test_an_error_under_status_200_is_one(document: Json, status: int) -> None:
    with pytest.raises(UpstreamError, match="told") as caught:
        read(document)
    (event,) = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), orjson.dumps(document))

    assert caught.value.status == status
    assert isinstance(event, Failed)
    assert event.error.status == status


@pytest.mark.parametrize("ending", [[{"content": "", "finish": True}], ["[DONE]"]])
def test_the_documents_of_a_stream_come_at_its_end(ending: list[Json | str]) -> None:
    stream = sse({"content": "Yes", "documents": FOUND}, {"content": "."}, *ending)

    events = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), stream)

    assert fold(events).choices[0].text == "Yes." + LISTED
    assert events[-1] == Finished(FinishReason.STOP)
    assert not any(isinstance(event, Counted) for event in events)  # so that the gateway counts by itself


def test_a_stream_without_its_end_is_broken() -> None:
    events = read_stream(ADAPTER, job(Chat(HELLO, stream=True)), sse({"content": "Yes"}))

    assert isinstance(events[-1], Failed)
