"""What would stay for ever if nobody took it away: sessions, windows of the rate limits, names of the deleted."""

from __future__ import annotations

import time
from importlib import import_module

from django.conf import settings

from accounts import sessions
from accounts.models import User, UserStatus
from api.models import RateWindow
from api.windows import KEEP
from billing.forgetting import forget
from jobs.running import Context


def clear_sessions() -> None:
    """Delete expired sessions. Stores that expire by themselves have nothing to do here."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


def clear_windows() -> int:
    """Delete counters whose window has passed; returns how many."""
    return RateWindow.objects.filter(started__lt=int(time.time()) - KEEP).delete()[0]


def forget_deleted(context: Context) -> int:
    """Take deleted people out of the log where their deletion could not do it; returns how many lines were changed."""
    changed = 0
    for user_id, name in User.objects.filter(status=UserStatus.DELETED).values_list("pk", "username").iterator():
        changed += forget(user_id, name, pause=context.pause)
        if context.stopping:
            break
    return changed


def scheduled(context: Context) -> None:
    """The daily run (jobs.table)."""
    clear_sessions()
    sessions.clear_ended()
    context.report({"rate_windows": clear_windows(), "forgotten_lines": forget_deleted(context)})
