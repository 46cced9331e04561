"""Topping up one's own balance."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import actor_of
from accounts.models import User, UserStatus
from accounts.services import invitation_code
from api import throttling
from api.windows import TooMany
from billing.models import EntryKind, LedgerEntry
from billing.services import QuotaOutOfRange
from console import formats, operator_text
from console.codes.words import words
from console.guards import page
from console.http import signed_in
from console.respond import go, respond
from console.site import base_address
from console.topup.links import shop_address
from options import services as option_services
from options.registry import Options
from redemptions.services import CodeRefused, UnknownCode, redeem

SHOWN = 10  # last top-ups
TOLD_NOTES = (EntryKind.TOP_UP, EntryKind.ADMIN)  # of the others the note is the operator's


class RedeemForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Redemption code"),
        max_length=64,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "mono"}),
        error_messages={"required": gettext_lazy("Enter the code.")},
    )


@page()
@require_http_methods(["GET", "HEAD", "POST"])
def top_up(request: HttpRequest) -> HttpResponse:
    user, options = signed_in(request), option_services.load()
    form = RedeemForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            quota = _redeem(request, user, form.cleaned_data["code"])
        except TooMany:
            form.add_error("code", _("Too many wrong codes. Try again in 20 minutes."))
        except QuotaOutOfRange:
            form.add_error("code", _("Your balance would rise above the largest possible one."))
        except CodeRefused as refusal:
            form.add_error("code", words(refusal))
        else:
            messages.success(request, _("%s was added to your balance.") % formats.quota(quota, options))
            return go(request, reverse("top-up"))
    status = 422 if request.method == "POST" else 200
    if request.htmx and request.htmx.target == "redeem":  # type: ignore[attr-defined]
        parts = {"redeem": "console/topup/_redeem.html"}
        return respond(request, "console/topup/page.html", {"form": form}, parts=parts, status=status)
    return respond(request, "console/topup/page.html", _context(request, user, options, form), status=status)


@page()
@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Draw an invitation code, for an account that has none."""
    invitation_code(signed_in(request).pk)
    return go(request, reverse("top-up"))


def _redeem(request: HttpRequest, user: User, code: str) -> int:
    throttling.check_code_tries(user.pk)
    try:
        return redeem(user.pk, code, request_id=actor_of(request).request_id)
    except UnknownCode:
        throttling.count_wrong_code(user.pk)
        raise


def _context(request: HttpRequest, user: User, options: Options, form: RedeemForm) -> dict[str, Any]:
    mine = LedgerEntry.objects.filter(user_id=user.pk)
    entries = list(mine.exclude(kind=EntryKind.CHARGE).order_by("-pk")[:SHOWN])
    for entry in entries:
        entry.told = entry.note if entry.kind in TOLD_NOTES else ""  # type: ignore[attr-defined]
    link = operator_text.link(options["TopUpLink"])
    return {
        "form": form,
        "entries": entries,
        "shop": shop_address(link, user) if link else "",
        "invitation": f"{base_address(request, options)}/register?aff={user.aff_code}" if user.aff_code else "",
        "invited": User.objects.filter(inviter_id=user.pk).exclude(status=UserStatus.DELETED).count(),
        "earned": mine.filter(kind=EntryKind.INVITATION).aggregate(total=Sum("amount"))["total"] or 0,
        "for_inviter": options["QuotaForInviter"],
        "for_invitee": options["QuotaForInvitee"],
    }
