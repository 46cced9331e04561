"""The list of codes, and how one of them is shown in it."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.finding import names_of
from console.codes.forms import STATES, CodesFilter
from console.lists import Column, Listing
from redemptions.listing import State, state_of
from redemptions.models import Redemption

COLUMNS = (
    Column("name", gettext_lazy("Name"), ("name",), fixed=True),
    Column("number", gettext_lazy("ID"), ("pk",), number=True),
    Column("code", gettext_lazy("Code")),
    Column("state", gettext_lazy("Status"), ("status", "expires_at")),
    Column("quota", gettext_lazy("Worth"), ("quota",), number=True),
    Column("batch", gettext_lazy("Batch"), ("batch",)),
    Column("expires", gettext_lazy("Expires"), ("expires_at",)),
    Column("redeemed", gettext_lazy("Redeemed"), ("redeemed_time",)),
    Column("redeemer", gettext_lazy("By"), ("used_by",)),
    Column("created", gettext_lazy("Created"), ("created_time",), hidden=True),
    Column("creator", gettext_lazy("Made by"), ("user_id",), hidden=True),
)
KINDS = {State.UNUSED: "success", State.EXPIRED: "warning", State.DISABLED: "danger", State.USED: "neutral"}


def listing_of(request: HttpRequest) -> Listing:
    filters = CodesFilter(request.GET)
    listing = Listing(request, "codes", COLUMNS, filters.wanted().rows(), order="-number", filters=filters)
    decorate(listing.rows)
    return listing


def decorate(codes: list[Redemption]) -> list[Redemption]:
    """`.masked`, `.state`, `.state_name`, `.kind`, and the names `.redeemer` ("" if deleted) and `.creator` (D49)."""
    names = names_of({code.user_id for code in codes} | {code.used_by for code in codes})
    for code in codes:
        state = state_of(code)
        code.masked = f"{code.key[:4]}…{code.key[-4:]}"  # type: ignore[attr-defined]
        code.state = state  # type: ignore[attr-defined]
        code.state_name = STATES[state]  # type: ignore[attr-defined]
        code.kind = KINDS[state]  # type: ignore[attr-defined]
        code.redeemer = names.get(code.used_by, "")  # type: ignore[attr-defined]
        code.creator = names.get(code.user_id) or (f"#{code.user_id}" if code.user_id else "")  # type: ignore[attr-defined]
    return codes
