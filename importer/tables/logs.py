"""Log lines, in batches, into the database that holds the log here. Far too many to keep in memory: read twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connections, transaction

from billing import usage_catch_up
from billing.models import Log
from importer.report import Sum
from importer.tables.base import Context, reset_sequence
from importer.values import Row

NUMBERS = ("user_id", "created_at", "type", "quota", "prompt_tokens", "completion_tokens", "channel_id", "elapsed_time")
FLAGS = ("is_stream", "system_prompt_reset")
LIMITS = {"username": 64, "token_name": 64, "model_name": 191, "request_id": 40}
COLUMNS = ("id", *NUMBERS, *FLAGS, "content", *LIMITS)
SAME = ("user_id", "created_at", "type")  # with the id, what makes a line the one that was imported
SUMMED = ("quota", "prompt_tokens", "completion_tokens")
PAGE = 5_000  # lines in one transaction


class Logs:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.report = context.report
        self.table = context.report.table("logs")
        self._alias = settings.LOG_DATABASE_ALIAS
        self._from: int | None = None
        self._planned = dict.fromkeys(SUMMED, 0)  # of the lines that are not here yet
        self._here = dict.fromkeys(SUMMED, 0)  # of those that are

    def plan(self) -> None:
        source = self.context.log_source
        if not source.has("logs"):
            self.report.warnings.append("the source has no table logs (LOG_SQL_DSN may name it: --logs)")
            return
        self.table.missing_columns = [name for name in COLUMNS if name not in source.columns("logs")]
        self.table.read, *totals = source.sums("logs", SUMMED)
        if self.context.log_limit is not None:
            self._from = source.newest_ids_begin("logs", self.context.log_limit)
        taken = source.sums("logs", SUMMED, self._from)
        if older := self.table.read - taken[0]:
            self.table.left_out[f"older than the newest {self.context.log_limit:,}"] = older
        for name, total, part in zip(SUMMED, totals, taken[1:], strict=True):
            self.table.left_out_sums[name] = total - part
        for page in self._pages():
            self._plan(page)

    def write(self) -> None:
        if not self.table.imported:
            return
        quiet = type(self.table)(self.table.name)  # what there is to note was noted when planning
        for page in self._pages():
            here = self._stored(page)
            if new := [_read(Row(values, quiet)) for values in page if values["id"] not in here]:
                with transaction.atomic():
                    _insert(self._alias, new)
                    usage_catch_up.add_late(new)
        reset_sequence(Log, using=self._alias)

    def account(self) -> None:
        source = self.context.log_source
        if not self.report.dry_run:
            self._here = dict.fromkeys(SUMMED, 0)
            for page in self._pages():
                for stored in self._stored(page).values():
                    for name in SUMMED:
                        self._here[name] += stored[name]
        for name, total in zip(SUMMED, source.sums("logs", SUMMED)[1:], strict=True):
            here = self._here[name] + (self._planned[name] if self.report.dry_run else 0)
            left_out, adjusted = self.table.left_out_sums[name], self.table.adjusted_sums[name]
            self.report.sums.append(Sum(f"logs.{name}", total, left_out, adjusted, here))

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        page: list[dict[str, Any]] = []
        for values in self.context.log_source.rows("logs", COLUMNS, self._from):
            page.append(values)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    def _stored(self, page: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """The lines here under ids of the page."""
        ids = {values["id"] for values in page}
        rows = Log.objects.using(self._alias).filter(id__gte=page[0]["id"], id__lte=page[-1]["id"])
        return {row["id"]: row for row in rows.values("id", *SAME, *SUMMED) if row["id"] in ids}

    def _plan(self, page: Sequence[dict[str, Any]]) -> None:
        here = self._stored(page)
        for values in page:
            line = _read(Row(values, self.table))
            stored = here.get(line["id"])
            if stored is None:
                self.table.imported += 1
                for name in SUMMED:
                    self._planned[name] += line[name]
                continue
            for name in SUMMED:
                self._here[name] += stored[name]
            if any(stored[name] != line[name] for name in SAME):
                self.report.clash(
                    "logs", line["id"], "the id is taken here by another line; --log-limit 0 leaves logs out"
                )
            elif names := [name for name in SUMMED if stored[name] != line[name]]:
                self.table.differ(line["id"], names)
            else:
                self.table.unchanged += 1


def _read(row: Row) -> dict[str, Any]:
    """The line as columns here."""
    return {
        "id": row.id,
        **{name: row.integer(name) for name in NUMBERS},
        **{name: row.flag(name) for name in FLAGS},
        "content": row.text("content"),
        **{name: row.text(name, limit) for name, limit in LIMITS.items()},
    }


def _insert(alias: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """One transaction. A model instance for every line would take most of the import's time."""
    connection = connections[alias]
    defaults = {str(field.column): field.get_default() for field in Log._meta.concrete_fields}
    names = ", ".join(map(connection.ops.quote_name, defaults))
    marks = ", ".join(["%s"] * len(defaults))
    rows = [[line.get(column, default) for column, default in defaults.items()] for line in lines]
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {Log._meta.db_table} ({names}) VALUES ({marks})", rows)  # noqa: S608
