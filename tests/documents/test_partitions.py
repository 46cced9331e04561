"""The SQL of docs/scaling.md cuts the log table by months, on the real servers, and no line is lost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from django.conf import settings
from django.db import connections

from billing.models import Log, LogType
from billing.retention import BATCH
from config.dsn import Pool
from config.dsn import database as django_database
from tests import databases
from tests.databases import Database
from tests.documents.pages import blocks

ALIAS = "partitioned"
NOW = int(time.time())
YEAR = 365 * 24 * 3600
MONTH = re.compile(r"(20\d\d)([-_])(\d\d)")


@pytest.fixture(params=["postgres", "mysql"])
def log(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any) -> Iterator[Database]:
    """A database with the log table alone, as the migrations leave it, and 50 lines, one each three weeks until now."""
    if databases.version(request.param) is None:
        databases.missing(f"{request.param} does not answer")
    pymysql.install_as_MySQLdb()  # as the settings do where an address is MySQL's
    with databases.fresh(request.param, tmp_path) as made, django_db_blocker.unblock():
        described = {**connections.settings["default"], **django_database(made.environment["SQL_DSN"], Pool(idle=0))}
        connections.settings[ALIAS] = described
        try:
            with connections[ALIAS].schema_editor() as editor:
                editor.create_model(Log)
            Log.objects.using(ALIAS).bulk_create([line(NOW - days * 24 * 3600) for days in range(0, 1050, 21)])
            yield made
        finally:
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.settings[ALIAS]


def line(created_at: int) -> Log:
    return Log(user_id=1, created_at=created_at, type=LogType.CONSUME, model_name="gpt-4", quota=7, request_id="r")


def statements(language: str) -> list[str]:
    """Once, monthly, and to forget."""
    found = blocks("scaling.md", language)
    assert len(found) == 3
    assert blocks("scaling.zh.md", language) == found
    return found if language == "postgresql" else of_this_month(found)


def of_this_month(texts: list[str]) -> list[str]:
    """The months as whoever follows the page today would name them: the first one on it is the present one."""
    named = MONTH.search(texts[0])
    assert named is not None
    today = time.gmtime(NOW)
    later = (today.tm_year - int(named[1])) * 12 + today.tm_mon - int(named[3])

    def moved(month: re.Match[str]) -> str:
        number = int(month[1]) * 12 + int(month[3]) - 1 + later
        return f"{number // 12}{month[2]}{number % 12 + 1:02}"

    return [MONTH.sub(moved, text) for text in texts]


def run(kind: str, text: str) -> None:
    with connections[ALIAS].cursor() as cursor:
        if kind == "postgres":
            cursor.execute(text)
            return
        for statement in text.split(";"):
            if statement.strip():
                cursor.execute(statement)


def test_a_log_cut_by_months_keeps_its_lines_and_takes_new_ones(log):
    once, monthly, forget = statements("postgresql" if log.kind == "postgres" else "mysql")
    lines = Log.objects.using(ALIAS)
    numbers = sorted(lines.values_list("id", flat=True))

    run(log.kind, once)

    assert sorted(lines.values_list("id", flat=True)) == numbers
    new = lines.create(
        **{f.attname: getattr(line(NOW), f.attname) for f in Log._meta.concrete_fields if f.name != "id"}
    )
    assert new.pk > numbers[-1]

    run(log.kind, monthly)
    lines.bulk_create([line(NOW + days * 24 * 3600) for days in (35, 65, 2000)])

    assert lines.count() == 54
    assert partitions(log) >= 4
    old = list(lines.filter(created_at__lt=NOW - YEAR).values_list("pk", flat=True)[:BATCH])
    assert lines.filter(pk__in=old).count() == 32

    run(log.kind, forget)

    assert lines.filter(created_at__lt=NOW - YEAR).count() == 0
    assert lines.filter(created_at__gt=NOW).count() == 3


def partitions(log: Database) -> int:
    if log.kind == "postgres":
        return int(log.value("SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'logs'::regclass"))
    return int(
        log.value(
            "SELECT COUNT(*) FROM information_schema.partitions WHERE table_schema = DATABASE() AND table_name = 'logs'"
        )
    )


def test_the_page_names_every_index_of_the_log():
    once = statements("postgresql")[0]
    assert settings.configured
    assert [index.name for index in Log._meta.indexes if f"CREATE INDEX {index.name} ON" not in once] == []
