"""Whose a name and a password are, or a management token (management contract, 1.6 and 2.2)."""

from __future__ import annotations

import secrets
import time

from django.db import transaction

from accounts.models import User, UserStatus, fold
from accounts.refusals import UnknownUser, WrongPassword
from api import throttling
from audit.services import Actor, record
from vault.keys import digest

USED_EVERY = 300  # seconds between two notes that a management token is used


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


def check_own_password(user: User, password: str) -> None:
    """Of somebody who is signed in, on the counts of signing in. Raises WrongPassword, TooMany."""
    throttling.check_password_tries(user.username)
    if not user.check_password(password):
        throttling.count_wrong_password(user.username)
        raise WrongPassword


def find_by_access_token(value: str) -> User | None:
    """Whose management token this is; that it is used is noted, at most every USED_EVERY seconds."""
    user = User.objects.filter(access_token_digest=access_token_digest(value)).first()
    moment = int(time.time())
    if user is not None and user.access_token_used < moment - USED_EVERY:
        User.objects.filter(pk=user.pk).update(access_token_used=moment, last_active=moment)
    return user


@transaction.atomic
def renew_access_token(user_id: int, actor: Actor) -> str:
    """A new management token, 32 hex digits, shown this once; the former one stops working."""
    value = secrets.token_hex(16)
    changes = {"access_token_digest": access_token_digest(value), "access_token_created": int(time.time())}
    if not User.objects.filter(pk=user_id).update(**changes, access_token_used=0):
        raise UnknownUser
    record(actor, "user.access_token", f"user:{user_id}")
    return value
