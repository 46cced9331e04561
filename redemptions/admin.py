"""Redemption codes as a table: what they are worth and who used them. The codes themselves are shown on demand only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from accounts.http import actor_of
from audit.services import record
from console.raw_tables import ReadOnly, moment_column
from redemptions.models import Redemption


@admin.register(Redemption)
class RedemptionAdmin(ReadOnly):
    list_display = ("id", "name", "masked_code", "status", "quota", "created", "redeemed", "used_by")
    list_display_links = ("id", "name")
    list_filter = ("status",)
    search_fields = ("id__exact", "name__startswith")
    actions = ("reveal",)
    fields = ("name", "masked_code", "status", "quota", "created", "redeemed", "used_by", "user_id")
    created = moment_column("created_time", _("created (UTC)"))
    redeemed = moment_column("redeemed_time", _("used (UTC)"))

    @admin.display(description=_("code"))
    def masked_code(self, code: Redemption) -> str:
        return f"{code.key[:4]}…{code.key[-4:]}"

    @admin.action(description=_("Show the selected codes once"))
    def reveal(self, request: HttpRequest, chosen: QuerySet[Redemption]) -> HttpResponse:
        """A page of its own, never kept by a cache; who looked is in the audit."""
        codes = list(chosen)
        record(actor_of(request), "redemption.reveal", "redemptions", ids=[code.pk for code in codes])
        rows = [(code.name, code.key) for code in codes]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Redemption codes"),
            "rows": rows,
            "opts": self.opts,
        }
        return render(request, "admin/revealed.html", context)
