"""The providers a person may be offered: names, whether they are on, and what a page must allow for their forms."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.external import starting
from accounts.external.methods import METHODS, WITH_STATE
from accounts.models import User
from console.policy import allow
from options.registry import Options

LABELS: dict[str, str | Promise] = {
    "github": "GitHub",
    "lark": _("Lark"),
    "oidc": "OpenID Connect",
    "wechat": _("WeChat"),
}


@dataclass(frozen=True)
class Offered:
    """`bound`: the identity an account has there, shortened; "" is none. `by_form`: started by a form of ours."""

    name: str
    label: str | Promise
    enabled: bool
    by_form: bool
    bound: str = ""


def offered(request: HttpRequest, options: Options) -> list[Offered]:
    """Those that are switched on; this answer's forms may lead to them."""
    return [one for one in of(request, options) if one.enabled]


def of(request: HttpRequest, options: Options, user: User | None = None) -> list[Offered]:
    """All of them, with what `user` has bound."""
    found = []
    for name, method in METHODS.items():
        enabled, by_form = method.enabled(options), name in WITH_STATE
        if enabled and by_form:
            allow(request, "form-action", starting.form_target(name, options))
        subject = getattr(user, method.column, None) or ""
        found.append(Offered(name, LABELS[name], enabled, by_form, shortened(subject)))
    return found


def shortened(subject: str) -> str:
    return subject if len(subject) <= 14 else f"{subject[:6]}…{subject[-4:]}"
