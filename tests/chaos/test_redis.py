"""Redis killed, frozen, flushed: no call fails for it, and none is charged otherwise."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.conftest import Try
from tests.chaos.site import Site
from tests.chaos.storm import SHORT, Storm, rounds

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

AWAY = 2.0 if SHORT else 8.0  # seconds


@pytest.mark.parametrize("how", ["killed", pytest.param("frozen", marks=pytest.mark.chaos("postgres")), "flushed"])
async def test_redis_is_never_needed(anywhere: Site, attempt: Try, how: str) -> None:
    redis = anywhere.redis
    async with attempt(f"Redis {how}") as trial:
        for _ in range(rounds(1, 3)):
            async with Storm(anywhere) as storm:
                if how == "flushed":
                    assert await asyncio.to_thread(redis.say, "FLUSHALL") == b"+OK\r\n"
                elif how == "frozen":
                    redis.freeze()
                    await asyncio.sleep(AWAY)
                    during = await storm.resumed()  # while it stands still
                    redis.thaw()
                else:
                    await asyncio.to_thread(redis.kill)
                    await asyncio.sleep(AWAY)
                    during = await storm.resumed()
                    await asyncio.to_thread(redis.start)
                resumed = await storm.resumed()
                assert how == "flushed" or during < 5
            trial.heard(storm, resumed)
            assert set(storm.statuses) == {200}, storm.statuses
