"""Streams that do not reach their end: cut by the caller, or dropped by the upstream."""

from __future__ import annotations

import json
import time

import pytest

from tests.acceptance.traffic import charge, question
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.load import Client

pytestmark = [pytest.mark.load, pytest.mark.timed, pytest.mark.timeout(120)]

MODEL = "gpt-3.5-turbo"
PROMPT = 8  # tokens of the question by the contract's count: 3 + user 1 + Hello 1 + 3
EVENTS = 400
WORD = "word "  # one token, one event
STREAMS, CUT_AFTER = 20, 12
OPENING = 10**9


async def test_a_cut_stream_is_charged_for_what_was_generated_and_cancelled_upstream(
    database: Database, gateway: MakeGateway, upstream: FakeUpstream
) -> None:
    server = gateway(database, workers=1)
    account = server.new_user(OPENING)
    server.add_channel(upstream.scripted(text=WORD, times=EVENTS, events=EVENTS, pace=20), MODEL)
    server.wait_until_routed(account.key, MODEL)

    call = question(account, MODEL, stream=True)
    cut = type(call)(call.path, call.body, call.key, cut_after=CUT_AFTER)
    async with Client(server.base_url) as client:
        answered = await client.run([cut] * STREAMS, STREAMS)
    last_cut = max(time.time() - (time.monotonic() - answer.ended) for _, answer in answered)
    stats = upstream.wait_idle(2)

    assert stats["cancelled"] == STREAMS
    assert stats["last_cancelled"] - last_cut < 1  # second
    books = server.books()
    books.wait_settled(5)
    books.check()
    logs = books.logs(account.id)
    assert sorted(row.request_id for row in logs) == sorted(answer.request_id for _, answer in answered)
    said = stats["cancelled_events"]
    for row in logs:
        assert row.estimated
        assert row.prompt_tokens == PROMPT
        assert CUT_AFTER - 3 <= row.completion_tokens <= max(said) + 1  # the role comes before the first word
        assert row.quota == charge(MODEL, row.prompt_tokens, row.completion_tokens)


@pytest.mark.parametrize("usage", [(PROMPT, EVENTS), None], ids=["usage-told-too-late", "usage-never-told"])
async def test_a_stream_the_upstream_drops_ends_in_an_error_and_is_charged_for_what_came(
    database: Database, usage: tuple[int, int] | None, gateway: MakeGateway, upstream: FakeUpstream
) -> None:
    server = gateway(database, workers=1)
    account = server.new_user(OPENING)
    server.add_channel(
        upstream.scripted(text=WORD, times=EVENTS, events=EVENTS, pace=1, drop_after=50, usage=usage), MODEL
    )
    server.wait_until_routed(account.key, MODEL)

    async with Client(server.base_url) as client:
        answered = await client.run([question(account, MODEL, stream=True)] * 5, 5)

    for _, answer in answered:
        assert (answer.status, answer.complete) == (200, True)
        events = answer.events()
        assert "[DONE]" not in events
        assert json.loads(events[-1])["error"]["message"]
        heard = "".join(c["choices"][0]["delta"].get("content", "") for c in map(json.loads, events[:-1]))
        assert heard == WORD * 50
    books = server.books()
    books.wait_settled(5)
    books.check()
    logs = books.logs(account.id)
    assert len(logs) == 5
    for row in logs:
        assert row.estimated
        assert row.completion_tokens in (50, 51)  # the blank after the last word may be a token of its own
        assert row.quota == charge(MODEL, PROMPT, row.completion_tokens)
