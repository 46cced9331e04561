"""What a user name, an e-mail address and a password must be. Pure."""

from __future__ import annotations

import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.models import fold
from accounts.refusals import BadField, BadName, BadPassword

EMAIL_LENGTH = 254  # characters
NAME_LENGTH = 64  # characters (remedy A10: third-party names are longer than the reference's 12)
PASSWORD_LENGTHS = (8, 128)  # characters
LOOK_ALIKES = frozenset(
    {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"}
)  # scripts whose letters pass for each other's


def clean_text(value: str, field: str, length: int) -> str:
    """NFKC; no control or invisible characters, not longer than `length` characters. Raises BadField."""
    value = unicodedata.normalize("NFKC", value)
    if len(value) > length or any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in value):
        raise BadField(f"输入不合法 {field}")
    return value


def clean_username(value: str) -> str:
    """The name as stored. Raises BadName.

    Refused: an empty one, outer blanks, control characters, and letters of two scripts that look alike (a Cyrillic
    а in a Latin name would pass for another person).
    """
    try:
        value = clean_text(value, "username", NAME_LENGTH)
    except BadField:
        raise BadName from None
    if not value or value != value.strip():
        raise BadName
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in value if letter.isalpha()}
    if len(scripts & LOOK_ALIKES) > 1:
        raise BadName
    return value


def clean_email(value: str) -> str:
    """The address, or "" for none. Raises BadField."""
    value = clean_text(value, "email", EMAIL_LENGTH)
    if value:
        try:
            validate_email(value)
        except ValidationError:
            raise BadField("输入不合法 email") from None
    if len(fold(value)) > EMAIL_LENGTH:  # it has a column too, and ß is two letters there
        raise BadField("输入不合法 email")
    return value


def clean_password(value: str) -> str:
    """Raises BadPassword for one that is too short or too long."""
    low, high = PASSWORD_LENGTHS
    if not low <= len(value) <= high or "\x00" in value:
        raise BadPassword
    return value
