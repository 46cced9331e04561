"""A balance for exactly 40 calls and 400 of them at once: never more than 40 pass, nearly all 40 do."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.acceptance.traffic import charge, question
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.load import Client

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

MODEL = "gpt-3.5-turbo"
PROMPT = 8  # tokens of the question by the contract's count: 3 + user 1 + Hello 1 + 3
COMPLETION = 100  # asked for as the maximum, and used
PRICE = charge(MODEL, PROMPT, COMPLETION)
AFFORDABLE, AT_ONCE = 40, 400
RICH = 10**9


@pytest.mark.parametrize("purse", ["user", "token"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_purse_is_never_overspent(
    database: Database, purse: str, stream: bool, gateway: MakeGateway, upstream: FakeUpstream
) -> None:
    server = gateway(database, workers=4)
    money = AFFORDABLE * PRICE
    account = server.new_user(money) if purse == "user" else server.new_user(RICH, remain_quota=money)
    server.add_channel(upstream.scripted(usage=[PROMPT, COMPLETION], first_byte=50), MODEL)
    server.wait_until_routed(account.key, MODEL)

    call = question(account, MODEL, max_tokens=COMPLETION, stream=stream)
    async with Client(server.base_url) as client:
        answered = await client.run([call] * AT_ONCE, AT_ONCE)

    statuses = Counter(answer.status for _, answer in answered)
    passed = statuses.pop(200, 0)
    assert set(statuses) <= ({403} if purse == "user" else {401, 403}), statuses
    assert AFFORDABLE - 2 <= passed <= AFFORDABLE, statuses
    refusals = [answer.json()["error"] for _, answer in answered if answer.status == 403]
    assert {error["code"] for error in refusals} <= {"insufficient_user_quota", "pre_consume_token_quota_failed"}
    assert all(error["message"] for error in refusals)
    books = server.books()
    books.wait_settled(10)
    books.check()
    left = books.quota(account.id) if purse == "user" else books.remain_quota(account.token_id)
    assert left == money - passed * PRICE >= 0
    assert not any(row.uncollected for row in books.logs(account.id))
