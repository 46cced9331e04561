"""The commands that operators of PostgreSQL and MariaDB are told, run as they are told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from backups import commands
from config import dsn
from tests import databases

POOL = dsn.Pool(1, 1, 60, 3000)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tool"), [("postgres", "pg_dump"), ("mysql", "mariadb-dump")])
def test_what_a_dump_holds_comes_back(kind: str, tool: str, tmp_path: Path) -> None:
    if databases.version(kind) is None or shutil.which(tool) is None:
        databases.missing(f"{kind} or {tool} is not there")
    with databases.fresh(kind, tmp_path) as made:
        entry = dsn.database(made.server.address(made.name), POOL)
        password = {"PGPASSWORD": entry["PASSWORD"], "MYSQL_PWD": entry["PASSWORD"], "PATH": "/usr/bin:/bin"}

        def run(command: str) -> None:
            asked = command.replace(" --password ", " ")  # there is nobody to ask
            subprocess.run(asked, shell=True, check=True, cwd=tmp_path, env=password, timeout=60)

        binary = "BYTEA" if kind == "postgres" else "LONGBLOB"
        execute(made, f"CREATE TABLE told (id BIGINT PRIMARY KEY, words TEXT, raw {binary})")
        execute(made, "INSERT INTO told VALUES (1, '你好 🙂', '\x01'), (2, NULL, NULL)")
        before = made.rows("SELECT * FROM told ORDER BY id")
        run(commands.dump(entry, "default.dump"))
        execute(made, "DELETE FROM told")
        run(commands.load(entry, "default.dump"))

        assert made.rows("SELECT * FROM told ORDER BY id") == before
        assert len(before) == 2


def execute(database: databases.Database, statement: str) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
