"""What every page answers with, and the one page a person with a handed-out password may see."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from accounts.wishes import wishes_of
from console import preferences
from console.http import signed_in
from console.policy import policy

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class SecurityHeaders(MiddlewareMixin):
    """Policy and companions on every answer of the Django half; a view that set a header itself keeps its own.

    Pages are not kept by any cache: what was made for one person must not come back after signing out.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", policy(request))
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class PasswordChangeFirst(MiddlewareMixin):
    """Sends a person who must change their password to that page from every other one.

    Stands after AuthenticationMiddleware. The API is left alone: programs sign in there by access token.
    """

    OPEN = ("/api/", "/static/", "/i18n/")

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path.startswith(self.OPEN) or request.path in (reverse("password"), reverse("logout")):
            return None
        if request.user.is_authenticated and request.user.must_change_password:
            return redirect("password")
        return None


class WishesOfAccount(MiddlewareMixin):
    """Who signs in on a page finds the console as they want it: the account's wishes become this browser's cookies."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if getattr(request, "signed_in_now", False) and not request.path.startswith("/api/"):
            for name, value in wishes_of(signed_in(request).pk).items():
                preferences.keep(request, response, name, value)
        return response


class Zone(MiddlewareMixin):
    """Times are shown in the person's own zone. Stands after AuthenticationMiddleware."""

    def process_request(self, request: HttpRequest) -> None:
        timezone.activate(preferences.of(request).timezone)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        timezone.deactivate()
        return response
