"""Creating, changing and disabling channels.

Every function is one transaction that writes the channel, its abilities, the audit entry and the routing version
together. `fields` are named as in the management API (`models`, `group`, `base_url` ...); members it does not know
and members that are null are ignored, since existing front ends send whole records back (front-ends reference, 16-18).
Counters (`used_quota`, `balance`) are never read and written back here. Secrets are not decrypted unless they must be,
so a channel whose secret is lost can still be disabled, given a new key, or deleted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext as _

from audit.services import SYSTEM, Actor, record
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.providers import CONFIG_MEMBERS, PROVIDERS, SECRET_MEMBERS, Provider
from options import versions
from vault.keys import CannotDecrypt

MAX_NAME = 128  # characters, as the columns have them
MAX_GROUP = 64
MAX_MODEL = 191
MAX_BASE_URL = 500
MAX_REASON = 1000
MAX_WEIGHT = 1_000_000
MAX_PRIORITY = 1_000_000_000  # either way
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
SETTABLE = (ChannelStatus.ENABLED, ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED)


class ChannelInvalid(ValueError):
    """The channel cannot be stored as asked; the message is for the person who asked."""


class ChannelMissing(LookupError):
    """No channel has this id."""


@transaction.atomic
def create_channels(actor: Actor, fields: Mapping[str, Any], keys: Sequence[str]) -> list[int]:
    """One channel for each key, alike in everything else; returns their ids in the order of the keys.

    Keys are trimmed and empty ones dropped (`split_keys` makes them out of a text box). A missing or zero status
    means enabled, a missing group "default". Raises ChannelInvalid, and then nothing has changed.
    """
    columns = _columns(_typed(_given(fields)))
    provider = PROVIDERS[columns["type"]]
    _check_config(provider, columns.get("config", {}))
    columns["config"] = _json(columns.get("config", {}))
    _check_whole(provider, columns.get("base_url", ""))
    trimmed = [key.strip() for key in keys if key.strip()]
    if not trimmed and provider.key_in_config:
        trimmed = [""]
    if not trimmed:
        raise ChannelInvalid(_("at least one key is needed"))
    for key in trimmed:
        _check_key(provider, key)
    now = int(time.time())
    created = []
    for key in trimmed:
        channel = Channel.objects.create(**columns, key=key, created_time=now)
        rebuild_abilities(channel)
        record(actor, "channel.create", f"channel:{channel.pk}", name=channel.name, type=channel.type)
        created.append(channel.pk)
    versions.bump(versions.ROUTING)
    return created


@transaction.atomic
def update_channel(actor: Actor, channel_id: int, fields: Mapping[str, Any]) -> None:
    """Change the fields given and nothing else.

    An empty key, name, models, group or config, and a zero type or status, leave what is stored; an empty base_url,
    other, model_mapping or system_prompt clears it, as does a zero priority or weight. Secret members of config that
    come back empty are kept. Raises ChannelInvalid, ChannelMissing, and then nothing has changed.
    """
    channel = _locked(channel_id)
    given = _given(fields)
    columns = _columns(given)
    provider = PROVIDERS.get(columns.get("type", channel.type))
    if provider is None:
        raise ChannelInvalid(_("the type of this channel is not known: choose one"))
    _check_whole(provider, columns.get("base_url", channel.base_url))
    if key := _text(given, "key").strip():
        _check_key(provider, key)
        columns["key"] = key
    elif columns.get("type", channel.type) != channel.type:
        _check_key(provider, _stored(channel, "key"))
    if "config" in columns:
        _check_config(provider, columns["config"])
        stored = _stored_config(channel, columns["config"])
        columns["config"] = _json({**columns["config"], **_kept_secrets(columns["config"], stored)})
        if stored == json.loads(columns["config"] or "{}"):
            del columns["config"]
    changed = sorted(
        name for name, value in columns.items() if name in ("key", "config") or value != getattr(channel, name)
    )
    if not changed:
        return
    if {"type", "base_url", "config"} & set(changed):
        columns["refuses_stream_options"] = False  # what was learnt was learnt about another upstream
    if "status" in changed:
        columns.update(status_reason="", status_time=int(time.time()))
    Channel.objects.filter(pk=channel_id).update(**columns)
    for name in ("status", "priority", "model_names", "group"):
        setattr(channel, name, columns.get(name, getattr(channel, name)))
    rebuild_abilities(channel)
    detail = {"status": int(columns["status"])} if "status" in changed else {}
    record(actor, "channel.update", f"channel:{channel_id}", fields=changed, **detail)
    versions.bump(versions.ROUTING)


@transaction.atomic
def set_status(actor: Actor, channel_id: int, status: int, reason: str = "") -> None:
    """Enable or disable one channel, whatever its status was. Raises ChannelInvalid, ChannelMissing."""
    if status not in SETTABLE:
        raise ChannelInvalid(_("unknown status"))
    _locked(channel_id)
    _write_status(channel_id, status, reason)
    record(actor, "channel.status", f"channel:{channel_id}", status=int(status), reason=reason[:MAX_REASON])
    versions.bump(versions.ROUTING)


@transaction.atomic
def disable_automatically(channel_id: int, reason: str) -> bool:
    """Take an enabled channel out of service. True for the one caller whose call changed it, who then notifies."""
    if not _write_status(channel_id, ChannelStatus.AUTO_DISABLED, reason, only_if=ChannelStatus.ENABLED):
        return False
    record(SYSTEM, "channel.disable", f"channel:{channel_id}", reason=reason[:MAX_REASON])
    versions.bump(versions.ROUTING)
    return True


@transaction.atomic
def enable_automatically(channel_id: int) -> bool:
    """Put back what was disabled automatically, never by hand. True for the one caller whose call changed it."""
    if not _write_status(channel_id, ChannelStatus.ENABLED, "", only_if=ChannelStatus.AUTO_DISABLED):
        return False
    record(SYSTEM, "channel.enable", f"channel:{channel_id}")
    versions.bump(versions.ROUTING)
    return True


@transaction.atomic
def record_refuses_stream_options(channel_id: int) -> bool:
    """Remember that the upstream answers 400 to stream_options; False when that was known, or the channel is gone."""
    if not Channel.objects.filter(pk=channel_id, refuses_stream_options=False).update(refuses_stream_options=True):
        return False
    record(SYSTEM, "channel.learn", f"channel:{channel_id}", refuses="stream_options")
    versions.bump(versions.ROUTING)
    return True


@transaction.atomic
def delete_channel(actor: Actor, channel_id: int) -> bool:
    """Remove the channel and its abilities; its logs stay. False when there was none."""
    name = Channel.objects.filter(pk=channel_id).values_list("name", flat=True).first()
    if name is None:
        return False
    _delete([channel_id])
    record(actor, "channel.delete", f"channel:{channel_id}", name=name)
    versions.bump(versions.ROUTING)
    return True


@transaction.atomic
def delete_disabled(actor: Actor) -> int:
    """Remove every channel that is disabled, by hand or automatically; returns how many."""
    disabled = Channel.objects.filter(status__in=(ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED))
    channel_ids = list(disabled.select_for_update().values_list("pk", flat=True))
    if channel_ids:
        _delete(channel_ids)
        record(actor, "channel.delete_disabled", "channels", ids=channel_ids)
        versions.bump(versions.ROUTING)
    return len(channel_ids)


def usable_models(group: str) -> list[str]:
    """Names of the models that some enabled channel serves to the group, sorted."""
    return sorted(Ability.objects.filter(group=group, enabled=True).values_list("model", flat=True).distinct())


def checked_address(fields: Mapping[str, Any], key: str) -> tuple[int, str, dict[str, str]]:
    """(type, base URL, config) of a channel that is not stored, with its key checked too. Raises ChannelInvalid."""
    wanted = {name: fields[name] for name in ("type", "base_url", "config") if name in fields}
    columns = _columns(_typed(_given(wanted)))
    provider = PROVIDERS[columns["type"]]
    _check_whole(provider, columns.get("base_url", ""))
    _check_key(provider, key.strip())
    _check_config(provider, columns.get("config", {}))
    return columns["type"], columns.get("base_url", ""), columns.get("config", {})


def split_keys(channel_type: int, text: str) -> list[str]:
    """The keys typed into one box: a line each, save where one credential has lines of its own (Vertex AI's JSON)."""
    provider = PROVIDERS.get(channel_type)
    return [text] if provider is not None and provider.key_in_config else text.split("\n")


def shown_config(channel: Channel) -> str:
    """The config as JSON text for an answer or a form: secret members are present but empty."""
    try:
        config = json.loads(channel.config or "{}")
    except ValueError:
        return ""
    if not config or not isinstance(config, dict):
        return ""
    return json.dumps({name: "" if name in SECRET_MEMBERS else value for name, value in config.items()})


# What follows reads `fields` into columns.


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """A new channel that names no type, or 0, is of OpenAI's."""
    return {**given, "type": given.get("type") or 1}


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that `given` sets, key excepted, each checked; config still as a dict. Raises ChannelInvalid."""
    columns: dict[str, Any] = {}
    if given.get("type"):
        columns["type"] = _whole(given, "type", 1, max(PROVIDERS))
        if columns["type"] not in PROVIDERS:
            raise ChannelInvalid(_("unknown channel type %(type)s") % {"type": columns["type"]})
    if given.get("status"):
        columns["status"] = _whole(given, "status", min(SETTABLE), max(SETTABLE))
    if name := _text(given, "name").strip():
        columns["name"] = _short("name", name, MAX_NAME)
    if models := _names(given, "models", MAX_MODEL):
        columns["model_names"] = ",".join(models)
    if groups := _names(given, "group", MAX_GROUP):
        columns["group"] = ",".join(groups)
    if "base_url" in given:
        columns["base_url"] = _base_url(_text(given, "base_url").strip())
    if "other" in given:
        columns["other"] = _text(given, "other").strip()
    if "system_prompt" in given:
        columns["system_prompt"] = _text(given, "system_prompt")
    if "model_mapping" in given:
        columns["model_mapping"] = _mapping(given["model_mapping"])
    if "priority" in given:
        columns["priority"] = _whole(given, "priority", -MAX_PRIORITY, MAX_PRIORITY)
    if "weight" in given:
        columns["weight"] = _whole(given, "weight", 0, MAX_WEIGHT)
    if "config" in given and (config := _config(given["config"])):
        columns["config"] = config
    return columns


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise ChannelInvalid(_("%(field)s must be text") % {"field": name})
    if "\x00" in value:
        raise ChannelInvalid(_("%(field)s must not contain a NUL character") % {"field": name})
    return value


def _short(name: str, value: str, limit: int) -> str:
    if len(value) > limit:
        raise ChannelInvalid(
            _("%(field)s is longer than %(limit)s characters: %(value)s")
            % {"field": name, "limit": limit, "value": value[:limit]}
        )
    return value


def _whole(given: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = given[name]
    if isinstance(value, str):
        value = int(value) if value.strip().lstrip("-").isdecimal() and len(value) < 20 else None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ChannelInvalid(
            _("%(field)s must be a whole number between %(low)s and %(high)s")
            % {"field": name, "low": int(low), "high": int(high)}
        )
    return int(value)


def _names(given: Mapping[str, Any], name: str, limit: int) -> list[str]:
    """The distinct, trimmed names of a comma-separated text, in their order."""
    names = dict.fromkeys(part.strip() for part in _text(given, name).replace("\n", ",").split(","))
    return [_short(name, each, limit) for each in names if each]


def _base_url(value: str) -> str:
    """A base URL without trailing slash. Path and port are fine; what would travel elsewhere or get lost is not."""
    if not value:
        return ""
    _short("base_url", value, MAX_BASE_URL)
    if not value.startswith(("http://", "https://")):
        raise ChannelInvalid(_("the base URL must start with http:// or https://"))
    parts = _url("base_url", value)
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ChannelInvalid(_("the base URL must have no query and no fragment"))
    return value.rstrip("/")


def _url(name: str, value: str) -> Any:
    try:
        parts = urlsplit(value)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or any(character.isspace() or not character.isprintable() for character in value):
        raise ChannelInvalid(_("%(field)s is not a valid address") % {"field": name})
    if name == "base_url" and (parts.username is not None or parts.password is not None):
        raise ChannelInvalid(_("the base URL must hold no user name and no password: put the credential into the key"))
    return parts


def _object_of_texts(name: str, value: Any) -> dict[str, str]:
    """A JSON object name -> text, given as such or as text. Empty text and null are the empty object."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
            json.dumps(value, ensure_ascii=False).encode()  # JSON may escape half a character, which no text can hold
        except (ValueError, RecursionError):
            raise ChannelInvalid(_("%(field)s is not valid JSON") % {"field": name}) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ChannelInvalid(_("%(field)s must be a JSON object") % {"field": name})
    for member, text in value.items():
        if not isinstance(text, str) or "\x00" in text or "\x00" in member:
            raise ChannelInvalid(_("%(field)s: %(member)s must be text") % {"field": name, "member": member})
    return value


def _mapping(value: Any) -> str:
    """The text to store: as typed where it was text, since people lay a long mapping out in lines."""
    table = _object_of_texts("model_mapping", value)
    if not table:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(table, ensure_ascii=False)


def _config(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        value = {name: "" if text is None else text for name, text in value.items()}
    config = _object_of_texts("config", value)
    if unknown := set(config) - CONFIG_MEMBERS:
        raise ChannelInvalid(_("config: unknown member %(member)s") % {"member": ", ".join(sorted(unknown))})
    if proxy := config.get("proxy", "").strip():
        if urlsplit(proxy).scheme not in PROXY_SCHEMES:
            raise ChannelInvalid(
                _("config: the proxy must start with one of %(schemes)s")
                % {"schemes": ", ".join(f"{scheme}://" for scheme in PROXY_SCHEMES)}
            )
        _url("proxy", proxy)
    return {name: text.strip() for name, text in config.items()}


def _json(config: Mapping[str, str]) -> str:
    """The text to store: members that say nothing are left out, and no member at all is the empty text."""
    said = {name: text for name, text in config.items() if text}
    return json.dumps(said, ensure_ascii=False) if said else ""


def _kept_secrets(config: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """The secret members that came back empty, as they are stored."""
    return {name: stored[name] for name in SECRET_MEMBERS if config.get(name) == "" and name in stored}


def _stored_config(channel: Channel, replacement: Mapping[str, str]) -> dict[str, str]:
    """The config of the row. Lost under another secret, it counts as empty where nothing of it has to be kept."""
    try:
        stored = json.loads(_stored(channel, "config") or "{}")
    except ChannelInvalid:
        if any(replacement.get(name) == "" for name in SECRET_MEMBERS):
            raise
        return {}
    except json.JSONDecodeError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _stored(channel: Channel, secret: str) -> str:
    """A secret column of the row; the one place that decrypts here."""
    try:
        return str(Channel.objects.values_list(secret, flat=True).get(pk=channel.pk))
    except CannotDecrypt:
        raise ChannelInvalid(_("the stored credential can no longer be decrypted: enter it again")) from None


def _check_whole(provider: Provider, base_url: str) -> None:
    if provider.needs_base_url and not base_url:
        raise ChannelInvalid(_("a channel of type %(type)s needs a base URL") % {"type": provider.name})


def _check_key(provider: Provider, key: str) -> None:
    if "\x00" in key or not provider.key_pattern.fullmatch(key) or not (key or provider.key_in_config):
        raise ChannelInvalid(
            _("this is not a key of type %(type)s; expected: %(format)s")
            % {"type": provider.name, "format": provider.key_format}
        )


def _check_config(provider: Provider, config: Mapping[str, str]) -> None:
    """Empty members say nothing, or "as it is stored"."""
    for box in provider.config_fields:
        if (text := config.get(box.name, "")) and not box.pattern.fullmatch(text):
            raise ChannelInvalid(
                _("config: %(member)s is not what a channel of type %(type)s needs")
                % {"member": box.name, "type": provider.name}
            )


# What follows writes.


def _locked(channel_id: int) -> Channel:
    """The row for the rest of the transaction, its secrets still sealed. Raises ChannelMissing."""
    channel = Channel.objects.select_for_update().defer("key", "config").filter(pk=channel_id).first()
    if channel is None:
        raise ChannelMissing(channel_id)
    return channel


def _write_status(channel_id: int, status: int, reason: str, only_if: int | None = None) -> bool:
    rows = Channel.objects.filter(pk=channel_id)
    if only_if is not None:
        rows = rows.filter(status=only_if)
    if not rows.update(status=status, status_reason=reason[:MAX_REASON], status_time=int(time.time())):
        return False
    Ability.objects.filter(channel_id=channel_id).update(enabled=status == ChannelStatus.ENABLED)
    return True


def rebuild_abilities(channel: Channel) -> None:
    """Make the rows those of model x group, touching only what differs, so that no reader ever finds a gap."""
    enabled = channel.status == ChannelStatus.ENABLED
    groups, models = _split(channel.group), _split(channel.model_names)
    wanted = {(group, model) for group in groups for model in models}
    rows = Ability.objects.filter(channel_id=channel.pk)
    present = {(group, model): pk for group, model, pk in rows.values_list("group", "model", "pk")}
    if gone := [pk for pair, pk in present.items() if pair not in wanted]:
        rows.filter(pk__in=gone).delete()
    rows.exclude(enabled=enabled, priority=channel.priority).update(enabled=enabled, priority=channel.priority)
    missing = sorted(wanted - set(present))
    Ability.objects.bulk_create(
        (
            Ability(group=group, model=model, channel_id=channel.pk, enabled=enabled, priority=channel.priority)
            for group, model in missing
        ),
        batch_size=500,
    )


def _split(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _delete(channel_ids: Sequence[int]) -> None:
    Ability.objects.filter(channel_id__in=channel_ids).delete()
    Channel.objects.filter(pk__in=channel_ids).only("pk").delete()
