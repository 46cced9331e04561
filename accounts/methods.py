"""By which doors an account can be signed in to now: the last one must not be closed by its owner."""

from __future__ import annotations

from accounts.models import User
from accounts.ways_in import ways_in
from options import services as option_services


def methods_left(user: User, *, provider: str = "", passkey: int = 0) -> list[str]:
    """The methods that work once this provider's identity or passkey is gone; with neither, those that work now."""
    stored = User.objects.get(pk=user.pk)
    return ways_in(stored, option_services.load(), provider=provider, passkey=passkey)
