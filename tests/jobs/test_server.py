"""Real servers: what was missed while nothing was up runs once, whatever the number of workers and nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream

JOB = "test channels"
SETTINGS = {"CHANNEL_TEST_FREQUENCY": "60"}


def column(database: Database, name: str) -> object:
    """Of the job's lease; None while there is none."""
    rows = database.rows(f"SELECT {name} FROM job_leases WHERE name = '{JOB}'")
    return rows[0][0] if rows else None


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.1)


def test_a_missed_run_happens_once_at_the_start(
    module_database: Database, upstream: FakeUpstream, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with server.running(module_database, 2, first, SETTINGS) as gateway:
        gateway.add_channel(upstream.scripted(first_byte=1500), "gpt-3.5-turbo")
        until(lambda: column(module_database, "first_seen"))
        gateway.stop()
        assert upstream.seen() == []  # not due before an hour is over
        gateway.operator("job_missed", name=JOB)

        gateway.restart()
        with server.running(module_database, 2, second, SETTINGS):
            until(lambda: column(module_database, "last_run_finished"))
            time.sleep(2)

    assert len(upstream.seen()) == 1
    assert column(module_database, "last_outcome") == "ok"


def test_a_slave_runs_no_jobs(module_database: Database, tmp_path: Path) -> None:
    if module_database.kind == "sqlite":
        pytest.skip("a slave shares its master's database, which is no file")
    with server.running(module_database, 1, tmp_path, {**SETTINGS, "NODE_TYPE": "slave"}) as gateway:
        gateway.operator("job_missed", name=JOB)
        time.sleep(3)

    assert column(module_database, "last_run_started") == 0
