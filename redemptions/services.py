"""Codes that credit a user once: making, changing, deleting and spending them. One transaction each."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import User
from accounts.names import clean_text
from audit.services import Actor, record
from billing.models import EntryKind, LogType
from billing.services import credit, write_log
from billing.wording import quota_text
from options import services as option_services
from options.registry import MAX_QUOTA
from redemptions.models import Redemption, RedemptionStatus
from vault.keys import digest

NAME_LENGTH = 20  # characters
BATCH_LENGTH = 64  # characters
LARGEST_BATCH = 100  # codes made at once by the API, as its contract has it
MOST_AT_ONCE = 1000  # by the console


class CodeRefused(ValueError):
    """Nothing has changed; `str()` is the contract's text."""

    text = ""

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.text)


class UnknownCode(CodeRefused):
    text = "兑换失败，无效的兑换码"


class CodeUsed(CodeRefused):
    text = "兑换失败，该兑换码已被使用"


class CodeExpired(CodeRefused):
    text = "兑换失败，该兑换码已过期"


class EnoughOfBatch(CodeRefused):
    """The user has redeemed as many codes of its batch as one user may."""

    text = "兑换失败，您已兑换过该批次的兑换码"


class NoCode(CodeRefused):
    text = "未提供兑换码"


class BadCode(CodeRefused):
    """A name, count, quota or status that a code cannot have."""


class CodeMissing(CodeRefused):
    text = "record not found"


class NoId(CodeRefused):
    text = "id 为空！"


def code_digest(key: str) -> str:
    return digest("redemption", key)


@transaction.atomic
def create_codes(
    actor: Actor,
    *,
    name: str,
    count: int,
    quota: int,
    batch: str = "",
    expires_at: int = 0,
    per_user: int = 0,
    most: int = LARGEST_BATCH,
    once: str = "",
) -> list[str]:
    """`count` new codes of `quota` points each; returns them. Raises BadCode.

    Unix second `expires_at` is the first at which they are refused. `per_user` codes of `batch` are what one user may
    redeem. 0 is no limit. `once` names the order: repeated by the same person, it returns what it has made.
    """
    if count <= 0:
        raise BadCode("兑换码个数必须大于0")
    if count > most:
        raise BadCode(f"一次兑换码批量生成的个数不能大于 {most}")
    name, quota = _clean_name(name), _clean_quota(quota)
    batch = clean_text(batch.strip(), "batch", BATCH_LENGTH)
    if per_user < 0 or expires_at < 0 or (per_user and not batch):
        raise BadCode("无效的参数")
    told = {"batch": batch, "expires_at": expires_at, "per_user": per_user}
    if once:
        keys = _keys_of([once, actor.user_id, name, quota, *told.values()], count)
    else:
        keys = [secrets.token_hex(16) for _ in range(count)]
    now = int(time.time())
    rows = [
        Redemption(
            user_id=actor.user_id,
            key=key,
            key_digest=code_digest(key),
            name=name,
            quota=quota,
            created_time=now,
            batch=batch,
            expires_at=expires_at,
            per_user=per_user,
        )
        for key in keys
    ]
    try:
        with transaction.atomic():
            Redemption.objects.bulk_create(rows)
    except IntegrityError:
        made = Redemption.objects.filter(key_digest__in=[row.key_digest for row in rows])
        there = set(made.values_list("key_digest", flat=True))
        if not once or not there:
            raise
        return [row.key for row in rows if row.key_digest in there]
    record(actor, "redemption.create", "redemptions", name=name, count=count, quota=quota, **_given(told))
    return keys


def _keys_of(order: Sequence[object], count: int) -> list[str]:
    """The same for the same order, and for nobody to work out who has not the deployment's secret."""
    return [digest("redemption order", repr([*order, number]))[:32] for number in range(count)]


def find_code(code_id: int, *, lock: bool = False) -> Redemption:
    """`lock` keeps it as it is until the transaction ends. Raises NoId, CodeMissing."""
    if not code_id:
        raise NoId
    rows = Redemption.objects.select_for_update() if lock else Redemption.objects.all()
    code = rows.filter(pk=code_id).first()
    if code is None:
        raise CodeMissing
    return code


@transaction.atomic
def update_code(actor: Actor, code_id: int, changes: Mapping[str, Any]) -> Redemption:
    """Change `name`, `quota`, `status`, `batch`, `expires_at`: those given. A used code keeps quota and status (D20).

    Raises NoId, CodeMissing, BadCode, CodeUsed.
    """
    code = find_code(code_id, lock=True)
    fields: dict[str, Any] = {}
    if "name" in changes:
        fields["name"] = _clean_name(changes["name"])
    if "quota" in changes:
        fields["quota"] = _clean_quota(changes["quota"])
    if "batch" in changes:
        fields["batch"] = clean_text(changes["batch"].strip(), "batch", BATCH_LENGTH)
    for name in ("status", "expires_at"):
        if name in changes:
            fields[name] = changes[name]
    fields = {name: value for name, value in fields.items() if value != getattr(code, name)}
    if code.status == RedemptionStatus.USED and fields.keys() & {"quota", "status"}:
        raise CodeUsed("该兑换码已被使用")
    if fields.get("expires_at", 0) < 0 or (code.per_user and fields.get("batch") == ""):
        raise BadCode("无效的参数")  # codes without a batch would all count as one
    if fields.get("status", RedemptionStatus.ENABLED) not in (RedemptionStatus.ENABLED, RedemptionStatus.DISABLED):
        raise BadCode("无效的参数")
    if fields:
        Redemption.objects.filter(pk=code_id).update(**fields)
        for name, value in fields.items():
            setattr(code, name, value)
        record(actor, "redemption.update", f"redemption:{code_id}", **fields)
    return code


@transaction.atomic
def delete_code(actor: Actor, code_id: int) -> None:
    """Raises NoId, CodeMissing."""
    code = find_code(code_id)
    code.delete()
    record(actor, "redemption.delete", f"redemption:{code_id}", name=code.name, status=code.status)


@transaction.atomic
def redeem(user_id: int, key: str, *, request_id: str = "") -> int:
    """Spend a code once; returns the points credited.

    One conditional update decides who of two at once gets it; the ledger's reference would refuse the second too.
    Raises NoCode, UnknownCode, CodeUsed, CodeExpired, EnoughOfBatch.
    """
    key = key.strip()
    if not key:
        raise NoCode
    code = Redemption.objects.filter(key_digest=code_digest(key)).first()
    if code is None:
        raise UnknownCode
    if code.per_user:
        _take_turn(user_id, code)
    now = int(time.time())
    good = Redemption.objects.filter(_not_expired(now), pk=code.pk, status=RedemptionStatus.ENABLED)
    if not good.update(status=RedemptionStatus.USED, redeemed_time=now, used_by=user_id):
        expired = not Redemption.objects.filter(_not_expired(now), pk=code.pk).exists()
        raise CodeExpired if expired and code.status == RedemptionStatus.ENABLED else CodeUsed
    # What it is worth is read after the claim, from when on nobody can change it.
    quota = Redemption.objects.values_list("quota", flat=True).get(pk=code.pk)
    credit(user_id, quota, kind=EntryKind.REDEMPTION, note=code.name, reference=f"redemption:{code.key_digest[:48]}")
    text = f"通过兑换码充值 {quota_text(option_services.load(), quota)}"
    username = User.objects.values_list("username", flat=True).get(pk=user_id)
    write_log(user_id, LogType.TOP_UP, text, username=username, request_id=request_id)
    return quota


def _take_turn(user_id: int, code: Redemption) -> None:
    """Raises EnoughOfBatch. The lock on the user makes two codes of one batch, redeemed at once, count each other."""
    User.objects.select_for_update().get(pk=user_id)
    if Redemption.objects.filter(batch=code.batch, used_by=user_id).count() >= code.per_user:
        raise EnoughOfBatch


def _not_expired(now: int) -> Q:
    return Q(expires_at=0) | Q(expires_at__gt=now)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _clean_name(name: str) -> str:
    if not 1 <= len(name) <= NAME_LENGTH:
        raise BadCode("兑换码名称长度必须在1-20之间")
    return clean_text(name, "name", NAME_LENGTH)


def _clean_quota(quota: int) -> int:
    if not 0 < quota <= MAX_QUOTA:
        raise BadCode(f"兑换码额度必须在1-{MAX_QUOTA}之间")
    return quota
