"""The quota reminder: once each time a settled balance falls below QuotaRemindThreshold (remedy A15).

A user may have a threshold of their own (`users.remind_below`).

A job compares balances with who was told, instead of the settlement doing it: calls pay nothing for it, and every way
a balance can fall is seen. What falls and rises again between two looks (a minute) goes unnoticed.
"""

from __future__ import annotations

import time

from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce

from accounts.models import User, UserStatus
from notices import mail, queue
from notices.models import Kind, QuotaReminder
from options import services as option_services

BATCH = 1000  # users in one transaction


def remind() -> int:
    """Forget who is above the threshold again, tell who has fallen below; returns how many were told.

    An account that never paid for a call has not fallen. Without a mail server nobody is told, but remembered: setting
    one up later must not write to everybody who ran out last year.
    """
    options = option_services.load()
    threshold = max(options["QuotaRemindThreshold"], 1)  # used up is below every threshold
    _forget_above(threshold)
    by_mail = mail.configured(options)
    told = 0
    while batch := _note_below(threshold, tell=by_mail):
        told += batch if by_mail else 0
        if batch < BATCH:
            break
    return told


def take_note() -> int:
    """Count all who are below now as told, without a word (after accounts came over from elsewhere)."""
    threshold = max(option_services.load()["QuotaRemindThreshold"], 1)
    noted = 0
    while batch := _note_below(threshold, tell=False):
        noted += batch
    return noted


def _forget_above(threshold: int) -> None:
    above = User.objects.filter(quota__gte=_bound(threshold)).values("pk")
    QuotaReminder.objects.filter(user_id__in=above).delete()


def _bound(threshold: int) -> Coalesce:
    """The user's own threshold where there is one (0 is never), else the operator's."""
    return Coalesce(F("remind_below"), threshold)


@transaction.atomic
def _note_below(threshold: int, *, tell: bool) -> int:
    below = (
        User.objects.filter(status=UserStatus.ENABLED, quota__lt=_bound(threshold), used_quota__gt=0)
        .exclude(email="")
        .filter(~Exists(QuotaReminder.objects.filter(user_id=OuterRef("pk"))))
        .order_by("pk")
        .values_list("pk", "email")[:BATCH]
    )
    found = list(below)
    now = int(time.time())
    QuotaReminder.objects.bulk_create(QuotaReminder(user_id=user_id, told_at=now) for user_id, _ in found)
    if tell:
        queue.post_all(Kind.QUOTA, [(email, {"user_id": user_id}) for user_id, email in found])
    return len(found)
