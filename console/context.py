"""What every template may use: the operator's options, this person's wishes, and facts about this deployment."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

from accounts.models import Role, User
from channels_app import runs
from console import navigation, operator_text, preferences
from console.policy import allow_images_of
from options import services
from options.registry import Options

PROJECT = "https://github.com/songquanpeng/one-api"  # credited in the default footer
NOTICE_COOKIE = "notice"  # the digest of the notice that this browser does not want to see again


def site(request: HttpRequest) -> dict[str, Any]:
    """`options` is one query, made when a template first asks for it or for what follows from it.

    `system_name`, `logo`, `footer`, `notice` (HTML or ""), `notice_hash`, `skin` (option Theme), `spendable` (points of
    whoever is signed in), `test_run` (the run of channel tests under way, for administrators alone), `preferences`,
    `menu`, `version`, `project`.
    """

    def load() -> Options:
        loaded = services.load()
        allow_images_of(request, loaded["Logo"])
        return loaded

    options: Any = SimpleLazyObject(load)
    user = request.user if hasattr(request, "user") else None
    return {
        "options": options,
        "system_name": SimpleLazyObject(lambda: options["SystemName"] or "One API"),
        "logo": SimpleLazyObject(lambda: options["Logo"]),
        "footer": SimpleLazyObject(lambda: operator_text.sanitised(options["Footer"])),
        "notice": SimpleLazyObject(lambda: _notice(request, options["Notice"])),
        "notice_hash": SimpleLazyObject(lambda: digest_of(request, options["Notice"])),
        "skin": SimpleLazyObject(lambda: options["Theme"]),
        "spendable": max(user.quota - user.held, 0) if isinstance(user, User) else 0,
        "preferences": preferences.of(request),
        "test_run": SimpleLazyObject(lambda: runs.current() if _administers(user) else None),
        "menu": SimpleLazyObject(lambda: navigation.menu(request, options)),
        "version": settings.VERSION,
        "project": PROJECT,
    }


def _administers(user: object) -> bool:
    return isinstance(user, User) and user.is_active and user.role >= Role.ADMIN


def digest_of(request: HttpRequest, notice: str) -> str:
    """Of the text and of who has read it: of several people at one browser each puts it away for themselves."""
    user = getattr(request, "user", None)
    reader = user.pk if isinstance(user, User) else 0
    return hashlib.sha256(f"{reader} {notice.strip()}".encode()).hexdigest()[:16]


def _notice(request: HttpRequest, text: str) -> SafeString | str:
    if not text.strip() or request.COOKIES.get(NOTICE_COOKIE) == digest_of(request, text):
        return ""
    return operator_text.rendered(text)
