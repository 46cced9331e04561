"""What is known of this node and of what it depends on, gathered when the page asks. Every look is bounded in time."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from billing.models import Hold, LogOutbox, ReconciliationReport
from config import env
from config.logging import mask
from jobs import leases
from jobs.leases import OK, State
from jobs.schedule import Job
from jobs.table import JOBS
from notices.models import OutboxMessage, OutboxStatus
from telemetry import board

SOURCES: dict[str, tuple[str, str | Promise]] = {
    "environment": ("info", gettext_lazy("environment")),
    ".env": ("info", ".env"),
    "file": ("info", gettext_lazy("file")),
    "serve": ("neutral", "manage.py serve"),
    "": ("neutral", pgettext_lazy("where a setting comes from", "default")),
}


@dataclass(frozen=True)
class Setting:
    """A variable of the environment: its value in force, which of a secret is only that there is one."""

    name: str
    value: str
    set: bool
    badge: tuple[str, str | Promise]


def variables(words: str = "", *, only_set: bool = False) -> list[Setting]:
    """By name. The lower-case spellings of the proxies' variables are listed where they are set."""
    found = []
    for name in sorted(env.READ):
        read = env.READ[name]
        if (not read.source and (only_set or name.islower())) or words.casefold() not in name.casefold():
            continue
        hidden = "••••••" if read.source else ""
        value = hidden if read.hidden else mask(read.value or read.default)
        found.append(Setting(name, value, bool(read.source), SOURCES[read.source]))
    return found


def stale() -> bool:
    """Whether .env was written after the start: what it says now is not in force."""
    path = Path.cwd() / ".env"
    return path.is_file() and path.stat().st_mtime > settings.START_TIME + 1


@dataclass(frozen=True)
class Reach:
    """Something this node depends on. `milliseconds` of one question; None: it does not answer, `told` says why."""

    name: str
    told: str
    milliseconds: int | None
    unused: bool = False


def databases() -> list[Reach]:
    labels = {"default": _("Database"), "logs": _("Database of the logs")}
    return [_database(alias, labels.get(alias, alias)) for alias in connections]


def _database(alias: str, label: str) -> Reach:
    connection: Any = connections[alias]
    began = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        taken = time.monotonic() - began
        version = _version(connection)
    except (DatabaseError, InterfaceError) as error:
        return Reach(label, mask(" ".join(str(error).split()))[:200], None)
    where = connection.settings_dict["NAME"]
    return Reach(label, f"{version} · {where}", round(taken * 1000))


def _version(connection: Any) -> str:
    numbers = connection.Database.sqlite_version_info if connection.vendor == "sqlite" else None
    numbers = numbers or connection.get_database_version()
    name = connection.display_name
    if connection.vendor == "mysql" and connection.mysql_is_mariadb:
        name = "MariaDB"
    return f"{name} {'.'.join(map(str, numbers))}"


def redis() -> Reach:
    if settings.REDIS is None:
        return Reach(
            "Redis", _("not set: limits are kept in the database, and one node finds changes by polling"), None, True
        )
    from redis.exceptions import RedisError

    began = time.monotonic()
    try:
        settings.REDIS.client().ping()
    except (RedisError, OSError) as error:
        return Reach("Redis", mask(" ".join(str(error).split()))[:200], None)
    return Reach("Redis", _("answers"), round((time.monotonic() - began) * 1000))


@dataclass(frozen=True)
class ShownJob:
    """`badge`: how the last run ended. `due`: Unix seconds, 0 while the job is off. `took`: seconds of the last run."""

    job: Job
    every: int
    state: State
    badge: tuple[str, str | Promise]
    due: int
    overdue: bool
    took: int


def jobs() -> list[ShownJob]:
    """One query."""
    states = leases.states([job.name for job in JOBS])
    return [_job(job, states[job.name]) for job in JOBS]


def _job(job: Job, state: State) -> ShownJob:
    due = job.due_at(state) if state.first_seen or state.started else None
    late = due is not None and due < time.time() - 60 and not state.running
    took = max(state.finished - state.started, 0) if state.finished >= state.started else 0
    return ShownJob(job, job.every_seconds() or 0, state, _outcome(job, state), due or 0, late, took)


def _outcome(job: Job, state: State) -> tuple[str, str]:
    if state.running:
        return "info", _("runs")
    if not state.started:
        return ("neutral", _("off")) if not job.every_seconds() else ("neutral", _("has not run yet"))
    if state.outcome == OK:
        return "success", _("went well")
    return "danger", state.outcome or _("broke off")


def waiting() -> list[tuple[str, int]]:
    """What is on its way, in numbers (three queries)."""
    messages = OutboxMessage.objects.filter(status=OutboxStatus.WAITING)
    found = [(_("Calls that are open"), Hold.objects.count()), (_("Messages to be sent"), messages.count())]
    if settings.LOG_DATABASE_ALIAS != "default":
        found.append((_("Log lines on their way to their database"), LogOutbox.objects.count()))
    return found


def last_report() -> ReconciliationReport | None:
    return ReconciliationReport.objects.order_by("-pk").first()


def versions() -> Sequence[tuple[str | Promise, str]]:
    return (
        ("One API", settings.VERSION),
        ("Django", django.get_version()),
        ("Python", platform.python_version()),
        (_("System"), platform.platform(terse=True)),
        (_("Node"), _("master") if settings.IS_MASTER else _("slave")),
        (_("Processes that serve"), str(board.workers())),
        (_("This process"), str(os.getpid())),
    )
