"""The dashboard: cards and a chart of one's own usage; for operators a row about the gateway."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import Role
from billing import analytics
from console.dashboard import figures
from console.dashboard.warnings import warnings
from console.figures.charts import chart
from console.figures.downloads import series_csv
from console.figures.forms import BY, FigureForm
from console.guards import page
from console.http import signed_in
from console.respond import respond
from console.site import base_address
from options import services as option_services


@page()
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """The figures alone answer the page's own asking, every half minute."""
    user = signed_in(request)
    options = option_services.load()
    form = FigureForm(request.GET)
    by, metric = form.by_chosen, form.metric_chosen
    series = analytics.series(form.wanted(user_id=user.pk), metric, by=by, zone=timezone.get_current_timezone())
    caption = _("%(figure)s by %(kind)s") % {
        "figure": dict(form.fields["metric"].choices)[metric.value],  # type: ignore[attr-defined]
        "kind": BY[form.by_name][1],
    }
    address = f"{reverse('dashboard-csv')}?{request.GET.urlencode()}"
    context = {
        "form": form,
        "today": figures.today(user.pk),
        "chart": chart("usage", caption, series, metric, options, by=by, csv=address),
        "gateway": figures.gateway() if user.role >= Role.ADMIN else None,
        "warnings": warnings(options) if user.role >= Role.ROOT else [],
        "has_key": user.tokens.exists(),
        "base_address": base_address(request, options),
    }
    return respond(
        request, "console/dashboard/page.html", context, parts={"figures": "console/dashboard/_figures.html"}
    )


@page()
@require_safe
def download(request: HttpRequest) -> HttpResponseBase:
    form = FigureForm(request.GET)
    wanted = form.wanted(user_id=signed_in(request).pk)
    series = analytics.series(wanted, form.metric_chosen, by=form.by_chosen, zone=timezone.get_current_timezone())
    return series_csv(request, "usage", series, form.by_chosen)
