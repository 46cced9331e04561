"""The database server is stopped, killed in the middle of commits, or stands still."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.chaos.conftest import Try
from tests.chaos.servers import MariaDB, Postgres
from tests.chaos.site import Site
from tests.chaos.storm import SHORT, Storm, rounds

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

Server = Postgres | MariaDB
AWAY = 2.0 if SHORT else 8.0  # seconds
FROZEN = (7.0,) if SHORT else (6.0, 15.0, 45.0)  # seconds; longer than a hold lives, and than an answer is waited for


async def away(server: Server, end: Callable[[], None]) -> None:
    await asyncio.to_thread(end)
    await asyncio.sleep(AWAY)
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("stopped", marks=pytest.mark.chaos("postgres")),
        pytest.param("killed", marks=pytest.mark.chaos("mysql")),
    ],
)
async def test_a_database_that_went_away(anywhere: Site, attempt: Try, how: str) -> None:
    server = _server(anywhere)
    dice = random.Random(4)
    async with attempt(f"database {how} for {AWAY:g} s") as trial:
        for _ in range(rounds(1, 4)):
            async with Storm(anywhere) as storm:
                await asyncio.sleep(dice.random())
                await away(server, server.stop if how == "stopped" else server.kill)
                resumed = await storm.resumed()
            trial.heard(storm, resumed)


@pytest.mark.chaos("postgres")
async def test_one_connection_killed_during_commit(anywhere: Site, attempt: Try) -> None:
    """PostgreSQL: kill -9 of one serving process makes the server recover; commits are made slow, so it hits one."""
    server = anywhere.server
    if not isinstance(server, Postgres):
        pytest.skip("only PostgreSQL has a process for each connection")
    server.server.execute("ALTER SYSTEM SET commit_delay = 50000")
    server.server.execute("ALTER SYSTEM SET commit_siblings = 0")
    server.server.execute("SELECT pg_reload_conf()")
    try:
        async with attempt("backend killed during commit") as trial:
            for number in range(rounds(2, 10)):
                async with Storm(anywhere) as storm:
                    pids = await asyncio.to_thread(server.backends)
                    with suppress(ProcessLookupError):
                        os.kill(pids[number % len(pids)], signal.SIGKILL)
                    resumed = await storm.resumed()
                trial.heard(storm, resumed)
    finally:
        server.server.execute("ALTER SYSTEM RESET ALL")
        server.server.execute("SELECT pg_reload_conf()")


@pytest.mark.chaos("mysql")
@pytest.mark.parametrize("seconds", FROZEN)
async def test_a_database_that_stands_still(anywhere: Site, attempt: Try, seconds: float) -> None:
    server = _server(anywhere)
    async with attempt(f"database frozen for {seconds:g} s") as trial:
        for _ in range(rounds(1, 2)):
            async with Storm(anywhere) as storm:
                server.freeze()
                await asyncio.sleep(seconds)
                server.thaw()
                resumed = await storm.resumed()
            trial.heard(storm, resumed)


def _server(site: Site) -> Server:
    if site.server is None:
        pytest.skip("SQLite has no server")
    return site.server
