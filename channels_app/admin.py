"""Channels and their abilities as raw tables. Every write goes through `channels_app.services`."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.http import actor_of
from channels_app import services
from channels_app.models import Ability, Channel, ChannelStatus, StoredResponse, TestRun, TestRunResult
from channels_app.providers import PROVIDERS, SECRET_MEMBERS, choices
from console.raw_tables import (
    ReadOnly,
    RefusedError,
    SecretInput,
    SecretTextarea,
    ServiceAdmin,
    ServiceForm,
    moment_column,
)
from vault.keys import CannotDecrypt

# Members of `config`, each a box of its own. The proxy is treated as a secret: its address may hold a password.
CONFIG_LABELS = {
    "region": _("Region"),
    "ak": _("Access key (AK)"),
    "sk": _("Secret key (SK)"),
    "user_id": _("User id"),
    "api_version": _("API version"),
    "library_id": _("Library id"),
    "plugin": _("Plugin"),
    "vertex_ai_project_id": _("Vertex AI project"),
    "vertex_ai_adc": _("Vertex AI service account (JSON)"),
    "proxy": _("Proxy for this channel alone"),
}
BLIND = SECRET_MEMBERS | {"proxy"}
COLUMNS = {"model_names": "models"}  # the form's name -> the service's, where they differ


class ChannelForm(ServiceForm):
    type = forms.TypedChoiceField(label=_("Type"), choices=choices, coerce=int)
    new_key = forms.CharField(label=_("Key"), required=False, strip=True)
    fill_models = forms.BooleanField(
        label=_("Add every model of this type"),
        required=False,
        help_text=_("Adds the models known for the type to those typed above."),
    )
    forget_secrets = forms.BooleanField(
        label=_("Forget the stored secrets of this section"),
        required=False,
        help_text=_("Boxes filled in now are stored all the same."),
    )

    class Meta:
        model = Channel
        fields = (
            "type",
            "name",
            "group",
            "model_names",
            "model_mapping",
            "base_url",
            "other",
            "priority",
            "weight",
            "status",
            "system_prompt",
            "tags",
            "test_model",
            "test_every",
            "auto_disable",
            "notes",
        )
        labels = {
            "name": _("Name"),
            "group": _("Groups"),
            "model_names": _("Models"),
            "model_mapping": _("Model mapping"),
            "base_url": _("Base URL"),
            "other": _("Other"),
            "priority": _("Priority"),
            "weight": _("Weight"),
            "status": _("Status"),
            "system_prompt": _("System prompt"),
            "tags": _("Tags"),
            "test_model": _("Model for tests"),
            "test_every": _("Tested every so many minutes"),
            "auto_disable": _("May be disabled automatically"),
            "notes": _("Notes"),
        }
        help_texts = {
            "group": _("Comma separated."),
            "tags": _("Comma separated."),
            "model_names": _("Comma separated."),
            "model_mapping": _('A JSON object {"requested model": "model of the upstream"}.'),
            "base_url": _("Empty for the address of the type. Without /v1 at its end, except for custom addresses."),
            "other": _("The former place of the API version, region or library id; the section below is preferred."),
            "priority": _("Channels of the highest priority are tried first."),
            "weight": _("How often the channel is drawn among those of the same priority."),
        }
        widgets = {
            "group": forms.TextInput(attrs={"class": "vTextField"}),
            "model_names": forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField"}),
            "model_mapping": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
            "other": forms.TextInput(attrs={"class": "vTextField"}),
            "system_prompt": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
            "notes": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.pk is not None
        self.fields["new_key"].widget = SecretInput() if stored else SecretTextarea()
        self.fields["new_key"].help_text = (
            _("Never shown again. Leave it empty to keep the stored key.")
            if stored
            else _("One key a line makes one channel for each.")
        )
        self.fields["name"].required = True
        self.fields["status"].choices = [  # type: ignore[attr-defined]
            choice for choice in ChannelStatus.choices if choice[0] != ChannelStatus.UNKNOWN
        ]
        self.shown = shown_config(self.instance) if stored else {}
        for member, field in config_fields().items():
            self.fields[f"config_{member}"] = field
            if member in BLIND:
                if stored and self.shown.get(member) is not None:
                    field.help_text = _("Stored. Leave it empty to keep it.")
            else:
                self.initial[f"config_{member}"] = self.shown.get(member, "")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "type" in cleaned and cleaned.get("fill_models"):
            known = PROVIDERS[cleaned["type"]].models
            cleaned["model_names"] = ",".join(filter(None, (cleaned.get("model_names", "").strip(" ,\n"), *known)))
        if "model_names" not in self.errors and not cleaned.get("model_names", "").strip(" ,\n"):
            self.add_error(
                "model_names", ValidationError(_("Name at least one model, or let all of the type be added."))
            )
        return cleaned

    def service_fields(self) -> dict[str, Any]:
        """What to hand to the service: only what was changed, so that a form left open undoes nobody's work."""
        cleaned, changed = self.cleaned_data, set(self.changed_data)
        if cleaned.get("fill_models"):
            changed.add("model_names")
        names = self.Meta.fields if self.instance.pk is None else [name for name in self.Meta.fields if name in changed]
        fields = {COLUMNS.get(name, name): "" if cleaned[name] is None else cleaned[name] for name in names}
        if cleaned["new_key"] and self.instance.pk is not None:
            fields["key"] = cleaned["new_key"]
        if changed & {"forget_secrets", *(f"config_{member}" for member in CONFIG_LABELS)}:
            fields["config"] = self._config()
        return fields

    def _config(self) -> dict[str, str]:
        """Every member by name. An empty secret is what the service keeps; one that is absent it forgets."""
        typed = {member: self.cleaned_data[f"config_{member}"] for member in CONFIG_LABELS}
        if self.cleaned_data["forget_secrets"]:
            return {member: text for member, text in typed.items() if text or member not in SECRET_MEMBERS}
        if not typed["proxy"]:
            typed["proxy"] = self.shown.get("proxy", "")
        return typed


def config_fields() -> dict[str, forms.Field]:
    """A form field for each member of `config`."""
    fields: dict[str, forms.Field] = {}
    for member, label in CONFIG_LABELS.items():
        widget: forms.Widget = forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"})
        if member == "vertex_ai_adc":
            widget = SecretTextarea()
        elif member in BLIND:
            widget = SecretInput()
        fields[member] = forms.CharField(label=label, required=False, widget=widget)
    return fields


def shown_config(channel: Channel) -> dict[str, str]:
    """The stored members, secret ones present but empty. Lost under another secret, the config counts as empty."""
    try:
        shown: dict[str, str] = json.loads(services.shown_config(channel) or "{}")
    except CannotDecrypt:
        return {}
    return shown


@admin.register(Channel)
class ChannelAdmin(ServiceAdmin):
    form = ChannelForm
    list_display = (
        "id",
        "name",
        "provider",
        "status",
        "group",
        "priority",
        "weight",
        "response_time",
        "balance",
        "used_quota",
        "created",
    )
    list_display_links = ("id", "name")
    list_filter = ("status", ("type", admin.AllValuesFieldListFilter))
    search_fields = ("=id", "name", "base_url", "model_names", "group")
    ordering = ("-id",)
    actions = ("enable", "disable")
    readonly_fields = (
        *("status_reason", "paused", "used_quota", "balance", "test_outcome", "test_milliseconds", "response_time"),
        *("tested", "created"),
    )
    paused = moment_column("disabled_until", _("disabled until (UTC)"))
    created = moment_column("created_time", _("created (UTC)"))
    tested = moment_column("test_time", _("tested (UTC)"))

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        main = [
            "type",
            "name",
            "new_key",
            "group",
            "model_names",
            "fill_models",
            "base_url",
            "priority",
            "weight",
            "status",
        ]
        config = [f"config_{member}" for member in CONFIG_LABELS]
        if obj is not None:
            config.append("forget_secrets")
        sets = [
            (None, {"fields": main}),
            (_("Mapping and prompt"), {"fields": ["model_mapping", "system_prompt"]}),
            (_("For the administrators"), {"fields": ["tags", "notes", "test_model", "test_every", "auto_disable"]}),
            (_("Settings of the provider"), {"classes": ["collapse"], "fields": [*config, "other"]}),
        ]
        if obj is not None:
            sets.append((_("State"), {"fields": list(self.readonly_fields)}))
        return sets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The boxes of `config` are made by the form itself, so Django must not look for them in the model."""
        return super().get_form(request, obj, change, **{**kwargs, "fields": list(ChannelForm.Meta.fields)})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """Secrets stay in the database: lists and forms have no use for them, and a lost one must not stop a page."""
        return super().get_queryset(request).defer("key", "config")

    @admin.display(description=_("type"), ordering="type")
    def provider(self, channel: Channel) -> str:
        return dict(choices()).get(channel.type, f"#{channel.type}")

    def save_model(self, request: HttpRequest, obj: Channel, form: ChannelForm, change: bool) -> None:
        actor, fields = actor_of(request), form.service_fields()
        try:
            if change:
                services.update_channel(actor, obj.pk, fields)
                return
            keys = services.split_keys(fields["type"], form.cleaned_data["new_key"])
            created = services.create_channels(actor, fields, keys)
        except services.ChannelInvalid as error:
            raise RefusedError(str(error)) from error
        except services.ChannelMissing as error:
            raise RefusedError(str(_("This channel has been deleted meanwhile."))) from error
        obj.pk = created[0]
        if len(created) > 1:
            self.message_user(request, _("%d channels were created, one for each key.") % len(created))

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        services.delete_channel(actor_of(request), obj.pk)

    @admin.action(description=_("Enable the selected channels"))
    def enable(self, request: HttpRequest, chosen: QuerySet[Channel]) -> None:
        self._set(request, chosen, ChannelStatus.ENABLED)

    @admin.action(description=_("Disable the selected channels"))
    def disable(self, request: HttpRequest, chosen: QuerySet[Channel]) -> None:
        self._set(request, chosen, ChannelStatus.DISABLED)

    def _set(self, request: HttpRequest, chosen: QuerySet[Channel], status: ChannelStatus) -> None:
        done = 0
        for pk in chosen.values_list("pk", flat=True):
            try:
                services.set_status(actor_of(request), pk, status)
            except services.ChannelMissing:
                continue
            done += 1
        text = ngettext("%d channel was changed.", "%d channels were changed.", done) % done
        self.message_user(request, text, messages.SUCCESS)


@admin.register(Ability)
class AbilityAdmin(ReadOnly):
    list_display = ("group", "model", "channel_id", "enabled", "priority")
    list_filter = ("enabled",)
    search_fields = ("model__exact", "group__exact", "channel__id__exact")
    search_help_text = _("Exact model, group or channel id.")
    fields = ("group", "model", "channel_id", "enabled", "priority")


@admin.register(StoredResponse)
class StoredResponseAdmin(ReadOnly):
    list_display = ("user_id", "channel_id", "created")
    search_fields = ("user_id__exact", "channel_id__exact")
    search_help_text = _("Exact user or channel id.")
    fields = ("user_id", "channel_id", "created")
    created = moment_column("created_at", _("created"))


@admin.register(TestRun)
class TestRunAdmin(ReadOnly):
    list_display = ("id", "scope", "model", "total", "started_by", "began", "ended")
    search_fields = ("id__exact", "started_by__exact")
    search_help_text = _("Exact id, or the name of who started it.")
    fields = ("scope", "model", "total", "started_by", "began", "finish", "cancelled", "ended")
    began = moment_column("started", _("started"))
    finish = moment_column("finished", _("finished"))


@admin.register(TestRunResult)
class TestRunResultAdmin(ReadOnly):
    list_display = ("id", "run_id", "channel_id", "channel_name", "model", "outcome", "milliseconds", "tested")
    list_filter = ("outcome",)
    search_fields = ("run__id__exact", "channel_id__exact")
    search_help_text = _("Exact id of a run or a channel.")
    fields = ("run_id", "channel_id", "channel_name", "model", "outcome", "milliseconds", "message", "change", "tested")
    tested = moment_column("tested_at", _("tested"))
