"""manage.py reconcile: compare ledger, balances, holds, counters and logs now; exit code 1 where they differ."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.reconciliation import reconcile


class Command(BaseCommand):
    help = "Compare ledger, balances, holds, counters and log lines now, and store the report. Changes no balance."

    def handle(self, *_: Any, **__: Any) -> None:
        report = reconcile()
        compared = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(report.compared.items()))
        self.stdout.write(f"Report {report.pk}: compared {compared or 'nothing'} in {report.duration:,} ms.")
        if not report.logs_until:
            self.stdout.write("Log lines could not be compared: they are switched off, purged, imported or waiting.")
        for each in report.differences:
            self.stdout.write("{check}, {row}: {stored:,} instead of {expected:,}".format(**each))
        if report.difference_count:
            raise CommandError(f"The books differ in {report.difference_count:,} places.", returncode=1)
        self.stdout.write("The books agree.")
