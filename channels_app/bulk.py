"""One change to many channels: shown first, then made, all of it or nothing, with one entry in the audit.

`preview` and `apply` read the rows alike, so what is refused when it is made was named when it was shown, unless
somebody changed a channel in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from audit.services import Actor, record
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.providers import PROVIDERS
from channels_app.services import delete_channels, rebuild_abilities
from channels_app.validation import ChannelInvalid, columns_of, split_names
from options import versions

CHUNK = 500  # ids in one query: databases bound the number of parameters


class Action(StrEnum):
    ENABLE = "enable"
    DISABLE = "disable"
    DELETE = "delete"
    SET_PRIORITY = "set_priority"
    SET_WEIGHT = "set_weight"
    ADD_GROUP = "add_group"
    REMOVE_GROUP = "remove_group"
    ADD_MODEL = "add_model"
    REMOVE_MODEL = "remove_model"
    SET_TAGS = "set_tags"
    ADD_TAG = "add_tag"
    REMOVE_TAG = "remove_tag"
    RENAME_TAG = "rename_tag"


# action -> (field of the management API, its column)
_FIELDS = {
    Action.SET_PRIORITY: ("priority", "priority"),
    Action.SET_WEIGHT: ("weight", "weight"),
    Action.SET_TAGS: ("tags", "tags"),
    Action.ADD_GROUP: ("group", "group"),
    Action.REMOVE_GROUP: ("group", "group"),
    Action.ADD_MODEL: ("models", "model_names"),
    Action.REMOVE_MODEL: ("models", "model_names"),
    Action.ADD_TAG: ("tags", "tags"),
    Action.REMOVE_TAG: ("tags", "tags"),
    Action.RENAME_TAG: ("tags", "tags"),
}
_STATUSES = {Action.ENABLE: ChannelStatus.ENABLED, Action.DISABLE: ChannelStatus.DISABLED}
_ADDING = frozenset({Action.ADD_GROUP, Action.ADD_MODEL, Action.ADD_TAG})
_REMOVING = frozenset({Action.REMOVE_GROUP, Action.REMOVE_MODEL, Action.REMOVE_TAG})
NO_MODELS = "proxy"  # the protocol whose channels need none


@dataclass(frozen=True, slots=True)
class Change:
    """`value`: the number to set, or names with commas between them; "" for what takes none.

    To rename a tag takes two names: the old one, the new one. Where a channel has both already, they become one.
    """

    action: Action
    value: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One channel before and after. `refusal`: why it cannot be changed so; "" where it can."""

    channel_id: int
    name: str
    before: str
    after: str
    refusal: str = ""

    @property
    def changes(self) -> bool:
        return self.before != self.after and not self.refusal


class BulkRefused(ChannelInvalid):
    """Some channel would be left without what it needs; nothing has changed. `lines`: the channels in question."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__("; ".join(f"#{line.channel_id} {line.name}: {line.refusal}" for line in lines))
        self.lines = lines


def preview(change: Change, channel_ids: Iterable[int]) -> list[Line]:
    """What the change would do to each of these channels, in the order of their ids. Raises ChannelInvalid."""
    column, value = _understood(change)
    return [_line(change, column, value, row) for row in _rows(channel_ids)]


@transaction.atomic
def apply(actor: Actor, change: Change, channel_ids: Iterable[int], reason: str = "") -> list[Line]:
    """Make the change; returns the lines of what was changed. Ids of channels that are gone are passed over.

    `reason`: stands on channels that are disabled by it. Raises ChannelInvalid, BulkRefused, and then nothing has
    changed.
    """
    column, value = _understood(change)
    rows = {row.pk: row for row in _rows(channel_ids, lock=True)}
    lines = [_line(change, column, value, row) for row in rows.values()]
    if refused := [line for line in lines if line.refusal]:
        raise BulkRefused(refused)
    changed = [line for line in lines if line.changes]
    if not changed:
        return []
    changed_ids = [line.channel_id for line in changed]
    if change.action is Action.DELETE:
        for part in _parts(changed_ids):
            delete_channels(part)
    elif status := _STATUSES.get(change.action):
        _write_status(changed_ids, status, reason)
    else:
        _write_column(column, [(rows[line.channel_id], line.after) for line in changed])
    detail = {"change": change.action.value, "value": change.value, "ids": changed_ids}
    record(actor, "channel.bulk", "channels", **detail, **({"reason": reason} if reason else {}))
    versions.bump(versions.ROUTING)
    return changed


def _understood(change: Change) -> tuple[str, Any]:
    """The column and the value as it is stored; "" and "" for what takes none. Raises ChannelInvalid."""
    if change.action not in _FIELDS:
        return "", ""
    field, column = _FIELDS[change.action]
    columns = columns_of({field: change.value})
    if column not in columns or (columns[column] == "" and change.action is not Action.SET_TAGS):
        raise ChannelInvalid(_("say what to add or to remove"))
    if change.action is Action.RENAME_TAG and len(split_names(columns[column])) != 2:
        raise ChannelInvalid(_("name the tag and one other name for it, with a comma between them"))
    return column, columns[column]


def _rows(channel_ids: Iterable[int], *, lock: bool = False) -> Iterator[Channel]:
    """With all secrets sealed, in the order of their ids, in which they are locked too."""
    for part in _parts(sorted(set(channel_ids))):
        rows = Channel.objects.defer("key", "config").filter(pk__in=part).order_by("id")
        yield from rows.select_for_update() if lock else rows


def _line(change: Change, column: str, value: Any, row: Channel) -> Line:
    if change.action is Action.DELETE:
        return Line(row.pk, row.name, _("there"), _("deleted"))
    if status := _STATUSES.get(change.action):
        before = str(ChannelStatus(row.status).label) if row.status in ChannelStatus.values else str(row.status)
        after = before if row.status == status else str(status.label)
        return Line(row.pk, row.name, before, after)
    before = str(getattr(row, column))
    after = _combined(change.action, before, str(value))
    return Line(row.pk, row.name, before, after, _refusal(column, before, after, row))


def _combined(action: Action, before: str, value: str) -> str:
    """The column after the change. Where nothing is added or removed it is untouched, however it was written."""
    there, named = split_names(before), split_names(value)
    if action in _ADDING:
        added = [name for name in named if name not in there]
        return ",".join([*there, *added]) if added else before
    if action in _REMOVING:
        left = [name for name in there if name not in named]
        return ",".join(left) if len(left) < len(there) else before
    if action is Action.RENAME_TAG:
        old, new = named
        renamed = dict.fromkeys(new if name == old else name for name in there)
        return ",".join(renamed) if old in there else before
    return value


def _refusal(column: str, before: str, after: str, row: Channel) -> str:
    if before == after:
        return ""
    provider = PROVIDERS.get(row.type)
    if column == "group" and not after:
        return _("it would be left without a group")
    if column == "model_names" and not after and (provider is None or provider.protocol != NO_MODELS):
        return _("it would be left without a model")
    if column in ("tags", "group", "model_names"):
        field = "models" if column == "model_names" else column
        try:
            columns_of({field: after})
        except ChannelInvalid as refusal:
            return str(refusal)
    return ""


def _write_status(channel_ids: Sequence[int], status: ChannelStatus, reason: str) -> None:
    now = int(time.time())
    for part in _parts(channel_ids):
        Channel.objects.filter(pk__in=part).update(
            status=status, status_reason=reason, status_time=now, disabled_until=0
        )
        Ability.objects.filter(channel_id__in=part).update(enabled=status == ChannelStatus.ENABLED)


def _write_column(column: str, rows: Sequence[tuple[Channel, str]]) -> None:
    """Each value is written once, to all rows that get it."""
    number = column in ("priority", "weight")
    by_value: dict[str, list[Channel]] = {}
    for row, after in rows:
        setattr(row, column, int(after) if number else after)
        by_value.setdefault(after, []).append(row)
    for after, alike in by_value.items():
        for part in _parts([row.pk for row in alike]):
            Channel.objects.filter(pk__in=part).update(**{column: int(after) if number else after})
            if column == "priority":
                Ability.objects.filter(channel_id__in=part).update(priority=int(after))
    if column in ("group", "model_names"):
        for row, _after in rows:
            rebuild_abilities(row)


def _parts(channel_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(channel_ids), CHUNK):
        yield channel_ids[start : start + CHUNK]
