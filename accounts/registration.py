"""Making accounts: the new-user procedure of the management contract (2.2), and the bare account below it.

Each function is one transaction; it raises the classes of `accounts.refusals`, and then nothing has changed.
"""

from __future__ import annotations

import secrets

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import Role, User, UserStatus, fold
from accounts.names import clean_email, clean_password, clean_text, clean_username
from accounts.refusals import EmailTaken, IdentityTaken, NameTaken
from accounts.tokens import LETTERS, UNLIMITED, create_token
from audit.services import SYSTEM, Actor, record
from billing.models import EntryKind, LogType
from billing.services import credit, write_log
from billing.wording import quota_text
from options import services as option_services

AFF_LENGTH = 10  # characters; those of the reference had 4, and stay good (console reference, D43)


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
    refuse_taken(user)
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
            refuse_taken(user)
            if user.aff_code:
                user.aff_code = _new_aff_code()
    raise NameTaken


def refuse_taken(user: User) -> None:
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
