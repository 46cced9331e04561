"""Testing all channels, one run at a time in the whole deployment (relay contract, 5.3 and 11.3).

A run calls real, billed models: one after the other with POLLING_INTERVAL seconds between them, or, where that is 0, as
many at a time as it was asked for, so that channels that hang do not hold up the others. Each test is bounded in time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils.translation import gettext as _

from audit.services import SYSTEM, Actor, record
from channels_app import due, health, runs
from channels_app.models import Channel, ChannelStatus, Outcome, TestRun
from channels_app.probe import Probe, test_channel
from channels_app.services import ChannelMissing
from channels_app.validation import split_names
from jobs import leases, running
from jobs.running import Context
from notices import services as notices
from options import services as option_services
from options.registry import Options

NAME = runs.NAME
TIMEOUT = 6 * 3600  # seconds of a whole run
AT_ONCE = runs.AT_ONCE
MOST_AT_ONCE = 20
LIMIT = 20.0  # seconds of one test, or twice the threshold where that is longer


LOOK = 1.0  # seconds between two looks at whether somebody cancelled the run


class Scope(StrEnum):
    ALL = "all"
    DISABLED = "disabled"  # by hand or automatically
    SELECTED = "selected"  # the channels named
    FILTER = "filter"  # those a filter found when the run was started
    COMMON = "common"  # those that follow CHANNEL_TEST_FREQUENCY
    DUE = "due"  # those due by a schedule of their own


@dataclass(frozen=True, slots=True)
class Order:
    """What to test. `model` "": each channel's own; else that one, of the channels that list it, and no others."""

    scope: Scope
    channel_ids: tuple[int, ...] = ()  # of the scopes that name them
    model: str = ""
    at_once: int = AT_ONCE


class AlreadyRunning(Exception):
    """A run is under way, on this node or on another."""


@dataclass
class Findings:
    """How far a run is and what it found so far; lists hold channel ids. `slow`: over the threshold, but left alone.

    `started`: Unix seconds.
    """

    scope: str
    total: int
    started: int = 0
    done: int = 0
    passed: int = 0
    failed: int = 0
    slow: list[int] = field(default_factory=list)
    disabled: list[int] = field(default_factory=list)
    enabled: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finding:
    """One channel's test. `change`: what it made of the channel, if anything."""

    channel_id: int
    passed: bool
    slow: bool
    change: ChannelStatus | None


def start(
    scope: Scope, actor: Actor = SYSTEM, channel_ids: Sequence[int] = (), model: str = "", at_once: int = AT_ONCE
) -> int:
    """Begin a run in the background, and tell root when it has finished; the id of the run. Raises AlreadyRunning.

    `at_once`: 1 to MOST_AT_ONCE channels tested at a time, or ValueError; always one where there is a POLLING_INTERVAL.
    """
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise ValueError(at_once)
    order = Order(scope, tuple(channel_ids), model, at_once)
    row = _begun(order, actor)

    def work(context: Context) -> None:
        findings = _on_record(context, order, row.pk)
        if not context.stopping and not runs.cancel_asked(row.pk):
            notices.test_finished(summary(findings))

    if running.start(NAME, work, TIMEOUT) is None:
        row.delete()
        raise AlreadyRunning
    record(actor, "channel.test_all", f"test run:{row.pk}", scope=scope.value, model=model, at_once=row.at_once)
    return row.pk


def scheduled(context: Context) -> None:
    """The job of CHANNEL_TEST_FREQUENCY: all channels without a schedule of their own."""
    order = Order(Scope.COMMON)
    _quietly(context, order, _begun(order, SYSTEM).pk)


def scheduled_each(context: Context) -> None:
    """The job that looks which channels are due by their own schedules: it tests them as a run, and waits for its end.

    While another run goes on nothing is begun; what is still due at the next look is tested then. Such a run does not
    put off that of CHANNEL_TEST_FREQUENCY, however many there are.
    """
    if leases.state(NAME).running or not due.by_own_schedule(int(time.time())):
        return
    order = Order(Scope.DUE)
    row = _begun(order, SYSTEM)
    under_way = running.start(NAME, lambda inner: _quietly(inner, order, row.pk), TIMEOUT, counts=False)
    if under_way is None:
        row.delete()
        return
    while not under_way.wait(LOOK):
        if context.stopping:
            under_way.context.stop()


def test_one(channel_id: int, model: str | None = None) -> Probe:  # noqa: PT028 (not a test of pytest's)
    """One test by itself, which changes no status; its result is on record. Raises ChannelMissing."""
    probe = test_channel(channel_id, model)
    name = Channel.objects.filter(pk=channel_id).values_list("name", flat=True).first() or ""
    outcome = Outcome.PASSED if probe.success else Outcome.FAILED
    runs.add_result(channel_id, name, probe.model, outcome, probe.elapsed, probe.message)
    return probe


def progress() -> dict[str, Any]:
    """The run under way, or the last one: its findings, `running`, when it `started` and `finished` (Unix seconds)."""
    state = leases.state(NAME)
    return {
        **asdict(Findings(scope="", total=0)),
        **state.detail,
        "running": state.running,
        "started": state.detail.get("started") or state.started,
        "finished": 0 if state.running else state.finished,
        "outcome": state.outcome,
    }


def run(context: Context, order: Order, run_id: int) -> Findings:
    """Test every channel of the order, newest first."""
    began = int(time.time())
    runs.forget_old()
    channel_ids = _chosen(order)
    runs.plan(run_id, len(channel_ids))
    findings = Findings(scope=order.scope.value, total=len(channel_ids), started=began)
    context.report(asdict(findings), now=True)
    halt = Halt(context, run_id)
    inquiry = Inquiry(run_id, order.model or None)
    if settings.POLLING_INTERVAL:
        tests = _slowly(halt, inquiry, channel_ids)
    else:
        tests = _at_once(halt, inquiry, channel_ids, order.at_once)
    for finding in tests:
        findings.done += 1
        if finding is not None:
            _add(findings, finding)
        context.report(asdict(findings))
    return findings


def _begun(order: Order, actor: Actor) -> TestRun:
    at_once = 1 if settings.POLLING_INTERVAL else order.at_once
    return runs.begin(order.scope.value, order.model, actor, at_once)


def _quietly(context: Context, order: Order, run_id: int) -> None:
    """The run of a schedule: no news unless some channels were slow and stay in service."""
    findings = _on_record(context, order, run_id)
    if findings.slow:
        notices.test_finished(summary(findings))


def _on_record(context: Context, order: Order, run_id: int) -> Findings:
    """The run, which says at its end how it ended, whatever happened."""
    runs.hold(run_id, context.holder)
    ended = runs.State.DIED
    try:
        findings = run(context, order, run_id)
        if findings.done == findings.total:
            ended = runs.State.FINISHED
        elif not context.stopping:
            ended = runs.State.CANCELLED
        return findings
    finally:
        runs.end(run_id, ended)


def _chosen(order: Order) -> list[int]:
    if order.scope is Scope.COMMON:
        return due.by_common_schedule()
    if order.scope is Scope.DUE:
        return due.by_own_schedule(int(time.time()))
    rows = Channel.objects.order_by("-id")
    if order.scope is Scope.DISABLED:
        rows = rows.filter(status__in=(ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED))
    wanted = set(order.channel_ids) if order.scope in (Scope.SELECTED, Scope.FILTER) else None
    return [
        channel_id
        for channel_id, names in rows.values_list("pk", "model_names")
        if (wanted is None or channel_id in wanted) and (not order.model or order.model in split_names(names))
    ]


class Halt:
    """Whether a run has to end early: its process does, or somebody cancelled it, on this node or on another."""

    def __init__(self, context: Context, run_id: int) -> None:
        self._context = context
        self._run_id = run_id
        self._cancelled = False
        self._looked = 0.0

    @property
    def asked(self) -> bool:
        """Reads the row at most once a second."""
        if not self._cancelled and time.monotonic() - self._looked >= LOOK:
            self._cancelled = runs.cancel_asked(self._run_id)
            self._looked = time.monotonic()
        return self._cancelled or self._context.stopping

    def pause(self, seconds: float) -> bool:
        """Wait; True when the run has to end, and then within a second."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            self._context.pause(min(left, LOOK))
        return self.asked


def judge(channel_id: int, status: int, probe: Probe, options: Options) -> ChannelStatus | None:
    """What a test makes of a channel that had this status when it began; the change made, if any.

    Disabled: an enabled channel whose account is refused, or that took longer than ChannelDisableThreshold. Enabled:
    one that was disabled automatically, passed, and was fast enough not to be disabled again by the next run. What a
    person disabled stays so.
    """
    if status == ChannelStatus.ENABLED and options["AutomaticDisableChannelEnabled"]:
        reason = probe.message if probe.refused else slow_reason(probe, options) if _slow(probe, options) else ""
        if reason and health.disable(channel_id, reason):
            return ChannelStatus.AUTO_DISABLED
    if status == ChannelStatus.AUTO_DISABLED and options["AutomaticEnableChannelEnabled"]:
        fit = probe.success and not _slow(probe, options)
        return ChannelStatus.ENABLED if fit and health.enable(channel_id) else None
    return None


def slow_reason(probe: Probe, options: Options) -> str:
    """The contract's words (5.3)."""
    return f"响应时间 {probe.elapsed:.2f}s 超过阈值 {threshold(options):.2f}s"


def threshold(options: Options) -> float:
    """Seconds a test may take; an option of 0 sets no limit."""
    return float(options["ChannelDisableThreshold"]) or math.inf


def summary(findings: Findings) -> str:
    """Plain text for people."""
    lines = [
        _("Channels tested: %(done)s of %(total)s. Passed: %(passed)s, failed: %(failed)s.")
        % {"done": findings.done, "total": findings.total, "passed": findings.passed, "failed": findings.failed}
    ]
    for label, channel_ids in (
        (_("Disabled: %(channels)s"), findings.disabled),
        (_("Enabled again: %(channels)s"), findings.enabled),
        (_("Slower than the threshold, and left in service: %(channels)s"), findings.slow),
    ):
        if channel_ids:
            lines.append(label % {"channels": ", ".join(f"#{channel_id}" for channel_id in channel_ids)})
    return "\n".join(lines)


def _slow(probe: Probe, options: Options) -> bool:
    return probe.elapsed > threshold(options)


def _add(findings: Findings, finding: Finding) -> None:
    if finding.passed:
        findings.passed += 1
    else:
        findings.failed += 1
    if finding.change is ChannelStatus.ENABLED:
        findings.enabled.append(finding.channel_id)
    elif finding.change is ChannelStatus.AUTO_DISABLED:
        findings.disabled.append(finding.channel_id)
    elif finding.slow:
        findings.slow.append(finding.channel_id)


def _slowly(halt: Halt, inquiry: Inquiry, channel_ids: Sequence[int]) -> Iterator[Finding | None]:
    for place, channel_id in enumerate(channel_ids):
        if halt.asked or (place and halt.pause(settings.POLLING_INTERVAL)):
            return
        yield inquiry.test(channel_id)


def _at_once(halt: Halt, inquiry: Inquiry, channel_ids: Sequence[int], most: int) -> Iterator[Finding | None]:
    def one(channel_id: int) -> tuple[Finding | None, ...]:
        """Empty: the run has to end, and the channel was not tested."""
        try:
            return () if halt.asked else (inquiry.test(channel_id),)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(most, thread_name_prefix="channel test") as threads:
        tests = [threads.submit(one, channel_id) for channel_id in channel_ids]
        for test in as_completed(tests):
            yield from test.result()


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The tests of one run."""

    run_id: int
    model: str | None

    def test(self, channel_id: int) -> Finding | None:
        """None: the channel is gone."""
        options = option_services.load()
        limit = max(LIMIT, 2 * float(options["ChannelDisableThreshold"]))
        row = Channel.objects.filter(pk=channel_id).values_list("status", "name").first()
        if row is None:
            return None
        status, name = row
        try:
            probe = test_channel(channel_id, self.model, limit=limit)
        except ChannelMissing:
            return None
        change = judge(channel_id, status, probe, options)
        late = _slow(probe, options)
        outcome = Outcome.FAILED
        if probe.success:
            outcome = Outcome.SLOW if late else Outcome.PASSED
        if outcome is Outcome.SLOW:
            Channel.objects.filter(pk=channel_id).update(test_outcome=outcome)
        runs.add_result(
            channel_id, name, probe.model, outcome, probe.elapsed, probe.message, change=change, run_id=self.run_id
        )
        return Finding(channel_id, probe.success, status == ChannelStatus.ENABLED and late, change)
