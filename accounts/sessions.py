"""Ending sign-ins. Sessions live in Django's session table and carry the user's id."""

from __future__ import annotations

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone


def end_sessions(user_id: int, *, keep: str | None = None) -> int:
    """Delete this user's sessions but the one with key `keep`; returns how many.

    Reads every live session: the table has no column for the user, and this happens once in a while.
    """
    ended = [
        session.session_key
        for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator()
        if session.session_key != keep and str(session.get_decoded().get(SESSION_KEY)) == str(user_id)
    ]
    for start in range(0, len(ended), 500):
        Session.objects.filter(session_key__in=ended[start : start + 500]).delete()
    return len(ended)
