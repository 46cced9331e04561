"""The same thing asked a hundred times at once: one redemption code, one Idempotency-Key."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import replace
from functools import partial

import httpx
import pytest

from tests.acceptance.traffic import charge, question
from tests.chaos.conftest import Try
from tests.chaos.site import Site
from tests.chaos.storm import rounds
from tests.fake_upstream import in_text
from tests.load import Client

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

AT_ONCE = 100
WORTH = 1_234  # points of a code
MODEL = "gpt-3.5-turbo"


@pytest.mark.chaos("mysql")
async def test_one_code_redeemed_by_many_at_once(anywhere: Site, attempt: Try) -> None:
    """By two users, fifty times each: one of them gets it, once."""
    gateway = anywhere.gateway
    async with attempt(f"one redemption code {AT_ONCE} times at once") as trial:
        users = [account.id for account in anywhere.accounts]
        keys = [await asyncio.to_thread(gateway.operator, "access_token", user_id=user_id) for user_id in users]
        for _ in range(rounds(1, 5)):
            fields = {"name": "chaos", "count": 1, "quota": WORTH}
            (code,) = await asyncio.to_thread(partial(gateway.api, "POST", "/api/redemption/", json=fields))
            before = {user_id: gateway.books().quota(user_id) for user_id in users}
            async with httpx.AsyncClient(base_url=gateway.base_url, timeout=60, limits=httpx.Limits()) as client:
                asked = [
                    client.post("/api/user/topup", json={"key": code}, headers={"Authorization": keys[number % 2]})
                    for number in range(AT_ONCE)
                ]
                answers = [answer.json() for answer in await asyncio.gather(*asked)]
            trial.row.rounds += 1
            trial.row.calls += AT_ONCE
            trial.row.answered += 1
            assert [answer["data"] for answer in answers if answer["success"]] == [WORTH]
            assert Counter(answer["message"] for answer in answers)["兑换失败，该兑换码已被使用"] == AT_ONCE - 1
            gained = sorted(gateway.books().quota(user_id) - before[user_id] for user_id in users)
            assert gained == [0, WORTH]


@pytest.mark.chaos("postgres")
async def test_one_idempotency_key_many_times_at_once(anywhere: Site, attempt: Try) -> None:
    """The upstream is asked once, the call is billed once, and whoever is answered is answered alike."""
    gateway, account = anywhere.gateway, anywhere.accounts[0]
    async with attempt(f"one Idempotency-Key {AT_ONCE} times at once") as trial:
        for _ in range(rounds(1, 5)):
            used = gateway.books().used_quota(account.id)
            anywhere.upstream.reset()
            call = question(account, MODEL, in_text(usage=[100, 10], first_byte=300))
            call = replace(call, headers={"Idempotency-Key": uuid.uuid4().hex})
            async with Client(gateway.base_url) as client:
                answers = [answer for _, answer in await client.run([call] * AT_ONCE, AT_ONCE)]
                late = await client.send(call)
            trial.row.rounds += 1
            trial.row.calls += AT_ONCE + 1
            good = [answer for answer in (*answers, late) if answer.status == 200]
            trial.row.answered += len(good)
            assert late.status == 200
            assert {answer.status for answer in answers} <= {200, 409}, Counter(answer.status for answer in answers)
            assert len({answer.body for answer in good}) == 1
            gateway.books().wait_settled(20)
            assert anywhere.upstream.stats()["received"] == 1
            assert gateway.books().used_quota(account.id) - used == charge(MODEL, 100, 10)
