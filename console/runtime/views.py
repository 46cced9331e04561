"""The page: facts about this node, periodic work, and the variables it was started with."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Role
from console.fields import SearchInput
from console.guards import page
from console.respond import respond
from console.runtime import facts


class VariableFilter(forms.Form):
    q = forms.CharField(label=_("Search by name"), required=False, max_length=64, widget=SearchInput)
    only = forms.ChoiceField(
        label=_("Show"), required=False, choices=[("", _("All variables")), ("set", _("Those that are set"))]
    )


@page(Role.ROOT)
@require_safe
def runtime(request: HttpRequest) -> HttpResponse:
    """Whole, or the jobs alone, which ask again by themselves; or the variables, when their filter changes."""
    if request.htmx and request.htmx.target == "jobs":  # type: ignore[attr-defined]
        return respond(request, "", {"jobs": facts.jobs()}, parts={"jobs": "console/runtime/_jobs.html"})
    filters = VariableFilter(request.GET)
    wanted = filters.cleaned_data if filters.is_valid() else {"q": "", "only": ""}
    context = {
        "filters": filters,
        "variables": facts.variables(wanted["q"], only_set=wanted["only"] == "set"),
        "stale": facts.stale(),
        "started": settings.START_TIME,
    }
    if not (request.htmx and request.htmx.target == "variables"):  # type: ignore[attr-defined]
        context |= {
            "versions": facts.versions(),
            "reaches": [*facts.databases(), facts.redis()],
            "jobs": facts.jobs(),
            "waiting": facts.waiting(),
            "report": facts.last_report(),
        }
    parts = {"variables": "console/runtime/_variables.html"}
    return respond(request, "console/runtime/runtime.html", context, parts=parts)
