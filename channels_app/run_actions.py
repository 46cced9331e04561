"""What can be done with a run of tests at its end: test the failed ones again, disable them, take its table along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from audit.services import Actor
from channels_app import bulk, runs, testing
from channels_app.bulk import Action, Change, Line
from channels_app.models import Channel, ChannelStatus, Outcome, TestRun, TestRunResult
from channels_app.testing import Scope

COLUMNS = ("channel_id", "channel", "model", "outcome", "seconds", "message", "change", "tested_at")


class NothingFailed(Exception):
    """The run has no failed channel that is still there, or none that is enabled."""


def failed_ids(run_id: int) -> list[int]:
    """Channels that failed in the run and still exist, by id."""
    failed = set(runs.results(run_id, [Outcome.FAILED]).values_list("channel_id", flat=True))
    return sorted(failed & set(Channel.objects.values_list("pk", flat=True)))


def retry_failed(actor: Actor, run_id: int) -> int:
    """Begin a run of those that failed, with the same model and as many at a time; its id.

    Raises NothingFailed, AlreadyRunning.
    """
    channel_ids = failed_ids(run_id)
    if not channel_ids:
        raise NothingFailed
    run = TestRun.objects.get(pk=run_id)
    return testing.start(Scope.SELECTED, actor, channel_ids, run.model, run.at_once)


def disable_failed(actor: Actor, run_id: int) -> list[Line]:
    """Disable, by hand, those that failed and are still enabled; what was changed. Raises NothingFailed.

    Channels disabled automatically stay so: they may come back by themselves.
    """
    failed = failed_ids(run_id)
    enabled = set(Channel.objects.filter(status=ChannelStatus.ENABLED).values_list("pk", flat=True))
    channel_ids = [channel_id for channel_id in failed if channel_id in enabled]
    if not channel_ids:
        raise NothingFailed
    return bulk.apply(actor, Change(Action.DISABLE), channel_ids, _("failed in test run #%(run)s") % {"run": run_id})


def table(results: Iterable[TestRunResult]) -> Iterator[tuple[object, ...]]:
    """A row of COLUMNS for each result; moments are Unix seconds, durations seconds with three decimals."""
    for result in results:
        yield (
            result.channel_id,
            result.channel_name,
            result.model,
            Outcome(result.outcome).name.lower(),
            f"{result.milliseconds / 1000:.3f}",
            result.message,
            ChannelStatus(result.change).name.lower() if result.change else "",
            result.tested_at,
        )
