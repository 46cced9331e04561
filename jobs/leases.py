"""Leases: at most one process of the deployment holds a name, and one that dies loses it when its time is up.

Each step is one conditional UPDATE that decides. Moments are whole Unix seconds of the callers' clocks, which may
differ by a few seconds between nodes; a lease is renewed at a third of its length, so that does no harm.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.models import Lease

OK = "ok"
STOPPED = "stopped"
MAX_OUTCOME = 200  # characters, as the column has them


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
    now = _now()
    _ensure(name, now)
    holder = secrets.token_hex(16)
    rows = Lease.objects.filter(pk=name, expires_at__lte=now)
    if if_started is not None:
        rows = rows.filter(last_run_started=if_started)
    taken = rows.update(holder=holder, expires_at=now + seconds)
    return Held(name, holder) if taken else None


def renew(held: Held, seconds: int) -> bool:
    """Hold on for `seconds` from now; False when it is lost, and the work has to stop."""
    return bool(_mine(held).update(expires_at=_now() + seconds))


def release(held: Held) -> bool:
    """Give it back at once; False when it was lost before."""
    return bool(_mine(held).update(holder="", expires_at=0))


def start(held: Held, *, counts: bool = True) -> None:
    """The work begins: note the moment and forget what the last run told.

    `counts` False: it does less than the job of that name, whose period goes on from its own last run.
    """
    moment = {"last_run_started": _now()} if counts else {}
    _mine(held).update(**moment, last_outcome="", detail={})


def report(held: Held, detail: Mapping[str, Any]) -> bool:
    """What the work tells about itself (plain JSON); False when the lease is lost."""
    return bool(_mine(held).update(detail=dict(detail)))


def finish(held: Held, outcome: str) -> bool:
    """The work has ended: note when and how, and give the lease back."""
    return bool(
        _mine(held).update(holder="", expires_at=0, last_run_finished=_now(), last_outcome=outcome[:MAX_OUTCOME])
    )


def state(name: str) -> State:
    """What is known now; of a name nobody ever took, all zeroes."""
    return states([name])[name]


def states(names: Collection[str]) -> dict[str, State]:
    """All of them in one query."""
    now = _now()
    found = {row.pk: row for row in Lease.objects.filter(pk__in=names)}
    return {name: _state(name, found.get(name), now) for name in names}


def ensure(names: Collection[str]) -> None:
    """Make the rows that are missing; from now on the names count as seen."""
    known = set(Lease.objects.filter(pk__in=names).values_list("pk", flat=True))
    now = _now()
    for name in names:
        if name not in known:
            _ensure(name, now)


def _state(name: str, row: Lease | None, now: int) -> State:
    if row is None:
        return State(name, False, 0, 0, 0, "", {})
    return State(
        name=name,
        running=row.expires_at > now,
        first_seen=row.first_seen,
        started=row.last_run_started,
        finished=row.last_run_finished,
        outcome=row.last_outcome,
        detail=row.detail,
        holder=row.holder,
    )


def _ensure(name: str, now: int) -> None:
    Lease.objects.get_or_create(pk=name, defaults={"first_seen": now})


def _mine(held: Held) -> Any:
    return Lease.objects.filter(pk=held.name, holder=held.holder)


def _now() -> int:
    return int(time.time())
