"""2,000 calls with random usage, 40 % streamed, half of the streams without stream_options, 64 at a time:
every book agrees with the formula to the point."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice

import pytest

from tests.acceptance.traffic import MODELS, Expected, mixed
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.load import Answer, Call, Client

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

CALLS = 2_000
AT_A_TIME = 64
OPENING = 10**10


@pytest.mark.parametrize("workers", [1, 4])
async def test_every_point_of_mixed_calls_is_in_every_book(
    database: Database, workers: int, gateway: MakeGateway, upstream: FakeUpstream
) -> None:
    server = gateway(database, workers)
    unlimited = server.new_user(OPENING)
    limited = server.new_user(OPENING, remain_quota=OPENING // 2)
    channels = [server.add_channel(upstream.url, MODELS, name=f"gpt-{i}") for i in range(2)]
    server.wait_until_routed(unlimited.key, "gpt-4o-mini")

    async with Client(server.base_url) as client:
        answered = await client.run(islice(mixed(1, [unlimited, limited]), CALLS), AT_A_TIME)

    assert Counter(answer.status for _, answer in answered) == {200: CALLS}
    assert all(call.about.answered(answer) for call, answer in answered)
    assert [problem for call, answer in answered if (problem := usage_shown_wrongly(call, answer))] == []

    books = server.books()
    books.wait_settled(10)
    books.check()
    expected = {answer.request_id: call.about.charge for call, answer in answered}
    assert len(expected) == CALLS
    charges = books.charges()
    assert {i: (charges.get(i), points) for i, points in expected.items() if charges.get(i) != points} == {}
    assert len(charges) == CALLS
    for account in (unlimited, limited):
        spent = sum(call.about.charge for call, _ in answered if call.about.account is account)
        assert books.quota(account.id) == OPENING - spent
        assert books.used_quota(account.id) == spent
        assert books.token_used_quota(account.token_id) == spent
        logs = books.logs(account.id)
        assert sum(row.quota for row in logs) == spent
        assert not any(row.estimated or row.uncollected for row in logs)
        usage = books.usage(account.id)
        asked = [call.about.usage for call, _ in answered if call.about.account is account]
        assert (usage["quota"], usage["requests"], usage["errors"]) == (spent, len(asked), 0)
        assert usage["prompt_tokens"] == sum(prompt for prompt, _ in asked)
        assert usage["completion_tokens"] == sum(completion for _, completion in asked)
        if account is limited:
            assert books.remain_quota(account.token_id) == OPENING // 2 - spent
    assert sum(map(books.channel_used_quota, channels)) == sum(expected.values())
    assert all(books.channel_used_quota(channel) for channel in channels)  # both have drawn calls


def usage_shown_wrongly(call: Call, answer: Answer) -> str:
    """Why what the caller saw of the usage is wrong, or nothing."""
    expected: Expected = call.about
    shown = (expected.usage[0], expected.usage[1])
    if not expected.stream:
        usage = answer.json()["usage"]
        return "" if (usage["prompt_tokens"], usage["completion_tokens"]) == shown else "plain usage"
    chunks = [json.loads(event) for event in answer.events() if event != "[DONE]"]
    told = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    if not expected.asks_usage:
        return "usage shown to a caller who did not ask" if told or not all(c["choices"] for c in chunks) else ""
    return "" if [(u["prompt_tokens"], u["completion_tokens"]) for u in told] == [shown] else "usage not shown"
