"""By which doors an account can be signed in to now: the last one must not be closed by its owner."""

from __future__ import annotations

from allauth.mfa.models import Authenticator

from accounts.external.methods import METHODS
from accounts.models import User
from options import services as option_services


def methods_left(user: User, *, provider: str = "", passkey: int = 0) -> list[str]:
    """The methods that work once this provider's identity or passkey is gone; with neither, those that work now.

    A password counts where the operator lets people use it, an identity where its provider is switched on.
    """
    options = option_services.load()
    stored = User.objects.get(pk=user.pk)
    left = ["password"] if stored.has_usable_password() and options["PasswordLoginEnabled"] else []
    for name, method in METHODS.items():
        if name != provider and getattr(stored, method.column) and method.enabled(options):
            left.append(name)
    keys = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.WEBAUTHN).exclude(pk=passkey)
    if keys.exists():
        left.append("passkey")
    return left
