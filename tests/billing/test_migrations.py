"""What a change of tables does to rows that are there, and to an older version that still writes beside it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.databases import Database
from tests.server import ROOT

OLD_ROW = (
    "INSERT INTO logs (user_id, created_at, type, content, username, token_name, token_id, model_name, quota,"
    " prompt_tokens, completion_tokens, channel_id, request_id, elapsed_time, is_stream, system_prompt_reset,"
    " estimated, uncollected) VALUES (1, 1, 2, '', 'alice', 't', 1, 'gpt', 7, 10, 5, 1, '{id}', 3, {no}, {no}, {no}, 0)"
)


def migrate(database: Database, folder: Path, *target: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "SESSION_SECRET": "a secret of the tests, long enough to be taken seriously",
        **database.environment,
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0", "--skip-checks", *target],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]


def write(database: Database, request_id: str) -> None:
    """A log row as the version before the column writes it."""
    execute(database, OLD_ROW.format(id=request_id, no="0" if database.kind != "postgres" else "FALSE"))


def execute(database: Database, statement: str) -> None:
    connection: Any = sqlite3.connect(database.name) if database.kind == "sqlite" else database.connect()
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        connection.commit()


def test_log_rows_gain_their_details_without_losing_anything(empty_database: Database, tmp_path: Path) -> None:
    migrate(empty_database, tmp_path, "billing", "0003")
    write(empty_database, "before")
    migrate(empty_database, tmp_path)
    write(empty_database, "meanwhile")

    rows = empty_database.rows("SELECT request_id, quota, usage_details FROM logs ORDER BY id")
    assert [tuple(row) for row in rows] == [("before", 7, ""), ("meanwhile", 7, "")]
    assert empty_database.value("SELECT COUNT(*) FROM price_sheets") == 0


def test_log_rows_gain_what_is_told_of_calls(empty_database: Database, tmp_path: Path) -> None:
    migrate(empty_database, tmp_path, "billing", "0005")
    write(empty_database, "before")
    migrate(empty_database, tmp_path)
    write(empty_database, "meanwhile")

    rows = empty_database.rows(
        "SELECT request_id, quota, status, error_code, ip, cached_tokens, first_token_time, upstream_model, user_agent"
        " FROM logs ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [(name, 7, 0, "", "", 0, 0, "", "") for name in ("before", "meanwhile")]


def test_of_usage_that_is_there_no_week_is_taken_for_summed_up(empty_database: Database, tmp_path: Path) -> None:
    migrate(empty_database, tmp_path, "billing", "0008")
    old = "INSERT INTO usage_catch_up (id, last_id, started_at, newest, lines) VALUES ({}, 5, 1, 2, 3)"
    lines = "`lines`" if empty_database.kind == "mysql" else "lines"
    execute(empty_database, old.replace("lines", lines).format(1))
    migrate(empty_database, tmp_path)
    execute(empty_database, old.replace("lines", lines).format(2))

    rows = empty_database.rows("SELECT id, last_id, newest, weeks_until FROM usage_catch_up ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, 5, 2, 0), (2, 5, 2, 0)]
    assert empty_database.value("SELECT COUNT(*) FROM usage_weeks") == 0
