"""Fields of the management API -> columns of a channel: what is refused, and how what is accepted is stored. Pure.

`fields` are named as in the management API (`models`, `group`, `base_url` ...); members it does not know and members
that are null are ignored, since existing front ends send whole records back (front-ends reference, 16-18).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from channels_app.models import ChannelStatus
from channels_app.providers import CONFIG_MEMBERS, PROVIDERS, SECRET_MEMBERS, Provider

MAX_NAME = 128  # characters, as the columns have them
MAX_GROUP = 64
MAX_MODEL = 191
MAX_BASE_URL = 500
MAX_TAG = 64
MAX_TAGS = 500  # of all tags together
MAX_NOTES = 10_000
MAX_WEIGHT = 1_000_000
MAX_PRIORITY = 1_000_000_000  # either way
MAX_TEST_EVERY = 525_600  # minutes: a year
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
SETTABLE = (ChannelStatus.ENABLED, ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED)


class ChannelInvalid(ValueError):
    """The channel cannot be stored as asked; the message is for the person who asked."""


def checked_address(fields: Mapping[str, Any], key: str) -> tuple[int, str, dict[str, str]]:
    """(type, base URL, config) of a channel that is not stored, with its key checked too. Raises ChannelInvalid."""
    wanted = {name: fields[name] for name in ("type", "base_url", "config") if name in fields}
    columns = columns_of(typed(given_of(wanted)))
    provider = PROVIDERS[columns["type"]]
    check_base_url(provider, columns.get("base_url", ""))
    check_key(provider, key.strip())
    check_config(provider, columns.get("config", {}))
    return columns["type"], columns.get("base_url", ""), columns.get("config", {})


def split_keys(channel_type: int, text: str) -> list[str]:
    """The keys typed into one box: a line each, save where one credential has lines of its own (Vertex AI's JSON)."""
    provider = PROVIDERS.get(channel_type)
    return [text] if provider is not None and provider.key_in_config else text.split("\n")


def given_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """A new channel that names no type, or 0, is of OpenAI's."""
    return {**given, "type": given.get("type") or 1}


def columns_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that `given` sets, key excepted, each checked; config still as a dict. Raises ChannelInvalid."""
    columns: dict[str, Any] = {}
    if given.get("type"):
        columns["type"] = whole(given, "type", 1, max(PROVIDERS))
        if columns["type"] not in PROVIDERS:
            raise ChannelInvalid(_("unknown channel type %(type)s") % {"type": columns["type"]})
    if given.get("status"):
        columns["status"] = whole(given, "status", min(SETTABLE), max(SETTABLE))
    if name := text_of(given, "name").strip():
        columns["name"] = short("name", name, MAX_NAME)
    if models := names_of(given, "models", MAX_MODEL):
        columns["model_names"] = ",".join(models)
    if groups := names_of(given, "group", MAX_GROUP):
        columns["group"] = ",".join(groups)
    if "base_url" in given:
        columns["base_url"] = _base_url(text_of(given, "base_url").strip())
    if "other" in given:
        columns["other"] = text_of(given, "other").strip()
    if "system_prompt" in given:
        columns["system_prompt"] = text_of(given, "system_prompt")
    if "model_mapping" in given:
        columns["model_mapping"] = _mapping(given["model_mapping"])
    if "priority" in given:
        columns["priority"] = whole(given, "priority", -MAX_PRIORITY, MAX_PRIORITY)
    if "weight" in given:
        columns["weight"] = whole(given, "weight", 0, MAX_WEIGHT)
    columns |= _operators_columns(given)
    if "config" in given and (config := _config(given["config"])):
        columns["config"] = config
    return columns


def _operators_columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """What no upstream sees. Empty texts clear what is stored, that of `test_every` too."""
    columns: dict[str, Any] = {}
    if "tags" in given:
        columns["tags"] = short("tags", ",".join(names_of(given, "tags", MAX_TAG)), MAX_TAGS)
    if "test_model" in given:
        columns["test_model"] = short("test_model", text_of(given, "test_model").strip(), MAX_MODEL)
    if "notes" in given:
        columns["notes"] = short("notes", text_of(given, "notes").strip(), MAX_NOTES)
    if "test_every" in given:
        cleared = given["test_every"] == ""
        columns["test_every"] = None if cleared else whole(given, "test_every", 0, MAX_TEST_EVERY)
    if "auto_disable" in given:
        if not isinstance(given["auto_disable"], bool):
            raise ChannelInvalid(_("%(field)s must be true or false") % {"field": "auto_disable"})
        columns["auto_disable"] = given["auto_disable"]
    return columns


def text_of(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise ChannelInvalid(_("%(field)s must be text") % {"field": name})
    if "\x00" in value:
        raise ChannelInvalid(_("%(field)s must not contain a NUL character") % {"field": name})
    return value


def short(name: str, value: str, limit: int) -> str:
    if len(value) > limit:
        raise ChannelInvalid(
            _("%(field)s is longer than %(limit)s characters: %(value)s")
            % {"field": name, "limit": limit, "value": value[:limit]}
        )
    return value


def whole(given: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = given[name]
    if isinstance(value, str):
        value = int(value) if value.strip().removeprefix("-").isdecimal() and len(value) < 20 else None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ChannelInvalid(
            _("%(field)s must be a whole number between %(low)s and %(high)s")
            % {"field": name, "low": int(low), "high": int(high)}
        )
    return int(value)


def names_of(given: Mapping[str, Any], name: str, limit: int) -> list[str]:
    """The distinct, trimmed names of a comma-separated text, in their order."""
    names = dict.fromkeys(part.strip() for part in text_of(given, name).replace("\n", ",").split(","))
    return [short(name, each, limit) for each in names if each]


def _base_url(value: str) -> str:
    """A base URL without trailing slash. Path and port are fine; what would travel elsewhere or get lost is not."""
    if not value:
        return ""
    short("base_url", value, MAX_BASE_URL)
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
    if (proxy := config.get("proxy", "").strip()) and _url("proxy", proxy).scheme not in PROXY_SCHEMES:
        raise ChannelInvalid(
            _("config: the proxy must start with one of %(schemes)s")
            % {"schemes": ", ".join(f"{scheme}://" for scheme in PROXY_SCHEMES)}
        )
    return {name: text.strip() for name, text in config.items()}


def config_text(config: Mapping[str, str]) -> str:
    """The text to store: members that say nothing are left out, and no member at all is the empty text."""
    said = {name: text for name, text in config.items() if text}
    return json.dumps(said, ensure_ascii=False) if said else ""


def kept_secrets(config: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """The secret members that came back empty, as they are stored."""
    return {name: stored[name] for name in SECRET_MEMBERS if config.get(name) == "" and name in stored}


def check_base_url(provider: Provider, base_url: str) -> None:
    if provider.needs_base_url and not base_url:
        raise ChannelInvalid(_("a channel of type %(type)s needs a base URL") % {"type": provider.name})


def check_key(provider: Provider, key: str) -> None:
    if "\x00" in key or not provider.key_pattern.fullmatch(key) or not (key or provider.key_in_config):
        raise ChannelInvalid(
            _("this is not a key of type %(type)s; expected: %(format)s")
            % {"type": provider.name, "format": provider.key_format}
        )


def check_config(provider: Provider, config: Mapping[str, str]) -> None:
    """Empty members say nothing, or "as it is stored"."""
    for box in provider.config_fields:
        if (text := config.get(box.name, "")) and not box.pattern.fullmatch(text):
            raise ChannelInvalid(
                _("config: %(member)s is not what a channel of type %(type)s needs")
                % {"member": box.name, "type": provider.name}
            )


def split_names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]
