"""What a code or a link from a mail allows: registering with an address, binding one, a new password.

Each looks at the code first, where a wrong try counts for good, and uses it up in the transaction of what it allows.
Raises WrongCode or WrongLink, and as `accounts.services`.
"""

from __future__ import annotations

from django.db import transaction

from accounts import editing, services
from accounts.models import User
from accounts.names import clean_email
from accounts.refusals import UnknownUser, WrongCode, WrongLink
from audit.services import Actor
from notices import codes
from notices.codes import Purpose


def register(
    *,
    username: str,
    password: str,
    inviter_code: str,
    proven: tuple[str, str] | None,
    actor: Actor,
) -> User:
    """As `accounts.services.register`. `proven` is an address and the code that was sent to it; None is no address."""
    email = ""
    if proven is not None:
        email = clean_email(proven[0])
        _check(email, proven[1])
    with transaction.atomic():
        if proven is not None:
            _spend(email, proven[1])
        return services.register(
            username=username, password=password, email=email, inviter_code=inviter_code, actor=actor
        )


def bind_email(user_id: int, actor: Actor, email: str, code: str) -> None:
    email = clean_email(email)
    _check(email, code)
    with transaction.atomic():
        _spend(email, code)
        services.bind_email(user_id, actor, email)


def reset_password(email: str, token: str, actor: Actor) -> str:
    """The new password. Raises WrongLink, also where the account is gone."""
    try:
        codes.check(Purpose.RESET, email, token)
        with transaction.atomic():
            codes.spend(Purpose.RESET, email, token)
            return services.reset_password(email, actor)
    except (codes.WrongCode, UnknownUser):
        raise WrongLink from None


def choose_password(email: str, token: str, password: str, actor: Actor) -> None:
    """A password of one's own by the link from a mail. Raises WrongLink, BadPassword: then it stays good."""
    try:
        codes.check(Purpose.RESET, email, token)
        with transaction.atomic():
            codes.spend(Purpose.RESET, email, token)
            editing.choose_password(email, password, actor)
    except (codes.WrongCode, UnknownUser):
        raise WrongLink from None


def _check(email: str, code: str) -> None:
    try:
        codes.check(Purpose.ADDRESS, email, code)
    except codes.WrongCode:
        raise WrongCode from None


def _spend(email: str, code: str) -> None:
    try:
        codes.spend(Purpose.ADDRESS, email, code)
    except codes.WrongCode:
        raise WrongCode from None
