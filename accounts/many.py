"""One act on many people at once: what it would do is asked first, and what was asked about is what is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction

from accounts import levels
from accounts.adjusting import AlreadyDone, How, adjust_quota
from accounts.editing import update_user
from accounts.management import act
from accounts.models import User, UserStatus
from accounts.refusals import BadField, Refused
from audit.services import Actor, record

MOST = 1000  # people of one act


class BulkAction(StrEnum):
    ENABLE = "enable"
    DISABLE = "disable"
    GROUP = "group"
    QUOTA = "quota"
    DELETE = "delete"


@dataclass(frozen=True)
class Plan:
    """Whom an act would concern: those it may change, and those it may not, with the reason."""

    targets: tuple[User, ...]
    refused: tuple[tuple[User, Refused], ...]

    @property
    def ids(self) -> list[int]:
        return [user.pk for user in self.targets]


def plan(by: User, action: BulkAction, user_ids: Sequence[int]) -> Plan:
    """Nothing is changed. Numbers that nobody has, and those beyond MOST, are left out."""
    rows = User.objects.filter(pk__in=list(user_ids)[:MOST]).exclude(status=UserStatus.DELETED)
    targets, refused = [], []
    for user in rows.order_by("pk"):
        try:
            _may(by, user, action)
        except Refused as refusal:
            refused.append((user, refusal))
        else:
            targets.append(user)
    return Plan(tuple(targets), tuple(refused))


@transaction.atomic
def act_on_many(
    by: User,
    actor: Actor,
    action: BulkAction,
    user_ids: Sequence[int],
    *,
    group: str = "",
    amount: int = 0,
    reason: str = "",
    once: str = "",
) -> int:
    """All or nothing; returns how many people it concerned. Those whom `by` may not change are left out, as in `plan`.

    `amount` points are added to each balance; `once` as in `adjust_quota`. Raises BadField for a group that cannot be,
    and QuotaOutOfRange.
    """
    if action is BulkAction.QUOTA and amount <= 0:
        raise BadField("输入不合法 quota")
    ids = plan(by, action, user_ids).ids
    done = 0
    for user_id in ids:
        match action:
            case BulkAction.GROUP:
                update_user(by, actor, user_id, {"group": group})
            case BulkAction.QUOTA:
                try:
                    adjust_quota(by, actor, user_id, How.ADD, amount, reason, once=once)
                except AlreadyDone:
                    continue
            case _:
                act(by, actor, user_id, action)
        done += 1
    if done:
        told = {"group": group} if group else {"quota": amount, "reason": reason[:255]} if amount else {}
        record(actor, f"user.many.{action}", "users", ids=ids, count=done, **told)
    return done


def _may(by: User, user: User, action: BulkAction) -> None:
    if action in (BulkAction.GROUP, BulkAction.QUOTA):
        levels.may_update(by, user)
    else:
        levels.may_manage(by, user, action)
