"""Finding people: one search for every database (console reference, defect D30). Deleted accounts are never found."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db.models import CharField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from accounts.matching import holds
from accounts.models import User, UserStatus, fold

BINDINGS = {
    "email": Q(email_key__isnull=False),
    "github": Q(github_id__isnull=False),
    "wechat": Q(wechat_id__isnull=False),
    "lark": Q(lark_id__isnull=False),
    "oidc": Q(oidc_id__isnull=False),
}
DAY = 86_400  # seconds


@dataclass(frozen=True)
class UserFilter:
    """What a list of people asks for; 0, "" and None ask for nothing.

    `text`: part of the name, e-mail address or display name, whatever their case, or the number. `bound`: a key of
    BINDINGS. `below`: a settled balance of fewer points. `idle`: not active for so many days, or never.
    """

    text: str = ""
    role: int = 0
    status: int = 0
    group: str = ""
    bound: str = ""
    below: int | None = None
    idle: int = 0

    def rows(self) -> QuerySet[User]:
        """People in no order."""
        rows = User.objects.exclude(status=UserStatus.DELETED)
        if text := self.text.strip():
            rows = rows.filter(_called(text))
        exact = {"role": self.role, "status": self.status, "group": self.group}
        rows = rows.filter(**{name: value for name, value in exact.items() if value})
        if self.bound:
            rows = rows.filter(BINDINGS[self.bound])
        if self.below is not None:
            rows = rows.filter(quota__lt=self.below)
        if self.idle:
            rows = rows.filter(last_active__lt=int(time.time()) - self.idle * DAY)
        return rows


def _called(text: str) -> Q:
    key = fold(text)
    wanted = Q(username_key__contains=key) | Q(email_key__contains=key) | holds("display_name", text)
    if text.isdecimal() and len(text) < 19:  # what a 64-bit number takes
        wanted |= Q(pk=int(text))
    return wanted


def with_inviters(rows: QuerySet[User]) -> QuerySet[User]:
    """The rows, each with `inviter_name`: "" where nobody invited, or who did is no more known."""
    inviter = User.objects.filter(pk=OuterRef("inviter_id")).exclude(status=UserStatus.DELETED)
    name = Subquery(inviter.values("username")[:1], output_field=CharField())
    return rows.annotate(inviter_name=Coalesce(name, Value("")))


def names_of(user_ids: set[int]) -> dict[int, str]:
    """Number → user name, of those that there are."""
    rows = User.objects.filter(pk__in=user_ids).exclude(status=UserStatus.DELETED)
    return dict(rows.values_list("pk", "username"))
