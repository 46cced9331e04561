"""Which models an upstream says it has: asked of a channel as stored, or of one that is still being typed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.utils.translation import gettext as _

from channels_app import outgoing, services
from channels_app.outgoing import CallFailed
from channels_app.providers import PROVIDERS, Provider
from channels_app.services import ChannelMissing
from channels_app.snapshot import BadRow, Route
from channels_app.snapshot import route as stored_route

LIMIT = 20.0  # seconds
PAGE = 1000  # names asked for at once, where a provider has pages
MOST = 5000  # names that are told
LONGEST = services.MAX_MODEL  # characters; a longer name could not be stored
NOT_BUILT = "尚未实现"
CHAT = "/chat/completions"


class ModelsUnknown(Exception):
    """The upstream tells none, or did not answer; the message is for the operator and holds no key."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where to ask, and as whom."""

    provider: Provider
    base_url: str
    key: str = field(repr=False)
    proxy: str = ""


def of_channel(channel_id: int) -> list[str]:
    """Names in the upstream's order, each once. Raises ChannelMissing, ModelsUnknown."""
    try:
        route = stored_route(channel_id)
    except BadRow as problem:
        raise ModelsUnknown(str(problem)) from None
    if route is None:
        raise ChannelMissing(channel_id)
    return ask(_source(route))


def of_draft(fields: Mapping[str, Any], key: str) -> list[str]:
    """The same for a channel that is not stored: type, base_url and config as in the management API.

    Raises ChannelInvalid, ModelsUnknown.
    """
    channel_type, base_url, config = services.checked_address(fields, key)
    provider = PROVIDERS[channel_type]
    return ask(Source(provider, base_url or provider.base_url, key.strip(), config.get("proxy", "")))


def ask(source: Source) -> list[str]:
    """Raises ModelsUnknown."""
    if not source.base_url:
        raise ModelsUnknown(_("the channel has no base URL"))
    question = _question(source)
    if question is None:
        raise ModelsUnknown(NOT_BUILT)
    path, headers = question
    headers = [*headers, *source.provider.headers.items(), ("Accept", "application/json")]
    limit = min(LIMIT, float(settings.RELAY_TIMEOUT or LIMIT))
    try:
        received = outgoing.call(
            "GET", source.base_url + path, headers, proxy=source.proxy, limit=limit, most=8 * outgoing.MAX_TEXT
        )
        if received.status != 200:
            raise ModelsUnknown(f"status code: {received.status}")
        return _names(received.document())
    except CallFailed as failure:
        raise ModelsUnknown(str(failure)) from None


def _source(route: Route) -> Source:
    return Source(route.provider, route.base_url, route.key, route.proxy)


def _question(source: Source) -> tuple[str, list[tuple[str, str]]] | None:
    """(path, credentials) of the list; None for protocols that have none we know."""
    provider = source.provider
    match provider.protocol:
        case "openai":
            return _openai_path(provider, source.base_url), [("Authorization", "Bearer " + source.key)]
        case "anthropic-messages":
            version = ("anthropic-version", "2023-06-01")
            return f"/v1/models?{urlencode({'limit': PAGE})}", [("x-api-key", source.key), version]
        case "gemini-generatecontent":
            return f"/v1beta/models?{urlencode({'pageSize': PAGE})}", [("x-goog-api-key", source.key)]
    return None


def _openai_path(provider: Provider, base_url: str) -> str:
    """Beside where chats are sent: some providers keep all of it under a prefix of their own."""
    chat = provider.paths.get("chat", "")
    if chat.endswith(CHAT):
        return chat.removesuffix(CHAT) + "/models"
    if provider.path_style == "strip_v1" or base_url.endswith("/v1"):
        return "/models"
    return "/v1/models"


def _names(document: Any) -> list[str]:
    """Of `{"data": [{"id"}]}` (OpenAI, Anthropic), `{"models": [{"name": "models/…"}]}` (Gemini) or a bare list."""
    rows = document
    if isinstance(document, dict):
        rows = document.get("data") if isinstance(document.get("data"), list) else document.get("models")
    if not isinstance(rows, list):
        raise ModelsUnknown("the answer is no list of models")
    found: dict[str, None] = {}
    for row in rows:
        name = row
        if isinstance(row, dict):
            name = row.get("id") or row.get("name")
        name = name.removeprefix("models/").strip() if isinstance(name, str) else ""
        if 0 < len(name) <= LONGEST and name.isprintable() and "," not in name:
            found[name] = None
    return list(found)[:MOST]
