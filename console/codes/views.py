"""The list of redemption codes, their forms, and what is done to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.finding import names_of
from accounts.http import actor_of
from accounts.models import Role
from accounts.refusals import Refused
from audit.services import record
from console.codes.forms import CodeForm, CodesFilter, NewCodesForm, initial, is_used
from console.codes.listing import decorate, listing_of
from console.codes.words import words
from console.csv import csv_answer, newest_first, text_answer, utc
from console.guards import page
from console.respond import back, fragment, go, respond
from options import services as option_services
from redemptions import services
from redemptions.listing import state_of
from redemptions.models import Redemption, RedemptionStatus
from redemptions.services import CodeMissing, CodeRefused


@page(Role.ADMIN)
@require_safe
def code_list(request: HttpRequest) -> HttpResponse:
    context = {"list": listing_of(request)}
    return respond(request, "console/codes/list.html", context, parts={"list": "console/codes/_table.html"})


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """New codes; they are shown in the answer itself, for a redirect would have to keep them in clear."""
    form = NewCodesForm(request.POST or None, options=option_services.load(), initial={"quota": 100_000})
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            keys = services.create_codes(
                actor_of(request),
                name=typed["name"],
                count=typed["count"],
                quota=typed["quota"],
                batch=typed["batch"],
                expires_at=form.expires_at,
                per_user=typed["per_user"] or 0,
                most=services.MOST_AT_ONCE,
                once=typed["once"],
            )
        except (CodeRefused, Refused) as refusal:
            form.add_error(None, words(refusal))
        else:
            title = ngettext("%d new code", "%d new codes", len(keys)) % len(keys)
            digests = [services.code_digest(key) for key in keys]
            ids = Redemption.objects.filter(key_digest__in=digests).values_list("pk", flat=True)
            return _shown(request, title, keys, list(ids), "drawer-body")
    return _form(request, form, {"title": _("New redemption codes"), "action": reverse("code-add")})


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    code = get_object_or_404(Redemption, pk=pk)
    options, used = option_services.load(), is_used(code)
    form = CodeForm(request.POST or None, options=options, editing=True, used=used, initial=initial(code))
    if request.method == "POST" and form.is_valid():
        try:
            services.update_code(actor_of(request), pk, form.changes())
        except (CodeRefused, Refused) as refusal:
            form.add_error(None, words(refusal))
        else:
            messages.success(request, _("Saved."))
            return go(request, back(request, reverse("codes")))
    context = {"title": _("Redemption code “%s”") % code.name, "action": reverse("code-edit", args=[pk]), "code": code}
    return _form(request, form, context)


@page(Role.ADMIN)
@require_POST
def status(request: HttpRequest, pk: int) -> HttpResponse:
    """`action`: enable or disable."""
    get_object_or_404(Redemption, pk=pk)
    wanted = RedemptionStatus.ENABLED if request.POST.get("action") == "enable" else RedemptionStatus.DISABLED
    try:
        services.update_code(actor_of(request), pk, {"status": wanted})
    except CodeRefused as refusal:
        messages.error(request, words(refusal))
    if request.htmx:  # type: ignore[attr-defined]
        (code,) = decorate([get_object_or_404(Redemption, pk=pk)])
        return fragment(request, "console/codes/_row.html", {"list": listing_of(request), "code": code})
    return go(request, back(request, reverse("codes")))


@page(Role.ADMIN)
@require_POST
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    """One code in clear, in this answer and nowhere else (D50)."""
    code = get_object_or_404(Redemption, pk=pk)
    record(actor_of(request), "redemption.reveal", f"redemption:{pk}")
    return _shown(request, _("Redemption code “%s”") % code.name, [code.key], [pk], "dialog-body")


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    code = get_object_or_404(Redemption, pk=pk)
    if request.method == "POST":
        try:
            services.delete_code(actor_of(request), pk)
        except CodeMissing:
            raise Http404 from None
        messages.success(request, _("The code “%s” is deleted.") % code.name)
        return go(request, back(request, reverse("codes")))
    used = is_used(code)
    context = {
        "question": _("Delete the redemption code “%s”?") % code.name,
        "consequence": _("The points it brought stay with who redeemed it; who that was is told by the ledger alone.")
        if used
        else _("Whoever holds the code cannot redeem it any more. This cannot be undone."),
        "action": reverse("code-delete", args=[pk]),
        "verb": _("Delete code"),
        "return_to": back(request, reverse("codes")),
    }
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})


@page(Role.ADMIN)
@require_POST
def export(request: HttpRequest, kind: str) -> Any:
    """All that the list's `query` finds, or the `ids` given: as CSV, or one code a line. The codes are in clear."""
    ids = [int(part) for part in request.POST.get("ids", "").split(",") if part.isdecimal() and len(part) < 19]
    rows = Redemption.objects.filter(pk__in=ids) if ids else CodesFilter(_query(request)).found()
    record(actor_of(request), "redemption.export", "redemptions", kind=kind, query=request.POST.get("query", "")[:255])
    if kind == "txt":
        return text_answer(request, "codes", (code.key for code in newest_first(rows)))
    columns = [
        "id", "name", "code", "status", "quota", "batch", "created", "expires", "redeemed", "redeemed_by", "made_by",
    ]  # fmt: skip
    return csv_answer(request, "codes", columns, _table(rows))


def _table(rows: QuerySet[Redemption]) -> Iterator[list[object]]:
    names: dict[int, str] = {0: ""}
    for code in newest_first(rows):
        if missing := {code.user_id, code.used_by} - names.keys():
            names |= dict.fromkeys(missing, "") | names_of(missing)
        yield [
            code.pk, code.name, code.key, str(state_of(code)), code.quota, code.batch, utc(code.created_time),
            utc(code.expires_at), utc(code.redeemed_time), names[code.used_by], names[code.user_id],
        ]  # fmt: skip


def _query(request: HttpRequest) -> QueryDict:
    return QueryDict(request.POST.get("query", ""))


def _shown(request: HttpRequest, title: str, keys: list[str], ids: list[int], target: str) -> HttpResponse:
    context = {
        "title": title,
        "keys": keys,
        "key": keys[0],
        "all_keys": "\n".join(keys),
        "ids": ",".join(str(number) for number in ids),
        "return_to": back(request, reverse("codes")),
    }
    return respond(request, "console/codes/shown.html", context, parts={target: "console/codes/_shown.html"})


def _form(request: HttpRequest, form: CodeForm, context: dict[str, Any]) -> HttpResponse:
    return respond(
        request,
        "console/codes/form.html",
        {**context, "form": form, "return_to": back(request, reverse("codes"))},
        parts={"drawer-body": "console/codes/_form.html"},
        status=422 if request.method == "POST" else 200,
    )
