"""`manage.py import_one_api SOURCE`: move in from an existing One API database (docs/migration-from-one-api.md)."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import startup
from config.checks import TAG
from config.migrating import StillMigrating, locked, pending
from importer import plan
from importer.report import Report
from importer.source import CannotRead, opened
from importer.tables.users import ChangedMeanwhile


class Command(BaseCommand):
    help = (
        "Import users, tokens, channels, options, redemption codes and logs of an existing One API database. "
        "Exit code 0: all came over and the sums are equal. Running it again changes nothing."
    )
    requires_system_checks = [TAG]  # the other checks are about code, and import every view

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source", help="SQLite file, sqlite:///, mysql://, postgres:// or user:password@tcp(host:3306)/database"
        )
        parser.add_argument("--logs", metavar="SOURCE", help="where the logs are, if the old LOG_SQL_DSN was set")
        parser.add_argument("--log-limit", metavar="N", type=int, help="only the newest N log lines; 0 is none")
        parser.add_argument("--dry-run", action="store_true", help="write nothing, print the same report")
        parser.add_argument("--report", metavar="FILE", help="write the whole report as JSON")
        parser.add_argument(
            "--replace-root", action="store_true", help="let root give way even if somebody signed in as root here"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["log_limit"] is not None and options["log_limit"] < 0:
            raise CommandError("--log-limit: a number of lines, or 0 for none")
        self._prepare(dry_run=options["dry_run"])
        try:
            report = self._import(options)
        except (CannotRead, ChangedMeanwhile) as error:
            raise CommandError(str(error)) from None
        except StillMigrating:
            raise CommandError(startup.BUSY) from None
        self.stdout.write(report.as_text())
        if options["report"]:
            text = json.dumps(report.as_json(), ensure_ascii=False, indent=2)
            Path(options["report"]).write_text(text + "\n", encoding="utf-8")
        if not report.ok:
            sys.exit(1)

    @staticmethod
    def _prepare(*, dry_run: bool) -> None:
        """The database migrated and under the right secret. A dry run does not even migrate."""
        if dry_run:
            if missing := pending("default"):
                raise CommandError(f"the database here is not migrated ({missing[0]} …): run `manage.py prepare` first")
            return
        try:
            startup.prepare()
        except startup.CannotStart as refusal:
            raise CommandError(str(refusal)) from None

    def _import(self, options: dict[str, Any]) -> Report:
        with ExitStack() as stack:
            source = stack.enter_context(opened(options["source"]))
            logs = stack.enter_context(opened(options["logs"])) if options["logs"] else None
            if not options["dry_run"]:
                stack.enter_context(locked("default"))  # two at once would write the same rows
            return plan.run(
                source,
                log_source=logs,
                log_limit=options["log_limit"],
                dry_run=options["dry_run"],
                replace_root=options["replace_root"],
                progress=lambda line: self.stderr.write(line) if options["verbosity"] > 0 else None,
            )
