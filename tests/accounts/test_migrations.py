"""What the tables of accounts gain, seen from rows that were there before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.databases import Database
from tests.migrated import migrate
from tests.server import ROOT

BEFORE = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection
store = import_module(settings.SESSION_ENGINE).SessionStore
for user_id in ("7", "8", None):
    session = store()
    if user_id:
        session["_auth_user_id"] = user_id
    session.create()
"""


def shell(database: Database, folder: Path, script: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "SESSION_SECRET": "a secret of the tests, long enough to be taken seriously",
        **database.environment,
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "--no-imports", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]


def test_sessions_from_before_are_known_by_their_user(empty_database: Database, tmp_path: Path) -> None:
    migrate(empty_database, tmp_path, "sessions")
    migrate(empty_database, tmp_path, "accounts", "0001")
    shell(empty_database, tmp_path, BEFORE)

    migrate(empty_database, tmp_path)

    rows = empty_database.rows("SELECT user_id, method, seen_at FROM user_sessions ORDER BY user_id")
    assert [tuple(row) for row in rows] == [(7, "", 0), (8, "", 0)]
    assert empty_database.value("SELECT COUNT(*) FROM django_session") == 3
