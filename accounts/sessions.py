"""Who is signed in where. Django's session table says which sessions are alive; `UserSession` whose they are.

A session is ended by deleting its row there, so nothing of it is left to be believed.
"""

from __future__ import annotations

import time

from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import User, UserSession

SEEN_EVERY = 300  # seconds between two notes of the same session
REMEMBERED = 10_000  # sessions whose last note a worker remembers

_noted: dict[str, float] = {}  # session key → when this worker last looked (monotonic)


def begin(session_key: str, user_id: int, *, address: str, user_agent: str, method: str) -> None:
    """Note a new sign-in."""
    now = int(time.time())  # read once: all that is noted tells the same moment
    noted = {
        "user_id": user_id,
        "address": address[:45],
        "user_agent": user_agent[:255],
        "method": method[:32],
    }
    UserSession.objects.update_or_create(
        session_key=session_key, defaults=noted, create_defaults={**noted, "created_at": now, "seen_at": now}
    )
    User.objects.filter(pk=user_id).update(last_active=now)


def moved(old_key: str | None, new_key: str | None) -> None:
    """The same sign-in goes on under another key."""
    if old_key and new_key:
        UserSession.objects.filter(session_key=old_key).update(session_key=new_key)


def seen(session_key: str, user_id: int, *, address: str, user_agent: str) -> None:
    """Note that the session is used, at most once in SEEN_EVERY seconds; between them this costs no query.

    A session from before there was this table, or of an older version running beside, becomes one of an unknown method.
    """
    if time.monotonic() - _noted.get(session_key, -SEEN_EVERY) < SEEN_EVERY:
        return
    if len(_noted) >= REMEMBERED:
        _noted.clear()
    _noted[session_key] = time.monotonic()
    now = int(time.time())
    rows = UserSession.objects.filter(session_key=session_key)
    if not rows.filter(seen_at__lte=now - SEEN_EVERY).update(seen_at=now, address=address[:45]):
        if rows.exists():
            return
        try:
            with transaction.atomic():
                UserSession.objects.create(
                    session_key=session_key, user_id=user_id, address=address[:45], user_agent=user_agent[:255]
                )
        except IntegrityError:  # another request of the same session was faster
            return
    User.objects.filter(pk=user_id, last_active__lt=now).update(last_active=now)


def live(user_id: int) -> QuerySet[UserSession]:
    """The user's sessions that are still good, the one used last first."""
    alive = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now())
    return UserSession.objects.filter(Exists(alive), user_id=user_id).order_by("-seen_at", "-pk")


def end_sessions(user_id: int, *, keep: str | None = None) -> int:
    """End this user's sessions but the one with key `keep`; returns how many were alive."""
    return _end(UserSession.objects.filter(user_id=user_id).exclude(session_key=keep or ""))


def end_session(user_id: int, session_id: int) -> bool:
    """End one of the user's own, by the number of its `UserSession`; whether there was such a one."""
    return bool(_end(UserSession.objects.filter(user_id=user_id, pk=session_id)))


@transaction.atomic
def _end(rows: QuerySet[UserSession]) -> int:
    ended = Session.objects.filter(session_key__in=rows.values("session_key")).delete()[0]
    rows.delete()
    return ended


def forget(session_key: str | None) -> None:
    """The session has ended by itself: somebody signed out."""
    if session_key:
        UserSession.objects.filter(session_key=session_key).delete()


def clear_ended() -> int:
    """Delete what is noted of sessions that are gone; returns how many."""
    alive = Session.objects.filter(session_key=OuterRef("session_key"))
    return UserSession.objects.filter(~Exists(alive)).delete()[0]
