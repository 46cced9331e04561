"""Codes that credit a user once: making, changing, deleting and spending them. One transaction each."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction

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
LARGEST_BATCH = 100


class CodeRefused(ValueError):
    """Nothing has changed; `str()` is the contract's text."""

    text = ""

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.text)


class UnknownCode(CodeRefused):
    text = "兑换失败，无效的兑换码"


class CodeUsed(CodeRefused):
    text = "兑换失败，该兑换码已被使用"


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
def create_codes(actor: Actor, *, name: str, count: int, quota: int) -> list[str]:
    """`count` new codes of `quota` points each; returns them. Raises BadCode."""
    if count <= 0:
        raise BadCode("兑换码个数必须大于0")
    if count > LARGEST_BATCH:
        raise BadCode("一次兑换码批量生成的个数不能大于 100")
    name, quota = _clean_name(name), _clean_quota(quota)
    keys = [secrets.token_hex(16) for _ in range(count)]
    now = int(time.time())
    Redemption.objects.bulk_create(
        Redemption(
            user_id=actor.user_id, key=key, key_digest=code_digest(key), name=name, quota=quota, created_time=now
        )
        for key in keys
    )
    record(actor, "redemption.create", "redemptions", name=name, count=count, quota=quota)
    return keys


def find_code(code_id: int) -> Redemption:
    """Raises NoId, CodeMissing."""
    if not code_id:
        raise NoId
    code = Redemption.objects.filter(pk=code_id).first()
    if code is None:
        raise CodeMissing
    return code


@transaction.atomic
def update_code(actor: Actor, code_id: int, changes: Mapping[str, Any]) -> Redemption:
    """Change `name`, `quota` and `status`, those that are given. A used code keeps quota and status (remedy D20).

    Raises NoId, CodeMissing, BadCode, CodeUsed.
    """
    find_code(code_id)
    code = Redemption.objects.select_for_update().get(pk=code_id)
    fields: dict[str, Any] = {}
    if "name" in changes:
        fields["name"] = _clean_name(changes["name"])
    if "quota" in changes:
        fields["quota"] = _clean_quota(changes["quota"])
    if "status" in changes:
        fields["status"] = changes["status"]
    fields = {name: value for name, value in fields.items() if value != getattr(code, name)}
    if code.status == RedemptionStatus.USED and fields.keys() & {"quota", "status"}:
        raise CodeUsed("该兑换码已被使用")
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
    """Spend a code once; returns the points credited. Raises NoCode, UnknownCode, CodeUsed.

    One conditional update decides who of two at once gets it; the ledger's reference would refuse the second too.
    """
    key = key.strip()
    if not key:
        raise NoCode
    code = Redemption.objects.filter(key_digest=code_digest(key)).first()
    if code is None:
        raise UnknownCode
    claimed = Redemption.objects.filter(pk=code.pk, status=RedemptionStatus.ENABLED).update(
        status=RedemptionStatus.USED, redeemed_time=int(time.time()), used_by=user_id
    )
    if not claimed:
        raise CodeUsed
    # What it is worth is read after the claim, from when on nobody can change it.
    quota = Redemption.objects.values_list("quota", flat=True).get(pk=code.pk)
    credit(user_id, quota, kind=EntryKind.REDEMPTION, note=code.name, reference=f"redemption:{code.key_digest[:48]}")
    text = f"通过兑换码充值 {quota_text(option_services.load(), quota)}"
    username = User.objects.values_list("username", flat=True).get(pk=user_id)
    write_log(user_id, LogType.TOP_UP, text, username=username, request_id=request_id)
    return quota


def _clean_name(name: str) -> str:
    if not 1 <= len(name) <= NAME_LENGTH:
        raise BadCode("兑换码名称长度必须在1-20之间")
    return clean_text(name, "name", NAME_LENGTH)


def _clean_quota(quota: int) -> int:
    if not 0 < quota <= MAX_QUOTA:
        raise BadCode(f"兑换码额度必须在1-{MAX_QUOTA}之间")
    return quota
