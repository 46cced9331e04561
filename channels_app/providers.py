"""The channel types: one frozen `Provider` for every row of `data/providers.toml`.

A row that is not understood stops the import with a `BadProviderRow` naming it, so that a mistake in the table is seen
at the first start and not at the first call. A new OpenAI-compatible provider is a row and nothing else
(docs/adding-a-provider.md).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.utils.translation import get_language

TABLE = Path(__file__).parent / "data" / "providers.toml"

# Editing and varying an image count as "images" here.
MODES = frozenset(
    {
        "chat",
        "completions",
        "responses",
        "realtime",
        "embeddings",
        "rerank",
        "moderations",
        "edits",
        "images",
        "audio_speech",
        "audio_transcription",
        "audio_translation",
        "proxy",
    }
)
PATH_STYLES = frozenset({"default", "strip_v1", "azure"})
# Members of a channel's `config` any tool of the contract may store (management-api 3.8), and our own `proxy`: the
# address of an HTTP(S) or SOCKS proxy for this channel alone.
CONFIG_MEMBERS = frozenset(
    {
        "region",
        "sk",
        "ak",
        "user_id",
        "api_version",
        "library_id",
        "plugin",
        "vertex_ai_project_id",
        "vertex_ai_adc",
        "proxy",
    }
)
SECRET_MEMBERS = frozenset({"ak", "sk", "vertex_ai_adc", "proxy"})  # a proxy's address may hold a password

_ANY = r"[\s\S]*"
_PRINTABLE = r"[\x21-\x7e]*"  # a key travels in a header: visible ASCII, no blanks


class BadProviderRow(ValueError):
    """The table of providers cannot be used; the message names the row and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One box of the channel form beside key and models. `name`: "base_url" or a member of `config`.

    `pattern`: what a text in a box of `config` must match, whole. `initial`: what the box of a new channel holds;
    `placeholder`: an example.
    """

    name: str
    label: str
    required: bool
    secret: bool
    pattern: re.Pattern[str]
    initial: str = ""
    placeholder: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """What is known about one channel type.

    `base_url`      without trailing slash; "" where the operator must give one or the protocol has a fixed host.
    `key_format`    what the key looks like, for people; `key_pattern` is what it must match, whole.
    `path_style`    how an OpenAI path meets the base URL (relay reference 8.5): "default" appends it, "strip_v1"
                    appends it without its leading /v1, "azure" builds a deployment path.
    `paths`         mode -> path under the base URL, instead of `path_style`'s. A mode outside `modes` is refused.
    `headers`       sent with every call, beside the credential.
    `stream_usage`  the upstream knows `stream_options.include_usage`, or ignores it.
    `refuses`       members of a request body the upstream answers with an error: take them out.
    `renames`       members it knows under another name: {client's: upstream's}.
    `knows`         members beyond OpenAI's that a translated request may have: "top_k", "thinking", "enable_thinking",
                    "reasoning_effort" (for any model), "messages.reasoning_content", "messages.extra_content".
    `other_fills`   the config member that the legacy column `other` stands in for, or "".
    `model_ids`     requested name -> the upstream's own id, where the two differ by rule (Bedrock).
    `served`        whether the relay speaks the protocol (relay.adapters.registry holds it to that); other types can be
                    stored, and their calls are refused.
    `withdrawn`     the upstream no longer exists.
    """

    id: int
    name: str
    label: str
    protocol: str
    auth: str
    base_url: str
    owned_by: str
    key_format: str
    key_pattern: re.Pattern[str]
    modes: frozenset[str]
    models: tuple[str, ...]
    config_fields: tuple[ConfigField, ...]
    balance_supported: bool
    stream_usage: bool
    served: bool
    withdrawn: bool
    path_style: str
    paths: Mapping[str, str]
    headers: Mapping[str, str]
    refuses: tuple[str, ...]
    renames: Mapping[str, str]
    knows: tuple[str, ...]
    other_fills: str
    model_ids: Mapping[str, str]

    @property
    def needs_base_url(self) -> bool:
        """Whether a channel of this type cannot work without an address of its own."""
        return any(field.name == "base_url" and field.required for field in self.config_fields)

    @property
    def key_in_config(self) -> bool:
        """Whether the credential is in `config` (AWS, Vertex AI), so that a key may be empty or have several lines."""
        return any(field.secret for field in self.config_fields)


_FIELDS: Mapping[str, type] = {
    "id": int,
    "name": str,
    "label": str,
    "protocol": str,
    "auth": str,
    "base_url": str,
    "owned_by": str,
    "key_format": str,
    "key_pattern": str,
    "modes": list,
    "models": list,
    "config": list,
    "balance_supported": bool,
    "stream_usage": bool,
    "served": bool,
    "withdrawn": bool,
    "path_style": str,
    "paths": dict,
    "headers": dict,
    "refuses": list,
    "renames": dict,
    "knows": list,
    "other_fills": str,
    "model_ids": dict,
}
_REQUIRED = ("id", "name", "label", "protocol", "auth", "owned_by", "key_format", "modes")
_DEFAULTS: Mapping[str, Any] = {
    "base_url": "",
    "key_pattern": _PRINTABLE,
    "models": [],
    "config": [],
    "balance_supported": False,
    "stream_usage": False,
    "served": False,
    "withdrawn": False,
    "path_style": "default",
    "paths": {},
    "headers": {},
    "refuses": [],
    "renames": {},
    "knows": [],
    "other_fills": "",
    "model_ids": {},
}


def parse(table: Mapping[str, Any]) -> tuple[dict[int, Provider], tuple[int, ...]]:
    """The providers by id, and the ids in catalogue order. Raises BadProviderRow."""
    shared = {"modes": table.get("modes", {}), "models": table.get("models", {})}
    providers: dict[int, Provider] = {}
    for row in table.get("provider", []):
        title = f"provider {row.get('id', '?')} ({row.get('name', 'no name')})"
        provider = _provider(title, row, shared)
        if provider.id in providers:
            raise BadProviderRow(f"{title}: the id is already that of {providers[provider.id].name}")
        providers[provider.id] = provider
    order = tuple(table.get("catalogue", ()))
    if len(set(order)) != len(order) or not set(order) <= set(providers):
        raise BadProviderRow("catalogue: every id must be a provider's, and occur once")
    return providers, order


def _provider(title: str, row: Mapping[str, Any], shared: Mapping[str, Mapping[str, list[str]]]) -> Provider:
    if missing := [name for name in _REQUIRED if name not in row]:
        raise BadProviderRow(f"{title}: without {', '.join(missing)}")
    values = {**_DEFAULTS, **row}
    for name, lists in shared.items():
        if isinstance(values[name], str):
            reference = values[name].removeprefix("@")
            if reference not in lists:
                raise BadProviderRow(f"{title}: {name} names {values[name]!r}, which no list is called")
            values[name] = lists[reference]
    for name, value in values.items():
        if name not in _FIELDS:
            raise BadProviderRow(f"{title}: unknown field {name}")
        if type(value) is not _FIELDS[name]:
            raise BadProviderRow(f"{title}: {name} must be {_FIELDS[name].__name__}, not {value!r}")
    _check_values(title, values)
    try:
        pattern = re.compile(values["key_pattern"])
    except re.error as error:
        raise BadProviderRow(f"{title}: key_pattern: {error}") from None
    return Provider(
        id=values["id"],
        name=values["name"],
        label=values["label"],
        protocol=values["protocol"],
        auth=values["auth"],
        base_url=values["base_url"].rstrip("/"),
        owned_by=values["owned_by"],
        key_format=values["key_format"],
        key_pattern=pattern,
        modes=frozenset(values["modes"]),
        models=tuple(values["models"]),
        config_fields=tuple(_config_field(title, field) for field in values["config"]),
        balance_supported=values["balance_supported"],
        stream_usage=values["stream_usage"],
        served=values["served"],
        withdrawn=values["withdrawn"],
        path_style=values["path_style"],
        paths=MappingProxyType(dict(values["paths"])),
        headers=MappingProxyType(dict(values["headers"])),
        refuses=tuple(values["refuses"]),
        renames=MappingProxyType(dict(values["renames"])),
        knows=tuple(values["knows"]),
        other_fills=values["other_fills"],
        model_ids=MappingProxyType(dict(values["model_ids"])),
    )


def _check_values(title: str, values: Mapping[str, Any]) -> None:
    for name in ("modes", "models", "refuses", "knows"):
        if not all(isinstance(item, str) and item for item in values[name]):
            raise BadProviderRow(f"{title}: {name} must hold names only")
        if len(set(values[name])) != len(values[name]):
            raise BadProviderRow(f"{title}: {name} holds a name twice")
    for name in ("paths", "headers", "renames", "model_ids"):
        if not all(isinstance(item, str) and item for item in values[name].values()):
            raise BadProviderRow(f"{title}: {name} must map names to texts")
    if values["id"] < 1:
        raise BadProviderRow(f"{title}: an id is 1 or more")
    if values["base_url"] and not values["base_url"].startswith(("http://", "https://")):
        raise BadProviderRow(f"{title}: base_url must start with http:// or https://")
    if unknown := set(values["modes"]) - MODES:
        raise BadProviderRow(f"{title}: unknown modes {', '.join(sorted(unknown))}")
    if values["path_style"] not in PATH_STYLES:
        raise BadProviderRow(f"{title}: path_style must be one of {', '.join(sorted(PATH_STYLES))}")
    if outside := set(values["paths"]) - set(values["modes"]):
        raise BadProviderRow(f"{title}: paths for modes it does not have: {', '.join(sorted(outside))}")
    if not all(path.startswith("/") for path in values["paths"].values()):
        raise BadProviderRow(f"{title}: every path starts with a slash")
    if values["other_fills"] and values["other_fills"] not in CONFIG_MEMBERS:
        raise BadProviderRow(f"{title}: other_fills must be a member of config")


def _config_field(title: str, field: Mapping[str, Any]) -> ConfigField:
    if unknown := set(field) - {"name", "label", "required", "secret", "pattern", "initial", "placeholder"}:
        raise BadProviderRow(f"{title}: config: unknown field {', '.join(sorted(unknown))}")
    name = field.get("name")
    if name != "base_url" and name not in CONFIG_MEMBERS:
        raise BadProviderRow(f"{title}: config: {name!r} is no member of config")
    try:
        pattern = re.compile(field.get("pattern", _ANY))
    except re.error as error:
        raise BadProviderRow(f"{title}: config: pattern of {name}: {error}") from None
    return ConfigField(
        name,
        field.get("label", name),
        field.get("required", False),
        field.get("secret", False),
        pattern,
        initial=field.get("initial", ""),
        placeholder=field.get("placeholder", ""),
    )


def read(path: Path = TABLE) -> tuple[Mapping[int, Provider], tuple[int, ...]]:
    """The table as stored in the source tree. Raises BadProviderRow."""
    with path.open("rb") as file:
        try:
            providers, order = parse(tomllib.load(file))
        except tomllib.TOMLDecodeError as error:
            raise BadProviderRow(f"{path.name}: {error}") from None
    return MappingProxyType(providers), order


PROVIDERS, CATALOGUE = read()


def choices() -> list[tuple[int, str]]:
    """(id, name) of every channel type for a form, in the reader's language where the type has a Chinese name."""
    chinese = (get_language() or "").startswith("zh")
    return [(provider.id, provider.label if chinese else provider.name) for provider in PROVIDERS.values()]
