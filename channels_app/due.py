"""Which channels are tested without anybody asking: by a schedule of their own, or by the common one.

A person who disabled a channel does not want it called, so neither schedule does. What was disabled automatically is
tested: that is how it comes back.
"""

from __future__ import annotations

from django.db.models import QuerySet

from channels_app.models import Channel, ChannelStatus

MINUTE = 60  # seconds


def by_own_schedule(now: int) -> list[int]:
    """Ids of the channels due at `now` (Unix seconds), newest first.

    Counted from the last test, whoever asked for it; of a channel that was never tested, from when it was made.
    """
    rows = _testable().filter(test_every__gt=0).values_list("pk", "test_every", "test_time", "created_time")
    return [pk for pk, every, tested, created in rows if every and (tested or created) + every * MINUTE <= now]


def by_common_schedule() -> list[int]:
    """Ids of the channels that follow CHANNEL_TEST_FREQUENCY, newest first."""
    return list(_testable().filter(test_every=None).values_list("pk", flat=True))


def _testable() -> QuerySet[Channel]:
    return Channel.objects.exclude(status=ChannelStatus.DISABLED).order_by("-id")
