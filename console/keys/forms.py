"""What is asked about an API key."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import NEVER, Token, TokenStatus
from accounts.tokens import NAME_LENGTH
from console.fields import ModelsField, QuotaField, SearchInput
from console.formats import datetime_of
from options.registry import Options

STATUSES = [("", _("Any status")), *[(str(value), label) for value, label in TokenStatus.choices]]
LIVES = {"minute": 60, "hour": 3600, "day": 86_400, "month": 30 * 86_400}  # seconds
PRESETS = (1, 10, 50, 100, 500, 1000)  # US dollars, offered as limits
COUNTS = (1, 10, 20, 30, 100)  # keys made at once


class KeyFilter(forms.Form):
    q = forms.CharField(label=_("Search by name"), required=False, max_length=64, widget=SearchInput)
    status = forms.ChoiceField(label=_("Status"), choices=STATUSES, required=False)


class KeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=NAME_LENGTH, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    models = ModelsField(
        label=_("Models"), required=False, help_text=_("Which models the key may call. None chosen: all of them.")
    )
    subnet = forms.CharField(
        label=_("Allowed networks"),
        required=False,
        help_text=_("Networks in CIDR form, commas between them: 192.168.0.0/24, 2001:db8::/32. Empty: from anywhere."),
    )
    lifetime = forms.ChoiceField(
        label=_("Expires"),
        choices=[
            ("never", _("Never")),
            ("month", _("In 30 days")),
            ("day", _("In one day")),
            ("hour", _("In one hour")),
            ("minute", _("In one minute")),
            ("at", _("At the moment below")),
        ],
    )
    expires = forms.DateTimeField(
        label=_("Moment"),
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M:%S"),
    )
    unlimited = forms.BooleanField(
        label=_("No limit of its own"),
        required=False,
        help_text=_("A limit holds for this key alone; your balance is a limit in any case."),
    )
    quota = QuotaField(label=_("Limit"), required=False)
    count = forms.TypedChoiceField(
        label=_("How many keys"),
        choices=[(str(count), str(count)) for count in COUNTS],
        coerce=int,
        required=False,
    )

    def __init__(self, *args: Any, options: Options, models: list[str], editing: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["quota"].set_unit(options)  # type: ignore[attr-defined]
        self.fields["models"].set_known(models)  # type: ignore[attr-defined]
        if editing:
            del self.fields["count"]
            self.fields["quota_was"] = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("lifetime") == "at" and cleaned.get("expires") is None and "expires" not in self.errors:
            self.add_error("expires", _("Enter the moment at which the key is to expire."))
        if not cleaned.get("unlimited") and cleaned.get("quota") is None and "quota" not in self.errors:
            self.add_error("quota", _("Enter a limit, or choose that there is none."))
        return cleaned

    def columns(self) -> dict[str, Any]:
        """The token's columns, as accounts.tokens takes them."""
        data = self.cleaned_data
        columns = {
            "name": data["name"],
            "model_names": ",".join(data["models"]),
            "subnet": data["subnet"],
            "expired_time": _expiry(data["lifetime"], data["expires"]),
            "unlimited_quota": data["unlimited"],
            "remain_quota": data["quota"] or 0,
        }
        if data.get("quota_was") == str(columns["remain_quota"]):
            del columns["remain_quota"]  # as the form was drawn with: calls may have spent of it meanwhile
        return columns


def initial(token: Token) -> dict[str, Any]:
    expires = None
    if token.expired_time != NEVER:
        expires = datetime_of(token.expired_time, timezone.get_current_timezone())
    return {
        "name": token.name,
        "models": [name for name in token.model_names.split(",") if name],
        "subnet": token.subnet,
        "lifetime": "never" if expires is None else "at",
        "expires": expires,
        "unlimited": token.unlimited_quota,
        "quota": max(token.remain_quota, 0),
        "quota_was": str(max(token.remain_quota, 0)),
    }


def _expiry(lifetime: str, moment: datetime | None) -> int:
    if lifetime == "never":
        return NEVER
    if lifetime == "at":
        assert moment is not None
        return int(moment.timestamp())
    return int(time.time()) + LIVES[lifetime]
