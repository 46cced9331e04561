"""Who may see a page: a guest is sent to sign in, somebody whose role is too low is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import Role, User

View = Callable[..., HttpResponseBase]


def page(role: Role = Role.COMMON) -> Callable[[View], View]:
    """A page for people of this role and above. `request.user` is an enabled User in it, read anew for this request.

    A guest is redirected to /login with the way back; a fragment asked for by htmx makes the whole browser go there.
    """

    def decorate(view: View) -> View:
        @never_cache
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            user = request.user
            if not isinstance(user, User) or not user.is_active:
                return _to_sign_in(request)
            if user.role < role:
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.console_role = role  # type: ignore[attr-defined]  # the test of who may see what reads it
        return guarded

    return decorate


def public(view: View) -> View:
    """A page for everybody; says so, since a page without either decorator is a mistake that a test finds."""
    view.console_role = Role.GUEST  # type: ignore[attr-defined]
    return view


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(f"{reverse('login')}?expired=true")
    back = request.get_full_path() if request.method in ("GET", "HEAD") else ""
    return redirect_to_login(back, reverse("login"))
