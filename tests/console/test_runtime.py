"""/runtime: what this node runs with, secrets masked (console reference 6.4)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from redis.exceptions import ConnectionError as NoRedis

from accounts.models import User
from billing.models import ReconciliationReport
from config import env
from console.runtime import facts
from jobs.models import Lease
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, env.Variable]:
    """Nothing read but what a test reads."""
    read: dict[str, env.Variable] = {}
    monkeypatch.setattr(env, "READ", read)
    return read


def test_every_variable_is_listed_with_its_value_and_its_source(
    variables: dict[str, env.Variable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_FREQUENCY", "5")
    env.integer("SYNC_FREQUENCY", 600, example="600")
    env.flag("DEBUG_SQL")

    shown = {one.name: (one.value, one.set, str(one.badge[1])) for one in facts.variables()}

    assert shown == {"SYNC_FREQUENCY": ("5", True, "environment"), "DEBUG_SQL": ("false", False, "default")}
    assert [one.name for one in facts.variables(only_set=True)] == ["SYNC_FREQUENCY"]


def test_secrets_and_passwords_in_addresses_are_hidden(
    at_root: Client, variables: dict[str, env.Variable], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dsn").write_text("postgres://u:canary-file@db/x")
    monkeypatch.delenv("SQL_DSN", raising=False)
    monkeypatch.setenv("SQL_DSN_FILE", str(tmp_path / "dsn"))
    monkeypatch.setenv("SESSION_SECRET", "canary-secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary-proxy@proxy:8080")
    monkeypatch.setenv("RELAY_PROXY", "http://user:canary-relay@proxy:8080")
    env.secret("SQL_DSN", example="x")
    env.secret("SESSION_SECRET", example="x")
    env.text("HTTPS_PROXY", example="x")
    env.address("RELAY_PROXY", schemes=("http",), example="x", hidden=True)

    page = text_of(at_root.get("/runtime"))

    assert "canary" not in page
    assert "canary" not in str(variables["SQL_DSN"]) + str(variables["SESSION_SECRET"])
    assert "http://user:***@proxy:8080" in page
    assert {one.name: str(one.badge[1]) for one in facts.variables()} == {
        "HTTPS_PROXY": "environment",
        "RELAY_PROXY": "environment",
        "SESSION_SECRET": "environment",
        "SQL_DSN": "file",
    }


def test_what_came_from_dotenv_is_told_also_in_processes_that_inherit_it(
    variables: dict[str, env.Variable], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("HOLD_TTL=99\nPORT=1\n")
    monkeypatch.setenv("PORT", "2")
    monkeypatch.delenv("HOLD_TTL", raising=False)
    monkeypatch.delenv(env.DOTENV, raising=False)

    env.load_file(tmp_path)
    try:
        inherited = os.environ[env.DOTENV]
        for name in ("HOLD_TTL", "PORT"):
            env.text(name, example="1")
    finally:
        os.environ.pop("HOLD_TTL", None)
        os.environ.pop(env.DOTENV, None)

    assert inherited == "HOLD_TTL"
    assert {name: one.source for name, one in variables.items()} == {"HOLD_TTL": ".env", "PORT": "environment"}


def test_what_serve_chose_is_told_to_be_its_own(
    variables: dict[str, env.Variable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LOG_DIR", "/var/log")
    for name in ("TZ", "LOG_DIR"):
        env.text(name, example="1")

    env.chosen("LOG_DIR", "/srv/log")
    env.chosen("TZ", "UTC")

    told = {name: (one.value, one.source) for name, one in variables.items()}
    assert told == {"TZ": ("UTC", "environment"), "LOG_DIR": ("/srv/log", "serve")}


def test_a_dotenv_changed_after_the_start_is_told(
    at_root: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "was changed after the start" not in text_of(at_root.get("/runtime"))
    (tmp_path / ".env").write_text("PORT=1\n")
    os.utime(tmp_path / ".env", (settings.START_TIME + 60, settings.START_TIME + 60))

    assert "was changed after the start" in text_of(at_root.get("/runtime"))


def test_jobs_are_listed_with_their_last_outcome(at_root: Client) -> None:
    now = int(time.time())
    Lease.objects.create(
        name="reconcile the books",
        first_seen=now - 99,
        last_run_started=now - 90,
        last_run_finished=now - 83,
        last_outcome="ValueError: broken",
    )

    found = {one.job.name: one for one in facts.jobs()}["reconcile the books"]

    assert (found.badge, found.took, found.due, found.overdue) == (
        ("danger", "ValueError: broken"),
        7,
        now - 90 + 86_400,
        False,
    )
    assert "ValueError: broken" in text_of(at_root.get("/runtime"))


def test_a_job_that_should_have_run_is_overdue() -> None:
    Lease.objects.create(name="deliver notices", first_seen=1, last_run_started=1, last_run_finished=2)

    assert {one.job.name: one.overdue for one in facts.jobs()}["deliver notices"] is True


def test_the_jobs_alone_answer_what_polls(at_root: Client) -> None:
    answer = at_root.get("/runtime", headers={"HX-Request": "true", "HX-Target": "jobs"})

    assert "<html" not in text_of(answer)
    assert 'data-poll="10"' in text_of(answer)


def test_the_last_comparison_of_the_books_is_told(at_root: Client) -> None:
    assert "not compared yet" in text_of(at_root.get("/runtime"))
    ReconciliationReport.objects.create(created_at=int(time.time()), duration=1234, difference_count=2)

    page = text_of(at_root.get("/runtime"))

    assert "2 differences" in page
    assert "1.23 s" in page


def test_a_database_that_does_not_answer_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def cursor(self) -> None:
            raise OperationalError("connection to postgres://u:canary@db failed")

    monkeypatch.setattr(facts, "connections", {"default": Away()})

    (found,) = facts.databases()

    assert found.milliseconds is None
    assert "canary" not in found.told


def test_redis_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def client(self) -> Away:
            return self

        def ping(self) -> None:
            raise NoRedis("Error 111 connecting to 127.0.0.1:1")

    monkeypatch.setattr(settings, "REDIS", Away())

    assert (facts.redis().milliseconds, facts.redis().told) == (None, "Error 111 connecting to 127.0.0.1:1")


def test_nobody_below_root_sees_it(adam: User) -> None:
    assert signed_in(adam).get("/runtime").status_code == 403
