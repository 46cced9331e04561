"""What a change of tables does to rows that are there, and to an older version that still writes beside it."""

from __future__ import annotations

from pathlib import Path

from tests.databases import Database
from tests.migrated import migrate

OLD_ROW = (
    "INSERT INTO logs (user_id, created_at, type, content, username, token_name, token_id, model_name, quota,"
    " prompt_tokens, completion_tokens, channel_id, request_id, elapsed_time, is_stream, system_prompt_reset,"
    " estimated, uncollected) VALUES (1, 1, 2, '', 'alice', 't', 1, 'gpt', 7, 10, 5, 1, '{id}', 3, {no}, {no}, {no}, 0)"
)


def write(database: Database, request_id: str) -> None:
    """A log row as the version before the column writes it."""
    database.execute(OLD_ROW.format(id=request_id, no="0" if database.kind != "postgres" else "FALSE"))


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
    empty_database.execute(old.replace("lines", lines).format(1))
    migrate(empty_database, tmp_path)
    empty_database.execute(old.replace("lines", lines).format(2))

    rows = empty_database.rows("SELECT id, last_id, newest, weeks_until FROM usage_catch_up ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, 5, 2, 0), (2, 5, 2, 0)]
    assert empty_database.value("SELECT COUNT(*) FROM usage_weeks") == 0
