"""kill -9 of a worker and of the whole server, under plain calls and streams."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.chaos.conftest import Try
from tests.chaos.site import Site
from tests.chaos.storm import Storm, rounds

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

BEFORE = (0.0, 1.0)  # seconds of traffic before the blow, drawn anew each round


@pytest.mark.parametrize(
    "who",
    [
        pytest.param("worker", marks=pytest.mark.chaos("postgres")),
        pytest.param("all", marks=pytest.mark.chaos("sqlite")),
    ],
)
async def test_no_answered_call_is_lost(anywhere: Site, attempt: Try, who: str) -> None:
    dice = random.Random(9)
    async with attempt(f"kill -9 of {'a worker' if who == 'worker' else 'master and workers'}") as trial:
        for _ in range(rounds(1, 5)):
            async with Storm(anywhere) as storm:
                await asyncio.sleep(dice.uniform(*BEFORE))
                await asyncio.to_thread(anywhere.gateway.kill9, who)
                if who == "all":
                    await asyncio.to_thread(anywhere.gateway.restart)
                resumed = await storm.resumed()
            trial.heard(storm, resumed)
