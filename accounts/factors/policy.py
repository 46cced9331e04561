"""Who has a second factor, and who owes one (option AdminMfaRequired)."""

from __future__ import annotations

from allauth.mfa.models import Authenticator

from accounts.models import Role, User
from options.models import Option

REQUIRED = "AdminMfaRequired"


def has_factor(user_id: int) -> bool:
    """An app or a passkey; recovery codes alone do not count."""
    rows = Authenticator.objects.filter(user_id=user_id).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return bool(rows.exists())


def owes_factor(user: User) -> bool:
    """An administrator without a factor where the operator wants one. Costs common users no query, others two."""
    if user.role < Role.ADMIN:
        return False
    required: bool = Option.objects.filter(key=REQUIRED).values_list("value", flat=True).first() == "true"
    return required and not has_factor(user.pk)
