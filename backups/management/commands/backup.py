"""manage.py backup FILE: the database in a file, and its secret, as one archive, while the server runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backups import archive, commands, places
from backups.refusals import Refused
from backups.restoring import known_migrations
from config.secret import FILE as SECRET


class Command(BaseCommand):
    help = "Write the SQLite database and the secret into one archive, while the server runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the archive (.tar.gz)")
        parser.add_argument("--without-secret", action="store_true", help="leave the secret out; keep it elsewhere")
        parser.add_argument("--force", action="store_true", help="replace the file if it exists")
        parser.add_argument("--check", action="store_true", help="check an archive that is there; write nothing")

    def handle(self, *_: Any, **options: Any) -> None:
        file: Path = options["file"].absolute()
        try:
            if options["check"]:
                self._check(file)
            else:
                self._backup(file, without_secret=options["without_secret"], force=options["force"])
        except (Refused, OSError) as refusal:
            raise CommandError(str(refusal)) from None

    def _backup(self, file: Path, *, without_secret: bool, force: bool) -> None:
        for alias, entry in places.elsewhere().items():
            self.stderr.write(f"The {alias} database has a tool of its own:\n  {commands.dump(entry, f'{alias}.dump')}")
        databases = places.files()
        if "default" not in databases:
            raise CommandError("Nothing was written: this command is for SQLite (docs/operations.md, Backup).")
        secret = settings.DATA_DIR / SECRET
        note = "left out" if without_secret else "environment" if settings.SESSION_SECRET else "file"
        made = archive.make(file, databases, secret if note == "file" else None, note=note, force=force)
        self.stdout.write(f"{file}: {_told(made)}")
        if note != "file":
            why = "It is in SESSION_SECRET." if note == "environment" else ""
            self.stdout.write(f"The secret is not in it. {why} Keep it, too: without it the archive is worth nothing.")

    def _check(self, file: Path) -> None:
        with archive.unpacked(file, file.parent) as (manifest, folder):
            archive.check(manifest, folder, known_migrations())
        self.stdout.write(f"{file} is whole: {_told(manifest)}")


def _told(manifest: archive.Manifest) -> str:
    files = ", ".join(f"{name} ({content.bytes:,} bytes)" for name, content in manifest.files.items())
    return f"version {manifest.version}, {manifest.made}: {files}"
