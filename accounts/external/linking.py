"""From somebody's identity at a provider to an account here: found, made, or bound to the one signed in.

An identity belongs to one account, by the unique constraints of `users`. That ends every race: of two first sign-ins
at once one makes the account, with its gifts, and the other finds its own half-made one rolled back and signs in to
the first's; of two that bind at once, one is told that the identity is taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from django.db import IntegrityError, transaction
from django.db.models import Max

from accounts.editing import locked
from accounts.external.identity import Identity, Method
from accounts.methods import methods_left
from accounts.models import User, UserStatus
from accounts.names import clean_email, clean_text, clean_username
from accounts.refusals import (
    AccountDisabled,
    BadField,
    BadName,
    EmailTaken,
    IdentityTaken,
    LastMethod,
    NameTaken,
    RegistrationClosed,
)
from accounts.registration import register
from audit.services import Actor, record
from options import services as option_services

TRIES = 10
DISPLAY_NAME = 64  # characters, as the column
WISHED = 56  # characters of a wished name, so that a suffix fits


def sign_in(method: Method, identity: Identity, actor: Actor) -> User:
    """The enabled account with this identity, made where there is none. Raises AccountDisabled, RegistrationClosed."""
    user = owner(method, identity)
    if user is None:
        if not option_services.load()["RegisterEnabled"]:
            raise RegistrationClosed
        user = _new_account(method, identity, actor)
    if user.status != UserStatus.ENABLED:
        raise AccountDisabled
    return user


@transaction.atomic
def bind(user_id: int, method: Method, identity: Identity, actor: Actor) -> None:
    """The identity is this account's from now on, in place of another of the same provider.

    Raises IdentityTaken; AccountDisabled where the account is gone since its owner went to the provider.
    """
    locked(user_id)
    if owner(method, identity) is not None:
        raise IdentityTaken(method.taken)
    try:
        with transaction.atomic():
            User.objects.filter(pk=user_id).update(**{method.column: identity.subject})
    except IntegrityError:  # bound to another at this moment
        raise IdentityTaken(method.taken) from None
    record(actor, "user.bind", f"user:{user_id}", provider=method.name)


@transaction.atomic
def unbind(user: User, method: Method, actor: Actor) -> None:
    """The identity is nobody's from now on. Raises LastMethod where nobody could sign in to the account then."""
    stored = User.objects.select_for_update().get(pk=user.pk)
    if not getattr(stored, method.column):
        return
    if not methods_left(stored, provider=method.name):
        raise LastMethod
    User.objects.filter(pk=user.pk).update(**{method.column: None})
    record(actor, "user.unbind", f"user:{user.pk}", provider=method.name)


def owner(method: Method, identity: Identity) -> User | None:
    """Whose the identity is. A former name that is stored is replaced by the subject, so that it counts this once."""
    user = _holder(method, identity.subject)
    if user is not None:
        return user
    for name in identity.former:
        user = _holder(method, name)
        if user is None:
            continue
        try:
            with transaction.atomic():
                User.objects.filter(pk=user.pk, **{method.column: name}).update(**{method.column: identity.subject})
        except IntegrityError:  # another request has just bound the subject
            return _holder(method, identity.subject)
        return _holder(method, identity.subject)
    return None


def _holder(method: Method, value: str) -> User | None:
    """To the letter, whatever the database's collation thinks equal."""
    user = User.objects.filter(**{method.column: value}).first()
    return user if user is not None and getattr(user, method.column) == value else None


def _new_account(method: Method, identity: Identity, actor: Actor) -> User:
    """By the new-user procedure, without inviter and password. Names that are taken are tried with a suffix (D10)."""
    email = _email(identity)
    for username in _names(method, identity):
        for address in dict.fromkeys((email, "")):  # an address that is somebody's is not taken from them
            try:
                with transaction.atomic():
                    user = register(
                        username=username,
                        password=None,
                        display_name=_display_name(method, identity),
                        email=address,
                        actor=actor,
                    )
                    User.objects.filter(pk=user.pk).update(**{method.column: identity.subject})
                    record(actor, "user.bind", f"user:{user.pk}", provider=method.name)
                return user
            except EmailTaken:
                continue
            except NameTaken:
                break
            except IntegrityError:
                winner = _holder(method, identity.subject)
                if winner is None:
                    raise
                return winner
    raise NameTaken


def _names(method: Method, identity: Identity) -> Iterator[str]:
    try:
        wished = clean_username(identity.username[:WISHED].strip())
    except BadName:
        wished = ""
    if wished:
        yield wished
    highest = User.objects.aggregate(highest=Max("pk"))["highest"] or 0
    base = wished or f"{method.name}_{highest + 1}"
    if not wished:
        yield base
    for _try in range(TRIES):
        yield f"{base}_{secrets.token_hex(3)}"


def _display_name(method: Method, identity: Identity) -> str:
    try:
        return clean_text(identity.display_name[:DISPLAY_NAME], "display_name", DISPLAY_NAME) or method.default_name
    except BadField:
        return method.default_name


def _email(identity: Identity) -> str:
    try:
        return clean_email(identity.email)
    except BadField:
        return ""
