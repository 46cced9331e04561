"""Correcting a balance by hand: by adding, subtracting or setting, never by writing back a number that was read."""

from __future__ import annotations

from enum import StrEnum

from django.db import IntegrityError, transaction

from accounts import levels
from accounts.models import User, UserStatus
from accounts.refusals import BadField, NotFound
from audit.services import Actor, record
from billing.models import EntryKind, LogType
from billing.services import credit, set_quota, write_log
from billing.wording import quota_text
from options import services as option_services


class How(StrEnum):
    ADD = "add"
    SUBTRACT = "subtract"
    SET = "set"


class AlreadyDone(Exception):
    """This very correction was made before: a form was sent twice. Nothing has changed."""


@transaction.atomic
def adjust_quota(
    by: User, actor: Actor, user_id: int, how: How, amount: int, reason: str, *, once: str = ""
) -> tuple[int, int]:
    """Change the balance by `amount` points, or to them; returns (before, after).

    The ledger and the audit keep the reason, and the user's log tells it. `once` names this correction (at most 32
    characters): a second one of the same name raises AlreadyDone. Raises NotFound, NotPermitted, BadField for an
    amount below zero, and QuotaOutOfRange where the balance would pass its bounds or fall below what open calls hold.
    """
    target = User.objects.select_for_update().filter(pk=user_id).exclude(status=UserStatus.DELETED).first()
    if target is None:
        raise NotFound
    levels.may_update(by, target)
    if amount < 0:
        raise BadField("输入不合法 quota")
    if how is How.SET:
        before, after = set_quota(user_id, amount, actor_id=actor.user_id, note=reason)
    else:
        change = amount if how is How.ADD else -amount
        reference = f"adjust:{once}:{user_id}" if once else None
        try:
            with transaction.atomic():
                after = credit(
                    user_id, change, kind=EntryKind.ADMIN, note=reason, actor_id=actor.user_id, reference=reference
                )
        except IntegrityError:
            raise AlreadyDone from None
        before = after - change
    if before != after:
        options = option_services.load()
        text = f"管理员将用户额度从 {quota_text(options, before)}修改为 {quota_text(options, after)}"
        text += f"：{reason}" if reason else ""
        write_log(user_id, LogType.MANAGE, text, username=target.username, request_id=actor.request_id)
        record(actor, "user.quota", f"user:{user_id}", old=before, new=after, how=str(how), reason=reason[:255])
    return before, after
