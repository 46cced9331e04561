"""What an installation does not use is not imported by its start, which it would make longer by half."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ENVIRONMENT, ROOT

COMMAND = "import sys; {}; print(*sys.modules)"
SETTLED = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(ROOT), **ENVIRONMENT}


def imported(statement: str, folder: Path, **settings: str) -> set[str]:
    """The modules that stand in a fresh process after the statement."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(statement)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **SETTLED, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_every_command_does_without_servers_that_are_not_named_and_without_the_management_api(tmp_path: Path) -> None:
    found = imported("import django; django.setup()", tmp_path)
    assert "accounts.services" in found
    assert found & {"redis", "psycopg", "pymysql", "rest_framework.views", "httpx"} == set()


@pytest.mark.parametrize(
    ("setting", "address", "module"),
    [
        ("SQL_DSN", "postgres://one:two@127.0.0.1:1/three", "psycopg"),
        ("SQL_DSN", "mysql://one:two@127.0.0.1:1/three", "pymysql"),
    ],
)
def test_the_driver_of_the_database_that_is_named(setting: str, address: str, module: str, tmp_path: Path) -> None:
    statement = "import django; django.setup(); from django.db import connection"
    assert module in imported(f"{statement}; connection.vendor", tmp_path, **{setting: address})


def test_a_worker_does_without_what_single_providers_sign_with(tmp_path: Path) -> None:
    found = imported("import config.asgi, config.urls", tmp_path)
    assert {"relay.adapters.bedrock.signing", "relay.adapters.vertex.access"} <= found
    assert {one for one in found if one.startswith(("botocore", "google.auth", "redis"))} == set()
