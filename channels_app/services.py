"""Creating, changing and disabling channels.

Every function is one transaction that writes the channel, its abilities, the audit entry and the routing version
together. What may be stored is `channels_app.validation`'s to say. Counters (`used_quota`, `balance`) are never read
and written back here. Secrets are not decrypted unless they must be, so a channel whose secret is lost can still be
disabled, given a new key, or deleted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from audit.services import SYSTEM, Actor, record
from channels_app import key_digests
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.providers import PROVIDERS, SECRET_MEMBERS
from channels_app.validation import (
    MAX_NAME,
    SETTABLE,
    ChannelInvalid,
    check_base_url,
    check_config,
    check_key,
    columns_of,
    config_text,
    given_of,
    kept_secrets,
    split_keys,
    split_names,
    text_of,
    typed,
)
from options import versions
from vault.keys import CannotDecrypt

__all__ = ["ChannelInvalid", "split_keys"]  # told here too, beside what raises and takes them

MAX_REASON = 1000
ENOUGH_TO_TELL = 16  # characters of a key of which four may be shown


class ChannelMissing(LookupError):
    """No channel has this id."""


@transaction.atomic
def create_channels(
    actor: Actor, fields: Mapping[str, Any], keys: Sequence[str], *, numbered: bool = False
) -> list[int]:
    """One channel for each key, alike in everything else; returns their ids in the order of the keys.

    Keys are trimmed and empty ones dropped (`split_keys` makes them out of a text box). A missing or zero status
    means enabled, a missing group "default". `numbered`: of several, the first is called "name #1". Raises
    ChannelInvalid, and then nothing has changed.
    """
    columns = columns_of(typed(given_of(fields)))
    provider = PROVIDERS[columns["type"]]
    check_config(provider, columns.get("config", {}))
    columns["config"] = config_text(columns.get("config", {}))
    check_base_url(provider, columns.get("base_url", ""))
    trimmed = [key.strip() for key in keys if key.strip()]
    if not trimmed and provider.key_in_config:
        trimmed = [""]
    if not trimmed:
        raise ChannelInvalid(_("at least one key is needed"))
    for key in trimmed:
        check_key(provider, key)
    now = int(time.time())
    name = columns.get("name", "")
    created = []
    for place, key in enumerate(trimmed, 1):
        if numbered and len(trimmed) > 1:
            columns["name"] = numbered_name(name, place)
        channel = Channel.objects.create(**columns, key=key, key_digest=key_digests.of(key), created_time=now)
        rebuild_abilities(channel)
        record(actor, "channel.create", f"channel:{channel.pk}", name=channel.name, type=channel.type)
        created.append(channel.pk)
    versions.bump(versions.ROUTING)
    return created


@transaction.atomic
def update_channel(actor: Actor, channel_id: int, fields: Mapping[str, Any]) -> None:
    """Change the fields given and nothing else.

    An empty key, name, models, group or config, and a zero type or status, leave what is stored; an empty base_url,
    other, model_mapping, system_prompt, tags, test_model, test_every or notes clears it, as does a zero priority or
    weight. Secret members of config that come back empty are kept. Raises ChannelInvalid, ChannelMissing; then nothing
    has changed.
    """
    channel = locked(channel_id)
    given = given_of(fields)
    columns = columns_of(given)
    provider = PROVIDERS.get(columns.get("type", channel.type))
    if provider is None:
        raise ChannelInvalid(_("the type of this channel is not known: choose one"))
    check_base_url(provider, columns.get("base_url", channel.base_url))
    if key := text_of(given, "key").strip():
        check_key(provider, key)
        columns["key"] = key
    elif columns.get("type", channel.type) != channel.type:
        check_key(provider, stored_secret(channel, "key"))
    if "config" in columns:
        check_config(provider, columns["config"])
        stored = _stored_config(channel, columns["config"])
        columns["config"] = config_text({**columns["config"], **kept_secrets(columns["config"], stored or {})})
        if stored is not None and stored == json.loads(columns["config"] or "{}"):
            del columns["config"]
    changed = sorted(
        name for name, value in columns.items() if name in ("key", "config") or value != getattr(channel, name)
    )
    if not changed:
        return
    if {"type", "base_url", "config"} & set(changed):
        columns["refuses_stream_options"] = False  # what was learnt was learnt about another upstream
    if "status" in changed:
        columns.update(status_reason="", status_time=int(time.time()), disabled_until=0)
    if "key" in changed:
        columns["key_digest"] = key_digests.of(key)
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
    locked(channel_id)
    write_status(channel_id, status, reason)
    record(actor, "channel.status", f"channel:{channel_id}", status=int(status), reason=reason[:MAX_REASON])
    versions.bump(versions.ROUTING)


@transaction.atomic
def disable_automatically(channel_id: int, reason: str) -> bool:
    """Take an enabled channel out of service, if that may be done to it automatically (`auto_disable`).

    True for the one caller whose call changed it, who then notifies.
    """
    service = {"status": ChannelStatus.ENABLED, "auto_disable": True}
    if not write_status(channel_id, ChannelStatus.AUTO_DISABLED, reason, only_if=service):
        return False
    record(SYSTEM, "channel.disable", f"channel:{channel_id}", reason=reason[:MAX_REASON])
    versions.bump(versions.ROUTING)
    return True


@transaction.atomic
def enable_automatically(channel_id: int) -> bool:
    """Put back what was disabled automatically, never by hand. True for the one caller whose call changed it."""
    if not write_status(channel_id, ChannelStatus.ENABLED, "", only_if={"status": ChannelStatus.AUTO_DISABLED}):
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
    delete_channels([channel_id])
    record(actor, "channel.delete", f"channel:{channel_id}", name=name)
    versions.bump(versions.ROUTING)
    return True


@transaction.atomic
def delete_disabled(actor: Actor) -> int:
    """Remove every channel that is disabled, by hand or automatically; returns how many."""
    disabled = Channel.objects.filter(status__in=(ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED))
    channel_ids = list(disabled.select_for_update().values_list("pk", flat=True))
    if channel_ids:
        delete_channels(channel_ids)
        record(actor, "channel.delete_disabled", "channels", ids=channel_ids)
        versions.bump(versions.ROUTING)
    return len(channel_ids)


@transaction.atomic
def reveal_key(actor: Actor, channel_id: int) -> str:
    """The stored key in clear, on record. Whether the actor may see it is the caller's to decide.

    Raises ChannelMissing; ChannelInvalid where it can no longer be decrypted.
    """
    key = stored_secret(locked(channel_id), "key")
    record(actor, "channel.reveal", f"channel:{channel_id}")
    return key


def key_ending(channel_id: int) -> str | None:
    """The last four characters of the stored key, by which people tell keys apart; "" of one too short to tell so much,
    or that can no longer be decrypted. None: there is no key.
    """
    try:
        key = Channel.objects.values_list("key", flat=True).get(pk=channel_id)
    except CannotDecrypt:
        return ""
    if not key:
        return None
    return key[-4:] if len(key) >= ENOUGH_TO_TELL else ""


def usable_models(group: str) -> list[str]:
    """Names of the models that some enabled channel serves to the group, sorted."""
    return sorted(Ability.objects.filter(group=group, enabled=True).values_list("model", flat=True).distinct())


def shown_config(channel: Channel) -> str:
    """The config as JSON text for an answer or a form: secret members are present but empty."""
    try:
        config = json.loads(channel.config or "{}")
    except ValueError:
        return ""
    if not config or not isinstance(config, dict):
        return ""
    return json.dumps({name: "" if name in SECRET_MEMBERS else value for name, value in config.items()})


# What follows writes.


def locked(channel_id: int) -> Channel:
    """The row for the rest of the transaction, its secrets still sealed. Raises ChannelMissing."""
    channel = Channel.objects.select_for_update().defer("key", "config").filter(pk=channel_id).first()
    if channel is None:
        raise ChannelMissing(channel_id)
    return channel


def write_status(
    channel_id: int, status: int, reason: str, *, until: int = 0, only_if: Mapping[str, Any] = MappingProxyType({})
) -> bool:
    """Status, reason, moment and abilities; False where `only_if` (columns as they must be) does not hold any more.

    `until`: Unix seconds at which the channel is put back by itself, 0 for never.
    """
    changed = Channel.objects.filter(pk=channel_id, **only_if).update(
        status=status, status_reason=reason[:MAX_REASON], status_time=int(time.time()), disabled_until=until
    )
    if changed:
        Ability.objects.filter(channel_id=channel_id).update(enabled=status == ChannelStatus.ENABLED)
    return bool(changed)


def rebuild_abilities(channel: Channel) -> None:
    """Make the rows those of model x group, touching only what differs, so that no reader ever finds a gap."""
    enabled = channel.status == ChannelStatus.ENABLED
    groups, models = split_names(channel.group), split_names(channel.model_names)
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


def numbered_name(name: str, number: int) -> str:
    """ "name #2", the name cut where the column would be too short."""
    suffix = f" #{number}"
    return name[: MAX_NAME - len(suffix)] + suffix


def delete_channels(channel_ids: Sequence[int]) -> None:
    """Rows and abilities; the transaction, the audit and the version are the caller's."""
    Ability.objects.filter(channel_id__in=channel_ids).delete()
    Channel.objects.filter(pk__in=channel_ids).only("pk").delete()


def _stored_config(channel: Channel, replacement: Mapping[str, str]) -> dict[str, str] | None:
    """The config of the row. None: lost under another secret, and nothing of it has to be kept: write it anew."""
    try:
        stored = json.loads(stored_secret(channel, "config") or "{}")
    except ChannelInvalid:
        if any(replacement.get(name) == "" for name in SECRET_MEMBERS):
            raise
        return None
    except json.JSONDecodeError:
        return {}
    return stored if isinstance(stored, dict) else {}


def stored_secret(channel: Channel, secret: str) -> str:
    """A secret column of the row; the one place that decrypts here."""
    try:
        return str(Channel.objects.values_list(secret, flat=True).get(pk=channel.pk))
    except CannotDecrypt:
        raise ChannelInvalid(_("the stored credential can no longer be decrypted: enter it again")) from None
