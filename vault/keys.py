"""Keys derived from the deployment's root secret, and the four things done with them.

The root secret is `settings.SECRET_KEY` (SESSION_SECRET or the generated file). Older secrets in
`settings.SECRET_KEY_FALLBACKS` still decrypt, so that a secret can be rotated without losing data.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

PREFIX = "v1:"  # of every encrypted value; a value without it is refused
NONCE = 12  # bytes, as AES-GCM wants them (NIST SP 800-38D, 8.2.2)


class CannotDecrypt(ValueError):
    """The value was encrypted under a secret this deployment does not have."""


@lru_cache(maxsize=64)
def derive(secret: str, purpose: str) -> bytes:
    """A 32-byte key for one purpose; knowing it tells nothing about the others (RFC 5869, one block)."""
    pseudo_random = hmac.new(b"one-api", secret.encode(), hashlib.sha256).digest()
    return hmac.new(pseudo_random, purpose.encode() + b"\x01", hashlib.sha256).digest()


def digest(purpose: str, value: str) -> str:
    """Keyed SHA-256 of a credential as 64 hex digits: found by equality, useless to who reads the table."""
    return _digest_under(settings.SECRET_KEY, purpose, value)


def digests(purpose: str, value: str) -> list[str]:
    """The digests a stored row may have: under today's secret, then under older ones that are still accepted."""
    return [_digest_under(secret, purpose, value) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _digest_under(secret: str, purpose: str, value: str) -> str:
    return hmac.new(derive(secret, purpose), value.encode(), hashlib.sha256).hexdigest()


def encrypt(value: str) -> str:
    """AES-256-GCM, text in and text out. The empty string stays empty: there is nothing to hide."""
    if not value:
        return ""
    nonce = os.urandom(NONCE)
    sealed = AESGCM(derive(settings.SECRET_KEY, "encryption")).encrypt(nonce, value.encode(), None)
    return PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()


def decrypt(stored: str) -> str:
    """The text that `encrypt` was given. Raises CannotDecrypt."""
    if not stored:
        return ""
    if not stored.startswith(PREFIX):
        raise CannotDecrypt("not an encrypted value")
    raw = base64.urlsafe_b64decode(stored[len(PREFIX) :])
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return AESGCM(derive(secret, "encryption")).decrypt(raw[:NONCE], raw[NONCE:], None).decode()
        except InvalidTag:
            continue
    raise CannotDecrypt("encrypted under another secret: set SESSION_SECRET to the value it was stored with")


def seal(purpose: str, value: bytes, *, bound_to: str) -> bytes:
    """AES-256-GCM of bytes, under a key of their purpose; opened only together with what they are bound to."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(derive(settings.SECRET_KEY, purpose)).encrypt(nonce, value, bound_to.encode())


def unseal(purpose: str, sealed: bytes, *, bound_to: str) -> bytes:
    """The bytes that `seal` was given. Raises CannotDecrypt."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return AESGCM(derive(secret, purpose)).decrypt(sealed[:NONCE], sealed[NONCE:], bound_to.encode())
        except InvalidTag:
            continue
    raise CannotDecrypt("sealed under another secret, or for something else")
