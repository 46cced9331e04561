"""manage.py rebuild_usage: add the log lines of before the sums of usage to them now, not at the next periodic run."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand

from billing.usage_catch_up import catch_up


class Command(BaseCommand):
    help = (
        "Add log lines that an older version or an import wrote to the sums of usage by hour and day. "
        "Lines that are in the sums are not added again; an interrupted run goes on where it stopped."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        added = catch_up(_wait, self._tell)
        self.stdout.write(f"Added {added:,} log lines.")

    def _tell(self, seen: int, newest: int) -> None:
        if self.stdout.isatty():
            self.stdout.write(f"\rline {seen:,} of {newest:,}", ending="")


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False
