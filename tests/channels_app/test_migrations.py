"""What a change of tables does to channels and runs that are there, and to an older version that writes beside it."""

from __future__ import annotations

from pathlib import Path

from tests.databases import Database
from tests.migrated import migrate

OLD_RUN = (
    "INSERT INTO channel_test_runs (scope, model, started_by, started, finished, total, holder, cancelled, ended)"
    " VALUES ('all', '', 'root', 1, 2, 0, '', FALSE, 'finished')"
)
NUMBERS = (
    *("type", "status", "weight", "created_time", "test_time", "response_time", "balance", "balance_updated_time"),
    *("used_quota", "priority", "status_time"),
)
TEXTS = (
    *("key", "name", "base_url", "other", "models", "group", "model_mapping", "config", "system_prompt"),
    "status_reason",
)


def old_channel(database: Database) -> str:
    quote = "`" if database.kind == "mysql" else '"'
    names = ", ".join(f"{quote}{name}{quote}" for name in (*NUMBERS, *TEXTS))
    values = ", ".join([*("1" for _ in NUMBERS), *("'x'" for _ in TEXTS)])
    return f"INSERT INTO channels ({names}, refuses_stream_options) VALUES ({values}, FALSE)"


def test_channels_from_before_have_no_schedule_and_runs_had_ten_at_a_time(
    empty_database: Database, tmp_path: Path
) -> None:
    migrate(empty_database, tmp_path, "channels_app", "0007")
    for statement in (OLD_RUN, old_channel(empty_database)):
        empty_database.execute(statement)
    migrate(empty_database, tmp_path, "channels_app")
    for statement in (OLD_RUN, old_channel(empty_database)):
        empty_database.execute(statement)

    assert [tuple(row) for row in empty_database.rows("SELECT at_once FROM channel_test_runs")] == [(10,), (10,)]
    assert [tuple(row) for row in empty_database.rows("SELECT test_every FROM channels")] == [(None,), (None,)]
