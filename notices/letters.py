"""What messages say: a subject, and templates/notices/<name>.txt and .html inside the common frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from options.registry import Options

LANGUAGE = "zh-hans"  # of the contract's subjects

SUBJECTS: dict[str, Promise] = {
    "verification": _("%(site)s e-mail verification"),
    "address_taken": _("%(site)s e-mail verification"),
    "reset": _("%(site)s password reset"),
    "quota": _("Quota reminder"),
    "channel_disabled": _("Channel status changed"),
    "channel_enabled": _("Channel status changed"),
    "test_finished": _("Channel test finished"),
    "trial": _("A message on trial from %(site)s"),
}


@dataclass(frozen=True)
class Letter:
    """What is said, ready to be sent: a subject of one line, and the same text twice."""

    subject: str
    text: str
    html: str


def write(name: str, options: Options, facts: dict[str, Any], *, language: str = LANGUAGE) -> Letter:
    """The letter `name` (a key of SUBJECTS). Facts are text to the HTML, whatever they look like."""
    site = options["SystemName"]
    with translation.override(language):
        subject = str(SUBJECTS[name]) % {"site": site}
        context = {**facts, "subject": subject, "site": site, "language": language}
        text, html = (render_to_string(f"notices/{name}.{kind}", context) for kind in ("txt", "html"))
        return Letter(subject, text, html)


def server_address(options: Options) -> str:
    """Where links lead, without a slash at the end."""
    return str(options["ServerAddress"] or "http://localhost:3000").rstrip("/")


def balance(options: Options, quota: int) -> str:
    """An amount of quota as the operator wants it shown: dollars to the sixth decimal, or points."""
    if options["DisplayInCurrencyEnabled"]:
        whole, _dot, cents = f"{quota / options['QuotaPerUnit']:.6f}".partition(".")
        return f"${whole}.{cents.rstrip('0'):0<2}"
    return str(quota)
