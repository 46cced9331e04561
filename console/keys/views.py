"""The list of one's API keys, and what can be done with one."""

from __future__ import annotations

import json
import secrets
import shlex
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.confirming import confirmed_recently
from accounts.http import actor_of
from accounts.matching import holds
from accounts.models import Token, TokenStatus, User
from accounts.refusals import BadField, CannotEnable, NotFound, Refused
from accounts.tokens import check_enabling, create_token, delete_token, set_token_status, update_token
from audit.services import record
from channels_app.services import usable_models
from console.formats import masked
from console.guards import page
from console.http import signed_in
from console.keys.forms import PRESETS, KeyFilter, KeyForm, initial
from console.keys.links import client_links
from console.lists import PAGE_SIZES, Column, Listing
from console.models.kinds import CHAT, kind_of
from console.respond import back, fragment, go, respond
from console.site import base_address
from options import services as option_services

MOST_AT_ONCE = max(PAGE_SIZES)  # keys shown together: no more can be chosen on a page
COLUMNS = (
    Column("name", gettext_lazy("Name"), ("name",), fixed=True),
    Column("key", gettext_lazy("Key")),
    Column("status", gettext_lazy("Status"), ("status",)),
    Column("used", gettext_lazy("Used"), ("used_quota",), number=True),
    Column("remaining", gettext_lazy("Remaining"), ("unlimited_quota", "remain_quota"), number=True),
    Column("scope", gettext_lazy("May be used for")),
    Column("accessed", gettext_lazy("Last used"), ("accessed_time",)),
    Column("created", gettext_lazy("Created"), ("created_time",), hidden=True),
    Column("expires", gettext_lazy("Expires"), ("expired_time",)),
)
SHOWN = {
    TokenStatus.ENABLED: "success",
    TokenStatus.DISABLED: "danger",
    TokenStatus.EXPIRED: "warning",
    TokenStatus.EXHAUSTED: "neutral",
}


@page()
@require_safe
def key_list(request: HttpRequest) -> HttpResponse:
    listing = _listing(request)
    return respond(request, "console/keys/list.html", {"list": listing}, parts={"list": "console/keys/_table.html"})


@page()
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """One or several new keys; they are shown in the answer itself, for a redirect would have to store them."""
    user = signed_in(request)
    form = KeyForm(request.POST or None, initial={"lifetime": "never", "unlimited": True}, **_known(user))
    if request.method == "POST" and form.is_valid():
        try:
            made = _create(request, form)
        except BadField as error:
            form.add_error(_field_of(error), _("This cannot be stored: %(why)s") % {"why": str(error)})
        else:
            return _respond(request, "console/keys/made.html", "console/keys/_made.html", _shown(made))
    context = {"form": form, "title": _("New API key"), "action": reverse("key-add")}
    return _form(request, form, context)


@page()
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    token = _own(request, pk)
    form = KeyForm(request.POST or None, initial=initial(token), editing=True, **_known(signed_in(request), token))
    if request.method == "POST" and form.is_valid():
        try:
            _update(request, token, form)
        except NotFound:
            raise Http404 from None
        except BadField as error:
            form.add_error(_field_of(error), _("This cannot be stored: %(why)s") % {"why": str(error)})
        else:
            return go(request, back(request, reverse("keys")))
    context = {
        "form": form,
        "token": token,
        "title": _("API key “%s”") % token,
        "action": reverse("key-edit", args=[pk]),
    }
    return _form(request, form, context)


@page()
@require_POST
def toggle(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch on or off: `status` 1 or 2. Refused while the key is still expired or exhausted."""
    token = _own(request, pk)
    wanted = TokenStatus.ENABLED if request.POST.get("status") == "1" else TokenStatus.DISABLED
    try:
        set_token_status(token.user_id, token.pk, wanted)
    except NotFound:
        raise Http404 from None
    except CannotEnable:
        expired = token.status == TokenStatus.EXPIRED
        why = (
            _("This key has expired. Extend its expiry first, or let it never expire.")
            if expired
            else _("This key has used up its limit. Raise the limit first, or take it away.")
        )
        messages.error(request, why)
    else:
        record(actor_of(request), "token.status", f"token:{pk}", status=int(wanted))
    if request.htmx:  # type: ignore[attr-defined]
        return fragment(
            request, "console/keys/_row.html", {"list": _listing(request), "token": _decorated(_own(request, pk))}
        )
    return go(request, back(request, reverse("keys")))


@page()
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    token = _own(request, pk)
    if request.method == "POST":
        try:
            delete_token(token.user_id, token.pk)
        except NotFound:
            raise Http404 from None
        record(actor_of(request), "token.delete", f"token:{pk}", name=token.name)
        messages.success(request, _("The key “%s” is deleted.") % token)
        return go(request, back(request, reverse("keys")))
    context = {
        "question": _("Delete the key “%s”?") % token,
        "consequence": _("Programs that use it are refused from then on. This cannot be undone; its logs stay."),
        "action": reverse("key-delete", args=[pk]),
        "verb": _("Delete key"),
        "return_to": back(request, reverse("keys")),
    }
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})


@page()
@require_POST
@confirmed_recently
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    """One of the person's own keys, in this answer and nowhere else."""
    token = _own(request, pk)
    record(actor_of(request), "token.reveal", f"token:{pk}")
    return _respond(request, "console/keys/made.html", "console/keys/_made.html", _shown([token]), target="dialog-body")


@page()
@require_POST
@confirmed_recently
def reveal_many(request: HttpRequest) -> HttpResponse:
    """The chosen ones (`ids`) of the person's own keys, a line each, to be copied together."""
    chosen = [int(one) for one in request.POST.getlist("ids") if one.isdecimal() and len(one) < 19][:MOST_AT_ONCE]
    tokens = list(Token.objects.filter(user_id=signed_in(request).pk, pk__in=chosen).order_by("-pk"))
    if not tokens:
        messages.warning(request, _("Choose at least one key."))
        return go(request, back(request, reverse("keys")))
    with transaction.atomic():
        for token in tokens:
            record(actor_of(request), "token.reveal", f"token:{token.pk}")
    return _respond(request, "console/keys/made.html", "console/keys/_made.html", _shown(tokens), target="dialog-body")


def _listing(request: HttpRequest) -> Listing:
    filters = KeyFilter(request.GET)
    rows: QuerySet[Token] = Token.objects.filter(user_id=signed_in(request).pk)
    if filters.is_valid():
        wanted = filters.cleaned_data
        if wanted["q"]:
            rows = rows.filter(holds("name", wanted["q"]))
        if wanted["status"]:
            rows = rows.filter(status=int(wanted["status"]))
    listing = Listing(request, "keys", COLUMNS, rows, order="-created", filters=filters)
    for token in listing.rows:
        _decorated(token)
    return listing


def _decorated(token: Token) -> Token:
    token.masked = masked(token.key)  # type: ignore[attr-defined]
    token.shown = SHOWN.get(TokenStatus(token.status), "neutral")  # type: ignore[attr-defined]
    token.model_count = len(_names(token))  # type: ignore[attr-defined]
    limit = max(token.remain_quota, 0) + token.used_quota
    token.used_share = 0 if token.unlimited_quota or not limit else token.used_quota * 100 // limit  # type: ignore[attr-defined]
    return token


def _names(token: Token) -> list[str]:
    return [name for name in token.model_names.split(",") if name]


def _own(request: HttpRequest, pk: int) -> Token:
    return get_object_or_404(Token, pk=pk, user_id=signed_in(request).pk)


def _known(user: User, token: Token | None = None) -> dict[str, Any]:
    stored = _names(token) if token is not None else []
    return {
        "options": option_services.load(),
        "models": list(dict.fromkeys([*stored, *usable_models(user.group)])),
    }


@transaction.atomic
def _create(request: HttpRequest, form: KeyForm) -> list[Token]:
    columns = form.columns()
    count = int(form.cleaned_data["count"] or 1)
    user_id = signed_in(request).pk
    made = []
    for _number in range(count):
        name = columns["name"] if count == 1 else f"{columns['name'][:23]}-{secrets.token_hex(3)}"
        token = create_token(user_id=user_id, **{**columns, "name": name})
        record(actor_of(request), "token.create", f"token:{token.pk}")
        made.append(token)
    return made


@transaction.atomic
def _update(request: HttpRequest, token: Token, form: KeyForm) -> None:
    """A key that was expired or exhausted, and is not any more by these changes, is switched on again."""
    token = update_token(token.user_id, token.pk, form.columns())
    record(actor_of(request), "token.update", f"token:{token.pk}")
    if token.status in (TokenStatus.EXPIRED, TokenStatus.EXHAUSTED):
        try:
            check_enabling(token)
        except CannotEnable:
            messages.warning(request, _("Saved. The key stays off, since what switched it off still holds."))
            return
        set_token_status(token.user_id, token.pk, TokenStatus.ENABLED)
        messages.success(request, _("Saved, and the key works again."))
        return
    messages.success(request, _("Saved."))


def _shown(tokens: list[Token]) -> dict[str, Any]:
    options = option_services.load()
    return {
        "tokens": tokens,
        "token": tokens[0],
        "first_call": _first_call(tokens[0]),
        "several": "\n".join(f"{token.name}    sk-{token.key}" for token in tokens),
        "options": options,
    }


def _first_call(token: Token) -> str:
    """The body of a call that this key may make, quoted for a shell; "" while there is no model it may chat with."""
    model = _model_to_try(token)
    if not model:
        return ""
    return shlex.quote(json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]}))


def _model_to_try(token: Token) -> str:
    usable = usable_models(token.user.group)
    allowed = [name for name in usable if name in _names(token)] if token.model_names else usable
    chatting = [name for name in allowed if kind_of(name) == CHAT]
    return next((name for name in chatting if name == "gpt-4o-mini"), chatting[0] if chatting else "")


def _field_of(error: Refused) -> str | None:
    return "subnet" if "subnet" in str(error) else None


def _form(request: HttpRequest, form: KeyForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    context["return_to"] = back(request, reverse("keys"))
    context["presets"] = PRESETS
    context["chosen_models"] = _names(context["token"]) if "token" in context else []
    return respond(
        request, "console/keys/form.html", context, parts={"drawer-body": "console/keys/_form.html"}, status=status
    )


def _respond(
    request: HttpRequest, whole: str, part: str, context: dict[str, Any], target: str = "drawer-body"
) -> HttpResponse:
    server = base_address(request, context["options"])
    context["links"] = client_links(context["token"].key, server, context["options"]["ChatLink"])
    context["server"] = server
    context["count_text"] = ngettext("%d key", "%d keys", len(context["tokens"])) % len(context["tokens"])
    return respond(request, whole, context, parts={target: part})
