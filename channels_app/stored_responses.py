"""Where responses are kept that callers may go on from: noted when an upstream has answered, forgotten after a while.

All of it blocks. A response is looked for among the user's own alone: to everybody else it does not exist.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from channels_app.models import StoredResponse
from jobs.resting import Pause, with_rests
from jobs.running import Context
from vault.keys import digest

DAY = 86_400  # seconds
KEPT = 30 * DAY  # as long as OpenAI keeps a response (https://platform.openai.com/docs/guides/your-data)
BATCH = 1000  # rows of one DELETE


def remember(user_id: int, response_id: str, channel_id: int) -> None:
    StoredResponse.objects.update_or_create(
        pk=_key(user_id, response_id),
        defaults={"user_id": user_id, "channel_id": channel_id, "created_at": int(time.time())},
    )


def channel_of(user_id: int, response_id: str) -> int | None:
    """The id of the channel that has it, which may be disabled or gone meanwhile; None: this user has none such."""
    rows = StoredResponse.objects.filter(pk=_key(user_id, response_id), created_at__gte=int(time.time()) - KEPT)
    return rows.values_list("channel_id", flat=True).first()


def forget(user_id: int, response_id: str) -> None:
    StoredResponse.objects.filter(pk=_key(user_id, response_id)).delete()


def purge(before: int, *, pause: Pause | None = None) -> int:
    """Delete what was noted before this second, oldest first; returns how many rows.

    `pause(seconds)` waits between two batches and says True to end early; what is left goes the next time.
    """
    return sum(with_rests(_batches(before), pause))


def scheduled(context: Context) -> None:
    """The hourly run (jobs.table)."""
    context.report({"purged": purge(int(time.time()) - KEPT, pause=context.pause)})


def _batches(before: int) -> Iterator[int]:
    old = StoredResponse.objects.filter(created_at__lt=before).order_by("created_at").values_list("pk", flat=True)
    while keys := list(old[:BATCH]):
        yield StoredResponse.objects.filter(pk__in=keys).delete()[0]


def _key(user_id: int, response_id: str) -> str:
    return digest("stored response", f"{user_id} {response_id}")
