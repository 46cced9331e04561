"""Between the two steps of signing in: who has shown one proof and owes the other.

Kept in the session, which is nobody's yet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts.factors.policy import has_factor
from accounts.http import sign_in, sign_out
from accounts.models import User, UserStatus

KEY = "pending_sign_in"
LIFETIME = 600  # seconds


@dataclass(frozen=True, slots=True)
class Pending:
    """`method`: the first proof ("password", "github"). `target`: a path of this site to go to afterwards."""

    user: User
    method: str
    target: str


def enter(request: HttpRequest, user: User, *, method: str, target: str = "") -> bool:
    """Sign in, if one proof is enough for this account; else remember that the second is owed, and return False.

    Every door that takes one proof ends here. The key of the session changes either way: a cookie that somebody
    planted beforehand must not come to be worth half a sign-in.
    """
    if not has_factor(user.pk):
        sign_in(request, user, method=method)
        return True
    if SESSION_KEY in request.session:
        sign_out(request)
    request.session.cycle_key()
    request.session[KEY] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "method": method,
        "target": target,
        "until": int(time.time()) + LIFETIME,
    }
    return False


def current(request: HttpRequest) -> Pending | None:
    """Who owes the second step in this session; nobody once it is too late, the password another or the account off."""
    kept = request.session.get(KEY)
    if kept is None:
        return None
    user = User.objects.filter(pk=kept["user"], status=UserStatus.ENABLED).first()
    if (
        user is None
        or kept["until"] < time.time()
        or not constant_time_compare(kept["hash"], user.get_session_auth_hash())
    ):
        del request.session[KEY]
        return None
    return Pending(user, kept["method"], kept["target"])


def finish(request: HttpRequest, pending: Pending, second: str) -> None:
    """Both steps are done. `second`: "totp", "recovery_codes" or "passkey"."""
    request.session.pop(KEY, None)
    sign_in(request, pending.user, method=f"{pending.method}+{second}")
