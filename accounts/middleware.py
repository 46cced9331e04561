"""What is noted of every request of somebody who is signed in, and whom the operator wants to have a second factor."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from accounts import sessions
from accounts.factors.policy import owes_factor
from accounts.http import client_address


class SeenSessions(MiddlewareMixin):
    """Keeps the list of sessions true, for pages and /api alike. Stands after SessionMiddleware."""

    def process_request(self, request: HttpRequest) -> None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return
        user_id = request.session.get(SESSION_KEY)
        key = request.session.session_key
        if user_id is None or key is None:
            return
        sessions.seen(
            key, int(user_id), address=client_address(request), user_agent=request.headers.get("User-Agent", "")
        )


class SecondFactorFirst(MiddlewareMixin):
    """Sends an administrator who owes a second factor to where one is set up, from every other page.

    Stands after AuthenticationMiddleware and PasswordChangeFirst. The API asks by itself (api.authentication).
    """

    OPEN = ("/api/", "/static/", "/i18n/", "/setting/second-factor", "/oauth/")  # the last refuses by itself
    PAGES = ("password", "logout", "confirm", "passkey-options")

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path.startswith(self.OPEN) or request.path in map(reverse, self.PAGES):
            return None
        if request.user.is_authenticated and owes_factor(request.user):
            return redirect("second-factor")
        return None
