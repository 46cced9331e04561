"""Somebody sets the clock of a running server, an hour forward or back: what lasts is measured by another one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.acceptance.traffic import Expected
from tests.chaos.conftest import Try
from tests.chaos.site import Site
from tests.chaos.storm import SHORT, Storm, rounds
from tests.fake_upstream import in_text
from tests.load import Call
from tests.server import HOLD_TTL, Account

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# The library's clock_nanosleep refuses the absolute monotonic times of Python's sleep where it leaves that clock alone.
SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], max(seconds, 0))\n"
LONG = 2 * HOLD_TTL  # seconds a call takes: it is under way when the clock is set, and long after
STEPS = (3600, -3600)  # seconds


def long_streams(accounts: list[Account]) -> Iterator[Call]:
    """Some short streams first, so that the traffic flows, and then long ones."""
    dice = random.Random(6)
    for number in range(10**9):
        usage = dice.randint(1, 3_000), 100
        pace = 1 if number < 200 else 1_000 * LONG // 20
        body = {
            "model": "gpt-3.5-turbo",
            "messages": [
                {"role": "user", "content": in_text(usage=usage, text="word ", times=20, events=20, pace=pace)}
            ],
            "stream": True,
        }
        account = accounts[number % len(accounts)]
        about = Expected(account, "gpt-3.5-turbo", usage, stream=True, asks_usage=False)
        yield Call("/v1/chat/completions", body, account.key, about=about)


async def test_the_clock_is_set(anywhere: Site, attempt: Try, tmp_path: Path) -> None:
    if not LIBRARIES:
        databases.missing("libfaketime is not installed")
    off = tmp_path / "faketime"
    off.write_text("+0")
    (tmp_path / "sitecustomize.py").write_text(SLEEP)
    faked = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(off),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # as the kernel's does, it goes on evenly when the clock is set
        "FAKETIME_CACHE_DURATION": "1",
        "PYTHONPATH": str(tmp_path),
    }
    async with attempt("clock set by an hour, forward, back and right") as trial:
        with anywhere.under(faked):
            for _ in range(rounds(1, 2)):
                async with Storm(anywhere, long_streams(anywhere.accounts)) as long, Storm(anywhere) as storm:
                    await asyncio.sleep(HOLD_TTL / 2)
                    for step in STEPS[:1] if SHORT else STEPS:
                        off.write_text(f"{step:+d}")
                        await asyncio.sleep(LONG)
                    off.write_text("+0")
                    resumed = await storm.resumed()
                trial.heard(storm, resumed)
                trial.row.calls += sum(long.statuses.values())
                trial.row.answered += len(long.answered)
                assert set(long.statuses) == {200}, long.statuses
                # With the library under it, SQLite sleeps less well than it should while another writes.
                assert set(storm.statuses) <= ({200, 503} if anywhere.kind == "sqlite" else {200}), storm.statuses
