"""What administrators do to accounts besides editing them, and deletion. Each function is one transaction."""

from __future__ import annotations

import secrets
from functools import partial

from allauth.mfa.models import Authenticator
from django.db import transaction

from accounts import levels
from accounts.editing import IDENTITIES, apply
from accounts.models import Role, Token, User, UserStatus, Wishes, fold
from accounts.refusals import NotFound, UnknownUser
from accounts.sessions import end_sessions
from audit.services import Actor, record
from billing.forgetting import forget
from idempotency import services as idempotency
from options import versions


@transaction.atomic
def manage(by: User, actor: Actor, username: str, action: str) -> User:
    """enable, disable, delete, promote or demote. Raises UnknownUser, UnknownAction, NotPermitted."""
    target = (
        User.objects.select_for_update().filter(username_key=fold(username)).exclude(status=UserStatus.DELETED).first()
    )
    if target is None or not fold(username):
        raise UnknownUser
    return _act(by, actor, target, action)


@transaction.atomic
def act(by: User, actor: Actor, user_id: int, action: str) -> User:
    """The same by number (defect D31). Raises NotFound, UnknownAction, NotPermitted."""
    target = User.objects.select_for_update().filter(pk=user_id).exclude(status=UserStatus.DELETED).first()
    if target is None:
        raise NotFound
    return _act(by, actor, target, action)


def _act(by: User, actor: Actor, target: User, action: str) -> User:
    levels.may_manage(by, target, action)
    match action:
        case "delete":
            _bury(target, actor)
        case "enable":
            apply(target, actor, {"status": UserStatus.ENABLED})
        case "disable":
            apply(target, actor, {"status": UserStatus.DISABLED})
        case "promote":
            apply(target, actor, {"role": Role.ADMIN})
        case "demote":
            apply(target, actor, {"role": Role.COMMON})
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
    """What stays is a row for the books to point at: no name, address, identity, credential, session or token (S27).

    The lines of the log lose the name too, once this is committed.
    """
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
    Authenticator.objects.filter(user_id=user.pk).delete()
    Wishes.objects.filter(pk=user.pk).delete()
    end_sessions(user.pk)
    record(actor, "user.delete", f"user:{user.pk}", username=former)
    transaction.on_commit(partial(idempotency.forget, user.pk))  # the books lock these rows before the user's
    transaction.on_commit(partial(forget, user.pk, user.username))  # the daily run does what is broken off here
    versions.bump(versions.IDENTITIES)
