"""Whose a name and a password are, or a management token (management contract, 1.6 and 2.2)."""

from __future__ import annotations

import secrets

from django.db import transaction

from accounts.models import User, UserStatus, fold
from accounts.refusals import UnknownUser, WrongPassword
from audit.services import Actor, record
from vault.keys import digest


def access_token_digest(value: str) -> str:
    return digest("access-token", value)


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
