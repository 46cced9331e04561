"""The limits of the management API."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from accounts.http import client_address
from accounts.models import User, fold
from api import windows
from api.windows import Limit, TooMany

CRITICAL = Limit("CT", 20, 1200)  # by address, one count for all routes so marked
WRONG_PASSWORDS = Limit("LG", 30, 1200)  # by account, whatever the address
SUSPICIOUS = Limit("LG", 5, 1200)  # the same count: from here on a sign-in must pass Turnstile, where that is on
WRONG_CODES = Limit("RC", 10, 1200)  # redemption codes that do not exist, by user
WRONG_EMAIL_CODES = Limit("EC", 10, 1200)  # codes from no mail of ours, by user
SECOND_FACTORS = Limit("SF", 10, 1200)  # codes of a second step, right or wrong, by user; a password comes before
MAILS = Limit("ML", 5, 1800)  # mails that strangers can have sent, by receiving address and kind


def spend_global(request: HttpRequest) -> None:
    """GLOBAL_API_RATE_LIMIT calls in 180 s from one address. Raises TooMany."""
    limit = Limit("GA", settings.GLOBAL_API_RATE_LIMIT, 180)
    if limit.count and not windows.coarse().allows(limit, client_address(request)):
        raise TooMany


def spend_critical(request: HttpRequest) -> None:
    if CRITICAL.count and not windows.exact().allows(CRITICAL, client_address(request)):
        raise TooMany


def _account(name: str) -> str:
    """A name as it is counted: an account's two, its user name and its address, are one. As signing in finds it."""
    key = fold(name)
    if "@" not in key or "\x00" in key:
        return key
    owners = dict(User.objects.filter(Q(username_key=key) | Q(email_key=key)).values_list("email_key", "username_key"))
    return key if key in owners.values() else owners.get(key, key)


def check_password_tries(name: str) -> None:
    """Raises TooMany while an account was given too many wrong passwords, right or not the next one."""
    if not windows.exact().allows(WRONG_PASSWORDS, _account(name), count=False):
        raise TooMany


def count_wrong_password(name: str) -> None:
    windows.exact().allows(WRONG_PASSWORDS, _account(name))


def check_code_tries(user_id: int) -> None:
    if not windows.exact().allows(WRONG_CODES, str(user_id), count=False):
        raise TooMany


def count_wrong_code(user_id: int) -> None:
    windows.exact().allows(WRONG_CODES, str(user_id))


def few_wrong_passwords(name: str) -> bool:
    """Whether an account is signed in to as usual: nobody has been guessing lately."""
    return windows.exact().allows(SUSPICIOUS, _account(name), count=False)


def check_email_code_tries(user_id: int) -> None:
    if not windows.exact().allows(WRONG_EMAIL_CODES, str(user_id), count=False):
        raise TooMany


def count_wrong_email_code(user_id: int) -> None:
    windows.exact().allows(WRONG_EMAIL_CODES, str(user_id))


def spend_mail(kind: str, email: str) -> None:
    """Whether the address is known plays no part, so the limit tells nothing. Raises TooMany."""
    if not windows.exact().allows(MAILS, f"{kind} {fold(email)}"):
        raise TooMany


def spend_second_factor(user_id: int) -> None:
    """Counted before the code is looked at. Raises TooMany."""
    if not windows.exact().allows(SECOND_FACTORS, str(user_id)):
        raise TooMany
