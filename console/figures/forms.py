"""What a chart shows: its time, its metric, what it is split by, and (for operators) whose and which calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.models import User, fold
from billing.analytics import By, Metric, UsageFilter
from console.figures.ranges import DEFAULT, RangeForm

METRICS = [
    (Metric.QUOTA.value, _("Money")),
    (Metric.REQUESTS.value, _("Requests")),
    (Metric.TOKENS.value, _("Tokens")),
]
ALL_METRICS = [
    *METRICS,
    (Metric.CACHED_TOKENS.value, _("Cached tokens")),
    (Metric.ERRORS.value, _("Failed requests")),
]
BY = {
    "model": (By.MODEL, _("Model")),
    "key": (By.TOKEN, _("API key")),
    "user": (By.USER, _("User")),
    "channel": (By.CHANNEL, _("Channel")),
    "group": (By.GROUP, _("Group")),
}
OWN = ("model", "key")  # what people may split their own usage by


class FigureForm(RangeForm):
    """A GET form; what is missing or makes no sense counts as the first choice."""

    metric = forms.ChoiceField(label=_("Figure"), choices=METRICS, required=False)
    by = forms.ChoiceField(label=_("Split by"), required=False)

    field_order: tuple[str, ...] = ("range", "first", "last", "metric", "by")

    def __init__(self, data: QueryDict, *, by: Sequence[str] = OWN) -> None:
        data = data.copy()
        data.setdefault("range", DEFAULT)  # so that the box says what is shown
        super().__init__(data)
        self.choices_by = tuple(by)
        self.fields["by"].choices = [(name, BY[name][1]) for name in by]  # type: ignore[attr-defined]

    @property
    def metric_chosen(self) -> Metric:
        return Metric(self._valid("metric") or Metric.QUOTA)

    @property
    def by_chosen(self) -> By:
        return BY[self._valid("by") or self.choices_by[0]][0]

    @property
    def by_name(self) -> str:
        return self._valid("by") or self.choices_by[0]

    def wanted(self, **exact: Any) -> UsageFilter:
        span = self.chosen()
        return UsageFilter(span.start, span.end, **exact)

    def _valid(self, name: str) -> str:
        value: str = self.cleaned_data.get(name, "") if self.is_bound and not self.errors.get(name) else ""
        return value


class AnalyticsForm(FigureForm):
    """`user` is a name or a number, `channel` a number; somebody or something unknown matches nothing."""

    user = forms.CharField(label=_("User"), required=False, max_length=64)
    model = forms.CharField(label=_("Model"), required=False, max_length=191)
    channel = forms.IntegerField(label=_("Channel number"), required=False, min_value=0)
    group = forms.CharField(label=_("Group"), required=False, max_length=64)

    field_order = ("range", "first", "last", "metric", "by", "user", "model", "channel", "group")

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, by=("user", "model", "channel", "key", "group"))
        self.fields["metric"].choices = ALL_METRICS  # type: ignore[attr-defined]

    def filters(self) -> dict[str, Any]:
        """The exact columns asked for, as UsageFilter takes them."""
        user = self._valid("user").strip()
        channel = self.cleaned_data.get("channel") if not self.errors.get("channel") else None
        found: dict[str, Any] = {
            "model_name": self._valid("model").strip() or None,
            "channel_id": channel,
            "group": self._valid("group").strip() or None,
        }
        if user:
            found["user_id"] = _user_id(user)
        return found


def _user_id(text: str) -> int:
    """The account of this name, else of this number; 0 (which nobody has) where there is none."""
    found = User.objects.filter(username_key=fold(text)).values_list("pk", flat=True).first()
    if found is None and text.isdecimal() and len(text) < 19:
        return int(text)
    return found or 0
