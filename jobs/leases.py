"""Leases: at most one process of the deployment holds a name, and one that dies loses it when its time is up.

Each step is one conditional UPDATE that decides. Moments are whole Unix seconds of the database server's clock, one
for all nodes. What lies further ahead than any lease was written before that clock was set back: it counts for nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q

from jobs.models import Lease

OK = "ok"
STOPPED = "stopped"
MAX_OUTCOME = 200  # characters, as the column has them
AHEAD = 120  # seconds; longer than any lease


@dataclass(frozen=True, slots=True)
class Held:
    """Proof of holding: what `renew`, `report`, `finish` and `release` ask for."""

    name: str
    holder: str


@dataclass(frozen=True, slots=True)
class State:
    """What is known about a piece of work; moments are Unix seconds, 0 for never."""

    name: str
    running: bool
    first_seen: int
    started: int
    finished: int
    outcome: str
    detail: Mapping[str, Any]
    holder: str = ""  # the acquisition that runs, or died while it did


def acquire(name: str, seconds: int, *, if_started: int | None = None) -> Held | None:
    """Take the name for `seconds`, or None when somebody else has it.

    `if_started`: only if the last run is still the one that began then. Of two processes that saw the same run due,
    the slower one does not run it a second time.
    """
    moment = now()
    _ensure(name, moment)
    holder = secrets.token_hex(16)
    rows = Lease.objects.filter(Q(expires_at__lte=moment) | Q(expires_at__gt=moment + max(seconds, AHEAD)), pk=name)
    if if_started is not None:
        rows = rows.filter(last_run_started=if_started)
    taken = rows.update(holder=holder, expires_at=moment + seconds)
    return Held(name, holder) if taken else None


def renew(held: Held, seconds: int) -> bool:
    """Hold on for `seconds` from now; False when it is lost, and the work has to stop."""
    return bool(_mine(held).update(expires_at=now() + seconds))


def release(held: Held) -> bool:
    """Give it back at once; False when it was lost before."""
    return bool(_mine(held).update(holder="", expires_at=0))


def start(held: Held, *, counts: bool = True) -> None:
    """The work begins: note the moment and forget what the last run told.

    `counts` False: it does less than the job of that name, whose period goes on from its own last run.
    """
    started = {"last_run_started": now()} if counts else {}
    _mine(held).update(**started, last_outcome="", detail={})


def report(held: Held, detail: Mapping[str, Any]) -> bool:
    """What the work tells about itself (plain JSON); False when the lease is lost."""
    return bool(_mine(held).update(detail=dict(detail)))


def finish(held: Held, outcome: str) -> bool:
    """The work has ended: note when and how, and give the lease back."""
    return bool(
        _mine(held).update(holder="", expires_at=0, last_run_finished=now(), last_outcome=outcome[:MAX_OUTCOME])
    )


def state(name: str) -> State:
    """What is known now; of a name nobody ever took, all zeroes."""
    return states([name])[name]


def states(names: Collection[str]) -> dict[str, State]:
    """All of them in one query, and one more for the time while any is taken."""
    found = {row.pk: row for row in Lease.objects.filter(pk__in=names)}
    moment = now() if any(row.expires_at for row in found.values()) else 0
    return {name: _state(name, found.get(name), moment) for name in names}


def ensure(names: Collection[str]) -> None:
    """Make the rows that are missing; from now on the names count as seen."""
    known = set(Lease.objects.filter(pk__in=names).values_list("pk", flat=True))
    for name in names:
        if name not in known:
            _ensure(name, now())


def _state(name: str, row: Lease | None, moment: int) -> State:
    if row is None:
        return State(name, False, 0, 0, 0, "", {})
    return State(
        name=name,
        running=moment < row.expires_at <= moment + AHEAD,
        first_seen=row.first_seen,
        started=row.last_run_started,
        finished=row.last_run_finished,
        outcome=row.last_outcome,
        detail=row.detail,
        holder=row.holder,
    )


def _ensure(name: str, moment: int) -> None:
    Lease.objects.get_or_create(pk=name, defaults={"first_seen": moment})


def _mine(held: Held) -> Any:
    return Lease.objects.filter(pk=held.name, holder=held.holder)


def now() -> int:
    """Unix seconds by the clock that the moments of leases are taken from."""
    match connection.vendor:
        case "postgresql":
            query = "SELECT EXTRACT(EPOCH FROM clock_timestamp())"
        case "mysql":
            query = "SELECT UNIX_TIMESTAMP()"
        case _:
            return int(time.time())  # the file is on this machine
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
