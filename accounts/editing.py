"""Changing accounts: by their owner, by an administrator, by who reads their mail. Each function is one transaction.

Raises the classes of `accounts.refusals`, and then nothing has changed. Identity changes (status, group, role) raise
the IDENTITIES version, so that the relay's caches notice.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from accounts import levels
from accounts.models import Role, User, UserStatus, fold
from accounts.names import clean_email, clean_password, clean_text, clean_username
from accounts.refusals import (
    AccountDisabled,
    BadField,
    IdentityTaken,
    NotFound,
    NotPermitted,
    UnknownUser,
    WrongPassword,
)
from accounts.registration import refuse_taken
from accounts.sessions import end_sessions
from accounts.tokens import LETTERS
from audit.services import Actor, record
from billing.models import LogType
from billing.services import set_quota, write_log
from billing.wording import quota_text
from options import services as option_services
from options import versions

RESET_PASSWORD_LENGTH = 12  # characters, as the contract's
IDENTITY_LENGTHS = {"github_id": 64, "wechat_id": 128, "lark_id": 128, "oidc_id": 255}  # characters, as the columns
IDENTITIES = tuple(IDENTITY_LENGTHS)
EDITABLE = ("username", "password", "display_name", "role", "status", "email", *IDENTITIES, "group")
IDENTITY_FIELDS = frozenset({"username", "role", "status", "group"})  # what the relay remembers of a user
RIGHTS = ("role", "status", "group")  # whose values the audit tells; the other fields are personal or secret


@transaction.atomic
def update_self(user: User, actor: Actor, changes: Mapping[str, str], *, session_key: str | None = None) -> User:
    """One's own `username`, `display_name`, `password`; an empty name or password is no change.

    `original_password`, where given and not empty, must be right. Every other session ends with a new password.
    Raises WrongPassword, AccountDisabled and as `register`.
    """
    target = locked(user.pk)
    original = changes.get("original_password") or ""
    if original and not target.check_password(original):
        raise WrongPassword
    apply(
        target,
        actor,
        {name: changes[name] for name in ("username", "display_name", "password") if name in changes},
        session_key,
    )
    return target


@transaction.atomic
def bind_email(user_id: int, actor: Actor, email: str) -> None:
    """The user's address from now on; that they read its mail is the caller's to know.

    Raises EmailTaken, BadField, AccountDisabled.
    """
    apply(locked(user_id), actor, {"email": email})


def locked(user_id: int) -> User:
    """The row of somebody who changes their own account, for the rest of the transaction.

    Raises AccountDisabled where it was disabled or deleted since they were let in: nothing is added to a row that was
    emptied.
    """
    user = User.objects.select_for_update().filter(pk=user_id, status=UserStatus.ENABLED).first()
    if user is None:
        raise AccountDisabled
    return user


@transaction.atomic
def reset_password(email: str, actor: Actor) -> str:
    """A drawn password for the enabled account with this address, which must be changed at the next sign-in.

    Every session and the management token end (remedy S24): whoever had them may be the reason. Raises UnknownUser.
    """
    user = User.objects.select_for_update().filter(email_key=fold(email), status=UserStatus.ENABLED).first()
    if user is None or not fold(email):
        raise UnknownUser
    password = "".join(secrets.choice(LETTERS) for _ in range(RESET_PASSWORD_LENGTH))
    user.set_password(password)
    user.must_change_password = True
    user.access_token_digest = None
    user.save(update_fields=["password", "must_change_password", "access_token_digest"])
    end_sessions(user.pk)
    record(actor, "user.reset_password", f"user:{user.pk}")
    return password


@transaction.atomic
def choose_password(email: str, password: str, actor: Actor) -> None:
    """As `reset_password`, with a password of the person's own (D9). Raises UnknownUser, BadPassword."""
    user = User.objects.select_for_update().filter(email_key=fold(email), status=UserStatus.ENABLED).first()
    if user is None or not fold(email):
        raise UnknownUser
    user.set_password(clean_password(password))
    user.must_change_password = False
    user.access_token_digest = None
    user.save(update_fields=["password", "must_change_password", "access_token_digest"])
    end_sessions(user.pk)
    record(actor, "user.reset_password", f"user:{user.pk}")


@transaction.atomic
def update_user(by: User, actor: Actor, user_id: int, changes: Mapping[str, Any]) -> User:
    """Change the fields given, of those an administrator may change; others are ignored (remedy S21).

    Allowed: username, password, display_name, role, status, email, github_id, wechat_id, lark_id, oidc_id, quota,
    group. A new quota is a ledger entry and a log row. Raises NotFound, NotPermitted, and as `register`.
    """
    target = User.objects.select_for_update().filter(pk=user_id).exclude(status=UserStatus.DELETED).first()
    if target is None:
        raise NotFound
    role = changes.get("role")
    levels.may_update(by, target, role)
    if role is not None and role < target.role == Role.ROOT and not _another_root(target):
        raise NotPermitted("无法降级超级管理员用户")
    status = changes.get("status", target.status)
    if status not in (UserStatus.ENABLED, UserStatus.DISABLED):
        raise BadField("输入不合法 status")
    if status != target.status and status == UserStatus.DISABLED:
        levels.may_manage(by, target, "disable")
    apply(target, actor, {name: changes[name] for name in EDITABLE if name in changes})
    if "quota" in changes:
        _change_quota(target, actor, changes["quota"])
    target.refresh_from_db()
    return target


def _another_root(user: User) -> bool:
    """Looked at under a lock: two roots who demote each other at once would both find the other."""
    versions.lock(versions.IDENTITIES)
    return User.objects.filter(role=Role.ROOT, status=UserStatus.ENABLED).exclude(pk=user.pk).exists()


def apply(user: User, actor: Actor, changes: Mapping[str, Any], session_key: str | None = None) -> None:
    """Store what differs. Sessions end with a new password or role (remedy S4).

    Those of a disabled account are refused, and told so once, by whoever reads them; they are deleted when it is
    enabled again, so that none comes back to life.
    """
    changed: set[str] = set()
    before = {name: getattr(user, name) for name in RIGHTS}
    for name, value in changes.items():
        if name in ("username", "password") and not value:
            continue
        if name != "password" and value == (getattr(user, name) or ""):
            continue  # sent back as it was read; a name from before today's rules stays usable
        cleaned = _cleaned(name, value)
        if name == "password":
            user.set_password(cleaned)
            user.must_change_password = False
            changed |= {"password", "must_change_password"}
        elif getattr(user, name) != cleaned:
            setattr(user, name, cleaned)
            changed.add(name)
    if not changed:
        return
    if changed & {"username", "email"}:
        refuse_taken(user)
    try:
        with transaction.atomic():
            user.save(update_fields=changed)
    except IntegrityError:
        refuse_taken(user)
        raise IdentityTaken from None
    if changed & {"password", "role"} or ("status" in changed and user.status == UserStatus.ENABLED):
        end_sessions(user.pk, keep=session_key)
    told: dict[str, Any] = {name: getattr(user, name) for name in RIGHTS if name in changed}
    if told:
        told["before"] = {name: before[name] for name in told}
    record(actor, "user.update", f"user:{user.pk}", fields=sorted(changed), **told)
    if changed & IDENTITY_FIELDS:
        versions.bump(versions.IDENTITIES)


def _cleaned(name: str, value: Any) -> Any:
    match name:
        case "username":
            return clean_username(value)
        case "password":
            return clean_password(value)
        case "display_name":
            return clean_text(value, name, 64)
        case "email":
            return clean_email(value)
        case "role":
            if value not in (Role.COMMON, Role.ADMIN, Role.ROOT):
                raise BadField("输入不合法 role")
            return value
        case "group":
            value = clean_text(value.strip(), name, 64)
            if not value or "," in value:
                raise BadField("输入不合法 group")
            return value
        case "github_id" | "wechat_id" | "lark_id" | "oidc_id":
            return clean_text(value.strip(), name, IDENTITY_LENGTHS[name]) or None
        case _:
            return value


def _change_quota(user: User, actor: Actor, quota: int) -> None:
    old, new = set_quota(user.pk, quota, actor_id=actor.user_id)
    if old == new:
        return
    options = option_services.load()
    text = f"管理员将用户额度从 {quota_text(options, old)}修改为 {quota_text(options, new)}"
    write_log(user.pk, LogType.MANAGE, text, username=user.username, request_id=actor.request_id)
    record(actor, "user.quota", f"user:{user.pk}", old=old, new=new)
