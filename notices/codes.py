"""Codes that prove that somebody reads an address: shared by all workers, hashed, good once (remedy S13).

`check` comes first, outside of any transaction, so that a wrong try counts whatever becomes of the request; `spend`
belongs into the transaction of what the code allows, so that a code is only used up if that succeeds.
"""

from __future__ import annotations

import secrets
import time
from enum import StrEnum

from django.db.models import F
from django.utils.crypto import constant_time_compare

from accounts.models import fold
from notices.models import VerificationCode
from vault.keys import digest

LIFETIME = 600  # seconds, by the contract
MAX_ATTEMPTS = 5
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # without those that are taken for one another
CODE_LENGTH = 6  # characters, by the contract


class Purpose(StrEnum):
    ADDRESS = "address"  # typed by a person who reads it in the mail
    RESET = "reset"  # travels in a link


class WrongCode(ValueError):
    """Not the code, or no longer: it is expired, used, replaced by a newer one, or was guessed at too often."""


def issue(purpose: Purpose, address: str) -> str:
    """A new code for the address; a former one of the same purpose stops working."""
    code = secrets.token_hex(16) if purpose == Purpose.RESET else _short_code()
    VerificationCode.objects.update_or_create(
        purpose=purpose,
        subject=_subject(address),
        defaults={
            "code": _digest(purpose, address, code),
            "attempts": 0,
            "expires_at": int(time.time()) + LIFETIME,
        },
    )
    return code


def check(purpose: Purpose, address: str, code: str) -> None:
    """Raises WrongCode. Counts the try before it looks, so that many at once are not more than MAX_ATTEMPTS."""
    rows = VerificationCode.objects.filter(purpose=purpose, subject=_subject(address), expires_at__gt=int(time.time()))
    if not rows.filter(attempts__lt=MAX_ATTEMPTS).update(attempts=F("attempts") + 1):
        raise WrongCode
    stored = rows.values_list("code", flat=True).first() or ""
    if not constant_time_compare(stored, _digest(purpose, address, code)):
        raise WrongCode
    rows.filter(code=stored).update(attempts=F("attempts") - 1)  # whoever knows it is not guessing


def spend(purpose: Purpose, address: str, code: str) -> None:
    """Use the code up. Of two at once, one gets past; the other, and whoever comes without a code, WrongCode."""
    used, _ = VerificationCode.objects.filter(
        purpose=purpose,
        subject=_subject(address),
        code=_digest(purpose, address, code),
        expires_at__gt=int(time.time()),
    ).delete()
    if not used:
        raise WrongCode


def purge() -> int:
    """Delete what has expired; returns how many."""
    return VerificationCode.objects.filter(expires_at__lte=int(time.time())).delete()[0]


def _short_code() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))


def _subject(address: str) -> str:
    return digest("verification-address", fold(address))


def _digest(purpose: Purpose, address: str, code: str) -> str:
    """Bound to purpose and address. People may type the code in capitals or with a blank."""
    return digest("verification-code", f"{purpose}\n{fold(address)}\n{code.strip().lower()}")
