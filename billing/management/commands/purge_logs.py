"""manage.py purge_logs [--days N]: delete old log lines now, in batches."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.retention import keep_days


class Command(BaseCommand):
    help = "Delete log lines older than LOG_RETENTION_DAYS, or than --days, now. The ledger stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, help="instead of LOG_RETENTION_DAYS")

    def handle(self, *_: Any, **options: Any) -> None:
        days = settings.LOG_RETENTION_DAYS if options["days"] is None else options["days"]
        if days <= 0:
            raise CommandError("LOG_RETENTION_DAYS is 0: log lines are kept for ever. Give --days to delete some.")
        self.stdout.write(f"Deleted {keep_days(days):,} log lines.")
