"""Channels with their credentials, and the abilities made anew from them."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction
from django.db.models import ExpressionWrapper, F, TextField

from channels_app import services, validation
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.providers import PROVIDERS
from importer.tables.base import Context, add_sums, batches, reset_sequence, rows
from importer.values import BIGGEST, Row, differing, names_in
from options import versions
from vault.keys import CannotDecrypt, decrypt

COLUMNS = (
    *("id", "type", "key", "status", "name", "weight", "created_time", "test_time", "response_time", "base_url"),
    *("other", "balance", "balance_updated_time", "models", "group", "used_quota", "model_mapping", "priority"),
    *("config", "system_prompt"),
)
PLAIN = (
    *("type", "status", "name", "weight", "created_time", "test_time", "response_time", "base_url"),
    *("other", "balance", "balance_updated_time", "model_names", "group", "used_quota", "model_mapping", "priority"),
    "system_prompt",
)
COMPARED = ("key", "config", *PLAIN)
CHANNELS_AT_ONCE = 50  # a transaction rebuilds their abilities too


class Channels:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.report = context.report
        self.table = context.report.table("channels")
        self.abilities = context.report.table("abilities")
        self.new: list[Channel] = []
        self.ids: set[int] = set()
        self._wanted: dict[tuple[str, str, int], bool] = {}  # (group, model, channel) -> enabled

    def plan(self) -> None:
        here = {row["id"]: row for row in _stored()}
        for row in rows(self.context, self.table, COLUMNS):
            channel = self._channel(row)
            self.ids.add(row.id)
            self._want(channel)
            stored = here.get(row.id)
            if stored is None:
                self.new.append(channel)
            elif stored["created_time"] != channel.created_time:
                self.report.clash("channels", row.id, f"the id is taken here by {stored['name']!r}")
            elif names := differing(channel, stored, COMPARED):
                self.table.differ(row.id, names)
            else:
                self.table.unchanged += 1
        self.table.imported = len(self.new)
        self._compare_abilities()

    def write(self) -> None:
        for batch in batches(self.new, CHANNELS_AT_ONCE):
            with transaction.atomic():
                Channel.objects.bulk_create(batch)
                for channel in batch:
                    services.rebuild_abilities(channel)
                versions.bump(versions.ROUTING)
        if self.new:
            reset_sequence(Channel, Ability)

    def account(self) -> None:
        stored = (row for row in Channel.objects.values("id", "used_quota") if row["id"] in self.ids)
        add_sums(self.context, self.table, ("used_quota",), stored, self.new)

    # Reading

    def _channel(self, row: Row) -> Channel:
        kind = row.integer("type")
        if kind not in PROVIDERS:
            self.table.note(row.id, f"type {kind} is not known here: out of service until a type is chosen")
        return Channel(
            id=row.id,
            type=kind,
            key=row.credential("key"),
            status=row.one_of("status", ChannelStatus.values, ChannelStatus.ENABLED, ChannelStatus.DISABLED),
            name=row.text("name", validation.MAX_NAME),
            weight=row.integer("weight", 0, 0, validation.MAX_WEIGHT),
            created_time=row.integer("created_time"),
            test_time=row.integer("test_time"),
            response_time=row.integer("response_time", 0, 0, BIGGEST),
            base_url=self._base_url(row),
            other=row.text("other").strip(),
            balance=row.number("balance"),
            balance_updated_time=row.integer("balance_updated_time"),
            model_names=self._names(row, "models", validation.MAX_MODEL),
            group=self._names(row, "group", validation.MAX_GROUP) or "default",
            used_quota=row.integer("used_quota", 0, 0),
            model_mapping=self._json(row, "model_mapping"),
            priority=row.integer("priority", 0, -validation.MAX_PRIORITY, validation.MAX_PRIORITY),
            config=self._json(row, "config"),
            system_prompt=row.text("system_prompt"),
        )

    def _base_url(self, row: Row) -> str:
        value = row.text("base_url").strip().rstrip("/")
        if len(value) <= validation.MAX_BASE_URL:
            return value
        self.table.adjust(row.id, f"base_url is longer than {validation.MAX_BASE_URL} characters; now none")
        return ""

    def _names(self, row: Row, column: str, longest: int) -> str:
        names = names_in(row.text(column))
        kept = [name for name in names if len(name) <= longest]
        if len(kept) < len(names):
            self.table.adjust(row.id, f"{len(names) - len(kept)} names of {column} longer than {longest} were dropped")
        return ",".join(kept)

    def _json(self, row: Row, column: str) -> str:
        """As it stands. What is no JSON object of texts has no effect, here as at the source; it is pointed out."""
        text = row.text(column).strip()
        try:
            value = json.loads(text or "{}")
        except (ValueError, RecursionError):
            value = None
        if value is not None and value == {}:
            return ""
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            self.table.note(row.id, f"{column} is no JSON object of texts and has no effect until it is corrected")
        return text

    # Abilities

    def _want(self, channel: Channel) -> None:
        enabled = channel.status == ChannelStatus.ENABLED
        for group in names_in(channel.group):
            for model in names_in(channel.model_names):
                self._wanted[group, model, channel.pk] = enabled

    def _compare_abilities(self) -> None:
        """They are derived from the channels, never copied; what differs shows where the source was out of step."""
        source = self.context.source
        found: dict[tuple[str, str, int], bool] = {}
        for values in source.rows("abilities", ("group", "model", "channel_id", "enabled")):
            row = Row(values, self.abilities)
            found[row.text("group"), row.text("model"), row.integer("channel_id")] = row.flag("enabled")
        self.abilities.read = len(found)
        new = {channel.pk for channel in self.new}
        self.abilities.imported = sum(channel_id in new for _, _, channel_id in self._wanted)
        self.abilities.unchanged = len(self._wanted) - self.abilities.imported
        gone = [key for key in found if key not in self._wanted]
        for _group, _model, channel_id in gone:
            self.abilities.left_out[
                "its channel does not list it" if channel_id in self.ids else "its channel does not exist"
            ] += 1
        if not source.has("abilities"):
            return
        if missing := [key for key in self._wanted if key not in found]:
            self.abilities.note(len(missing), "made from the channels; the source lacked them")
        if other := [key for key, enabled in self._wanted.items() if found.get(key, enabled) != enabled]:
            self.abilities.note(len(other), "enabled or disabled as their channel is; the source had it otherwise")


def _stored() -> list[dict[str, Any]]:
    """The channels here. A secret that can no longer be decrypted counts as another value."""
    sealed = Channel.objects.annotate(
        sealed_key=ExpressionWrapper(F("key"), output_field=TextField()),
        sealed_config=ExpressionWrapper(F("config"), output_field=TextField()),
    ).values("id", "sealed_key", "sealed_config", *PLAIN)
    return [{**row, "key": _opened(row["sealed_key"]), "config": _opened(row["sealed_config"])} for row in sealed]


def _opened(value: str) -> str | None:
    try:
        return decrypt(value)
    except CannotDecrypt:
        return None
