"""`manage.py seed_root`: make the account root where there is none. `serve` does it by itself."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from config import startup


class Command(BaseCommand):
    help = "Make the account root in a database without accounts; its password is INITIAL_ROOT_PASSWORD or is printed."
    requires_system_checks: list[str] = []  # startup runs them, and says what it finds in one line

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            startup.prepare()
            told = startup.seed_root()
        except startup.CannotStart as refusal:
            sys.exit(str(refusal))
        self.stdout.write(told or "There are accounts already; nothing was changed.")
