"""Testing all channels, one run at a time in the whole deployment (relay contract, 5.3 and 11.3).

A run calls real, billed models: one after the other with POLLING_INTERVAL seconds between them, or, where that is 0, a
few at a time, so that channels that hang do not hold up the others. Each test is bounded in time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils.translation import gettext as _

from channels_app import health
from channels_app.models import Channel, ChannelStatus
from channels_app.probe import Probe, test_channel
from channels_app.services import ChannelMissing
from jobs import leases, running
from jobs.running import Context
from notices import services as notices
from options import services as option_services
from options.registry import Options

NAME = "test channels"  # of the lease and of the job: a run by hand and a scheduled one exclude each other
TIMEOUT = 6 * 3600  # seconds of a whole run
AT_ONCE = 10
LIMIT = 20.0  # seconds of one test, or twice the threshold where that is longer


class Scope(StrEnum):
    ALL = "all"
    DISABLED = "disabled"  # by hand or automatically


class AlreadyRunning(Exception):
    """A run is under way, on this node or on another."""


@dataclass
class Findings:
    """How far a run is and what it found so far; lists hold channel ids. `slow`: over the threshold, but left alone."""

    scope: str
    total: int
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


def start(scope: Scope) -> None:
    """Begin a run in the background; root is told when it has finished. Raises AlreadyRunning."""

    def work(context: Context) -> None:
        findings = run(context, scope)
        if not context.stopping:
            notices.test_finished(summary(findings))

    if running.start(NAME, work, TIMEOUT) is None:
        raise AlreadyRunning


def scheduled(context: Context) -> None:
    """The job: all channels, and no news unless some were slow and stay in service."""
    findings = run(context, Scope.ALL)
    if findings.slow:
        notices.test_finished(summary(findings))


def progress() -> dict[str, Any]:
    """The run under way, or the last one: its findings, `running`, when it `started` and `finished` (Unix seconds)."""
    state = leases.state(NAME)
    return {
        **asdict(Findings(scope="", total=0)),
        **state.detail,
        "running": state.running,
        "started": state.started,
        "finished": 0 if state.running else state.finished,
        "outcome": state.outcome,
    }


def run(context: Context, scope: Scope) -> Findings:
    """Test every channel of the scope, newest first."""
    rows = Channel.objects.order_by("-id")
    if scope is Scope.DISABLED:
        rows = rows.filter(status__in=(ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED))
    channel_ids = list(rows.values_list("pk", flat=True))
    findings = Findings(scope=scope.value, total=len(channel_ids))
    context.report(asdict(findings), now=True)
    tests = _slowly(context, channel_ids) if settings.POLLING_INTERVAL else _at_once(context, channel_ids)
    for finding in tests:
        findings.done += 1
        if finding is not None:
            _add(findings, finding)
        context.report(asdict(findings))
    return findings


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


def _slowly(context: Context, channel_ids: Sequence[int]) -> Iterator[Finding | None]:
    for place, channel_id in enumerate(channel_ids):
        if context.stopping or (place and context.pause(settings.POLLING_INTERVAL)):
            return
        yield _test(channel_id)


def _at_once(context: Context, channel_ids: Sequence[int]) -> Iterator[Finding | None]:
    def one(channel_id: int) -> Finding | None:
        try:
            return None if context.stopping else _test(channel_id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="channel test") as threads:
        tests = [threads.submit(one, channel_id) for channel_id in channel_ids]
        for test in as_completed(tests):
            if not context.stopping:
                yield test.result()


def _test(channel_id: int) -> Finding | None:
    """None: the channel is gone."""
    options = option_services.load()
    limit = max(LIMIT, 2 * float(options["ChannelDisableThreshold"]))
    status = Channel.objects.filter(pk=channel_id).values_list("status", flat=True).first()
    try:
        probe = test_channel(channel_id, limit=limit)
    except ChannelMissing:
        return None
    change = judge(channel_id, status or 0, probe, options)
    slow = status == ChannelStatus.ENABLED and _slow(probe, options)
    return Finding(channel_id, probe.success, slow, change)
