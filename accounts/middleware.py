"""What is noted of every request of somebody who is signed in."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

from accounts import sessions
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
