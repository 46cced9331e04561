"""DEBUG_SQL: every statement goes to the log, without its parameters, which may be personal or secret."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


class WithoutParameters(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        told = vars(record)
        if "sql" in told:
            record.msg, record.args = "%.1f ms %s: %s", (told["duration"] * 1000, told["alias"], told["sql"])
        return True


def start() -> None:
    if settings.DEBUG_SQL:
        connection_created.connect(_record, dispatch_uid="config.sql_log")


def _record(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    connection.force_debug_cursor = True
