"""How allauth.mfa keeps what it stores, and what an authenticator app shows."""

from __future__ import annotations

from allauth.mfa.adapter import DefaultMFAAdapter

from accounts.models import User
from options import services as option_services
from vault import keys


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return keys.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return keys.decrypt(encrypted_text)

    def get_totp_issuer(self) -> str:
        return str(option_services.load()["SystemName"] or "One API")

    def get_totp_label(self, user: User) -> str:
        return user.username
