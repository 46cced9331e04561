"""Usage of everybody, or of one user, model, channel or group: totals, a chart, a ranking that leads to the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import Role
from billing import analytics
from billing.analytics import By, Key, Rank, Totals, UsageFilter, labels
from console.figures.charts import chart, name_of
from console.figures.downloads import series_csv
from console.figures.forms import BY, AnalyticsForm
from console.guards import page
from console.lists import address
from console.respond import respond
from options import services as option_services

RANKED = 20
LOG_FILTERS = {By.MODEL: "model", By.TOKEN: "key", By.USER: "user", By.CHANNEL: "channel", By.GROUP: "group"}
PARAMETERS = {By.MODEL: "model", By.USER: "user", By.CHANNEL: "channel", By.GROUP: "group"}


@dataclass(frozen=True)
class Ranked:
    """`narrower`: this page for that one alone, "" where it cannot be asked for. `logs`: its lines in the log."""

    label: str
    totals: Totals
    narrower: str
    logs: str
    cached_share: float | None  # of the prompt, 0 to 1; None where no token of a prompt was counted


@page(Role.ADMIN)
@require_safe
def analytics_page(request: HttpRequest) -> HttpResponse:
    options = option_services.load()
    form = AnalyticsForm(request.GET)
    by, metric = form.by_chosen, form.metric_chosen
    wanted = form.wanted(**form.filters())
    series = analytics.series(wanted, metric, by=by, zone=timezone.get_current_timezone())
    ranks = analytics.ranking(wanted, by, metric, limit=RANKED)
    caption = _("%(figure)s by %(kind)s") % {
        "figure": dict(form.fields["metric"].choices)[metric.value],  # type: ignore[attr-defined]
        "kind": BY[form.by_name][1],
    }
    csv_address = f"{reverse('analytics-csv')}?{request.GET.urlencode()}"
    context: dict[str, Any] = {
        "form": form,
        "totals": analytics.totals(wanted),
        "chart": chart("usage", caption, series, metric, options, by=by, csv=csv_address),
        "ranking": _ranked(request, wanted, by, ranks),
        "kind": BY[form.by_name][1],
    }
    return respond(
        request, "console/analytics/page.html", context, parts={"figures": "console/analytics/_figures.html"}
    )


@page(Role.ADMIN)
@require_safe
def download(request: HttpRequest) -> HttpResponseBase:
    form = AnalyticsForm(request.GET)
    wanted = form.wanted(**form.filters())
    series = analytics.series(wanted, form.metric_chosen, by=form.by_chosen, zone=timezone.get_current_timezone())
    return series_csv(request, "analytics", series, form.by_chosen)


def _ranked(request: HttpRequest, wanted: UsageFilter, by: By, ranks: list[Rank]) -> list[Ranked]:
    names = labels(by, [rank.key for rank in ranks])
    return [
        Ranked(
            label=name_of(rank.key, names, by),
            totals=rank.totals,
            narrower=_narrower(request, by, rank.key),
            logs=_logs(by, rank.key, name_of(rank.key, names, by), wanted),
            cached_share=rank.totals.cached_tokens / rank.totals.prompt_tokens if rank.totals.prompt_tokens else None,
        )
        for rank in ranks
    ]


def _narrower(request: HttpRequest, by: By, key: Key) -> str:
    name = PARAMETERS.get(by)
    if name is None or not key:
        return ""
    return address(request, {name: key, "by": "model" if by is not By.MODEL else "user"})


def _logs(by: By, key: Key, name: str, wanted: UsageFilter) -> str:
    """The log of these calls: it knows people and keys by name, and moments in the person's zone."""
    zone = timezone.get_current_timezone()
    start, end = (
        datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%dT%H:%M") for moment in (wanted.start, wanted.end)
    )
    value = name if by in (By.USER, By.TOKEN) else key
    return f"{reverse('logs')}?{urlencode({LOG_FILTERS[by]: value, 'start': start, 'end': end})}"
