"""What goes to a provider's module and what comes back."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.editing import IDENTITY_LENGTHS
from options.registry import Options


@dataclass(frozen=True, slots=True)
class Proof:
    """What a browser brought back. `verifier` (PKCE) and `nonce` are "" where the start was not made by our server."""

    code: str
    verifier: str = ""
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at a provider. `subject` never changes hands there.

    `username` is a wish and may be "". `email` is only given where the provider has verified it. `former`: names that
    an older installation may have stored instead of the subject.
    """

    subject: str
    username: str = ""
    display_name: str = ""
    email: str = ""
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """One provider. `column` of `users` holds its subjects; the texts are the contract's."""

    name: str
    column: str
    default_name: str
    enabled: Callable[[Options], bool]
    identify: Callable[[Options, Proof], Identity]
    off: str
    taken: str


def subject_of(value: Any, column: str) -> str | None:
    """`value` as it can be stored and found again to the letter, else None: no text, empty, too long, invisible parts.

    It is not normalised: two subjects that look alike are two people.
    """
    if not isinstance(value, str) or not value or value != value.strip() or len(value) > IDENTITY_LENGTHS[column]:
        return None
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in value):
        return None
    return value


def text_of(value: Any) -> str:
    """An optional text of a provider's answer; anything else is none."""
    return value.strip() if isinstance(value, str) else ""
