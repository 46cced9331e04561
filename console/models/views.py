"""Models and prices: for who is signed in, for everybody, or for administrators (option ModelsPagePublic)."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Role, User
from channels_app import offers
from console.guards import page, public
from console.lists import Column, Listing
from console.models.forms import ModelFilter
from console.models.rows import OWNER_NAMES, ModelRow, row_of
from console.respond import respond
from options import services as option_services
from options.registry import Options

GUESTS = "default"  # the group whose prices guests see
COLUMNS = (
    Column("name", _("Model"), ("name",), fixed=True),
    Column("owner", _("Provider"), ("owner_name", "name")),
    Column("kind", _("For"), ("kind", "name")),
    Column("prompt", _("Prompt"), ("prompt",), number=True),
    Column("completion", _("Answer"), ("completion",), number=True),
    Column("cached", _("Cached prompt"), ("cached",), number=True),
    Column("others", _("Also")),
    Column("types", _("Channels of"), hidden=True),
)


@public
@require_safe
def model_list(request: HttpRequest) -> HttpResponseBase:
    options = option_services.load()
    if options["ModelsPagePublic"] == "public":
        return _list(request, options)
    return _signed_in(request, options)


@page()
def _signed_in(request: HttpRequest, options: Options) -> HttpResponse:
    """Raises PermissionDenied while the page is the administrators' own."""
    if options["ModelsPagePublic"] == "private" and not _is_admin(request):
        raise PermissionDenied
    return _list(request, options)


def _list(request: HttpRequest, options: Options) -> HttpResponse:
    user = request.user
    group = user.group if isinstance(user, User) and user.is_active else GUESTS
    rows = [row_of(offer, options["QuotaPerUnit"]) for offer in offers.current(group)]
    owners = sorted(
        {(row.owner, OWNER_NAMES.get(row.owner, row.owner)) for row in rows}, key=lambda one: one[1].lower()
    )
    filters = ModelFilter(request.GET, owners=owners)
    columns = COLUMNS if _is_admin(request) else COLUMNS[:-1]
    listing = Listing(request, "models", columns, _wanted(rows, filters), order="name", filters=filters)
    context = {"list": listing, "group": group, "can_try": isinstance(user, User) and user.is_active}
    return respond(request, "console/models/list.html", context, parts={"list": "console/models/_table.html"})


def _wanted(rows: list[ModelRow], filters: ModelFilter) -> list[ModelRow]:
    if not filters.is_valid():
        return rows
    wanted = filters.cleaned_data
    words = wanted["q"].casefold().split()
    return [
        row
        for row in rows
        if all(word in row.name.casefold() for word in words)
        and wanted["provider"] in ("", row.owner)
        and wanted["kind"] in ("", row.kind)
    ]


def _is_admin(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_active and request.user.role >= Role.ADMIN
