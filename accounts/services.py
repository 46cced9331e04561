"""Accounts and their tokens: making, changing and deleting them. Each function is one transaction.

Raises the classes of `accounts.refusals`, and then nothing has changed. Identity changes (status, group, role,
token limits) raise the IDENTITIES version, so that the relay's caches notice.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts import levels
from accounts.models import Role, Token, User, UserStatus, fold
from accounts.names import clean_email, clean_password, clean_text, clean_username
from accounts.refusals import (
    BadField,
    BadRootToken,
    EmailTaken,
    IdentityTaken,
    NameTaken,
    NotFound,
    NotPermitted,
    UnknownUser,
    WrongPassword,
)
from accounts.sessions import end_sessions
from accounts.tokens import KEY_LENGTH, LETTERS, UNLIMITED, create_token, new_key, token_digest
from audit.services import SYSTEM, Actor, record
from billing.models import EntryKind, LogType
from billing.services import QuotaOutOfRange, credit, set_quota, write_log
from billing.wording import quota_text
from options import services as option_services
from options import versions
from vault.keys import digest

__all__ = [
    "SeededRoot",
    "access_token_digest",
    "authenticate",
    "bind_email",
    "create_token",
    "create_user",
    "delete_self",
    "delete_user",
    "find_by_access_token",
    "find_by_login",
    "invitation_code",
    "manage",
    "new_key",
    "register",
    "renew_access_token",
    "reset_password",
    "seed_root",
    "token_digest",
    "top_up",
    "update_self",
    "update_user",
]

ROOT_QUOTA = 500_000_000_000_000
AFF_LENGTH = 4
RESET_PASSWORD_LENGTH = 12  # characters, as the contract's
IDENTITY_LENGTHS = {"github_id": 64, "wechat_id": 128, "lark_id": 128, "oidc_id": 255}  # characters, as the columns
IDENTITIES = tuple(IDENTITY_LENGTHS)


def access_token_digest(value: str) -> str:
    return digest("access-token", value)


# ---------------------------------------------------------------- accounts


def register(
    *,
    username: str,
    password: str | None,
    display_name: str = "",
    email: str = "",
    inviter_code: str = "",
    actor: Actor = SYSTEM,
) -> User:
    """A new common user by the contract's new-user procedure (2.2): gifts, their log rows, and a token `default`.

    `password` None makes an account that only a third party can sign in to. An unknown `inviter_code` is ignored.
    Raises BadName, BadPassword, BadField, NameTaken, EmailTaken.
    """
    options = option_services.load()
    with transaction.atomic():
        inviter = (
            User.objects.filter(aff_code=inviter_code, status=UserStatus.ENABLED).first() if inviter_code else None
        )
        user = create_user(
            username=username,
            password=password,
            display_name=display_name,
            email=email,
            inviter_id=inviter.pk if inviter else 0,
            actor=actor,
        )
        if gift := options["QuotaForNewUser"]:
            _give(actor, user, gift, EntryKind.GIFT, f"新用户注册赠送 {quota_text(options, gift)}")
        if inviter:
            if gift := options["QuotaForInvitee"]:
                _give(actor, user, gift, EntryKind.INVITATION, f"使用邀请码赠送 {quota_text(options, gift)}")
            if gift := options["QuotaForInviter"]:
                _give(actor, inviter, gift, EntryKind.INVITATION, f"邀请用户赠送 {quota_text(options, gift)}")
        create_token(user_id=user.pk, name="default", unlimited_quota=True, remain_quota=UNLIMITED)
    user.refresh_from_db()
    return user


def _give(actor: Actor, user: User, amount: int, kind: EntryKind, text: str) -> None:
    credit(user.pk, amount, kind=kind)
    write_log(user.pk, LogType.SYSTEM, text, username=user.username, request_id=actor.request_id)


@transaction.atomic
def create_user(
    *,
    username: str,
    password: str | None,
    display_name: str = "",
    role: int = Role.COMMON,
    email: str = "",
    group: str = "default",
    inviter_id: int = 0,
    must_change_password: bool = False,
    actor: Actor = SYSTEM,
) -> User:
    """The bare account, balance 0, without gifts and tokens (see `register`). Raises as `register` does."""
    username = clean_username(username)
    user = User(
        username=username,
        display_name=clean_text(display_name, "display_name", 64) or username,
        role=role,
        email=clean_email(email),
        group=group,
        inviter_id=inviter_id,
        must_change_password=must_change_password,
        aff_code=None if role == Role.ROOT else _new_aff_code(),
    )
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(clean_password(password))
    _refuse_taken(user)
    _insert(user)
    record(actor, "user.create", f"user:{user.pk}", username=username, role=role)
    return user


def _insert(user: User) -> None:
    """Insert, where two at once wanted the same name or drew the same invitation code: name one, redraw one."""
    for _attempt in range(10):
        try:
            with transaction.atomic():
                user.save(force_insert=True)
            return
        except IntegrityError:
            user.pk = None
            _refuse_taken(user)
            if user.aff_code:
                user.aff_code = _new_aff_code()
    raise NameTaken


def _refuse_taken(user: User) -> None:
    """One name or address, one account, whatever its case. A name that is somebody's address is that person's too."""
    others = User.objects.exclude(pk=user.pk) if user.pk else User.objects.all()
    name, email = fold(user.username), fold(user.email)
    if others.filter(Q(username_key=name) | Q(email_key=name)).exists():
        raise NameTaken
    if email and others.filter(Q(email_key=email) | Q(username_key=email)).exists():
        raise EmailTaken


def _new_aff_code() -> str:
    """A free invitation code; it grows once four characters get crowded."""
    length = AFF_LENGTH
    while True:
        for _attempt in range(5):
            code = "".join(secrets.choice(LETTERS) for _ in range(length))
            if not User.objects.filter(aff_code=code).exists():
                return code
        length += 1


def find_by_login(name: str) -> User | None:
    """The account of a user name or, failing that, of an e-mail address."""
    key = fold(name)
    if not key:
        return None
    return User.objects.filter(username_key=key).first() or User.objects.filter(email_key=key).first()


def authenticate(name: str, password: str) -> User:
    """The enabled account of this name and password. Raises WrongPassword, after the same work, for all other cases."""
    user = find_by_login(name)
    if user is None:
        User().set_password(password)  # an unknown name must not be told by the time it takes
        raise WrongPassword
    if not user.check_password(password) or user.status != UserStatus.ENABLED:
        raise WrongPassword
    return user


def find_by_access_token(value: str) -> User | None:
    return User.objects.filter(access_token_digest=access_token_digest(value)).first()


@transaction.atomic
def renew_access_token(user_id: int, actor: Actor) -> str:
    """A new management token, 32 hex digits, shown this once; the former one stops working."""
    value = secrets.token_hex(16)
    if not User.objects.filter(pk=user_id).update(access_token_digest=access_token_digest(value)):
        raise UnknownUser
    record(actor, "user.access_token", f"user:{user_id}")
    return value


@transaction.atomic
def invitation_code(user_id: int) -> str:
    """The user's own code, drawn at first need."""
    for _attempt in range(10):
        code = User.objects.values_list("aff_code", flat=True).get(pk=user_id)
        if code:
            return code
        try:
            with transaction.atomic():
                User.objects.filter(pk=user_id, aff_code=None).update(aff_code=_new_aff_code())
        except IntegrityError:  # drawn by another at the same moment
            continue
    raise IdentityTaken


@transaction.atomic
def update_self(user: User, actor: Actor, changes: Mapping[str, str], *, session_key: str | None = None) -> User:
    """One's own `username`, `display_name`, `password`; an empty name or password is no change.

    `original_password`, where given and not empty, must be right. Every other session ends with a new password.
    Raises WrongPassword and as `register`.
    """
    target = User.objects.select_for_update().get(pk=user.pk)
    original = changes.get("original_password") or ""
    if original and not target.check_password(original):
        raise WrongPassword
    _apply(
        target,
        actor,
        {name: changes[name] for name in ("username", "display_name", "password") if name in changes},
        session_key,
    )
    return target


@transaction.atomic
def bind_email(user_id: int, actor: Actor, email: str) -> None:
    """The user's address from now on; that they read its mail is the caller's to know. Raises EmailTaken, BadField."""
    _apply(User.objects.select_for_update().get(pk=user_id), actor, {"email": email})


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
    _apply(target, actor, {name: changes[name] for name in EDITABLE if name in changes})
    if "quota" in changes:
        _change_quota(target, actor, changes["quota"])
    target.refresh_from_db()
    return target


def _another_root(user: User) -> bool:
    return User.objects.filter(role=Role.ROOT, status=UserStatus.ENABLED).exclude(pk=user.pk).exists()


EDITABLE = ("username", "password", "display_name", "role", "status", "email", *IDENTITIES, "group")
IDENTITY_FIELDS = frozenset({"username", "role", "status", "group"})  # what the relay remembers of a user
RIGHTS = ("role", "status", "group")  # whose new values the audit tells; the other fields are personal or secret


def _apply(user: User, actor: Actor, changes: Mapping[str, Any], session_key: str | None = None) -> None:
    """Store what differs. Sessions end with a new password or role (remedy S4).

    Those of a disabled account are refused, and told so once, by whoever reads them; they are deleted when it is
    enabled again, so that none comes back to life.
    """
    changed: set[str] = set()
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
        _refuse_taken(user)
    try:
        with transaction.atomic():
            user.save(update_fields=changed)
    except IntegrityError:
        _refuse_taken(user)
        raise IdentityTaken from None
    if changed & {"password", "role"} or ("status" in changed and user.status == UserStatus.ENABLED):
        end_sessions(user.pk, keep=session_key)
    told = {name: getattr(user, name) for name in RIGHTS if name in changed}
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


@transaction.atomic
def manage(by: User, actor: Actor, username: str, action: str) -> User:
    """enable, disable, delete, promote or demote. Raises UnknownUser, UnknownAction, NotPermitted."""
    target = (
        User.objects.select_for_update().filter(username_key=fold(username)).exclude(status=UserStatus.DELETED).first()
    )
    if target is None or not fold(username):
        raise UnknownUser
    levels.may_manage(by, target, action)
    match action:
        case "delete":
            _bury(target, actor)
        case "enable":
            _apply(target, actor, {"status": UserStatus.ENABLED})
        case "disable":
            _apply(target, actor, {"status": UserStatus.DISABLED})
        case "promote":
            _apply(target, actor, {"role": Role.ADMIN})
        case "demote":
            _apply(target, actor, {"role": Role.COMMON})
    return target


@transaction.atomic
def delete_user(by: User, actor: Actor, user_id: int) -> None:
    """Raises NotFound, NotPermitted."""
    target = User.objects.select_for_update().filter(pk=user_id).exclude(status=UserStatus.DELETED).first()
    if target is None:
        raise NotFound
    levels.may_delete(by, target)
    _bury(target, actor)


@transaction.atomic
def delete_self(user: User, actor: Actor) -> None:
    """Raises NotPermitted for root."""
    target = User.objects.select_for_update().get(pk=user.pk)
    levels.may_delete_self(target)
    _bury(target, actor)


def _bury(user: User, actor: Actor) -> None:
    """What stays is a row for the books to point at: no name, address, identity, credential or token (remedy S27)."""
    former = user.username
    user.username = f"deleted_{secrets.token_hex(16)}"
    user.display_name = user.email = ""
    user.github_id = user.wechat_id = user.lark_id = user.oidc_id = None
    user.aff_code = user.access_token_digest = None
    user.status = UserStatus.DELETED
    user.set_unusable_password()
    fields = ["username", "display_name", "email", *IDENTITIES, "aff_code", "access_token_digest", "status", "password"]
    user.save(update_fields=fields)
    Token.objects.filter(user_id=user.pk).delete()
    record(actor, "user.delete", f"user:{user.pk}", username=former)
    versions.bump(versions.IDENTITIES)


@transaction.atomic
def top_up(actor: Actor, user_id: int, quota: int, remark: str = "", reference: str | None = None) -> bool:
    """Credit a user from outside, with a log row. False where `reference` was already credited (remedy D11).

    Raises UnknownUser, QuotaOutOfRange.
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
            return False
    content = remark or f"通过 API 充值 {quota_text(option_services.load(), quota)}"
    write_log(user_id, LogType.TOP_UP, content, username=user.username, quota=quota, request_id=actor.request_id)
    record(actor, "user.top_up", f"user:{user_id}", quota=quota, remark=remark[:255])
    return True


# ---------------------------------------------------------------- the first account


@dataclass(frozen=True)
class SeededRoot:
    """What was made at the first start. `password` is only set where it was generated, to be printed once."""

    user_id: int
    username: str
    password: str | None
    token_id: int | None


@transaction.atomic
def seed_root(password: str | None, token: str, access_token: str) -> SeededRoot | None:
    """The account `root` of an installation without accounts; None, and no change, where there is any.

    Without `password` one is drawn and must be changed. `token` becomes the key of an unlimited token; a leading
    `sk-` is dropped. Raises BadRootToken, BadPassword.
    """
    if User.objects.exists():
        return None
    given = password or secrets.token_urlsafe(12)
    root = create_user(
        username="root", password=given, display_name="Root User", role=Role.ROOT, must_change_password=not password
    )
    credit(root.pk, ROOT_QUOTA, kind=EntryKind.OPENING)
    if access_token:
        User.objects.filter(pk=root.pk).update(access_token_digest=access_token_digest(access_token))
    made = None
    if token:
        made = create_token(
            user_id=root.pk,
            name="Initial Root Token",
            unlimited_quota=True,
            remain_quota=ROOT_QUOTA,
            key=clean_root_token(token),
        )
    return SeededRoot(root.pk, root.username, None if password else given, made.pk if made else None)


def clean_root_token(value: str) -> str:
    """The key as stored. Raises BadRootToken, whose text does not repeat the value."""
    key = value.removeprefix("sk-")
    if not key or len(key) > KEY_LENGTH or not (key.isascii() and key.isalnum()):
        raise BadRootToken(
            f"INITIAL_ROOT_TOKEN must be 1 to {KEY_LENGTH} letters and digits without dashes (a leading sk- is dropped)"
        )
    return key
