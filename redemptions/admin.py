"""Redemption codes as a table, written through `redemptions.services`. The codes are shown on demand only."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.http import actor_of
from audit.services import record
from console.raw_tables import RefusedError, ServiceAdmin, ServiceForm, moment_column, reveal_page
from options.registry import MAX_QUOTA
from redemptions import services
from redemptions.models import Redemption, RedemptionStatus


class RedemptionForm(ServiceForm):
    count = forms.IntegerField(label=_("Number of codes"), min_value=1, max_value=services.LARGEST_BATCH, initial=1)

    class Meta:
        model = Redemption
        fields = ("name", "quota", "status")
        labels = {"name": _("Name"), "quota": _("Quota"), "status": _("Status")}
        help_texts = {"quota": _("Points that one code is worth.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].max_length = services.NAME_LENGTH  # type: ignore[attr-defined]
        if "quota" in self.fields:
            self.fields["quota"].widget.attrs.update(min=1, max=MAX_QUOTA)
        if self.instance.pk is not None:
            del self.fields["count"]
        if "status" in self.fields:
            self.fields["status"].choices = [  # type: ignore[attr-defined]
                choice for choice in RedemptionStatus.choices if choice[0] != RedemptionStatus.USED
            ]


@admin.register(Redemption)
class RedemptionAdmin(ServiceAdmin):
    form = RedemptionForm
    list_display = ("id", "name", "masked_code", "status", "quota", "created", "redeemed", "used_by")
    list_display_links = ("id", "name")
    list_filter = ("status",)
    search_fields = ("=id", "name")
    ordering = ("-id",)
    actions = ("reveal",)
    readonly_fields = ("masked_code", "created", "redeemed", "used_by", "user_id")
    created = moment_column("created_time", _("created (UTC)"))
    redeemed = moment_column("redeemed_time", _("used (UTC)"))

    def get_readonly_fields(self, request: HttpRequest, obj: Redemption | None = None) -> tuple[str, ...]:
        """A used code keeps what it was worth."""
        used = obj is not None and obj.status == RedemptionStatus.USED
        return (*self.readonly_fields, "quota", "status") if used else self.readonly_fields

    def get_fieldsets(self, request: HttpRequest, obj: Redemption | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["name", "quota", "count"]})]
        state = (_("State"), {"fields": list(self.readonly_fields)})
        return [(None, {"fields": ["name", "quota", "status"]}), state]

    @admin.display(description=_("code"))
    def masked_code(self, code: Redemption) -> str:
        return f"{code.key[:4]}…{code.key[-4:]}"

    def save_model(self, request: HttpRequest, obj: Redemption, form: RedemptionForm, change: bool) -> None:
        typed = form.cleaned_data
        try:
            if change:
                services.update_code(actor_of(request), obj.pk, {name: typed[name] for name in form.changed_data})
                return
            codes = services.create_codes(
                actor_of(request), name=typed["name"], count=typed["count"], quota=typed["quota"]
            )
        except ValueError as error:  # the app's own refusals and those of a name
            raise RefusedError(str(error)) from error
        obj.pk = Redemption.objects.values_list("pk", flat=True).get(key_digest=services.code_digest(codes[0]))
        request.new_codes = codes  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Redemption, post_url_continue: str | None = None) -> HttpResponse:
        """The new codes at once: whoever makes them wants to hand them out."""
        return reveal_page(self, request, _("New codes"), [(obj.name, code) for code in request.new_codes])  # type: ignore[attr-defined]

    def delete_model(self, request: HttpRequest, obj: Redemption) -> None:
        services.delete_code(actor_of(request), obj.pk)

    @admin.action(description=_("Show the selected codes once"))
    def reveal(self, request: HttpRequest, chosen: QuerySet[Redemption]) -> HttpResponse:
        codes = list(chosen)
        record(actor_of(request), "redemption.reveal", "redemptions", ids=[code.pk for code in codes])
        return reveal_page(self, request, _("Redemption codes"), [(code.name, code.key) for code in codes])
