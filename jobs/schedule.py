"""What a job is, and when it is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from jobs.leases import State

if TYPE_CHECKING:
    from jobs.running import Context

    Work = Callable[[Context], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Work done once per period in the whole deployment, on a node that is master.

    `name`           also the name of its lease; what somebody starts by hand under the same name excludes it.
    `every_seconds`  asked every time, so it may follow a setting or an option; None or 0 is off.
    `work`           dotted path of a function that takes a Context; imported when it is first run, because jobs
                     stand below the apps whose work they call.
    `timeout`        seconds after which the work is asked to stop (Context.stopping).
    """

    name: str
    every_seconds: Callable[[], int | None]
    work: str
    timeout: int

    def load(self) -> Work:
        """The function itself. Raises ImportError when the table is wrong."""
        found: Work = import_string(self.work)
        return found

    def due_at(self, state: State) -> int | None:
        """Unix seconds of the next run, in the past when one was missed; None while the job is off.

        The period counts from the last start; a job that never ran waits one period from when it was first seen.
        However many runs were missed while nothing was up, there is one start to make up for them.
        """
        every = self.every_seconds()
        if not every or every < 0:
            return None
        return (state.started or state.first_seen) + every
