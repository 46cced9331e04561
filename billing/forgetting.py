"""Taking a person out of the log: the lines stay for the sums, without the name, address and program of who called."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from billing.models import Log

BATCH = 1000  # lines of one UPDATE
PAUSE = 0.02  # seconds between two, in which others get at the table


def forget(user_id: int, name: str, *, pause: Callable[[float], bool] | None = None) -> int:
    """Put `name` in the place of what the user was called in every line; returns how many lines were changed.

    A transaction a batch. `pause(seconds)` waits between two and says True to end early; what is left goes the next
    time, for lines that are done are not looked for.
    """
    told = Log.objects.filter(user_id=user_id).exclude(username=name).order_by("pk").values_list("pk", flat=True)
    changed = 0
    while lines := list(told[:BATCH]):
        with transaction.atomic(using=Log.objects.db):
            changed += Log.objects.filter(pk__in=lines).update(username=name, ip="", user_agent="")
        if pause is not None and pause(PAUSE):
            break
    return changed
