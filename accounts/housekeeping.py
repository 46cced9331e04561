"""What expires by itself and would stay in its table for ever: sessions, and windows of the rate limits."""

from __future__ import annotations

import time
from importlib import import_module

from django.conf import settings

from accounts import sessions
from api.models import RateWindow
from api.windows import KEEP
from jobs.running import Context


def clear_sessions() -> None:
    """Delete expired sessions. Stores that expire by themselves have nothing to do here."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


def clear_windows() -> int:
    """Delete counters whose window has passed; returns how many."""
    return RateWindow.objects.filter(started__lt=int(time.time()) - KEEP).delete()[0]


def scheduled(context: Context) -> None:
    """The daily run (jobs.table)."""
    clear_sessions()
    sessions.clear_ended()
    context.report({"rate_windows": clear_windows()})
