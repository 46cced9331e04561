"""What is asked about redemption codes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from console.fields import MomentField, QuotaField, SearchInput
from console.formats import datetime_of
from console.once import OnceForm
from options.registry import Options
from redemptions.listing import CodeFilter, State, batches
from redemptions.models import Redemption, RedemptionStatus
from redemptions.services import BATCH_LENGTH, MOST_AT_ONCE, NAME_LENGTH

STATES = {
    State.UNUSED: _("unused"),
    State.EXPIRED: _("expired"),
    State.DISABLED: _("disabled"),
    State.USED: _("used"),
}


class CodesFilter(forms.Form):
    q = forms.CharField(label=_("Search name, batch, code"), required=False, max_length=64, widget=SearchInput)
    state = forms.ChoiceField(label=_("Status"), choices=[("", _("Any status")), *STATES.items()], required=False)
    batch = forms.ChoiceField(label=_("Batch"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "filter_%s", **kwargs})
        self.fields["batch"].choices = [("", _("Any batch")), *[(name, name) for name in batches()]]  # type: ignore[attr-defined]

    def wanted(self) -> CodeFilter:
        """What was asked for; nothing where it makes no sense."""
        if not self.is_valid():
            return CodeFilter()
        typed = self.cleaned_data
        return CodeFilter(text=typed["q"], state=typed["state"], batch=typed["batch"])

    def found(self) -> QuerySet[Redemption]:
        """For what is done to all of them: none where a filter makes no sense any more, as a batch that is gone."""
        return self.wanted().rows() if self.is_valid() else Redemption.objects.none()


class CodeForm(forms.Form):
    """For a code that there is; `used` ones keep what they were worth."""

    name = forms.CharField(
        label=_("Name"),
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=_("Who redeems the code does not see it."),
    )
    quota = QuotaField(label=_("Worth"), lowest=1)
    batch = forms.CharField(
        label=_("Batch"),
        max_length=BATCH_LENGTH,
        required=False,
        help_text=_("A label to find these codes by: a campaign, a reseller."),
    )
    expires = MomentField(
        label=_("Expires"),
        required=False,
        help_text=_("From then on the code is refused. Empty: never."),
    )

    def __init__(self, *args: Any, options: Options, editing: bool = False, used: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["quota"].set_unit(options)  # type: ignore[attr-defined]
        if used:
            del self.fields["quota"]
        if editing:
            for each in self.fields.values():  # what somebody else changed meanwhile is not undone
                each.show_hidden_initial = True

    def changes(self) -> dict[str, Any]:
        """The code's columns, as redemptions.services takes them: those that are not as the form was drawn with."""
        every = {**self.cleaned_data, "expires_at": self.expires_at}
        undrawn = {name for name in self.fields if self.add_initial_prefix(name) not in self.data}
        changed = {"expires_at" if name == "expires" else name for name in {*undrawn, *self.changed_data}}
        return {name: every[name] for name in changed}

    @property
    def expires_at(self) -> int:
        """Unix seconds; 0 is never."""
        moment: datetime | None = self.cleaned_data["expires"]
        return 0 if moment is None else int(moment.timestamp())


class NewCodesForm(OnceForm, CodeForm):
    count = forms.IntegerField(label=_("How many codes"), min_value=1, max_value=MOST_AT_ONCE, initial=1)
    per_user = forms.IntegerField(
        label=_("Codes of this batch that one user may redeem"),
        min_value=1,
        max_value=MOST_AT_ONCE,
        required=False,
        help_text=_("Empty: as many as they have."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("per_user") and not cleaned.get("batch") and "batch" not in self.errors:
            self.add_error("batch", _now("A limit for each user needs a batch to count in."))
        moment = cleaned.get("expires")
        if moment is not None and moment <= timezone.now():
            self.add_error("expires", _now("This moment is over. Choose a later one."))
        return cleaned


def initial(code: Redemption) -> dict[str, Any]:
    zone = timezone.get_current_timezone()
    return {
        "name": code.name,
        "quota": code.quota,
        "batch": code.batch,
        "expires": datetime_of(code.expires_at, zone) if code.expires_at else None,
    }


def is_used(code: Redemption) -> bool:
    return code.status == RedemptionStatus.USED
