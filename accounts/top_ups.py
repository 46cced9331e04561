"""Quota from outside: bought elsewhere, or given by an administrator (management contract, 2.5)."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from accounts.models import User, UserStatus
from accounts.refusals import ReferenceTaken, UnknownUser
from audit.services import Actor, record
from billing.models import EntryKind, LedgerEntry, LogType
from billing.services import QuotaOutOfRange, credit, write_log
from billing.wording import quota_text
from options import services as option_services


@transaction.atomic
def top_up(actor: Actor, user_id: int, quota: int, remark: str = "", reference: str | None = None) -> bool:
    """Credit a user from outside, with a log row. False where `reference` was already credited (remedy D11).

    Raises UnknownUser, QuotaOutOfRange; ReferenceTaken where that was another user or amount.
    """
    user = User.objects.filter(pk=user_id).exclude(status=UserStatus.DELETED).first()
    if user is None:
        raise UnknownUser
    if quota < 0:
        raise QuotaOutOfRange(quota)
    if quota:
        try:
            with transaction.atomic():
                credit(user_id, quota, kind=EntryKind.TOP_UP, note=remark, actor_id=actor.user_id, reference=reference)
        except IntegrityError:
            if reference is None:
                raise
            known = LedgerEntry.objects.filter(reference=reference).values_list("user_id", "amount").first()
            if known != (user_id, quota):
                raise ReferenceTaken from None
            return False
    content = remark or f"通过 API 充值 {quota_text(option_services.load(), quota)}"
    write_log(user_id, LogType.TOP_UP, content, username=user.username, quota=quota, request_id=actor.request_id)
    record(actor, "user.top_up", f"user:{user_id}", quota=quota, remark=remark[:255])
    return True
