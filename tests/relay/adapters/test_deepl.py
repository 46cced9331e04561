"""DeepL: https://developers.deepl.com/api-reference/translate."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.deepl import DeepL, target
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Failed, Finished, FinishReason, Started, TextPiece
from relay.neutral.request import Chat, Text, Tool, Turn
from tests.relay.wire.cases import FakeOutside, check, load, route

ADAPTER = DeepL()
HELLO = [Turn("user", [Text("Hé")])]


def job(chat, key="key:fx", config=None):
    return Job(route(38, key, config), "deepl-zh", "deepl-zh", chat)


async def outgoing(chat, **rest):
    return await ADAPTER.prepare(job(chat, **rest), FakeOutside(load("deepl_chat")))


async def test_keeps_to_the_wire_case():
    await check(load("deepl_chat"), ADAPTER)


@pytest.mark.parametrize(
    ("model", "language"), [("deepl-zh", "ZH"), ("deepl-en-US", "EN-US"), ("deepl", "ZH"), ("deepl-", "ZH")]
)
def test_the_language_is_what_follows_the_first_hyphen(model, language):
    assert target(model) == language


@pytest.mark.parametrize(
    ("key", "base_url", "url"),
    [
        ("k:fx", "", "https://api-free.deepl.com/v2/translate"),
        ("k", "", "https://api.deepl.com/v2/translate"),
        ("k:fx", "https://api.deepl.com", "https://api-free.deepl.com/v2/translate"),
        ("k", "https://deepl.example", "https://deepl.example/v2/translate"),
    ],
)
async def test_a_key_goes_to_the_address_of_its_plan(key, base_url, url):
    assert (await outgoing(Chat(HELLO), key=key, config={"base_url": base_url})).url == url


async def test_only_the_last_text_is_translated():
    turns = [Turn("user", [Text("1")]), Turn("assistant", [Text("2")]), Turn("user", [Text("3"), Text("4")])]

    body = orjson.loads((await outgoing(Chat(turns, extra={"formality": "more"}))).body)

    assert body == {"text": ["34"], "target_lang": "ZH", "formality": "more"}


@pytest.mark.parametrize("chat", [Chat([Turn("user", [])]), Chat(HELLO, n=2), Chat(HELLO, tools=[Tool("a")])])
async def test_what_no_translation_can_be_is_refused(chat):
    with pytest.raises(BadRequest):
        await outgoing(chat)


def test_a_stream_is_the_whole_translation_as_one_piece_and_is_counted_in_bytes():
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    body = '{"translations":[{"text":"你好"}]}'.encode()

    assert [event for byte in body for event in reader.feed(bytes([byte]))] == []
    assert reader.close() == [Started(), TextPiece("你好"), Finished(FinishReason.STOP), Counted(Usage(3, 0))]


@pytest.mark.parametrize(("body", "code"), [(b"", "stream_broken"), (b"{", "unmarshal_response_body_failed")])
def test_a_stream_without_a_translation_has_failed(body, code):
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    reader.feed(body)

    [event] = reader.close()

    assert isinstance(event, Failed)
    assert event.error.code == code


@pytest.mark.parametrize("body", [b'{"translations":[]}', b"{}", b"[]", b"no"])
def test_an_answer_without_a_translation_is_an_error(body):
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(Chat(HELLO)), body)


def test_used_up_quota_is_the_channels_matter():
    error = ADAPTER.failure(456, b'{"message":"Quota Exceeded"}', None)

    assert (error.status, error.message, error.retry) == (456, "Quota Exceeded", True)
