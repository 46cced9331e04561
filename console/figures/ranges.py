"""Which time a chart is about, read from the address: 24 hours, 7 days, 30 days, or two days of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing.analytics import DAY, HOUR

LENGTHS = {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
LONGEST = 366  # days
DEFAULT = "7d"
CHOICES = [
    ("24h", _("Last 24 hours")),
    ("7d", _("Last 7 days")),
    ("30d", _("Last 30 days")),
    ("own", _("From … to …")),
]


@dataclass(frozen=True)
class Range:
    """Unix seconds; `start` included, `end` not."""

    start: int
    end: int


class RangeForm(forms.Form):
    """`range`, and `first` and `last` (both days included) where it is "own". What makes no sense counts as 7 days."""

    range = forms.ChoiceField(label=_("Time"), choices=CHOICES, required=False)
    first = forms.DateField(label=_("First day"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label=_("Last day"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def clean_first(self) -> date | None:
        return self._known(self.cleaned_data["first"])

    def clean_last(self) -> date | None:
        return self._known(self.cleaned_data["last"])

    @staticmethod
    def _known(day: date | None) -> date | None:
        if day is not None and not 1971 <= day.year <= 9000:
            raise forms.ValidationError(_("There is nothing to tell of that day."))
        return day

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if cleaned.get("range") == "own" and not self.errors:
            if first is None or last is None or first > last:
                self.add_error("first", _("Enter a first day and a last one that is not before it."))
            elif (last - first).days >= LONGEST:
                self.add_error("last", _("A chart shows at most 366 days."))
        return cleaned

    def chosen(self) -> Range:
        """Days are cut in the person's zone; a length ends with the hour that runs now."""
        wanted = self.cleaned_data.get("range") if self.is_valid() else None
        if wanted == "own":
            return Range(midnight(self.cleaned_data["first"]), midnight(self.cleaned_data["last"] + timedelta(days=1)))
        now = int(timezone.now().timestamp())
        end = now - now % HOUR + HOUR
        length = LENGTHS[wanted or DEFAULT]
        if length == DAY:
            return Range(end - DAY, end)
        today = timezone.localdate()
        return Range(midnight(today - timedelta(days=length // DAY - 1)), end)


def midnight(day: date) -> int:
    """When the day begins in the person's zone."""
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone()).timestamp())
