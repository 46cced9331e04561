"""The form of each channel type as data: which boxes, what they are called, what is required, what is secret.

Drawn by the console, and nothing else decides what a type's form has. The facts are those of providers.toml, the words
of `form_texts`; what is stored is checked by `validation` from the same rows.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.utils.translation import get_language

from channels_app import form_texts
from channels_app.form_texts import Text
from channels_app.providers import PROVIDERS, TABLE, Provider

MULTI_LINE = frozenset({"vertex_ai_adc"})
OTHERS = "international"  # the group of types that providers.toml puts in none


@dataclass(frozen=True, slots=True)
class Box:
    """One input. `name`: "base_url" or a member of config. `initial`: of a new channel. `pattern`: of all of it."""

    name: str
    label: Text
    help: Text
    required: bool
    secret: bool
    multi_line: bool
    initial: str
    placeholder: str
    pattern: str


@dataclass(frozen=True, slots=True)
class TypeForm:
    """`key`: there is a box for the key, and then several keys make several channels. `key_format`: what one is like.

    `models`: there are models, a mapping and a system prompt to choose. `base_url`: where calls go when that box is
    empty; "" where it must be filled in, or there is none.
    """

    type: int
    tip: Text
    notice: Text
    description: Text
    boxes: tuple[Box, ...]
    key: bool
    key_format: str
    key_help: Text
    models: bool
    base_url: str


@dataclass(frozen=True, slots=True)
class TypeGroup:
    """Types as the selector shows them together: (id, name in the reader's language, description)."""

    label: Text
    types: tuple[tuple[int, str, Text], ...]


def form_of(channel_type: int) -> TypeForm:
    """Raises KeyError for a type nobody knows."""
    provider = PROVIDERS[channel_type]
    boxes = [_box(provider, field.name) for field in provider.config_fields]
    if not provider.key_in_config and not any(box.name == "base_url" for box in boxes):
        boxes.append(_box(provider, "base_url"))
    boxes.append(_box(provider, "proxy"))
    return TypeForm(
        type=channel_type,
        tip=form_texts.TIPS.get(channel_type, ""),
        notice=form_texts.NOTICES.get(channel_type, ""),
        description=form_texts.DESCRIPTIONS.get(channel_type, ""),
        boxes=tuple(boxes),
        key=not provider.key_in_config,
        key_format=provider.key_format,
        key_help=form_texts.KEY_HELP.get(channel_type, ""),
        models=provider.protocol != "proxy",
        base_url=provider.base_url,
    )


def groups() -> list[TypeGroup]:
    """Every type once, in the order of providers.toml's `selector`."""
    chinese = (get_language() or "").startswith("zh")
    return [
        TypeGroup(
            form_texts.GROUPS[name],
            tuple(
                (
                    channel_type,
                    PROVIDERS[channel_type].label if chinese else PROVIDERS[channel_type].name,
                    form_texts.DESCRIPTIONS.get(channel_type, ""),
                )
                for channel_type in types
            ),
        )
        for name, types in selector().items()
    ]


@cache
def selector() -> Mapping[str, tuple[int, ...]]:
    """Group -> types. Read once; raises KeyError where the file names a group or a type that does not exist."""
    with TABLE.open("rb") as file:
        named: dict[str, list[int]] = tomllib.load(file)["selector"]
    placed = {channel_type for types in named.values() for channel_type in types}
    left = [channel_type for channel_type in PROVIDERS if channel_type not in placed]
    for name, types in named.items():
        form_texts.GROUPS[name]
        for channel_type in types:
            PROVIDERS[channel_type]
    return {name: tuple([*types, *left] if name == OTHERS else types) for name, types in named.items()}


def _box(provider: Provider, name: str) -> Box:
    field = next((field for field in provider.config_fields if field.name == name), None)
    placeholder = field.placeholder if field else ""
    if name == "base_url" and not placeholder:
        placeholder = provider.base_url
    label = _text(form_texts.LABELS, provider.id, name)
    required = field is not None and field.required
    return Box(
        name=name,
        label=label or (field.label if field else name),
        help="" if name == "base_url" and required and not _own(provider.id, name) else _help(provider.id, name),
        required=required,
        secret=name == "proxy" or (field is not None and field.secret),
        multi_line=name in MULTI_LINE,
        initial=field.initial if field else "",
        placeholder=placeholder,
        pattern=field.pattern.pattern if field else "",
    )


def _text(texts: Mapping[tuple[int, str], Text], channel_type: int, name: str) -> Text:
    return texts.get((channel_type, name)) or texts.get((0, name)) or ""


def _own(channel_type: int, name: str) -> bool:
    return (channel_type, name) in form_texts.HELPS


def _help(channel_type: int, name: str) -> Text:
    return _text(form_texts.HELPS, channel_type, name)
