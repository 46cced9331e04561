"""Runs of tests on record: what they were to test, what they found, and how they stand.

Whether a run goes on is not stored, since a process that is killed could not take it back: a run that has not said how
it ended is running while the lease of the tests is held by the acquisition it began under, and else it died.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Count, Q, QuerySet

from audit.services import Actor, record
from channels_app.models import ChannelStatus, Outcome, TestRun, TestRunResult
from jobs import leases
from jobs.leases import State as LeaseState
from jobs.running import LEASE

NAME = "test channels"  # of the lease and of the job: a run by hand and a scheduled one exclude each other
KEPT = 30 * 86_400  # seconds for which runs and results are kept
MAX_MESSAGE = 1000  # characters
AT_ONCE = 10  # channels tested at a time, unless a run is asked for another number


class State(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    DIED = "died"  # its process ended, or failed, before the run did


@dataclass(frozen=True, slots=True)
class Standing:
    """A run and its counts. A channel deleted before its turn came is in none of them."""

    run: TestRun
    state: State
    done: int
    passed: int
    failed: int
    slow: int
    disabled: int
    enabled: int

    @property
    def percent(self) -> int:
        """Of the channels, 0 to 100."""
        if self.state is State.FINISHED:
            return 100
        return 100 * self.done // self.run.total if self.run.total else 0

    @property
    def seconds(self) -> int:
        """How long it has been going, or went."""
        return (self.run.finished or int(time.time())) - self.run.started


def begin(scope: str, model: str, actor: Actor, at_once: int = AT_ONCE) -> TestRun:
    return TestRun.objects.create(
        scope=scope, model=model, started_by=actor.name[:64], started=int(time.time()), at_once=at_once
    )


def hold(run_id: int, holder: str) -> None:
    """From now on the run is running while this acquisition of the lease is."""
    TestRun.objects.filter(pk=run_id).update(holder=holder)


def plan(run_id: int, total: int) -> None:
    TestRun.objects.filter(pk=run_id).update(total=total)


def end(run_id: int, state: State) -> None:
    TestRun.objects.filter(pk=run_id).update(ended=state, finished=int(time.time()))


def add_result(
    channel_id: int,
    channel_name: str,
    model: str,
    outcome: Outcome,
    seconds: float,
    message: str,
    *,
    change: ChannelStatus | None = None,
    run_id: int | None = None,
) -> None:
    """`message` is redacted already (channels_app.probe)."""
    TestRunResult.objects.create(
        run_id=run_id,
        channel_id=channel_id,
        channel_name=channel_name[:128],
        model=model[:191],
        outcome=outcome,
        milliseconds=round(seconds * 1000),
        message=message[:MAX_MESSAGE].replace("\x00", ""),
        change=int(change or 0),
        tested_at=int(time.time()),
    )


def forget_old() -> None:
    """Results and runs older than KEPT."""
    before = int(time.time()) - KEPT
    TestRunResult.objects.filter(tested_at__lt=before).delete()
    TestRun.objects.filter(started__lt=before).delete()


def cancel(actor: Actor, run_id: int) -> bool:
    """Ask the run to end after the tests under way. False when it has ended, or was asked before."""
    if not TestRun.objects.filter(pk=run_id, ended="", cancelled=False).update(cancelled=True):
        return False
    record(actor, "channel.test_cancel", f"test run:{run_id}")
    return True


def cancel_asked(run_id: int) -> bool:
    return TestRun.objects.filter(pk=run_id, cancelled=True).exists()


def standings(rows: QuerySet[TestRun] | None = None) -> list[Standing]:
    """Newest first; two queries, however many runs."""
    runs = TestRun.objects.all() if rows is None else rows
    lease = leases.state(NAME)
    return [_standing(run, lease) for run in _counted(runs).order_by("-id")]


def standing(run_id: int) -> Standing | None:
    return next(iter(standings(TestRun.objects.filter(pk=run_id))), None)


def current() -> Standing | None:
    """The run under way, if one is."""
    lease = leases.state(NAME)
    if not lease.running:
        return None
    run = _counted(TestRun.objects.filter(holder=lease.holder, ended="")).first()
    return _standing(run, lease) if run is not None else None


def results(run_id: int, outcomes: Iterable[Outcome] = tuple(Outcome)) -> QuerySet[TestRunResult]:
    return TestRunResult.objects.filter(run_id=run_id, outcome__in=list(outcomes)).order_by("id")


def _counted(runs: QuerySet[TestRun]) -> QuerySet[TestRun]:
    def count(**having: int) -> Count:
        return Count("results", filter=Q(**{f"results__{name}": value for name, value in having.items()}))

    return runs.annotate(
        done=Count("results"),
        passed=count(outcome=Outcome.PASSED) + count(outcome=Outcome.SLOW),
        failed=count(outcome=Outcome.FAILED),
        slow=count(outcome=Outcome.SLOW),
        disabled=count(change=ChannelStatus.AUTO_DISABLED),
        enabled=count(change=ChannelStatus.ENABLED),
    )


def _standing(run: TestRun, lease: LeaseState) -> Standing:
    counts = {name: getattr(run, name) for name in ("done", "passed", "failed", "slow", "disabled", "enabled")}
    return Standing(run=run, state=_state(run, lease), **counts)


def _state(run: TestRun, lease: LeaseState) -> State:
    if run.ended:
        return State(run.ended)
    if not run.holder:  # its thread has not begun yet, or its process died just then
        return State.RUNNING if run.started > time.time() - LEASE else State.DIED
    return State.RUNNING if lease.running and lease.holder == run.holder else State.DIED
