"""Moving money outside a call: credits, corrections, and the log lines that go with them.

Every function is one transaction. Calls themselves are billed through `billing.books`.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.models import User
from billing.models import EntryKind, LedgerEntry, Log, LogOutbox, LogType
from options.registry import MAX_QUOTA


class UserMissing(LookupError):
    """No user has this id."""


class QuotaOutOfRange(ValueError):
    """The balance would go below what is spendable, or above MAX_QUOTA."""


@transaction.atomic
def credit(
    user_id: int,
    amount: int,
    *,
    kind: EntryKind,
    note: str = "",
    actor_id: int = 0,
    reference: str | None = None,
) -> int:
    """Add `amount` points (negative takes away, never below what open holds need); returns the new balance.

    One conditional update decides, so that two at once cannot take the balance past its bounds. `reference` makes
    the entry unique: a second one with the same raises IntegrityError and changes nothing.
    Raises UserMissing, QuotaOutOfRange.
    """
    if abs(amount) > MAX_QUOTA:
        raise QuotaOutOfRange(amount)
    changed = User.objects.filter(
        pk=user_id, quota__gte=F("held") - amount if amount < 0 else 0, quota__lte=MAX_QUOTA - max(amount, 0)
    ).update(quota=F("quota") + amount)
    if not changed:
        if not User.objects.filter(pk=user_id).exists():
            raise UserMissing(user_id)
        raise QuotaOutOfRange(amount)
    _enter(user_id, kind, amount, note, actor_id, reference)
    return User.objects.values_list("quota", flat=True).get(pk=user_id)


@transaction.atomic
def set_quota(user_id: int, quota: int, *, actor_id: int, note: str = "") -> tuple[int, int]:
    """Make the balance exactly `quota`; returns (old, new). The ledger records the difference.

    A balance set below what open calls hold lets them finish: what they cost beyond it is uncollected (I2).
    Raises UserMissing, QuotaOutOfRange.
    """
    if not 0 <= quota <= MAX_QUOTA:
        raise QuotaOutOfRange(quota)
    old = User.objects.select_for_update().values_list("quota", flat=True).filter(pk=user_id).first()
    if old is None:
        raise UserMissing(user_id)
    if quota != old:
        User.objects.filter(pk=user_id).update(quota=quota)
        _enter(user_id, EntryKind.ADMIN, quota - old, note, actor_id, None)
    return old, quota


def _enter(user_id: int, kind: EntryKind, amount: int, note: str, actor_id: int, reference: str | None) -> None:
    LedgerEntry.objects.create(
        user_id=user_id,
        kind=kind,
        amount=amount,
        created_at=int(time.time()),
        note=note[:255],
        actor_id=actor_id,
        reference=reference,
    )


def write_log(user_id: int, kind: LogType, content: str, **fields: Any) -> None:
    """One log row that is not a charge (top-up, management, system, test). `fields` are columns of `Log`.

    In the caller's transaction, which may hold locks on balances: a log database of its own is not waited for, but
    gets the row from the outbox (billing.log_shipping).
    """
    now = int(time.time())
    row = {"user_id": user_id, "type": int(kind), "content": content, "created_at": now, **fields}
    if settings.LOG_DATABASE_ALIAS == "default":
        Log.objects.create(**row)
    else:
        LogOutbox.objects.create(created_at=now, row=row)
