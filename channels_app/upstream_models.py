"""Which models an upstream says it has: asked of a channel as stored, or of one that is still being typed in.

https://platform.openai.com/docs/api-reference/models/list, https://platform.claude.com/docs/en/api/models/list,
https://ai.google.dev/api/models#method:-models.list, https://docs.cohere.com/reference/list-models,
https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.utils.translation import gettext as _

from channels_app import outgoing, validation
from channels_app.outgoing import CallFailed
from channels_app.providers import PROVIDERS, Provider
from channels_app.services import ChannelMissing
from channels_app.snapshot import BadRow, Route
from channels_app.snapshot import route as stored_route

LIMIT = 20.0  # seconds, of all pages together
PAGES = 20  # that are turned at most
PAGE = 1000  # names asked for at once, where a provider has pages
MOST = 5000  # names that are told
LONGEST = validation.MAX_MODEL  # characters; a longer name could not be stored
NOT_BUILT = "尚未实现"
CHAT = "/chat/completions"


class ModelsUnknown(Exception):
    """The upstream tells none, or did not answer; the message is for the operator and holds no key."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How a protocol is asked for its models: path, header of the key with what stands before it, further headers.

    `size` and `cursor` are parameters, where the list has pages: how many names on one, and the mark of the next, which
    the document has at `next_page`, and nothing where it is the last. `more`: a member that must be true, too.
    """

    path: str
    credential: str = "Authorization"
    scheme: str = "Bearer "
    headers: tuple[tuple[str, str], ...] = ()
    size: str = ""
    cursor: str = ""
    next_page: str = ""
    more: str = ""

    def address(self, mark: str) -> str:
        asked = ({self.size: str(PAGE)} if self.size else {}) | ({self.cursor: mark} if mark else {})
        return self.path + ("?" + urlencode(asked) if asked else "")

    def mark_after(self, document: Any) -> str:
        """ "" after the last page."""
        if not self.cursor or not isinstance(document, dict) or (self.more and document.get(self.more) is not True):
            return ""
        mark = document.get(self.next_page)
        return mark if isinstance(mark, str) else ""


GEMINI = Listing("/v1beta/models", "x-goog-api-key", "", size="pageSize", cursor="pageToken", next_page="nextPageToken")
LISTINGS: Mapping[str, Listing] = {
    "anthropic-messages": Listing(
        "/v1/models",
        "x-api-key",
        "",
        (("anthropic-version", "2023-06-01"),),
        size="limit",
        cursor="after_id",
        next_page="last_id",
        more="has_more",
    ),
    "cohere-v2": Listing("/v1/models", size="page_size", cursor="page_token", next_page="next_page_token"),
    "gemini-generatecontent": GEMINI,
    "ollama-chat": Listing("/api/tags"),
    "palm": GEMINI,
}


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
    channel_type, base_url, config = validation.checked_address(fields, key)
    provider = PROVIDERS[channel_type]
    return ask(Source(provider, base_url or provider.base_url, key.strip(), config.get("proxy", "")))


def ask(source: Source) -> list[str]:
    """Raises ModelsUnknown."""
    if not source.base_url:
        raise ModelsUnknown(_("the channel has no base URL"))
    listing = _listing(source)
    if listing is None:
        raise ModelsUnknown(NOT_BUILT)
    deadline = time.monotonic() + min(LIMIT, float(settings.RELAY_TIMEOUT or LIMIT))
    found: dict[str, None] = {}
    mark = ""
    for _page in range(PAGES):
        document = _page_of(source, listing, mark, deadline)
        found |= dict.fromkeys(_names(document))
        last, mark = mark, listing.mark_after(document)
        if mark in ("", last) or len(found) >= MOST:
            break
    return list(found)[:MOST]


def _page_of(source: Source, listing: Listing, mark: str, deadline: float) -> Any:
    """Raises ModelsUnknown."""
    headers = [*listing.headers, *source.provider.headers.items(), ("Accept", "application/json")]
    if source.key:
        headers.append((listing.credential, listing.scheme + source.key))
    try:
        received = outgoing.call(
            "GET",
            source.base_url + listing.address(mark),
            headers,
            proxy=source.proxy,
            limit=max(deadline - time.monotonic(), 0.1),
            most=8 * outgoing.MAX_TEXT,
        )
        if received.status != 200:
            raise ModelsUnknown(f"status code: {received.status}")
        return received.document()
    except CallFailed as failure:
        raise ModelsUnknown(str(failure)) from None


def _source(route: Route) -> Source:
    return Source(route.provider, route.base_url, route.key, route.proxy)


def _listing(source: Source) -> Listing | None:
    """None for protocols that have none we know."""
    if source.provider.protocol == "openai":
        return Listing(_openai_path(source.provider, source.base_url))
    return LISTINGS.get(source.provider.protocol)


def _openai_path(provider: Provider, base_url: str) -> str:
    """Beside where chats are sent: some providers keep all of it under a prefix of their own."""
    chat = provider.paths.get("chat", "")
    if chat.endswith(CHAT):
        return chat.removesuffix(CHAT) + "/models"
    if provider.path_style == "strip_v1" or base_url.endswith("/v1"):
        return "/models"
    return "/v1/models"


def _names(document: Any) -> list[str]:
    """In their order, with what occurs twice.

    Of `{"data": [{"id"}]}` (OpenAI, Anthropic), `{"models": [{"name"}]}` (Cohere, Ollama; Gemini's begin with
    "models/") or a bare list.
    """
    rows = document
    if isinstance(document, dict):
        rows = document.get("data") if isinstance(document.get("data"), list) else document.get("models")
    if not isinstance(rows, list):
        raise ModelsUnknown("the answer is no list of models")
    found = []
    for row in rows:
        name = row
        if isinstance(row, dict):
            name = row.get("id") or row.get("name")
        name = name.removeprefix("models/").strip() if isinstance(name, str) else ""
        if 0 < len(name) <= LONGEST and name.isprintable() and "," not in name:
            found.append(name)
    return found
