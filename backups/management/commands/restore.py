"""manage.py restore FILE: put what `backup` wrote in the place of the database. No server may run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backups import commands, places, restoring
from backups.refusals import Refused


class Command(BaseCommand):
    help = "Put an archive of `backup` in the place of the SQLite database; what was there is kept beside it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the archive that `backup` wrote")

    def handle(self, *_: Any, **options: Any) -> None:
        for alias, entry in places.elsewhere().items():
            self.stderr.write(f"The {alias} database has a tool of its own:\n  {commands.load(entry, f'{alias}.dump')}")
        databases = places.files()
        if "default" not in databases:
            raise CommandError("Nothing was changed: this command is for SQLite (docs/operations.md, Restore).")
        try:
            manifest, kept = restoring.restore(options["file"].absolute(), databases, settings.SESSION_SECRET)
        except (Refused, OSError) as refusal:
            raise CommandError(f"Nothing was changed: {refusal}.") from None
        self.stdout.write(f"Restored: version {manifest.version}, {manifest.made}, {', '.join(manifest.files)}.")
        for one in kept:
            self.stdout.write(f"What was there is now {one}.")
        self.stdout.write("Start the server, then run `manage.py reconcile`.")
