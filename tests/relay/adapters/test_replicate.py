"""Replicate: https://replicate.com/docs/reference/http, https://replicate.com/docs/topics/predictions/streaming."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job, Outgoing
from relay.adapters.replicate import adapter as replicate
from relay.adapters.replicate import cancelling
from relay.adapters.replicate.adapter import Replicate
from relay.adapters.replicate.request import aspect_ratio
from relay.errors import BadRequest, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.neutral.events import Counted, Failed, Finished, FinishReason, Picture, Pictures, Started, TextPiece, fold
from relay.neutral.request import Chat, Images, Media, Part, Text, Tool, Turn
from tests.relay.wire.cases import PIXEL, FakeAnswer, route

ADAPTER = Replicate()
LLAMA, FLUX = "meta/meta-llama-3-8b-instruct", "black-forest-labs/flux-schnell"
HELLO = [Turn("user", [Text("Hi")])]
CREATE = f"https://api.replicate.com/v1/models/{LLAMA}/predictions"
DONE = {"id": "p1", "status": "succeeded", "output": ["He", "llo"], "error": None}


class Script:
    """An outside that answers one request after the other, and keeps what was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[Outgoing] = []

    async def fetch_json(self, outgoing, limit=1024 * 1024):
        self.asked.append(outgoing)
        status, document = self.answers.pop(0)
        return status, orjson.dumps(document)

    async def media(self, media):
        if "gone" in media.url:
            raise BadRequest("the image could not be fetched")
        return Media("image", data=PIXEL, mime="image/webp")

    async def token(self, key, get):
        raise AssertionError("Replicate's keys are not exchanged")

    def send(self, outgoing):
        self.asked.append(outgoing)
        status, body = self.answers.pop(0)
        return FakeAnswer(status, body)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(replicate, "PAUSE", 0)


def job(request, model=LLAMA, **config):
    return Job(route(46, config=config), model, model, request)


async def opened(request, outside, model=LLAMA, **config):
    answer = await ADAPTER.open(job(request, model, **config), outside)
    return answer.status, await answer.read(1 << 30)


async def asked_input(request, model=LLAMA):
    outgoing = await ADAPTER.prepare(job(request, model), Script())
    return orjson.loads(outgoing.body)["input"]


@pytest.mark.parametrize(
    ("model", "base_url", "url"),
    [
        (LLAMA, "", CREATE),
        (LLAMA, "https://proxy.example", f"https://proxy.example/v1/models/{LLAMA}/predictions"),
        (LLAMA, "https://proxy.example/v1", f"https://proxy.example/v1/models/{LLAMA}/predictions"),
        ("me/mine:abc123", "", "https://api.replicate.com/v1/predictions"),
    ],
)
async def test_a_model_is_its_owner_and_name_and_perhaps_a_version(model, base_url, url):
    outgoing = await ADAPTER.prepare(job(Chat(HELLO), model, base_url=base_url), Script())

    assert outgoing.url == url
    assert orjson.loads(outgoing.body).get("version") == (model.partition(":")[2] or None)


@pytest.mark.parametrize("model", ["llama", "a/b/c", "../../v1", "a/b?c", "a/..", ""])
async def test_any_other_name_is_refused(model):
    with pytest.raises(BadRequest):
        await ADAPTER.prepare(job(Chat(HELLO), model), Script())


async def test_only_what_the_caller_named_is_sent():
    assert await asked_input(Chat(HELLO)) == {"prompt": "Hi"}
    full = Chat(
        [*HELLO, Turn("assistant", [Text("Ho")]), Turn("user", [Text("?")])],
        system=[Text("S")],
        max_tokens=9,
        temperature=0.0,
        stop=["a", "b"],
        extra={"input": {"min_new_tokens": 1}, "x": 1},
    )
    assert await asked_input(full) == {
        "prompt": "user: Hi\nassistant: Ho\nuser: ?",
        "system_prompt": "S",
        "max_tokens": 9,
        "temperature": 0.0,
        "stop_sequences": "a,b",
        "min_new_tokens": 1,
    }


async def test_one_image_goes_with_the_text():
    said: list[Part] = [Text("see"), Media("image", data="aGk=", mime="image/gif")]

    assert (await asked_input(Chat([Turn("user", said)])))["image"] == "data:image/gif;base64,aGk="


@pytest.mark.parametrize(
    "chat",
    [
        Chat(HELLO, tools=[Tool("t")]),
        Chat(HELLO, n=2),
        Chat([Turn("user", [Media("audio", data="aGk=")])]),
        Chat([Turn("user", [Media("image", data="aGk="), Media("image", data="aGk=")])]),
    ],
)
async def test_what_no_model_can_take_is_refused_before_any_call(chat):
    with pytest.raises(BadRequest):
        await asked_input(chat)


async def test_a_plain_request_waits_and_then_looks_until_the_prediction_has_ended():
    outside = Script(
        (201, {"id": "p1", "status": "starting"}), (200, {"id": "p1", "status": "processing"}), (200, DONE)
    )

    status, body = await opened(Chat(HELLO), outside)
    events = ADAPTER.read(job(Chat(HELLO)), body)

    assert status == 200
    assert isinstance(events, list)
    assert fold(events).choices[0].text == "Hello"
    assert ("Prefer", "wait") in outside.asked[0].headers
    assert [outgoing.url for outgoing in outside.asked[1:]] == ["https://api.replicate.com/v1/predictions/p1"] * 2
    assert {dict(outgoing.headers)["Authorization"] for outgoing in outside.asked} == {"Bearer key-EXAMPLE"}


CANCEL = ("POST", "https://api.replicate.com/v1/predictions/p1/cancel")


async def done_cancelling():
    while cancelling._cancelling:
        await asyncio.gather(*cancelling._cancelling)


def calls(outside):
    return [(outgoing.method, outgoing.url) for outgoing in outside.asked]


async def test_a_prediction_without_end_is_given_up_and_cancelled(monkeypatch):
    monkeypatch.setattr(replicate, "PATIENCE", 3)
    outside = Script(*[(200, {"id": "p1", "status": "processing"})] * 9)

    with pytest.raises(UpstreamTimeout):
        await opened(Chat(HELLO), outside)
    await done_cancelling()

    assert [method for method, _ in calls(outside)] == ["POST", "GET", "GET", "GET", "POST"]
    assert calls(outside)[-1] == CANCEL
    assert dict(outside.asked[-1].headers)["Authorization"] == "Bearer key-EXAMPLE"


@pytest.mark.parametrize("request_", [Chat(HELLO), Images("a cat")])
async def test_a_caller_who_leaves_does_not_leave_the_prediction_running(monkeypatch, request_):
    monkeypatch.setattr(replicate, "PAUSE", 60)
    begun = asyncio.Event()

    class Outside(Script):
        async def fetch_json(self, outgoing, limit=1024 * 1024):
            begun.set()
            return await super().fetch_json(outgoing, limit)

    outside = Outside((201, {"id": "p1", "status": "starting"}), (200, {"id": "p1", "status": "canceled"}))
    waiting = asyncio.create_task(opened(request_, outside))
    await begun.wait()

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await done_cancelling()

    assert calls(outside)[1:] == [CANCEL]


async def test_a_prediction_that_ended_is_not_cancelled():
    outside = Script((201, {"id": "p1", "status": "starting"}), (200, DONE))

    await opened(Chat(HELLO), outside)
    await done_cancelling()

    assert CANCEL not in calls(outside)
    assert dict(outside.asked[0].headers)["Cancel-After"] == "10m"


STARTED = (201, {"id": "p1", "status": "starting", "urls": {"stream": "https://stream.replicate.com/v1/files/secret"}})


@pytest.mark.parametrize("whole", [True, False])
async def test_a_stream_closed_before_its_end_cancels_its_prediction(whole):
    outside = Script(STARTED, (200, b"event: output\ndata: He\n\n"), (200, {}))
    answer = await ADAPTER.open(job(Chat(HELLO, stream=True)), outside)

    async for _ in answer.chunks():
        if not whole:
            break
    answer.close()
    answer.close()
    await done_cancelling()

    assert calls(outside)[2:] == ([] if whole else [CANCEL])


async def test_a_stream_that_does_not_open_cancels_its_prediction():
    class Away(Script):
        def send(self, outgoing):
            answer = super().send(outgoing)
            answer.open = self.fail
            return answer

        async def fail(self):
            raise UpstreamUnreachable("nobody there")

    outside = Away(STARTED, (200, b""), (200, {}))
    with pytest.raises(UpstreamUnreachable):
        await ADAPTER.open(job(Chat(HELLO, stream=True)), outside)
    await done_cancelling()

    assert calls(outside)[2:] == [CANCEL]


@pytest.mark.parametrize("said", [(404, {}), UpstreamUnreachable("away")])
async def test_a_cancelling_that_fails_is_logged(said, caplog):
    class Outside(Script):
        async def fetch_json(self, outgoing, limit=1024 * 1024):
            if isinstance(said, UpstreamUnreachable):
                raise said
            return await super().fetch_json(outgoing, limit)

    cancelling.cancel(Outside(said), "https://api.replicate.com/v1/predictions/p1", "k")
    await done_cancelling()

    assert "left running" in caplog.text


async def test_an_id_that_is_an_address_is_not_asked_for():
    with pytest.raises(UpstreamError):
        await opened(Chat(HELLO), Script((201, {"id": "../account", "status": "starting"})))


async def test_a_stream_is_opened_at_once_and_gets_no_key_of_another_host():
    urls = {"stream": "https://stream.replicate.com/v1/files/secret"}
    stream = b"event: output\ndata: He\n\nevent: output\ndata: l\ndata: lo\n\nevent: done\ndata: {}\n\n"
    outside = Script((201, {"id": "p1", "status": "starting", "urls": urls}), (200, stream))

    _, body = await opened(Chat(HELLO, stream=True), outside)
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))

    assert outside.asked[1].url == urls["stream"]
    assert "Authorization" not in dict(outside.asked[1].headers)
    assert "Prefer" not in dict(outside.asked[0].headers)
    assert [each for byte in body for each in reader.feed(bytes([byte]))] + reader.close() == [
        Started(),
        TextPiece("He"),
        TextPiece("l\nlo"),
        Finished(FinishReason.STOP),
    ]


async def test_a_stream_of_the_channels_own_host_gets_the_key():
    urls = {"stream": "https://api.replicate.com/v1/streams/x"}
    outside = Script((201, {"id": "p1", "status": "starting", "urls": urls}), (200, b""))

    await opened(Chat(HELLO, stream=True), outside)

    assert dict(outside.asked[1].headers)["Authorization"] == "Bearer key-EXAMPLE"


async def test_a_stream_over_a_plain_connection_is_not_opened():
    urls = {"stream": "http://169.254.169.254/"}

    outside = Script((201, {"id": "p1", "urls": urls}), (200, {}))
    with pytest.raises(UpstreamError):
        await opened(Chat(HELLO, stream=True), outside)
    await done_cancelling()

    assert calls(outside)[1:] == [CANCEL]


async def test_a_model_without_a_stream_gives_its_answer_as_one():
    prediction = {**DONE, "output": ["a\nb", "c"]}

    _, body = await opened(
        Chat(HELLO, stream=True), Script((201, {**prediction, "status": "starting"}), (200, prediction))
    )
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))

    assert fold(reader.feed(body) + reader.close()).choices[0].text == "a\nbc"


@pytest.mark.parametrize(
    "end", [b"event: error\ndata: out of memory\n\n", b'event: done\ndata: {"reason":"canceled"}\n\n', b""]
)
def test_a_stream_that_failed_is_not_called_whole(end):
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))

    events = reader.feed(b"event: output\ndata: He\n\n" + end) + reader.close()

    assert isinstance(events[-1], Failed)
    assert not any(isinstance(event, Finished) for event in events)


def test_tokens_are_counted_where_the_model_tells_them():
    metrics = {"input_token_count": 4, "output_token_count": 2}

    events = ADAPTER.read(job(Chat(HELLO)), orjson.dumps({**DONE, "output": "Hello", "metrics": metrics}))

    assert isinstance(events, list)
    assert Counted(Usage(4, 2)) in events


@pytest.mark.parametrize(
    "answer", [{**DONE, "status": "failed", "error": "CUDA"}, {**DONE, "status": "canceled"}, {"id": "p"}, []]
)
@pytest.mark.parametrize("request_", [Chat(HELLO), Images("a cat")])
def test_a_prediction_that_did_not_succeed_is_an_error(answer, request_):
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(request_), orjson.dumps(answer))


async def test_an_error_answer_is_left_to_be_read_as_one():
    status, body = await opened(Chat(HELLO), Script((422, {"detail": "- input.prompt is required", "status": 422})))
    error = ADAPTER.failure(status, body, None)

    assert (error.status, error.message) == (422, "- input.prompt is required")


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ("1024x1024", "1:1"),
        ("1024x1792", "9:16"),
        ("1792x1024", "16:9"),
        ("1536x1024", "3:2"),
        ("", None),
        ("0x9", None),
    ],
)
def test_a_size_becomes_the_nearest_shape(size, ratio):
    assert aspect_ratio(size) == ratio


async def test_pictures_are_asked_for_as_the_caller_wants_them():
    request = Images("a cat", n=2, size="1024x1792", extra={"output_format": "jpeg", "input": {"steps": 4}})

    assert await asked_input(request, FLUX) == {
        "prompt": "a cat",
        "aspect_ratio": "9:16",
        "num_outputs": 2,
        "output_format": "jpg",
        "steps": 4,
    }


async def test_pictures_are_addresses_unless_their_bytes_were_asked_for():
    done = {**DONE, "output": ["https://replicate.delivery/a.webp"], "completed_at": "2025-02-19T10:30:00Z"}
    plain, coded = Images("a cat"), Images("a cat", encoding="b64_json")

    _, body = await opened(plain, Script((201, done)), FLUX)
    assert ADAPTER.read(job(plain), body) == Pictures([Picture("https://replicate.delivery/a.webp")], 1739961000)
    _, body = await opened(coded, Script((201, done)), FLUX)
    assert ADAPTER.read(job(coded), body) == Pictures([Picture(data=PIXEL)], 1739961000)


async def test_a_picture_that_is_gone_is_the_upstreams_fault():
    done = {**DONE, "output": "https://replicate.delivery/gone.webp"}

    with pytest.raises(UpstreamError):
        await opened(Images("a cat", encoding="b64_json"), Script((201, done)), FLUX)


async def test_no_picture_is_an_error():
    with pytest.raises(UpstreamError) as caught:
        ADAPTER.read(job(Images("a cat")), orjson.dumps({**DONE, "output": []}))
    assert caught.value.code == "empty_answer"
