"""The list of channels, one channel's page, and what can be done with one from there."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import actor_of
from accounts.models import Role
from audit.models import AuditEntry
from channels_app import balances, key_digests, listing, runs, services, testing, timed
from channels_app.copying import copy_channel
from channels_app.models import Channel, ChannelStatus, TestRunResult
from channels_app.probe import choose_model
from channels_app.services import ChannelInvalid, ChannelMissing
from channels_app.validation import split_names
from console.channels import tag_views
from console.channels.forms import ACTIONS, ChannelFilter, PauseForm, TestForm
from console.channels.rows import Row, rows_of, schedule
from console.guards import page
from console.lists import Column, Listing
from console.respond import back, fragment, go, respond

COLUMNS = (
    Column("name", gettext_lazy("Name"), ("name",), fixed=True),
    Column("id", gettext_lazy("ID"), ("id",), number=True),
    Column("type", gettext_lazy("Type"), ("type",)),
    Column("groups", gettext_lazy("Groups"), ("group",)),
    Column("models", gettext_lazy("Models"), ("models_count",)),
    Column("status", gettext_lazy("Status"), ("status", "status_time")),
    Column("health", gettext_lazy("Health"), ("test_outcome",)),
    Column("tested", gettext_lazy("Last test"), ("test_milliseconds",)),
    Column("balance", gettext_lazy("Balance"), ("balance",), number=True),
    Column("used", gettext_lazy("Used"), ("used_quota",), number=True),
    Column("priority", gettext_lazy("Priority"), ("priority",), number=True),
    Column("weight", gettext_lazy("Weight"), ("weight",), number=True),
    Column("created", gettext_lazy("Created"), ("created_time",), hidden=True),
)
EVENTS = {  # actions of the audit
    "channel.create": gettext_lazy("created"),
    "channel.copy": gettext_lazy("made as a copy"),
    "channel.update": gettext_lazy("changed"),
    "channel.status": gettext_lazy("switched"),
    "channel.disable": gettext_lazy("disabled automatically"),
    "channel.enable": gettext_lazy("enabled automatically"),
    "channel.learn": gettext_lazy("learnt about the provider"),
    "channel.reveal": gettext_lazy("key shown"),
}
INLINE = ("priority", "weight")  # fields of the row that are boxes
ON_PAGE = 30  # tests and entries of the audit on a channel's page


@page(Role.ADMIN)
@require_safe
def channel_list(request: HttpRequest) -> HttpResponse:
    if request.GET.get(tag_views.BY) == tag_views.TAG:
        return tag_views.by_tag(request)
    shown = _listing(request)
    context = {"list": shown, "rows": _rows(shown), "actions": ACTIONS, "run": runs.current()}
    return respond(request, "console/channels/list.html", context, parts={"list": "console/channels/_table.html"})


@page(Role.ADMIN)
@require_safe
def channel_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One channel: how it stands, its latest tests by model, and what was done to it."""
    row = _row(pk, each=ON_PAGE)
    tests = list(TestRunResult.objects.filter(channel_id=pk).order_by("-id")[:ON_PAGE])
    by_model: dict[str, TestRunResult] = {}
    for test in tests:
        by_model.setdefault(test.model, test)
    context = {
        "row": row,
        "schedule": schedule(row.channel.test_every),
        "tests": tests,
        "by_model": by_model,
        "events": [
            (entry, EVENTS.get(entry.action, entry.action))
            for entry in AuditEntry.objects.filter(target=f"channel:{pk}").order_by("-id")[:ON_PAGE]
        ],
        "return_to": back(request, reverse("channels")),
    }
    parts = {"drawer-body": "console/channels/_page.html"}
    return respond(request, "console/channels/page.html", context, parts=parts)


@page(Role.ADMIN)
@require_safe
def row(request: HttpRequest, pk: int) -> HttpResponse:
    return _one_row(request, _row(pk))


@page(Role.ADMIN)
@require_POST
def toggle(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch on or off: `status` 1 or 2."""
    wanted = ChannelStatus.ENABLED if request.POST.get("status") == "1" else ChannelStatus.DISABLED
    try:
        services.set_status(actor_of(request), pk, wanted)
    except ChannelMissing:
        raise Http404 from None
    return _changed(request, pk)


@page(Role.ADMIN)
@require_POST
def field(request: HttpRequest, pk: int) -> HttpResponse:
    """Priority or weight, as typed into the row; what cannot be stored stands in the row with the reason."""
    name = request.POST.get("field", "")
    value = request.POST.get("value", "").strip()
    if name not in INLINE:
        raise Http404
    try:
        services.update_channel(actor_of(request), pk, {name: value})
    except ChannelMissing:
        raise Http404 from None
    except ChannelInvalid as refusal:
        if not request.htmx:  # type: ignore[attr-defined]
            messages.error(request, str(refusal))
            return go(request, back(request, reverse("channels")))
        return _one_row(request, _row(pk, error=str(refusal), field=name), status=422)
    return _changed(request, pk)


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog of a single test, and its result. Blocks as long as the upstream takes, two minutes at most."""
    channel = _channel(pk)
    models = split_names(channel.model_names)
    usual = choose_model(channel.model_names, None, channel.test_model)
    form = TestForm(request.POST or None, models=models, usual=usual)
    context: dict[str, Any] = {"channel": channel, "form": form, "return_to": back(request, reverse("channels"))}
    if request.method == "POST" and form.is_valid():
        context["probe"] = testing.test_one(pk, form.cleaned_data["model"] or None)
        context["milliseconds"] = round(context["probe"].elapsed * 1000)
    parts = {"dialog-body": "console/channels/_test.html"}
    answer = respond(request, "console/channels/test.html", context, parts=parts)
    if "probe" in context:
        answer["HX-Trigger"] = f"channel-{pk}"  # the row behind the dialog asks for itself anew
    return answer


@page(Role.ADMIN)
@require_POST
def balance(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the provider now."""
    try:
        balances.update_balance(pk)
    except ChannelMissing:
        raise Http404 from None
    except balances.BalanceUnknown as refusal:
        why = _("its type tells none") if str(refusal) == balances.NOT_BUILT else str(refusal)
        messages.error(request, _("The balance of channel #%(id)s is not known: %(why)s") % {"id": pk, "why": why})
    return _changed(request, pk)


@page(Role.ADMIN)
@require_POST
def all_balances(request: HttpRequest) -> HttpResponse:
    """D23: really updates them, in the background."""
    try:
        balances.start()
    except balances.AlreadyRunning:
        messages.warning(request, _("The balances are being updated already."))
    else:
        messages.success(request, _("The balances are being updated. New figures appear as the providers answer."))
    return go(request, back(request, reverse("channels")))


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def copy(request: HttpRequest, pk: int) -> HttpResponse:
    channel = _channel(pk)
    if request.method == "POST":
        try:
            made = copy_channel(actor_of(request), pk, with_key=request.POST.get("with_key") == "on")
        except ChannelMissing:
            raise Http404 from None
        except ChannelInvalid as refusal:
            messages.error(request, str(refusal))
            return go(request, back(request, reverse("channels")))
        messages.success(request, _("Channel #%(id)s is a copy of “%(name)s”.") % {"id": made, "name": channel.name})
        return go(request, reverse("channel-edit", args=[made]))
    return _ask(
        request,
        question=_("Copy the channel “%s”?") % (channel.name or f"#{pk}"),
        consequence=_("The copy begins without usage, tests and balance. Without the key it waits disabled for one."),
        action=reverse("channel-copy", args=[pk]),
        verb=_("Copy channel"),
        harmless=True,
        extra="console/channels/_with_key.html",
    )


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Disable for a time."""
    channel = _channel(pk)
    form = PauseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            timed.disable_until(actor_of(request), pk, form.moment, form.cleaned_data["reason"])
        except ChannelInvalid as refusal:
            form.add_error("until" if form.cleaned_data["length"] == "at" else "length", str(refusal))
        else:
            messages.success(request, _("The channel “%s” is disabled for a time.") % channel.name)
            return go(request, back(request, reverse("channels")))
    context = {"channel": channel, "form": form, "return_to": back(request, reverse("channels"))}
    parts = {"dialog-body": "console/channels/_pause.html"}
    status = 422 if request.method == "POST" else 200
    return respond(request, "console/channels/pause.html", context, parts=parts, status=status)


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    channel = _channel(pk)
    if request.method == "POST":
        services.delete_channel(actor_of(request), pk)
        messages.success(request, _("The channel “%s” is deleted.") % (channel.name or f"#{pk}"))
        return go(request, back(request, reverse("channels")))
    return _ask(
        request,
        question=_("Delete the channel “%s”?") % (channel.name or f"#{pk}"),
        consequence=_("Its key is lost, and calls go to other channels, if any serves the model. Its logs stay."),
        action=reverse("channel-delete", args=[pk]),
        verb=_("Delete channel"),
    )


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def delete_disabled(request: HttpRequest) -> HttpResponse:
    """Asks for the number as a word to type, since it may be many."""
    disabled = (ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED)
    count = Channel.objects.filter(status__in=disabled).count()
    if request.method == "POST":
        if request.POST.get("typed") != str(count):
            messages.error(request, _("Nothing was deleted: the number typed is not that of the disabled channels."))
        else:
            deleted = services.delete_disabled(actor_of(request))
            text = ngettext("%d disabled channel was deleted.", "%d disabled channels were deleted.", deleted)
            messages.success(request, text % deleted)
        return go(request, back(request, reverse("channels")))
    return _ask(
        request,
        question=_("Delete every disabled channel?"),
        consequence=ngettext(
            "%d channel is disabled, by hand or automatically. Its key is lost.",
            "%d channels are disabled, by hand or automatically. Their keys are lost.",
            count,
        )
        % count,
        action=reverse("channels-delete-disabled"),
        verb=_("Delete disabled channels"),
        typed=str(count),
    )


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def find_key(request: HttpRequest) -> HttpResponse:
    """D20: which channels hold this key, compared by digest."""
    context: dict[str, Any] = {"return_to": back(request, reverse("channels"))}
    if request.method == "POST":
        found = key_digests.find(request.POST.get("key", ""))
        context["found"] = Channel.objects.defer("key", "config").filter(pk__in=found).order_by("id")
        context["searched"] = True
    parts = {"dialog-body": "console/channels/_find_key.html"}
    return respond(request, "console/channels/find_key.html", context, parts=parts)


def _listing(request: HttpRequest) -> Listing:
    form = ChannelFilter(request.GET, offered=listing.facets(), auto_id="filter_%s")
    return Listing(request, "channels", COLUMNS, listing.listed(form.filters()), order="-id", filters=form)


def _rows(shown: Listing) -> list[Row]:
    return rows_of(shown.rows, listing.probes(channel.pk for channel in shown.rows))


def _channel(pk: int) -> Channel:
    channel = listing.listed(listing.Filters()).filter(pk=pk).first()
    if channel is None:
        raise Http404
    return channel


def _row(pk: int, *, each: int = listing.PROBES, error: str = "", field: str = "") -> Row:
    (shown,) = rows_of([_channel(pk)], listing.probes([pk], each))
    return Row(shown.channel, shown.type_name, shown.tests, error, field)


def _one_row(request: HttpRequest, shown: Row, status: int = 200) -> HttpResponse:
    return fragment(request, "console/channels/_row.html", {"list": _listing(request), "row": shown}, status=status)


def _changed(request: HttpRequest, pk: int) -> HttpResponse:
    """The row as it is now, or back to the list without a script."""
    if request.htmx:  # type: ignore[attr-defined]
        return _one_row(request, _row(pk))
    return go(request, back(request, reverse("channels")))


def _ask(request: HttpRequest, **context: Any) -> HttpResponse:
    context["return_to"] = back(request, reverse("channels"))
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})
