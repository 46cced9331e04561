"""Settings that contradict each other, as Django system checks; `manage.py check` and `manage.py serve` run them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution

TAG = "config"


def register_all() -> None:
    register(slave_shares_a_database, TAG)
    register(redis_variables_belong_together, TAG)
    register(frontend_is_for_slaves, TAG)
    register(initial_values_fit, TAG)
    register(timeouts_fit, TAG)


def _on_files() -> bool:
    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


def slave_shares_a_database(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.IS_MASTER:
        return found
    if _on_files():
        found.append(
            Error(
                "NODE_TYPE is slave, but the database is a file of this machine, which no master shares.",
                hint="Set SQL_DSN to the master's PostgreSQL or MySQL database.",
                id="config.E001",
            )
        )
    if not settings.SESSION_SECRET:
        found.append(
            Error(
                "NODE_TYPE is slave, but SESSION_SECRET is not set.",
                hint="Set it to the master's secret (its one-api.secret); else nothing stored can be decrypted.",
                id="config.E002",
            )
        )
    return found


def redis_variables_belong_together(**kwargs: Any) -> list[CheckMessage]:
    if settings.REDIS is None and (settings.REDIS_MASTER_NAME or settings.REDIS_PASSWORD):
        return [
            Caution(
                "REDIS_MASTER_NAME or REDIS_PASSWORD is set, but REDIS_CONN_STRING is not: Redis is not used.",
                id="config.W003",
            )
        ]
    if settings.REDIS is not None and settings.REDIS_PASSWORD and not settings.REDIS_MASTER_NAME:
        return [
            Caution(
                "REDIS_PASSWORD is for sentinels only and has no effect here.",
                hint="Write the password into REDIS_CONN_STRING: redis://:password@host:6379.",
                id="config.W004",
            )
        ]
    return []


def frontend_is_for_slaves(**kwargs: Any) -> list[CheckMessage]:
    if settings.FRONTEND_BASE_URL and settings.IS_MASTER:
        return [Caution("FRONTEND_BASE_URL has an effect on slaves only; this is a master.", id="config.W005")]
    return []


def initial_values_fit(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    token = settings.INITIAL_ROOT_TOKEN.removeprefix("sk-")
    if token and (len(token) > 48 or not token.isascii() or not token.isalnum()):
        found.append(
            Error("INITIAL_ROOT_TOKEN must be at most 48 letters and digits, without dashes.", id="config.E006")
        )
    if len(settings.INITIAL_ROOT_ACCESS_TOKEN) > 32:
        found.append(Error("INITIAL_ROOT_ACCESS_TOKEN must be at most 32 characters.", id="config.E007"))
    return found


def timeouts_fit(**kwargs: Any) -> list[CheckMessage]:
    total = settings.RELAY_TIMEOUT
    if total and total < settings.RELAY_CONNECT_TIMEOUT:
        return [
            Caution(
                f"RELAY_TIMEOUT ({total} s) ends a call before RELAY_CONNECT_TIMEOUT does.",
                id="config.W008",
            )
        ]
    return []
