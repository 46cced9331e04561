"""The database is prepared by one process at a time, and by the master alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder

from accounts import services
from accounts.models import User
from config import migrating, startup
from config.migrating import StillMigrating, locked
from config.startup import CannotStart
from tests.databases import Database
from tests.server import ENVIRONMENT, INHERITED, ROOT

HOLDER = """
import sys, django
django.setup()
from config.migrating import locked
with locked("default"):
    print("in", flush=True)
    sys.stdin.read()
"""


def apart(work: Callable[[], Any], times: int = 1) -> list[Future[Any]]:
    """`work`, done so many times at once, each in a thread with a connection of its own."""

    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as threads:
        return [threads.submit(run) for _ in range(times)]


def enter() -> str:
    with locked("default"):
        return "in"


@pytest.mark.django_db(transaction=True)
def test_while_one_prepares_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "LOCK_WAIT", 1)

    with locked("default"):
        (refused,) = apart(enter)
    assert isinstance(refused.exception(), StillMigrating)
    assert apart(enter)[0].result() == "in"


@pytest.mark.django_db(transaction=True)
def test_the_lock_is_not_of_the_session_that_works_under_it() -> None:
    """Behind a pooler of transactions that session changes from statement to statement."""
    if connection.vendor != "postgresql":
        pytest.skip("of PostgreSQL")
    query = (
        "SELECT l.pid = pg_backend_pid(), a.state FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND a.datname = current_database()"
    )
    with locked("default"), connection.cursor() as cursor:
        cursor.execute(query)
        held = cursor.fetchall()
    with connection.cursor() as cursor:
        cursor.execute(query)
        left = cursor.fetchall()

    assert (held, left) == ([(False, "idle in transaction")], [])


@pytest.mark.parametrize("end", ["killed", "ended"])
def test_who_waits_comes_in_when_the_holder_is_gone(database: Database, tmp_path: Path, end: str) -> None:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(ROOT)}
    environment = {**inherited, **ENVIRONMENT, **database.environment, **settings}

    def holder() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", HOLDER],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with holder() as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"
        with holder() as second:
            if end == "killed":
                first.kill()
            first.communicate(timeout=60)  # closes its input
            told, _ = second.communicate(timeout=60)

    assert (told, second.returncode) == ("in\n", 0)
    assert (first.returncode == 0) == (end == "ended")


@pytest.mark.django_db(transaction=True)
def test_of_many_masters_that_start_at_once_one_makes_root(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks and then waits a moment, as on a slow machine: without the lock all would find nobody."""
    settings.INITIAL_ROOT_PASSWORD = "a password of ours"
    settings.INITIAL_ROOT_TOKEN = settings.INITIAL_ROOT_ACCESS_TOKEN = ""
    inside, most = 0, 0
    seed = services.seed_root

    def slowly(*given: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.2)
        try:
            return seed(*given)
        finally:
            inside -= 1

    monkeypatch.setattr(services, "seed_root", slowly)

    told = [one.result() for one in apart(startup.seed_root, 4)]

    assert (most, len([text for text in told if text]), User.objects.count()) == (1, 1, 1)


@pytest.mark.django_db
def test_a_slave_waits_for_the_master_and_in_the_end_refuses(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.IS_MASTER = False
    monkeypatch.setattr(startup, "MASTER_WAIT", 0)
    startup._keep_secret_check()
    startup._wait_for_master()  # all is there

    last = MigrationRecorder.Migration.objects.filter(app="billing").latest("id")
    name = f"{last.app}.{last.name}"
    last.delete()

    with pytest.raises(CannotStart, match=f"slave, and the master has not prepared the database: .*{name}"):
        startup._wait_for_master()
    assert not MigrationRecorder(connection).migration_qs.filter(app=last.app, name=last.name).exists()


@pytest.mark.django_db
def test_a_database_of_an_older_version_is_told_by_its_missing_migrations() -> None:
    assert migrating.pending("default") == []
    last = MigrationRecorder.Migration.objects.filter(app="billing").latest("id")
    last.delete()

    assert f"billing.{last.name}" in migrating.pending("default")
