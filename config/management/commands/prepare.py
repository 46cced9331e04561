"""`manage.py prepare`: what `serve` does before it listens (databases made ready, root made at the first start), alone.

For deployments that upgrade the schema in a step of its own (a container that runs first, a Kubernetes Job). It takes
the same lock, so that it may run beside nodes that start.
"""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import startup


class Command(BaseCommand):
    help = "Make the databases ready: migrate under a lock, make root at the first start."
    requires_system_checks: list[str] = []  # startup runs them, and says what it finds in one line

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            startup.prepare()
            told = startup.seed_root() if settings.IS_MASTER else ""
        except startup.CannotStart as refusal:
            sys.exit(str(refusal))
        self.stdout.write(told or "The databases are ready.")
