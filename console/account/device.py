"""What a session's browser calls itself, and how it was begun, in words. Pure."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


WAYS: dict[str, str | Promise] = {
    "password": _("password"),
    "passkey": _("passkey"),
    "totp": _("authenticator app"),
    "recovery_codes": _("recovery code"),
    "github": "GitHub",
    "lark": _("Lark"),
    "oidc": "OpenID Connect",
    "wechat": _("WeChat"),
}


def way(method: str) -> str:
    """How somebody signed in (`UserSession.method`): `password+totp` is "password, authenticator app"."""
    return ", ".join(str(WAYS.get(part, part)) for part in method.split("+") if part)


def device(user_agent: str) -> str:
    """`Firefox, Linux`; a program's own name (`curl/8.5`); "" where nothing is known."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    named = ", ".join(part for part in (browser, system) if part)
    return named or user_agent.split(" ", maxsplit=1)[0][:40]
