"""One person's page: what there is to know, their keys, logs, top-ups, and what was done to the account or by it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Role, Token, TokenStatus, User, UserStatus
from accounts.sessions import live
from audit.models import AuditEntry
from billing.models import EntryKind, LedgerEntry, Log
from console.formats import masked
from console.guards import page
from console.http import signed_in
from console.lists import Column, Listing
from console.respond import respond
from console.users.views import readable

KEY_KINDS = {TokenStatus.ENABLED: "success", TokenStatus.DISABLED: "danger", TokenStatus.EXPIRED: "warning"}
KEYS = (
    Column("name", _("Name"), ("name",), fixed=True),
    Column("key", _("Key")),
    Column("status", _("Status"), ("status",)),
    Column("used", _("Used"), ("used_quota",), number=True),
    Column("remaining", _("Remaining"), ("unlimited_quota", "remain_quota"), number=True),
    Column("accessed", _("Last used"), ("accessed_time",)),
    Column("expires", _("Expires"), ("expired_time",)),
    Column("created", _("Created"), ("created_time",)),
)
ENTRIES = (
    Column("time", _("Time"), ("pk",), fixed=True),
    Column("kind", _("What"), ("kind",)),
    Column("amount", _("Amount"), ("amount",), number=True),
    Column("by", _("By"), ("actor_id",)),
    Column("note", _("Note")),
)
ACTS = (
    Column("time", _("Time"), ("pk",), fixed=True),
    Column("actor", _("Who"), ("actor_name",)),
    Column("action", _("Action"), ("action",)),
    Column("target", _("On what"), ("target",)),
    Column("address", _("From where"), ("ip",)),
)
LINES = (
    Column("time", _("Time"), ("pk",), fixed=True),
    Column("type", _("Type"), ("type",)),
    Column("model", _("Model"), ("model_name",)),
    Column("key", _("API key"), ("token_name",)),
    Column("quota", _("Quota"), ("quota",), number=True),
    Column("content", _("Detail")),
)


@page(Role.ADMIN)
@require_safe
def overview(request: HttpRequest, pk: int) -> HttpResponse:
    person = readable(request, pk)
    context = {
        "sessions": list(live(pk)[:10]),
        "key_count": Token.objects.filter(user_id=pk).count(),
        "invited": User.objects.filter(inviter_id=pk).exclude(status=UserStatus.DELETED).count(),
    }
    return _tab(request, person, "overview", context)


@page(Role.ADMIN)
@require_safe
def keys(request: HttpRequest, pk: int) -> HttpResponse:
    """Names and masked keys: what a person's key is, is nobody else's to know."""
    person = readable(request, pk)
    listing = Listing(request, "user_keys", KEYS, Token.objects.filter(user_id=pk), order="-created")
    for token in listing.rows:
        token.masked = masked(token.key)
        token.shown = KEY_KINDS.get(TokenStatus(token.status), "neutral")
    return _tab(request, person, "keys", {"list": listing})


@page(Role.ADMIN)
@require_safe
def logs(request: HttpRequest, pk: int) -> HttpResponse:
    """Their newest lines; the page of logs has the filters."""
    person = readable(request, pk)
    return _tab(
        request,
        person,
        "logs",
        {"list": Listing(request, "user_logs", LINES, Log.objects.filter(user_id=pk), order="-time")},
    )


@page(Role.ADMIN)
@require_safe
def top_ups(request: HttpRequest, pk: int) -> HttpResponse:
    """Every movement of the balance but the charges of calls."""
    person = readable(request, pk)
    rows = LedgerEntry.objects.filter(user_id=pk).exclude(kind=EntryKind.CHARGE)
    listing = Listing(request, "user_entries", ENTRIES, rows, order="-time")
    names = dict(User.objects.filter(pk__in={entry.actor_id for entry in listing.rows}).values_list("pk", "username"))
    for entry in listing.rows:
        entry.actor_name = names.get(entry.actor_id, "")
    return _tab(request, person, "top_ups", {"list": listing})


@page(Role.ADMIN)
@require_safe
def audit(request: HttpRequest, pk: int) -> HttpResponse:
    """What was done to the account or by it. An admin sees own acts alone, as on the audit's page."""
    person, by = readable(request, pk), signed_in(request)
    rows = AuditEntry.objects.filter(Q(target=f"user:{pk}") | Q(actor_id=pk))
    if by.role < Role.ROOT:
        rows = rows.filter(actor_id=by.pk)
    return _tab(request, person, "audit", {"list": Listing(request, "user_audit", ACTS, rows, order="-time")})


def _tab(request: HttpRequest, person: User, name: str, context: dict[str, Any]) -> HttpResponse:
    whole = {**context, "person": person, "tab": name}
    parts = {"list": f"console/users/_{name}.html"} if "list" in context else {}
    return respond(request, f"console/users/person_{name}.html", whole, parts=parts)
