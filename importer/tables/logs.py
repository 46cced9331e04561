"""Log lines, in batches, into the database that holds the log here. Far too many to keep in memory: read twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from billing.models import Log
from importer.report import Sum
from importer.tables.base import Context, reset_sequence
from importer.values import Row

COLUMNS = (
    *("id", "user_id", "created_at", "type", "content", "username", "token_name", "model_name", "quota"),
    *("prompt_tokens", "completion_tokens", "channel_id", "request_id", "elapsed_time", "is_stream"),
    "system_prompt_reset",
)
LIMITS = {"username": 64, "token_name": 64, "model_name": 191, "request_id": 40}
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
            new = [self._log(Row(values, quiet)) for values in page if values["id"] not in here]
            if new:
                with transaction.atomic(using=self._alias):
                    Log.objects.using(self._alias).bulk_create(new)
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
            log = self._log(Row(values, self.table))
            stored = here.get(log.pk)
            if stored is None:
                self.table.imported += 1
                for name in SUMMED:
                    self._planned[name] += getattr(log, name)
                continue
            for name in SUMMED:
                self._here[name] += stored[name]
            if any(stored[name] != getattr(log, name) for name in SAME):
                self.report.clash("logs", log.pk, "the id is taken here by another line; --log-limit 0 leaves logs out")
            elif names := [name for name in SUMMED if stored[name] != getattr(log, name)]:
                self.table.differ(log.pk, names)
            else:
                self.table.unchanged += 1

    @staticmethod
    def _log(row: Row) -> Log:
        return Log(
            id=row.id,
            user_id=row.integer("user_id"),
            created_at=row.integer("created_at"),
            type=row.integer("type"),
            content=row.text("content"),
            quota=row.integer("quota"),
            prompt_tokens=row.integer("prompt_tokens"),
            completion_tokens=row.integer("completion_tokens"),
            channel_id=row.integer("channel_id"),
            elapsed_time=row.integer("elapsed_time"),
            is_stream=row.flag("is_stream"),
            system_prompt_reset=row.flag("system_prompt_reset"),
            **{name: row.text(name, limit) for name, limit in LIMITS.items()},
        )
