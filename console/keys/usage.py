"""/token/<id>: what one key has used, of how much, and when its limit will be reached at this pace."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import Role, Token
from billing import analytics
from billing.analytics import DAY, By, UsageFilter
from console.figures.charts import chart
from console.figures.downloads import series_csv
from console.figures.forms import BY, FigureForm
from console.formats import masked
from console.guards import page
from console.http import signed_in
from console.respond import respond
from options import services as option_services

SPLIT = ("model",)


@page()
@require_safe
def usage(request: HttpRequest, pk: int) -> HttpResponse:
    """One's own; operators may see everybody's."""
    token = _visible(request, pk)
    options = option_services.load()
    form = FigureForm(request.GET, by=SPLIT)
    wanted = form.wanted(token_id=pk)
    series = analytics.series(wanted, form.metric_chosen, by=By.MODEL, zone=timezone.get_current_timezone())
    caption = _("%(figure)s by %(kind)s") % {
        "figure": dict(form.fields["metric"].choices)[form.metric_chosen.value],  # type: ignore[attr-defined]
        "kind": BY["model"][1],
    }
    context = {
        "token": token,
        "masked": masked(token.key),
        "limit": token.used_quota + token.remain_quota,
        "days_left": None if token.unlimited_quota else _days_left(wanted, token),
        "form": form,
        "totals": analytics.totals(wanted),
        "own": token.user_id == signed_in(request).pk,
        "chart": chart(
            "usage",
            caption,
            series,
            form.metric_chosen,
            options,
            by=By.MODEL,
            csv=f"{reverse('key-usage-csv', args=[pk])}?{request.GET.urlencode()}",
        ),
    }
    return respond(request, "console/keys/usage.html", context, parts={"figures": "console/keys/_usage.html"})


@page()
@require_safe
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    token = _visible(request, pk)
    form = FigureForm(request.GET, by=SPLIT)
    wanted = form.wanted(token_id=token.pk)
    series = analytics.series(wanted, form.metric_chosen, by=By.MODEL, zone=timezone.get_current_timezone())
    return series_csv(request, f"key-{token.pk}", series, By.MODEL)


def _visible(request: HttpRequest, pk: int) -> Token:
    user = signed_in(request)
    rows = Token.objects.select_related("user")
    if user.role < Role.ADMIN:
        rows = rows.filter(user_id=user.pk)
    return get_object_or_404(rows, pk=pk)


def _days_left(wanted: UsageFilter, token: Token) -> int | None:
    """Days until nothing is left, at the pace of the range shown; None where it has no pace."""
    spent = analytics.totals(wanted).quota
    if spent <= 0:
        return None
    return int(token.remain_quota * (wanted.end - wanted.start) / spent / DAY)
