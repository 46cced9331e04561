"""What is asked about channels in the list: filters, and changes to one or to many."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from channels_app.bulk import Action
from channels_app.listing import NO_TAG, Facets, Filters
from channels_app.models import ChannelStatus
from channels_app.providers import choices
from console.fields import SearchInput

ANY = ("", _("Any"))
STATUSES = [
    ANY,
    (str(ChannelStatus.ENABLED.value), _("enabled")),
    (str(ChannelStatus.DISABLED.value), _("disabled by hand")),
    (str(ChannelStatus.AUTO_DISABLED.value), _("disabled automatically")),
]
TESTED = [ANY, ("ok", _("passed")), ("failed", _("failed")), ("never", _("never"))]
TEST, BALANCE = "test", "balance"  # done to many channels in the background, beside the changes of channels_app.bulk
ACTIONS: list[tuple[str, str | Promise]] = [
    (Action.ENABLE.value, _("Enable")),
    (Action.DISABLE.value, _("Disable")),
    (TEST, _("Test")),
    (BALANCE, _("Refresh balances")),
    (Action.SET_PRIORITY.value, _("Set priority to")),
    (Action.SET_WEIGHT.value, _("Set weight to")),
    (Action.ADD_GROUP.value, _("Add groups")),
    (Action.REMOVE_GROUP.value, _("Remove groups")),
    (Action.ADD_MODEL.value, _("Add models")),
    (Action.REMOVE_MODEL.value, _("Remove models")),
    (Action.SET_TAGS.value, _("Set tags to")),
    (Action.ADD_TAG.value, _("Add tags")),
    (Action.REMOVE_TAG.value, _("Remove tags")),
    (Action.RENAME_TAG.value, _("Rename tag (old, new)")),
    (Action.DELETE.value, _("Delete")),
]
TIMES = [
    ("3600", _("One hour")),
    ("86400", _("One day")),
    ("604800", _("One week")),
    ("at", _("Until the moment below")),
]
MOMENTS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]


class ChannelFilter(forms.Form):
    """The fields are called as in channels_app.listing.Filters."""

    text = forms.CharField(
        label=_("Search id, name, address, model or tag"), required=False, max_length=128, widget=SearchInput
    )
    status = forms.ChoiceField(label=_("Status"), choices=STATUSES, required=False)
    type = forms.ChoiceField(label=_("Type"), required=False)
    group = forms.ChoiceField(label=_("Group"), required=False)
    tag = forms.ChoiceField(label=_("Tag"), required=False)
    tested = forms.ChoiceField(label=_("Last test"), choices=TESTED, required=False)
    model = forms.CharField(label=_("Model"), required=False, max_length=191)
    balance_below = forms.FloatField(
        label=_("Balance below"), required=False, widget=forms.NumberInput(attrs={"step": "any"})
    )

    def __init__(self, *args: Any, offered: Facets, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = dict(choices())
        types = sorted((names.get(each, f"#{each}"), str(each)) for each in offered.types)
        self.fields["type"].choices = [ANY, *((number, name) for name, number in types)]  # type: ignore[attr-defined]
        for field, values in (("group", offered.groups), ("tag", offered.tags)):
            self.fields[field].choices = [ANY, *((value, value) for value in values)]  # type: ignore[attr-defined]
        self.fields["tag"].choices += [(NO_TAG, _("without a tag"))]  # type: ignore[attr-defined]

    def filters(self) -> Filters:
        """What could be understood; a field with an error asks for nothing."""
        self.is_valid()
        asked = self.cleaned_data
        return Filters(
            text=asked.get("text", ""),
            type=int(asked.get("type") or 0),
            group=asked.get("group", ""),
            tag=asked.get("tag", ""),
            model=asked.get("model", ""),
            status=int(asked.get("status") or 0),
            tested=asked.get("tested", ""),
            balance_below=asked.get("balance_below"),
        )


class BulkForm(forms.Form):
    """`ids`: of the rows that are ticked, or with `all` everything the list's `query` matches.

    `tag`: the one to rename, where `value` is its new name alone.
    """

    action = forms.ChoiceField(label=_("What to do"), choices=ACTIONS)
    value = forms.CharField(label=_("Number or names"), required=False, max_length=4000)
    tag = forms.CharField(required=False, widget=forms.HiddenInput)
    ids = forms.CharField(required=False, widget=forms.HiddenInput)
    all = forms.BooleanField(required=False)
    query = forms.CharField(required=False, widget=forms.HiddenInput)


class PauseForm(forms.Form):
    length = forms.ChoiceField(label=_("For how long"), choices=TIMES)
    until = forms.DateTimeField(
        label=_("Moment"),
        required=False,
        input_formats=MOMENTS,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    reason = forms.CharField(label=_("Reason"), required=False, max_length=200)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("length") == "at" and cleaned.get("until") is None and "until" not in self.errors:
            self.add_error("until", _("Enter the moment at which the channel is to be enabled again."))
        return cleaned

    @property
    def moment(self) -> int:
        """Unix seconds."""
        length, until = self.cleaned_data["length"], self.cleaned_data["until"]
        if length == "at":
            assert isinstance(until, datetime)
            return int(until.timestamp())
        return int(time.time()) + int(length)


class TestForm(forms.Form):
    """One test of one channel."""

    __test__ = False  # none of pytest's

    model = forms.ChoiceField(label=_("Model"), required=False)

    def __init__(self, *args: Any, models: list[str], usual: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].choices = [  # type: ignore[attr-defined]
            ("", _("The channel's own (%(model)s)") % {"model": usual or "–"}),
            *((name, name) for name in models),
        ]
