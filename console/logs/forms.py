"""The filters of the log. For ordinary users those about other people, channels and groups are not there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Role, Token, User
from billing.log_queries import LogQuery, Outcome
from billing.models import LogType
from channels_app.services import usable_models
from console.fields import MomentField, SearchInput
from options.registry import Options

HOUR = 3600  # seconds
RANGES = {"1h": HOUR, "24h": 24 * HOUR, "7d": 7 * 24 * HOUR, "30d": 30 * 24 * HOUR, "all": 0}
USUAL = "24h"
RANGE_NAMES = [
    ("24h", _("Last 24 hours")),
    ("1h", _("Last hour")),
    ("7d", _("Last 7 days")),
    ("30d", _("Last 30 days")),
    ("all", _("All time")),
]
TYPES = [
    (str(kind.value), kind.label)
    for kind in (LogType.CONSUME, LogType.ERROR, LogType.TOP_UP, LogType.MANAGE, LogType.SYSTEM, LogType.TEST)
]
OUTCOMES = [("", _("Any outcome")), (Outcome.OK, _("succeeded")), (Outcome.ERROR, _("failed"))]
STREAMS = [("", _("Streams and others")), ("yes", _("streams")), ("no", _("others"))]
OTHERS = ("scope", "user", "channel", "group")  # filters that only admins have
FURTHER = ("start", "end", "request", "stream", "ip", "user", "channel", "group")  # folded away until one is used
MOST_NAMES = 500  # suggestions of a field


class LogFilter(forms.Form):
    q = forms.CharField(label=_("Search in the detail"), required=False, max_length=128, widget=SearchInput)
    range = forms.ChoiceField(label=_("Time"), choices=RANGE_NAMES, required=False)
    type = forms.MultipleChoiceField(
        label=_("Type"), choices=TYPES, required=False, widget=forms.CheckboxSelectMultiple
    )
    model = forms.CharField(label=_("Models"), required=False, max_length=1000)
    key = forms.CharField(label=_("API key"), required=False, max_length=64)
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    scope = forms.ChoiceField(label=_("Whose"), choices=[("", _("Everybody's")), ("mine", _("Mine"))], required=False)
    start = MomentField(label=_("From"), required=False)
    end = MomentField(label=_("To"), required=False)
    request = forms.CharField(label=_("Request id"), required=False, max_length=40)
    stream = forms.ChoiceField(label=_("Kind of answer"), choices=STREAMS, required=False)
    ip = forms.CharField(label=_("Client address"), required=False, max_length=45)
    user = forms.CharField(label=_("User name"), required=False, max_length=64)
    channel = forms.IntegerField(label=_("Channel id"), required=False, min_value=1, max_value=2**63 - 1)
    group = forms.ChoiceField(label=_("Group"), required=False)

    def __init__(self, *args: Any, person: User, options: Options, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "filter_%s", **kwargs})
        self.person = person
        self.all_people = person.role >= Role.ADMIN
        if self.all_people:
            groups = [("", _("Any group")), *[(name, name) for name in sorted(options["GroupRatio"])]]
            self.fields["group"].choices = groups  # type: ignore[attr-defined]
        else:
            for name in OTHERS:
                del self.fields[name]
        for name in ("model", "key"):
            self.fields[name].widget.attrs.update(list=f"names-{name}", autocomplete="off")

    @property
    def first(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in (*FURTHER, "type")]

    @property
    def further(self) -> list[forms.BoundField]:
        return [field for field in self if field.name in FURTHER]

    @property
    def further_used(self) -> bool:
        return any(self.data.get(name) for name in FURTHER)

    @property
    def chosen_types(self) -> Sequence[str]:
        return self.cleaned_data.get("type", []) if self.is_valid() else []

    def names(self) -> dict[str, list[str]]:
        """What the fields of models and keys suggest; other names may be typed."""
        keys = Token.objects.filter(user_id=self.person.pk).order_by("name").values_list("name", flat=True).distinct()
        return {"model": usable_models(self.person.group)[:MOST_NAMES], "key": list(keys[:MOST_NAMES])}

    def query(self) -> LogQuery:
        """What was asked for; what makes no sense asks for nothing. A common user's own lines, whatever is typed."""
        self.is_valid()
        typed = self.cleaned_data
        mine = not self.all_people or typed.get("scope") == "mine"
        start, end = self._span(typed)
        return LogQuery(
            types=[int(kind) for kind in typed.get("type") or ()],
            models=[name for part in (typed.get("model") or "").split(",") if (name := part.strip())],
            user_id=self.person.pk if mine else 0,
            username="" if mine else typed.get("user") or "",
            token_name=typed.get("key") or "",
            channel_id=typed.get("channel") or 0,
            group=typed.get("group") or "",
            outcome=Outcome(typed["outcome"]) if typed.get("outcome") else None,
            stream={"yes": True, "no": False}.get(typed.get("stream") or ""),
            request_id=typed.get("request") or "",
            ip=typed.get("ip") or "",
            text=typed.get("q") or "",
            start=start,
            end=end,
        )

    def _span(self, typed: dict[str, Any]) -> tuple[int, int]:
        """From and to where typed; else the range, which a search for one request does not need."""
        start, end = typed.get("start"), typed.get("end")
        if start or end:
            return (int(start.timestamp()) if start else 0), (int(end.timestamp()) if end else 0)
        length = RANGES["all" if typed.get("request") else typed.get("range") or USUAL]
        return (int(time.time()) - length if length else 0), 0
