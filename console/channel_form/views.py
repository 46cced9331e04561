"""Adding and editing a channel. Buttons that only change the form answer with the form; the others store it.

Without a script each press of such a button reloads the page with everything that was typed.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import actor_of
from accounts.models import Role
from channels_app import discovery, form_table, listing, services, testing
from channels_app.catalogue import OWNERS
from channels_app.discovery import Discovery
from channels_app.models import Channel
from channels_app.providers import PROVIDERS
from channels_app.services import ChannelInvalid, ChannelMissing
from channels_app.testing import Scope
from channels_app.upstream_models import NOT_BUILT, ModelsUnknown
from channels_app.validation import split_names
from console.channel_form.forms import BOX, ChannelForm, Offered, Stored, marks_of
from console.guards import page
from console.respond import back, fragment, go, respond
from console.seen import SEEN
from options import services as option_services
from vault.keys import CannotDecrypt

USUAL = 1  # the type of a new channel until another is chosen


@page(Role.ADMIN)
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """One channel, or one for each line of the key."""
    if request.method == "POST" and "do" in request.POST:
        return _respond(request, *_redrawn(request, None))
    if request.method != "POST":
        channel_type = _known_type(request.GET.get("type"))
        return _respond(request, _new_form(channel_type), {})
    form = _bound(request, None)
    if form.is_valid():
        try:
            made = services.create_channels(actor_of(request), form.service_fields(), form.keys(), numbered=True)
        except ChannelInvalid as refusal:
            form.add_error(None, str(refusal))
        else:
            text = ngettext("%d channel was added.", "%d channels were added.", len(made))
            messages.success(request, text % len(made))
            return _after(request, made, form.type_form.type)
    return _respond(request, form, {}, status=422)


@page(Role.ADMIN)
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    channel = _channel(pk)
    stored, config = _stored(channel)
    if request.method == "POST" and "do" in request.POST:
        return _respond(request, *_redrawn(request, stored), channel=channel)
    if request.method != "POST":
        initial = _initial(channel, config)
        form = ChannelForm(
            channel_type=_known_type(channel.type),
            offered=_offered(),
            stored=stored,
            initial={**initial, SEEN: marks_of({**initial, "type": channel.type})},
        )
        return _respond(request, form, {}, channel=channel)
    form = _bound(request, stored)
    if form.is_valid():
        try:
            _update(request, channel, form)
        except ChannelMissing:
            raise Http404 from None
        except ChannelInvalid as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("The channel “%s” is saved.") % form.cleaned_data["name"])
            return _after(request, [pk], form.type_form.type)
    return _respond(request, form, {}, channel=channel, status=422)


@page(Role.ADMIN)
@sensitive_post_parameters()
@require_POST
def part(request: HttpRequest) -> HttpResponse:
    """The fields alone, after a button that changes the form: for htmx."""
    pk = request.POST.get("pk", "")
    stored = _stored(_channel(int(pk)))[0] if pk.isdecimal() and len(pk) < 19 else None
    form, more = _redrawn(request, stored)
    return fragment(request, "console/channel_form/_fields.html", _context(request, form, more))


def _redrawn(request: HttpRequest, stored: Stored | None) -> tuple[ChannelForm, dict[str, Any]]:
    """The form after `do`, unchecked, with all that was typed; and what the template may say beside it."""
    was, wanted = _known_type(request.POST.get("type_was")), _known_type(request.POST.get("type"))
    typed = ChannelForm(request.POST, channel_type=was, offered=_offered(), stored=stored).typed()
    if wanted != was:
        beside = _beside(typed, wanted, stored) if stored is not None else {}
        typed = {**beside, **_of_other_type(typed, was, wanted, fill=stored is None)}
    models = list(typed.get("models") or [])
    more: dict[str, Any] = {}
    match request.POST.get("do"):
        case "related":
            models = list(PROVIDERS[wanted].models)
        case "all":
            models = list(dict.fromkeys([*models, *OWNERS]))
        case "clear":
            models = []
        case "take":
            models = list(dict.fromkeys([*models, *request.POST.getlist("take")]))
        case "drop":
            gone = set(request.POST.getlist("drop"))
            models = [name for name in models if name not in gone]
        case "fetch":
            more = _fetched(typed, wanted, models, stored)
    initial = {**typed, "models": models}
    form = ChannelForm(channel_type=wanted, offered=_offered(), stored=stored, initial=initial)
    return form, more


def _of_other_type(typed: dict[str, Any], was: int, wanted: int, *, fill: bool) -> dict[str, Any]:
    """What was typed stays; what only stood there as the former type's usual value gives way to the new one's."""
    kept = _unusual(typed, was)
    kept = {name: value for name, value in kept.items() if value or not name.startswith(BOX)}
    chosen = list(kept.get("models") or [])
    if fill and (not chosen or chosen == list(PROVIDERS[was].models)):
        kept["models"] = list(PROVIDERS[wanted].models)
    return kept


def _beside(typed: dict[str, Any], wanted: int, stored: Stored) -> dict[str, Any]:
    """What is stored for boxes that the form as it stood had not: a type looked at on the way to another, or back to
    the channel's own, takes nothing away."""
    beside = {name: text for name, text in stored.boxes.items() if name not in typed}
    return beside if wanted == stored.type else _unusual(beside, stored.type)


def _unusual(values: dict[str, Any], channel_type: int) -> dict[str, Any]:
    """Without what only stands in a box as this type's usual value."""
    usual = {BOX + box.name: box.initial for box in form_table.form_of(channel_type).boxes}
    return {name: value for name, value in values.items() if not (value and usual.get(name) == value)}


def _fetched(typed: dict[str, Any], channel_type: int, models: list[str], stored: Stored | None) -> dict[str, Any]:
    """Asks the provider: with the key that was typed, else with the stored one at the stored address."""
    try:
        return {"found": _discovered(typed, channel_type, models, stored)}
    except ModelsUnknown as refusal:
        why = (
            _("this type of provider has no list of models that could be asked for")
            if str(refusal) == NOT_BUILT
            else ""
        )
        return {"not_found": why or str(refusal)}
    except (ChannelInvalid, ChannelMissing) as refusal:
        return {"not_found": str(refusal)}


def _discovered(typed: dict[str, Any], channel_type: int, models: list[str], stored: Stored | None) -> Discovery:
    mapping = str(typed.get("model_mapping") or "")
    base_url = str(typed.get(BOX + "base_url") or "").strip()
    key = str(typed.get("key") or "").strip().splitlines()[:1]
    if stored is not None and not key:
        row = _channel(stored.pk)
        if (row.type, row.base_url) != (channel_type, base_url.rstrip("/")):
            raise ChannelInvalid(_("The stored key is sent to the stored address only: save first, or type the key."))
        return discovery.of_channel(stored.pk, models, mapping, channel_type)
    config = {
        box.name: str(typed.get(BOX + box.name) or "")
        for box in form_table.form_of(channel_type).boxes
        if box.name != "base_url"
    }
    fields = {"type": channel_type, "base_url": base_url, "config": config}
    return discovery.of_draft(fields, key[0] if key else "", models, mapping)


@transaction.atomic
def _update(request: HttpRequest, channel: Channel, form: ChannelForm) -> None:
    """Raises ChannelMissing, ChannelInvalid."""
    fields = form.service_fields()
    if form.cleaned_data.get("key"):
        fields["key"] = form.cleaned_data["key"]
    services.update_channel(actor_of(request), channel.pk, fields)


def _after(request: HttpRequest, made: list[int], channel_type: int) -> HttpResponse:
    wanted = request.POST.get("after")
    if wanted == "add":
        return go(request, f"{reverse('channel-add')}?type={channel_type}")
    if wanted == "test":
        try:
            return go(request, reverse("test-run", args=[testing.start(Scope.SELECTED, actor_of(request), made)]))
        except testing.AlreadyRunning:
            messages.warning(request, _("It is not tested yet: another test of channels is under way."))
    return go(request, back(request, reverse("channels")))


def _bound(request: HttpRequest, stored: Stored | None) -> ChannelForm:
    wanted = _known_type(request.POST.get("type"))
    return ChannelForm(request.POST, channel_type=wanted, offered=_offered(), stored=stored)


def _new_form(channel_type: int) -> ChannelForm:
    initial = {"group": ["default"], "models": list(PROVIDERS[channel_type].models), "auto_disable": True}
    return ChannelForm(channel_type=channel_type, offered=_offered(), initial={**initial, "priority": 0, "weight": 0})


def _initial(channel: Channel, config: dict[str, str]) -> dict[str, Any]:
    return {
        **_boxes(channel, config),
        "name": channel.name,
        "group": split_names(channel.group),
        "models": split_names(channel.model_names),
        "model_mapping": channel.model_mapping,
        "system_prompt": channel.system_prompt,
        "tags": channel.tags,
        "priority": channel.priority,
        "weight": channel.weight,
        "test_model": channel.test_model,
        "test_every": channel.test_every,
        "auto_disable": channel.auto_disable,
        "notes": channel.notes,
    }


def _boxes(channel: Channel, config: dict[str, str]) -> dict[str, str]:
    """What boxes show of the channel, by field."""
    provider = PROVIDERS.get(channel.type)
    members = dict(config)
    if provider is not None and provider.other_fills and not members.get(provider.other_fills):
        members[provider.other_fills] = channel.other
    return {**{BOX + name: text for name, text in members.items()}, BOX + "base_url": channel.base_url}


def _stored(channel: Channel) -> tuple[Stored, dict[str, str]]:
    """What may be told of the stored secrets, and the config without them. A lost config counts as empty."""
    try:
        config: dict[str, str] = json.loads(services.shown_config(channel) or "{}")
        secrets = {name for name, text in config.items() if not text}
    except CannotDecrypt:
        config, secrets = {}, set()
    ending = services.key_ending(channel.pk)
    if ending is not None:
        secrets.add("key")
        if PROVIDERS.get(channel.type) and PROVIDERS[channel.type].key_in_config:
            secrets |= {box.name for box in form_table.form_of(channel.type).boxes if box.secret and box.required}
    plain = {name: text for name, text in config.items() if text}
    boxes = _boxes(channel, plain)
    return Stored(channel.pk, _known_type(channel.type), frozenset(secrets), ending or "", plain, boxes), config


def _channel(pk: int) -> Channel:
    channel = listing.matching(listing.Filters()).filter(pk=pk).first()
    if channel is None:
        raise Http404
    return channel


def _offered() -> Offered:
    groups = dict.fromkeys([*option_services.load()["GroupRatio"], *listing.facets().groups])
    return Offered(list(groups))


def _known_type(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isdecimal() and len(text) < 9 and int(text) in PROVIDERS else USUAL


def _context(request: HttpRequest, form: ChannelForm, more: dict[str, Any]) -> dict[str, Any]:
    channel_type = form.type_form.type
    mapping = str(form["model_mapping"].value() or "") if "model_mapping" in form.fields else ""
    return {
        "form": form,
        "type_form": form.type_form,
        "groups": form_table.groups(),
        "unpriced": discovery.unpriced(form.chosen_models, mapping, channel_type),
        "stored": form.stored,
        "return_to": back(request, reverse("channels")),
        **more,
    }


def _respond(
    request: HttpRequest, form: ChannelForm, more: dict[str, Any], *, channel: Channel | None = None, status: int = 200
) -> HttpResponse:
    context = _context(request, form, more)
    context["channel"] = channel
    context["action"] = reverse("channel-edit", args=[channel.pk]) if channel is not None else reverse("channel-add")
    context["title"] = (
        _("Channel “%(name)s” (#%(id)s)") % {"name": channel.name, "id": channel.pk}
        if channel is not None
        else _("New channel")
    )
    parts = {"drawer-body": "console/channel_form/_form.html"}
    return respond(request, "console/channel_form/form.html", context, parts=parts, status=status)
