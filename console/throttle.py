"""How often one may try to sign in by a form: the API's own limits, on the same counts, so that two doors are not twice
as many tries."""

from __future__ import annotations

from django.http import HttpRequest

from api import throttling
from api.windows import TooMany


class TooManyTriesError(Exception):
    """The address or the account has used up its tries."""


def spend_try(request: HttpRequest, name: str) -> None:
    """Count this try against the address. Raises TooManyTriesError, also while the account has too many wrong ones."""
    try:
        throttling.spend_critical(request)
        throttling.check_password_tries(name)
    except TooMany as error:
        raise TooManyTriesError from error


def count_wrong_password(name: str) -> None:
    throttling.count_wrong_password(name)
