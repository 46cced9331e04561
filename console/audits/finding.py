"""Which entries of the audit somebody may see, and which of them a filter asks for."""

from __future__ import annotations

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.matching import holds
from accounts.models import Role, User
from audit.models import AuditEntry
from console.fields import MomentField, SearchInput


class AuditFilter(forms.Form):
    q = forms.CharField(label=_("Search action, target, request"), required=False, max_length=128, widget=SearchInput)
    actor = forms.CharField(label=_("Who"), required=False, max_length=64)
    target = forms.CharField(label=_("On what"), required=False, max_length=128)
    ip = forms.CharField(label=_("From where"), required=False, max_length=45)
    start = MomentField(label=_("From"), required=False)
    end = MomentField(label=_("To"), required=False)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"auto_id": "filter_%s", **kwargs})  # type: ignore[arg-type]
        self.fields["target"].widget.attrs["placeholder"] = "user:7"


def visible_to(user: User) -> QuerySet[AuditEntry]:
    rows = AuditEntry.objects.all()
    return rows if user.role >= Role.ROOT else rows.filter(actor_id=user.pk)


def wanted(user: User, filters: AuditFilter) -> QuerySet[AuditEntry]:
    """Times are both included. What makes no sense in a filter asks for nothing."""
    rows = visible_to(user)
    if not filters.is_valid():
        return rows
    typed = filters.cleaned_data
    if text := typed["q"]:
        rows = rows.filter(holds("action", text) | holds("target", text) | Q(request_id=text))
    if typed["actor"]:
        rows = rows.filter(holds("actor_name", typed["actor"]))
    if typed["target"]:
        rows = rows.filter(target=typed["target"])
    if typed["ip"]:
        rows = rows.filter(ip=typed["ip"])
    if typed["start"]:
        rows = rows.filter(created_at__gte=int(typed["start"].timestamp()))
    if typed["end"]:
        rows = rows.filter(created_at__lte=int(typed["end"].timestamp()))
    return rows
