"""The keys programs call with: making, changing, deleting. Raises the classes of `accounts.refusals`."""

from __future__ import annotations

import ipaddress
import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.models import NEVER, Token, TokenStatus
from accounts.names import clean_text
from accounts.refusals import BadField, CannotEnable, NoId, NotFound
from options import versions
from options.registry import MAX_QUOTA
from vault.keys import digest

LETTERS = string.ascii_letters + string.digits
KEY_LENGTH = 48  # characters, without `sk-`
NAME_LENGTH = 30  # characters
MAX_TIME = 253_402_300_799  # the last second of the year 9999
EDITABLE = ("name", "expired_time", "remain_quota", "unlimited_quota", "model_names", "subnet")
UNLIMITED = -1  # remain_quota of the token `default`, which has no limit to count down from
NO_ID = "id 或 userId 为空！"


def new_key() -> str:
    """48 letters and digits, never a dash (the relay splits its header at dashes)."""
    return "".join(secrets.choice(LETTERS) for _ in range(KEY_LENGTH))


def token_digest(key: str) -> str:
    return digest("token", key)


@transaction.atomic
def create_token(
    *,
    user_id: int,
    name: str = "",
    expired_time: int = NEVER,
    remain_quota: int = 0,
    unlimited_quota: bool = False,
    model_names: str = "",
    subnet: str = "",
    key: str | None = None,
) -> Token:
    """A new token of this user. Times in unix seconds, 0 is never; without `key` one is drawn. Raises BadField."""
    fields = _cleaned(
        {
            "name": name,
            "expired_time": expired_time or NEVER,
            "remain_quota": remain_quota,
            "unlimited_quota": unlimited_quota,
            "model_names": model_names,
            "subnet": subnet,
        }
    )
    key = key or new_key()
    return Token.objects.create(user_id=user_id, key=key, key_digest=token_digest(key), **fields)


def find_token(user_id: int, token_id: int, *, lock: bool = False) -> Token:
    """One of the user's own; `lock` keeps it as it is until the transaction ends. Raises NoId, NotFound."""
    if not token_id:
        raise NoId(NO_ID)
    rows = Token.objects.select_for_update() if lock else Token.objects.all()
    token = rows.filter(pk=token_id, user_id=user_id).first()
    if token is None:
        raise NotFound
    return token


@transaction.atomic
def update_token(user_id: int, token_id: int, changes: Mapping[str, Any]) -> Token:
    """Store those of EDITABLE that are given; the status is not among them. Raises NoId, NotFound, BadField."""
    token = find_token(user_id, token_id, lock=True)
    fields = _cleaned({name: changes[name] for name in EDITABLE if name in changes}, unlimited=token.unlimited_quota)
    if fields.get("unlimited_quota") is False and "remain_quota" not in fields:
        fields["remain_quota"] = max(token.remain_quota, 0)
    if fields:
        for name, value in fields.items():
            setattr(token, name, value)
        token.save(update_fields=list(fields))
        versions.bump(versions.IDENTITIES)
    return token


def check_enabling(token: Token) -> None:
    """Raises CannotEnable while the reason for which a token was switched off still holds."""
    if token.status == TokenStatus.EXPIRED and token.expired_time != NEVER and token.expired_time <= time.time():
        raise CannotEnable("令牌已过期，无法启用，请先修改令牌过期时间，或者设置为永不过期")
    if token.status == TokenStatus.EXHAUSTED and token.remain_quota <= 0 and not token.unlimited_quota:
        raise CannotEnable("令牌可用额度已用尽，无法启用，请先修改令牌剩余额度，或者设置为无限额度")


@transaction.atomic
def set_token_status(user_id: int, token_id: int, status: int) -> Token:
    """Raises NoId, NotFound, CannotEnable, BadField for a number that is no status."""
    token = find_token(user_id, token_id, lock=True)
    if status not in TokenStatus.values:
        raise BadField("无效的参数")
    if status == TokenStatus.ENABLED:
        check_enabling(token)
    if token.status != status:
        token.status = status
        token.save(update_fields=["status"])
        versions.bump(versions.IDENTITIES)
    return token


@transaction.atomic
def delete_token(user_id: int, token_id: int) -> None:
    """Raises NoId, NotFound."""
    find_token(user_id, token_id).delete()
    versions.bump(versions.IDENTITIES)


def _cleaned(fields: Mapping[str, Any], *, unlimited: bool = False) -> dict[str, Any]:
    """Raises BadField. The quota of an unlimited token says nothing and may be anything above UNLIMITED."""
    cleaned = dict(fields)
    unlimited = cleaned.get("unlimited_quota", unlimited)
    if "name" in cleaned:
        if len(cleaned["name"]) > NAME_LENGTH:
            raise BadField("参数错误：令牌名称过长")
        cleaned["name"] = clean_text(cleaned["name"], "name", NAME_LENGTH)
    if "expired_time" in cleaned and not NEVER <= cleaned["expired_time"] <= MAX_TIME:
        raise BadField("参数错误：expired_time")
    if "remain_quota" in cleaned:
        if unlimited:
            cleaned["remain_quota"] = min(max(cleaned["remain_quota"], UNLIMITED), MAX_QUOTA)
        elif not 0 <= cleaned["remain_quota"] <= MAX_QUOTA:
            raise BadField("参数错误：remain_quota")
    if "model_names" in cleaned:
        cleaned["model_names"] = ",".join(name.strip() for name in cleaned["model_names"].split(",") if name.strip())
    if "subnet" in cleaned:
        cleaned["subnet"] = _networks(cleaned["subnet"])
    return cleaned


def _networks(text: str) -> str:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not _is_network(part):
            raise BadField(f"参数错误：无效的网段：failed to parse subnet: invalid CIDR address: {part}")
    return ",".join(parts)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text
