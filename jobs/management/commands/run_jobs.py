"""manage.py run_jobs [NAME …]: run what is due now, or the named jobs whether due or not, and wait for them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import leases, running
from jobs.runner import Runner
from jobs.running import Run
from jobs.table import JOBS


class Command(BaseCommand):
    help = "Run periodic work by hand: what is due, or the jobs named, due or not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="a job; see --list")
        parser.add_argument("--list", action="store_true", help="only tell which jobs there are and how they ran last")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["list"]:
            self._list()
            return
        runs = self._named(options["names"]) if options["names"] else Runner().look()
        if not runs:
            self.stdout.write("Nothing is due.")
        for run in runs:
            run.wait()
            self.stdout.write(f"{run.context.name}: {run.outcome}")
        if any(run.outcome != leases.OK for run in runs):
            raise CommandError("A job did not end well; the log says why.")

    def _named(self, names: list[str]) -> list[Run]:
        jobs = {job.name: job for job in JOBS}
        if unknown := [name for name in names if name not in jobs]:
            raise CommandError(f"No such job: {', '.join(unknown)}. There are: {', '.join(sorted(jobs))}.")
        runs = []
        for name in names:
            run = running.start(name, jobs[name].load(), jobs[name].timeout)
            if run is None:
                raise CommandError(f"{name} is running already.")
            runs.append(run)
        return runs

    def _list(self) -> None:
        states = leases.states([job.name for job in JOBS])
        for job in JOBS:
            state = states[job.name]
            period = job.every_seconds()
            every = f"every {period} s" if period else "off"
            self.stdout.write(f"{job.name}: {every}, last {state.outcome or ('running' if state.running else 'never')}")
