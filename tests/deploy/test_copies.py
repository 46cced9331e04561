"""The copies of a migrated database that servers of the tests start on are what migrating leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import migrated
from tests.conftest import see_that_it_answers
from tests.databases import NAMES, Database, fresh

COLUMNS = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity"
    " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
)
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
)
SCHEMA = {
    "sqlite": ("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name",),
    "postgres": (COLUMNS, INDEXES, CONSTRAINTS),
}
ROWS = (
    "SELECT app, name FROM django_migrations ORDER BY id",
    "SELECT id, app_label, model FROM django_content_type ORDER BY id",
    "SELECT id, content_type_id, codename FROM auth_permission ORDER BY id",
)


def schema(database: Database) -> list[Any]:
    queries = SCHEMA.get(database.kind) or [f"SHOW CREATE TABLE `{name}`" for (name,) in database.rows("SHOW TABLES")]
    return [row for query in queries for row in database.rows(query)]


def rows(database: Database) -> dict[str, list[Any]]:
    return {query: database.rows(query) for query in ROWS}


def filled(database: Database) -> set[str]:
    """The tables with rows."""
    tables = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        "mysql": "SHOW TABLES",
    }
    names = [name for (name,) in database.rows(tables[database.kind])]
    return {name for name in names if database.value(f"SELECT COUNT(*) FROM {name}")}


@pytest.mark.parametrize("kind", NAMES)
def test_a_copy_is_what_migrating_leaves(kind: str, tmp_path: Path) -> None:
    see_that_it_answers(kind)
    (tmp_path / "made").mkdir()
    (tmp_path / "copied").mkdir()
    with fresh(kind, tmp_path / "made") as made, migrated.copy(kind, tmp_path / "copied") as copied:
        migrated.migrate(made, tmp_path)

        assert len(schema(made)) > 40
        assert schema(copied) == schema(made)
        assert rows(copied) == rows(made)
        assert filled(copied) == filled(made)
