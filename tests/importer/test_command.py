"""`manage.py import_one_api` as a process, on a database of its own: exit codes, the report, and being cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import databases, migrated
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.importer import one_api
from tests.server import ENVIRONMENT, INHERITED, ROOT

PATIENCE = 120  # seconds


class Operator:
    """Runs the program's commands on one database."""

    def __init__(self, database: Database, folder: Path, **settings: str) -> None:
        self.database = database
        self.folder = folder
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.environment = {**inherited, **ENVIRONMENT, **database.environment, **settings}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output

    def report(self, *arguments: str) -> dict[str, Any]:
        """The JSON report of an import that must succeed."""
        code, output = self.run("import_one_api", *arguments, "--report", "report.json")
        assert code == 0, output
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report


@pytest.fixture
def operator(database: Database, tmp_path: Path) -> Operator:
    """Whoever runs a fresh installation, on each database in turn."""
    made = Operator(database, tmp_path)
    assert made.run("seed_root")[0] == 0
    return made


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Operator]:
    """The same on SQLite only, migrated and without root."""
    (tmp_path / "here").mkdir()
    with migrated.copy("sqlite", tmp_path / "here") as made:
        yield Operator(made, tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Operator:
    """Before the first start, on SQLite."""
    (tmp_path / "here").mkdir()
    return Operator(Database("sqlite", str(tmp_path / "here" / "one-api.db"), databases.Server.of("sqlite")), tmp_path)


@pytest.mark.parametrize("kind", databases.NAMES)
def test_from_each_kind_of_database_into_each(kind: str, operator: Operator, tmp_path: Path):
    if databases.version(kind) is None:
        databases.missing(f"{kind} does not answer")
    with one_api.made(tmp_path / "old", kind) as old:
        one_api.fill(old, users=3, tokens=4, channels=2, logs=9)

        first, second = operator.report(old.address), operator.report(old.address)

    assert first["ok"]
    assert {name: table["imported"] for name, table in first["tables"].items()} == {
        "users": 3,
        "tokens": 4,
        "channels": 2,
        "abilities": 8,
        "options": 6,
        "redemptions": 3,
        "logs": 9,
    }
    assert all(each["equal"] for each in first["sums"])
    assert not any(table["imported"] for table in second["tables"].values())
    assert operator.database.value("SELECT COUNT(*) FROM users") == 3
    assert operator.database.value("SELECT SUM(quota) FROM logs") == 9 * 7


@pytest.mark.timeout(600)
def test_cut_off_in_the_middle_and_run_again(operator: Operator, tmp_path: Path):
    with one_api.made(tmp_path / "old") as old:
        one_api.fill(old, users=600, tokens=1_000, channels=20, logs=20_000)
        process = operator.start("import_one_api", old.address)
        seen = 0
        deadline = time.monotonic() + PATIENCE
        while not seen and process.poll() is None and time.monotonic() < deadline:
            seen = operator.database.value("SELECT COUNT(*) FROM logs")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert 0 < operator.database.value("SELECT COUNT(*) FROM logs") < 20_000

        report = operator.report(old.address)

    assert report["tables"]["users"]["unchanged"] == 600
    assert 0 < report["tables"]["logs"]["imported"] < 20_000
    assert all(each["equal"] for each in report["sums"])
    assert report["broken_books"] == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("batches", [1, 2, 3])
def test_cut_off_between_batches_of_users(batches: int, ready: Operator, tmp_path: Path):
    """Killed as soon as one, two or three batches of users are there: root came with the first."""
    assert ready.run("seed_root")[0] == 0
    with one_api.made(tmp_path / "old") as old:
        one_api.fill(old, users=2_500, tokens=2_500, channels=2, logs=10)
        process = ready.start("import_one_api", old.address)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            if ready.database.value("SELECT COUNT(*) FROM users") >= batches * 500:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()

        report = ready.report(old.address)

    assert report["tables"]["users"]["imported"] + report["tables"]["users"]["unchanged"] == 2_500
    assert ready.database.value("SELECT COUNT(*) FROM ledger_entries") == 2_500
    assert all(each["equal"] for each in report["sums"])


def test_before_the_first_start_and_then_served_by_the_imported_root(here: Operator, tmp_path: Path):
    with one_api.made(tmp_path / "old") as old:
        one_api.fill(old, users=2, tokens=2, channels=1, logs=2)

        here.report(old.address)

    code, output = here.run("seed_root")
    assert (code, "There are accounts already" in output) == (0, True)


def test_a_dry_run_asks_for_the_migrations_and_makes_none(here: Operator, tmp_path: Path):
    with one_api.made(tmp_path / "old") as old:
        code, output = here.run("import_one_api", old.address, "--dry-run")

    assert code == 1
    assert "manage.py prepare" in output


def test_clashes_exit_with_1_and_are_in_the_report(ready: Operator, tmp_path: Path):
    with one_api.made(tmp_path / "one") as one, one_api.made(tmp_path / "two") as two:
        one_api.fill(one, users=2, tokens=1, channels=1, logs=1)
        two.add("users", one_api.root(), one_api.user(2, username="somebody-else"))
        ready.report(one.address)

        code, output = ready.run("import_one_api", two.address, "--report", "report.json")

    assert code == 1
    assert "NOTHING WAS WRITTEN" in output
    clashes = json.loads((tmp_path / "report.json").read_text())["clashes"]
    assert {"table": "users", "id": 2, "text": "the id is taken here by 'user2'"} in clashes


def test_logs_may_be_in_a_database_of_their_own_on_both_sides(here: Operator, tmp_path: Path):
    logs = Database("sqlite", str(tmp_path / "here" / "logs.db"), databases.Server.of("sqlite"))
    here.environment["LOG_SQL_DSN"] = f"sqlite:///{logs.name}"
    with one_api.made(tmp_path / "old") as old, one_api.made(tmp_path / "old-logs") as old_logs:
        one_api.fill(old, users=2, tokens=1, channels=1, logs=1)
        old.run("DROP TABLE logs")
        old_logs.add("logs", *(one_api.log(number, 1) for number in range(1, 6)))

        report = here.report(old.address, "--logs", old_logs.address)

    assert report["tables"]["logs"]["imported"] == 5
    assert logs.value("SELECT COUNT(*) FROM logs") == 5


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.db", "this is no file"),
        ("sqlite:///nowhere.db", "there is no file"),
        ("README", "no database of One API"),
        ("postgres://somebody:secret@127.0.0.1:1/none", "cannot be opened"),
        ("somebody:secret@tcp(127.0.0.1:1)/none", "cannot be opened"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(ready: Operator, tmp_path: Path, source: str, message: str):
    (tmp_path / "README").write_bytes(b"")

    code, output = ready.run("import_one_api", source)

    assert code == 1
    assert message in output
    assert "secret" not in output
    assert "Traceback" not in output


def test_a_database_of_this_program_is_refused(ready: Operator, tmp_path: Path):
    assert ready.run("seed_root")[0] == 0

    code, output = ready.run("import_one_api", ready.database.name)

    assert code == 1
    assert "is a database of this program" in output


def test_the_source_is_never_written(ready: Operator, tmp_path: Path):
    with one_api.made(tmp_path / "old") as old:
        one_api.fill(old, users=2, tokens=1, channels=1, logs=1)
        before = Path(old.address).read_bytes()

        ready.report(old.address)

        assert Path(old.address).read_bytes() == before


def test_served_after_the_import(gateway: MakeGateway, database: Database, upstream: FakeUpstream, tmp_path: Path):
    """The imported token calls a model through the imported channel and is billed; the old password signs in."""
    server = gateway(database)
    server.stop()
    with one_api.made(tmp_path / "old") as old:
        one_api.fill(old, users=2, tokens=2, channels=1, logs=2)
        old.run(f"UPDATE channels SET base_url = '{upstream.url}'", "UPDATE tokens SET remain_quota = 100000")
        old.run("UPDATE users SET quota = 1000000 WHERE id = 2")

        Operator(database, tmp_path).report(old.address)

    server.restart()  # root's token of the first start is asked for its models: it has moved to the imported root
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
    status, answer = server.call(one_api.key(2), "POST", "/v1/chat/completions", body)
    credentials = {"username": "user2", "password": one_api.PASSWORD}
    signed_in = httpx.post(f"{server.base_url}/api/user/login", json=credentials).json()

    assert status == 200, answer
    assert signed_in["success"], signed_in
    charged = 1_000_000 - database.value("SELECT quota FROM users WHERE id = 2")
    assert charged > 0
    assert database.value("SELECT SUM(amount) FROM ledger_entries WHERE user_id = 2") == 1_000_000 - charged
    assert database.value("SELECT id FROM logs ORDER BY id DESC LIMIT 1") == 3  # after the imported two
    assert str(database.value("SELECT password FROM users WHERE id = 2")).startswith("argon2")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_size_of_a_real_installation(operator: Operator, tmp_path: Path):
    """A fifth of the log lines where each costs more, which is where they would only be more of the same."""
    logs = 100_000 if operator.database.kind == "sqlite" else 20_000
    with one_api.made(tmp_path / "old") as old:
        one_api.fill(old, users=1_000, tokens=5_000, channels=200, logs=logs)

        first, second = operator.report(old.address), operator.report(old.address)

    print(f"{operator.database.kind}: first {first['seconds']} s, second {second['seconds']} s")
    assert {name: table["imported"] for name, table in first["tables"].items()} == {
        "users": 1_000,
        "tokens": 5_000,
        "channels": 200,
        "abilities": 800,
        "options": 6,
        "redemptions": 3,
        "logs": logs,
    }
    assert all(each["equal"] for each in first["sums"])
    assert not any(table["imported"] or table["differing"] for table in second["tables"].values())
