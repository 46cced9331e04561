"""Options as a table: a row is an option that was ever set. Saved through `options.services`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from accounts.http import actor_of
from console.raw_tables import ReadOnly, RefusedError, SecretTextarea, ServiceAdmin, ServiceForm, moment_column
from options.models import Option, OptionChange, Version
from options.registry import SPECS, BadOption, Spec
from options.services import set_option

HIDDEN = "••••••••"


def key_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every known key that has no row yet, by group."""
    stored = set(Option.objects.values_list("key", flat=True))
    groups: dict[str, list[tuple[str, str]]] = {}
    for spec in SPECS.values():
        if spec.key not in stored:
            groups.setdefault(spec.group, []).append((spec.key, spec.key))
    return list(groups.items())


def value_field(spec: Spec | None) -> forms.Field:
    """A box that suits the option; any text before the option is chosen, blind since it may be a secret."""
    if spec is None or spec.secret:
        help_text = _("Never shown again. Leave it empty to keep the stored value.") if spec else ""
        return forms.CharField(
            label=_("Value"), required=False, strip=False, widget=SecretTextarea(), help_text=help_text
        )
    default = spec.default if len(spec.default) <= 80 else f"{spec.default[:80]}…"
    help_text = _("Default: %s") % (default or "–")
    if spec.kind == "bool":
        return forms.ChoiceField(label=_("Value"), choices=[("true", "true"), ("false", "false")], help_text=help_text)
    long = spec.kind in ("json", "csv") or spec.group == "general"
    widget = forms.Textarea(attrs={"rows": 10, "cols": 100, "spellcheck": "false"}) if long else forms.TextInput()
    return forms.CharField(label=_("Value"), required=False, strip=not long, widget=widget, help_text=help_text)


class OptionForm(ServiceForm):
    new_value = forms.CharField(required=False)
    clear = forms.BooleanField(label=_("Clear the stored value"), required=False)

    class Meta:
        model = Option
        fields = ("key",)
        labels = {"key": _("Option")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        spec = SPECS.get(self.instance.pk) if self.instance.pk else None
        self.secret = spec is not None and spec.secret
        if spec is None and "key" in self.fields:
            self.fields["key"] = forms.ChoiceField(label=_("Option"), choices=key_choices)
        self.fields["new_value"] = value_field(spec)
        if not self.secret:
            del self.fields["clear"]
            self.initial["new_value"] = self.instance.value
            if self.instance.pk:
                self.watch("new_value")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.refusal is None:
            spec = SPECS.get(cleaned.get("key") or self.instance.pk)
            if spec is not None and "new_value" in cleaned and (cleaned["new_value"] or not self.secret):
                try:
                    spec.check(cleaned["new_value"])
                except BadOption as error:
                    self.add_error("new_value", str(error))
        return cleaned


@admin.register(Option)
class OptionAdmin(ServiceAdmin):
    form = OptionForm
    list_display = ("key", "group", "shown")
    search_fields = ("key",)
    ordering = ("key",)
    actions = ("reset",)

    def has_delete_permission(self, request: HttpRequest, obj: Option | None = None) -> bool:
        """An option is set back to its default instead, which is checked and recorded like any change."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Option | None = None) -> tuple[str, ...]:
        return () if obj is None else ("key",)

    def get_fieldsets(self, request: HttpRequest, obj: Option | None = None) -> Any:
        spec = SPECS.get(obj.pk) if obj is not None else None
        return [(None, {"fields": ["key", "new_value", *(["clear"] if spec is not None and spec.secret else [])]})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        fields = ["key"] if obj is None else []
        return super().get_form(request, obj, change, **{**kwargs, "fields": fields})

    @admin.display(description=_("group"))
    def group(self, option: Option) -> str:
        spec = SPECS.get(option.key)
        return spec.group if spec is not None else "–"

    @admin.display(description=_("value"))
    def shown(self, option: Option) -> str:
        spec = SPECS.get(option.key)
        if spec is None or spec.secret:
            return HIDDEN if option.value else "–"
        return Truncator(option.value).chars(120) or "–"

    def save_model(self, request: HttpRequest, obj: Option, form: OptionForm, change: bool) -> None:
        value = form.cleaned_data["new_value"]
        if form.secret and not value and not form.cleaned_data["clear"]:
            return
        if change and not form.secret and "new_value" not in form.changed_data:
            return  # as the page was made with, though somebody else may have changed it meanwhile
        try:
            set_option(actor_of(request), obj.pk, value)
        except BadOption as error:
            raise RefusedError(str(error), "new_value") from error

    @admin.action(description=_("Set the selected options back to their defaults"))
    def reset(self, request: HttpRequest, chosen: QuerySet[Option]) -> None:
        for key in chosen.values_list("key", flat=True):
            if key in SPECS:
                set_option(actor_of(request), key, SPECS[key].default)
        self.message_user(request, _("The selected options have their defaults again."))


@admin.register(Version)
class VersionAdmin(ReadOnly):
    list_display = ("name", "number")


@admin.register(OptionChange)
class OptionChangeAdmin(ReadOnly):
    list_display = ("id", "when", "actor_name", "key", "note")
    search_fields = ("key__exact", "save_id__exact")
    fields = ("when", "save_id", "key", "actor_id", "actor_name", "note", "before", "after")
    readonly_fields = ("when",)
    when = moment_column("created_at", _("time (UTC)"))
