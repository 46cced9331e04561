"""Whether a typed code is right, counted before it is looked at: many at once are not more tries than one by one."""

from __future__ import annotations

from allauth.mfa.models import Authenticator

from accounts.factors import totp
from accounts.models import User
from accounts.refusals import WrongSecondFactor
from api import throttling

LONGEST = 32  # characters of a code, blanks included


def check_code(user: User, code: str) -> str:
    """Use a code of the app or a recovery code up; returns which it was ("totp", "recovery_codes").

    Raises WrongSecondFactor, TooMany.
    """
    throttling.spend_second_factor(user.pk)
    if len(code) <= LONGEST:
        if totp.check(user.pk, code):
            _used(user, Authenticator.Type.TOTP)
            return str(Authenticator.Type.TOTP)
        row = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.RECOVERY_CODES).first()
        if row is not None and row.wrap().validate_code("".join(code.split())):
            _used(user, Authenticator.Type.RECOVERY_CODES)
            return str(Authenticator.Type.RECOVERY_CODES)
    raise WrongSecondFactor


def _used(user: User, kind: str) -> None:
    for row in Authenticator.objects.filter(user_id=user.pk, type=kind):
        row.record_usage()
