"""Beginning a run of tests, watching it, and acting on what it found."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import actor_of
from accounts.models import Role
from channels_app import listing, run_actions, runs, testing
from channels_app.models import Outcome, TestRun
from channels_app.run_actions import NothingFailed
from channels_app.runs import Standing, State
from channels_app.testing import Scope
from console.csv import csv_answer, utc
from console.guards import page
from console.lists import Column, Listing
from console.respond import back, fragment, go, respond
from console.test_runs.forms import BeginForm, ResultFilter

STATES = {
    State.RUNNING: ("info", gettext_lazy("running")),
    State.FINISHED: ("success", gettext_lazy("finished")),
    State.CANCELLED: ("neutral", gettext_lazy("cancelled")),
    State.DIED: ("danger", gettext_lazy("broken off")),
}
SCOPES = {
    Scope.ALL: gettext_lazy("all channels"),
    Scope.DISABLED: gettext_lazy("disabled channels"),
    Scope.SELECTED: gettext_lazy("chosen channels"),
    Scope.FILTER: gettext_lazy("filtered channels"),
    Scope.COMMON: gettext_lazy("channels without a schedule of their own"),
    Scope.DUE: gettext_lazy("channels that were due"),
}
RUNS = (
    Column("id", gettext_lazy("Run"), ("id",), fixed=True),
    Column("state", gettext_lazy("State")),
    Column("scope", gettext_lazy("Channels"), ("scope",)),
    Column("model", gettext_lazy("Model"), ("model",)),
    Column("counts", gettext_lazy("Passed, failed")),
    Column("changes", gettext_lazy("Disabled, enabled")),
    Column("by", gettext_lazy("Started by"), ("started_by",)),
    Column("started", gettext_lazy("Started"), ("started",)),
    Column("seconds", gettext_lazy("Took")),
)
RESULTS = (
    Column("channel", gettext_lazy("Channel"), ("channel_name",), fixed=True),
    Column("outcome", gettext_lazy("Outcome"), ("outcome",)),
    Column("time", gettext_lazy("Time"), ("milliseconds",), number=True),
    Column("model", gettext_lazy("Model"), ("model",)),
    Column("change", gettext_lazy("Changed to"), ("change",)),
    Column("message", gettext_lazy("Answer or error")),
    Column("tested", gettext_lazy("Tested"), ("tested_at",), hidden=True),
)


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def begin(request: HttpRequest) -> HttpResponse:
    """Asks what to test; a second start leads to the run under way."""
    under_way = runs.current()
    query = request.POST.get("query", "") if request.method == "POST" else request.GET.urlencode()
    filters = listing.read(QueryDict(query))
    matching = listing.matching(filters).values_list("pk", flat=True) if filters else None
    form = BeginForm(
        request.POST or None,
        matching=matching.count() if matching is not None else None,
        initial={"query": query},
    )
    if request.method == "POST" and form.is_valid():
        scope = Scope(form.cleaned_data["scope"])
        channel_ids = list(matching) if scope is Scope.FILTER and matching is not None else []
        try:
            at_once = form.cleaned_data.get("at_once") or testing.AT_ONCE
            run_id = testing.start(scope, actor_of(request), channel_ids, form.cleaned_data["model"].strip(), at_once)
        except testing.AlreadyRunning:
            messages.warning(request, _("Channels are being tested already; this is the run."))
            return go(request, reverse("test-runs-current"))
        return go(request, reverse("test-run", args=[run_id]))
    context = {"form": form, "under_way": under_way, "return_to": back(request, reverse("channels"))}
    status = 422 if request.method == "POST" else 200
    parts = {"dialog-body": "console/test_runs/_begin.html"}
    return respond(request, "console/test_runs/begin.html", context, parts=parts, status=status)


@page(Role.ADMIN)
@require_safe
def run_list(request: HttpRequest) -> HttpResponse:
    shown = Listing(request, "runs", RUNS, TestRun.objects.all(), order="-id")
    ids = [run.pk for run in shown.rows]
    told = {each.run.pk: each for each in runs.standings(TestRun.objects.filter(pk__in=ids))}
    context = {"list": shown, "rows": [_told(told[pk]) for pk in ids if pk in told]}
    return respond(request, "console/test_runs/list.html", context, parts={"list": "console/test_runs/_table.html"})


@page(Role.ADMIN)
@require_safe
def current(request: HttpRequest) -> HttpResponse:
    """The run under way, else the last one."""
    under_way = runs.current()
    run_id = under_way.run.pk if under_way else TestRun.objects.order_by("-id").values_list("pk", flat=True).first()
    return go(request, reverse("test-run", args=[run_id]) if run_id else reverse("test-runs"))


@page(Role.ADMIN)
@require_safe
def run_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The panel and the results. A script asks for both every two seconds until the run has ended."""
    told = _standing(pk)
    shown = _results(request, pk)
    context = {"list": shown, **_told(told)}
    parts = {"panel": "console/test_runs/_live.html", "list": "console/test_runs/_results.html"}
    return respond(request, "console/test_runs/page.html", context, parts=parts)


@page(Role.ADMIN)
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """The tests under way are finished, the others left out."""
    _standing(pk)
    if runs.cancel(actor_of(request), pk):
        messages.success(request, _("The run ends as soon as the tests under way have."))
    else:
        messages.info(request, _("The run has ended already, or is about to."))
    if request.htmx:  # type: ignore[attr-defined]
        return fragment(
            request, "console/test_runs/_live.html", {"list": _results(request, pk), **_told(_standing(pk))}
        )
    return go(request, reverse("test-run", args=[pk]))


@page(Role.ADMIN)
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Another run, of those that failed."""
    _standing(pk)
    try:
        run_id = run_actions.retry_failed(actor_of(request), pk)
    except NothingFailed:
        messages.info(request, _("No channel that failed is left to be tested."))
        return go(request, reverse("test-run", args=[pk]))
    except testing.AlreadyRunning:
        messages.warning(request, _("Channels are being tested already; this is the run."))
        return go(request, reverse("test-runs-current"))
    return go(request, reverse("test-run", args=[run_id]))


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def disable_failed(request: HttpRequest, pk: int) -> HttpResponse:
    _standing(pk)
    here = reverse("test-run", args=[pk])
    if request.method == "POST":
        try:
            changed = run_actions.disable_failed(actor_of(request), pk)
        except NothingFailed:
            messages.info(request, _("No channel that failed is enabled any more."))
        else:
            text = ngettext("%d channel was disabled.", "%d channels were disabled.", len(changed))
            messages.success(request, text % len(changed))
        return go(request, here)
    count = len(run_actions.failed_ids(pk))
    context = {
        "question": _("Disable the channels that failed?"),
        "consequence": ngettext(
            "%d channel failed. If it is still enabled, no call is sent to it until somebody enables it again.",
            "%d channels failed. No call is sent to those still enabled until somebody enables them again.",
            count,
        )
        % count,
        "action": reverse("test-run-disable-failed", args=[pk]),
        "verb": _("Disable channels"),
        "return_to": here,
    }
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})


@page(Role.ADMIN)
@require_safe
def results_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    _standing(pk)
    rows = ((*row[:-1], utc(int(str(row[-1])))) for row in run_actions.table(runs.results(pk).iterator(500)))
    return csv_answer(request, f"test-run-{pk}", run_actions.COLUMNS, rows)


def _standing(pk: int) -> Standing:
    told = runs.standing(pk)
    if told is None:
        raise Http404
    return told


def _results(request: HttpRequest, pk: int) -> Listing:
    form = ResultFilter(request.GET)
    rows = runs.results(pk)
    if form.is_valid():
        if form.cleaned_data["outcome"]:
            rows = runs.results(pk, [Outcome(int(form.cleaned_data["outcome"]))])
        if wanted := form.cleaned_data["q"]:
            found = Q(channel_name__icontains=wanted) | Q(model__icontains=wanted) | Q(message__icontains=wanted)
            rows = rows.filter(found)
    return Listing(request, "results", RESULTS, rows, order="-tested", filters=form)


def _told(told: Standing) -> dict[str, Any]:
    """A standing with the words of its state and scope."""
    kind, words = STATES[told.state]
    return {
        "told": told,
        "run": told.run,
        "kind": kind,
        "words": words,
        "scope": SCOPES[Scope(told.run.scope)] if told.run.scope in list(Scope) else told.run.scope,
        "running": told.state is State.RUNNING,
        "percent": told.percent,
    }
