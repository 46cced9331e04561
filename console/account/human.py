"""Cloudflare Turnstile on a form: the one thing from outside, and only where it is switched on."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _

from api import turnstile
from api.envelope import Refusal
from console.policy import allow
from options.registry import Options

CLOUDFLARE = "https://challenges.cloudflare.com"
FIELD = "cf-turnstile-response"  # by which the widget sends its token


class NotHumanError(Exception):
    """The text is for the person."""


def site_key(request: HttpRequest, options: Options) -> str:
    """For the widget, whose script and frame this one answer may then load; "" where the option is off."""
    if not options["TurnstileCheckEnabled"]:
        return ""
    allow(request, "script-src", CLOUDFLARE)
    allow(request, "frame-src", CLOUDFLARE)
    return str(options["TurnstileSiteKey"])


def check(request: HttpRequest, options: Options) -> None:
    """Raises NotHumanError where the option is on and the token of this form is none Cloudflare accepts."""
    try:
        turnstile.check_token(request.POST.get(FIELD, ""), request, options)
    except Refusal:
        raise NotHumanError(_("The check that you are human did not succeed. Wait a moment and try again.")) from None
