"""Codes of an authenticator app (RFC 6238: SHA-1, 6 digits, 30 seconds, one step of tolerance either way)."""

from __future__ import annotations

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.utils.crypto import constant_time_compare

from accounts.models import User
from vault.keys import decrypt

SECRET = "totp_secret"  # noqa: S105 - session key of one that is being set up

new_secret = generate_totp_secret


def counter_of(secret: str, code: str) -> int | None:
    """The step of time whose code this is; None where it is none of now."""
    digits = "".join(code.split())
    for counter in yield_hotp_counters_from_time():
        if constant_time_compare(format_hotp_value(hotp_value(secret, counter)), digits):
            return int(counter)
    return None


def spend(user_id: int, secret: str, code: str) -> bool:
    """Whether the code is right and newer than the last one taken. One conditional update decides: good once."""
    counter = counter_of(secret, code)
    if counter is None:
        return False
    return bool(User.objects.filter(pk=user_id, totp_counter__lt=counter).update(totp_counter=counter))


def check(user_id: int, code: str) -> bool:
    """The code of the user's own app, used up."""
    row = Authenticator.objects.filter(user_id=user_id, type=Authenticator.Type.TOTP).first()
    return row is not None and spend(user_id, decrypt(row.data["secret"]), code)


def address(user: User, secret: str) -> str:
    """The otpauth:// address an app reads, from a QR code or by touch."""
    return str(get_adapter().build_totp_url(user, secret))


def picture(link: str) -> str:
    """The address as a QR code: an <svg> element, without style or script."""
    document = str(get_adapter().build_totp_svg(link))
    return document[document.index("<svg") :]
