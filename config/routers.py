"""Which database a model lives in: the log table alone moves to LOG_SQL_DSN where that is set."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Model

LOGS = "logs"
LOG_MODEL = ("billing", "log")


class LogRouter:
    """Reads, writes and migrations of `billing.Log` go to settings.LOG_DATABASE_ALIAS, and nothing else does."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return settings.LOG_DATABASE_ALIAS if _is_log(model) else None

    db_for_write = db_for_read

    def allow_relation(self, first: Model, second: Model, **hints: Any) -> bool | None:
        """Log rows name others by id; no relation crosses. `request.user` is a stand-in that has `_meta` too."""
        return None if _is_log(first) == _is_log(second) else False

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        """An operation that names no model (RunPython, RunSQL) runs on the main database only."""
        if settings.LOG_DATABASE_ALIAS != LOGS:
            return None
        is_log = (app_label, (model_name or "").lower()) == LOG_MODEL
        return is_log == (db == LOGS)


def _is_log(model: Model | type[Model]) -> bool:
    return (model._meta.app_label, model._meta.model_name) == LOG_MODEL
