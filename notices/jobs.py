"""This app's periodic work (jobs.table)."""

from __future__ import annotations

from jobs.running import Context
from notices import codes, queue, quota
from notices.delivery import deliver as deliver_round


def deliver(context: Context) -> None:
    """Empty the queue."""
    delivered = 0
    while not context.stopping and (batch := deliver_round(lambda: context.stopping)):
        delivered += batch
    context.report({"delivered": delivered})


def remind(context: Context) -> None:
    context.report({"reminded": quota.remind()})


def purge(context: Context) -> None:
    context.report({"codes": codes.purge(), "dead_letters": queue.purge()})
