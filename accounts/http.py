"""What a Django request says of its caller, for pages and for /api alike."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth import login as django_login
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts import confirming, sessions
from accounts.models import User
from audit.services import Actor
from config.client_ip import client_ip

BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignedInRequest(HttpRequest):
    """The request behind a view that only signed-in people reach."""

    user: User


def client_address(request: HttpRequest) -> str:
    """The caller's address; headers of proxies count where TRUSTED_PROXIES says so (remedy S8)."""
    meta = request.META
    return client_ip(
        meta.get("REMOTE_ADDR") or "",
        meta.get("HTTP_X_FORWARDED_FOR"),
        meta.get("HTTP_X_REAL_IP"),
        settings.TRUSTED_PROXIES,
    )


def actor_of(request: HttpRequest, user: User | None = None) -> Actor:
    """Who acts, for the audit: `user`, else the signed-in one."""
    acting = user or getattr(request, "user", None)
    known = acting if isinstance(acting, User) else None
    return Actor(
        user_id=known.pk if known is not None else 0,
        name=known.username if known is not None else "",
        ip=client_address(request)[:45],
        request_id=getattr(request, "request_id", ""),
    )


def session_user(request: HttpRequest) -> User | None:
    """Whose cookie this is, read anew, whatever the account's status. A session whose password is gone ends here."""
    user_id = request.session.get(SESSION_KEY)
    if user_id is None:
        return None
    user = User.objects.filter(pk=user_id).first()
    if user is not None:
        stored = request.session.get(HASH_SESSION_KEY, "")
        valid = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
        if any(constant_time_compare(stored, digest) for digest in valid):
            return user
    request.session.flush()
    return None


def sign_in(request: HttpRequest, user: User, *, method: str = "password") -> None:
    """Start a session under a new key. `method` is how the person has shown who they are (`UserSession.method`)."""
    django_login(request, user, backend=BACKEND)
    if not request.session.session_key:  # somebody else was signed in here, and that session was given up
        request.session.create()
    confirming.confirm(request)
    request.signed_in_now = True  # type: ignore[attr-defined]  # the answer brings this person's wishes along
    sessions.begin(
        request.session.session_key or "",
        user.pk,
        address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
        method=method,
    )


def sign_out(request: HttpRequest) -> None:
    sessions.forget(request.session.session_key)
    request.session.flush()
    request.user = AnonymousUser()


def keep_signed_in(request: HttpRequest, user: User) -> None:
    """After a change of one's own password: this session goes on, under a new key."""
    former = request.session.session_key
    request.session.cycle_key()
    request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    sessions.moved(former, request.session.session_key)
