"""The thread that looks what is due and begins it, one in every worker of a master."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError, connections

from jobs import leases, running
from jobs.running import Run
from jobs.schedule import Job
from jobs.table import JOBS

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at the clock
REREAD = 10.0  # seconds after which the leases are read again, though nothing was due by what was read before
STOP = 10.0  # seconds a run gets to end when the process does


class Runner:
    """Begins due jobs. Which of the workers is first to a job is the database's choice (jobs.leases)."""

    def __init__(self, jobs: Sequence[Job] = JOBS) -> None:
        self._jobs = jobs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="jobs", daemon=True)
        self._next = 0.0  # Unix seconds: by what was read last, nothing is due before
        self._read_again = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Blocks until runs of this process have ended, ten seconds at most."""
        self._stopping.set()
        running.stop_all(STOP)
        self._thread.join(STOP)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                if time.time() >= self._next or time.monotonic() >= self._read_again:
                    self.look()
            except (DatabaseError, InterfaceError) as error:
                log.warning("jobs: the database cannot be read: %s", str(error).splitlines()[:1])
                connections.close_all()
            except Exception:  # the edge of this thread: without it nothing periodic happens until a restart
                log.exception("jobs: what is due could not be begun")
                connections.close_all()
            self._stopping.wait(LOOK)
        connections.close_all()

    def look(self) -> list[Run]:
        """Begin what is due now; returns the runs that this process began."""
        leases.ensure([job.name for job in self._jobs])
        states = leases.states([job.name for job in self._jobs])
        now = leases.now()
        ahead = now - time.time()
        begun: list[Run] = []
        coming: list[float] = []
        for job in self._jobs:
            due = job.due_at(states[job.name])
            if due is None:
                continue
            state = states[job.name]
            if (state.started or state.first_seen) > now + leases.AHEAD:  # the clock has been set back since
                due = now
            if due > now:
                coming.append(due)
            elif state.running:
                coming.append(now + LOOK)
            elif run := running.start(job.name, job.load(), job.timeout, if_started=state.started):
                begun.append(run)
        self._next = min(coming, default=now + REREAD) - ahead
        self._read_again = time.monotonic() + REREAD
        return begun
