"""What operators write for their visitors: Markdown with HTML in it, made harmless (console reference, 11.9)."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

import nh3
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

TAGS = nh3.ALLOWED_TAGS - {"form", "input", "button", "iframe", "style", "script"}
ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    "*": {"title", "lang", "dir", "align"},
    "img": {"src", "alt", "width", "height"},
}
SCHEMES = {"http", "https", "mailto"}

_markdown = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").enable("strikethrough")


@lru_cache(maxsize=64)
def rendered(text: str) -> SafeString:
    """HTML that may stand in a page: no script, style, handler, form or frame, and links that tell nobody who came."""
    return _clean(_markdown.render(text))


@lru_cache(maxsize=64)
def sanitised(html: str) -> SafeString:
    """The same for what is HTML already (the footer)."""
    return _clean(html)


def _clean(html: str) -> SafeString:
    return SafeString(
        nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES, url_schemes=SCHEMES, link_rel="noopener noreferrer")
    )


def link(text: str) -> str:
    """The address, if the whole text is one that a browser may open; else ""."""
    address = text.strip()
    try:
        parts = urlsplit(address)
        one = parts.scheme in ("http", "https") and bool(parts.hostname) and len(address.split()) == 1
    except ValueError:  # brackets where a host would stand, as Markdown has them
        return ""
    return address if one else ""
