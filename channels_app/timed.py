"""Disabling a channel for a time: until when is on its row, and a job puts it back (jobs.table)."""

from __future__ import annotations

import time

from django.db import transaction
from django.utils.translation import gettext as _

from audit.services import SYSTEM, Actor, record
from channels_app.models import Channel, ChannelStatus
from channels_app.services import MAX_REASON, locked, write_status
from channels_app.validation import ChannelInvalid
from jobs.running import Context
from options import versions

LONGEST = 366 * 86_400  # seconds ahead; further away it is a mistake, or for good


@transaction.atomic
def disable_until(actor: Actor, channel_id: int, until: int, reason: str = "") -> None:
    """Disable the channel, by hand, until this Unix second. Raises ChannelInvalid, ChannelMissing."""
    now = int(time.time())
    if not now < until <= now + LONGEST:
        raise ChannelInvalid(_("the time must lie ahead, within a year"))
    locked(channel_id)
    write_status(channel_id, ChannelStatus.DISABLED, reason, until=until)
    detail = {"status": int(ChannelStatus.DISABLED), "until": until, "reason": reason[:MAX_REASON]}
    record(actor, "channel.status", f"channel:{channel_id}", **detail)
    versions.bump(versions.ROUTING)


def end_due() -> list[int]:
    """Enable the channels whose time is up; returns their ids. Whoever changed a status meanwhile is right."""
    now = int(time.time())
    due = Channel.objects.filter(status=ChannelStatus.DISABLED, disabled_until__gt=0, disabled_until__lte=now)
    return [channel_id for channel_id in due.order_by("id").values_list("pk", flat=True) if _end(channel_id, now)]


@transaction.atomic
def _end(channel_id: int, now: int) -> bool:
    due = {"status": ChannelStatus.DISABLED, "disabled_until__gt": 0, "disabled_until__lte": now}
    if not write_status(channel_id, ChannelStatus.ENABLED, "", only_if=due):
        return False
    record(SYSTEM, "channel.enable", f"channel:{channel_id}", after="its time")
    versions.bump(versions.ROUTING)
    return True


def scheduled(context: Context) -> None:
    """The run every few seconds (jobs.table)."""
    if ended := end_due():
        context.report({"enabled": ended})
