"""Price lists from elsewhere: an https:// address, or a file's bytes."""

from __future__ import annotations

from urllib.parse import urlsplit

from billing import price_forms
from billing.price_forms import Sheet
from channels_app.outgoing import CallFailed, call

MOST = 32 * 1024 * 1024  # bytes of a price list; LiteLLM's has under two million
LIMIT = 60.0  # seconds for all of it
NEAR = frozenset({"127.0.0.1", "::1", "localhost"})


class NoPrices(Exception):
    """There is no list that could be read; the text says why."""


def fetched(source: str, *, limit: float = LIMIT) -> Sheet:
    """What an https:// address answers, its certificate checked: over http anybody on the way could set prices.

    Raises NoPrices.
    """
    try:
        url = urlsplit(source)
        usable = url.scheme == "https" or (url.scheme == "http" and url.hostname in NEAR)
    except ValueError:
        usable = False
    if not usable:
        raise NoPrices("The address must begin with https://.")
    try:
        received = call("GET", source, [("accept", "application/json")], limit=limit, most=MOST)
    except CallFailed as problem:
        raise NoPrices(f"No prices were fetched: {problem}") from None
    if received.status != 200:
        raise NoPrices(f"No prices were fetched: the answer is {received.status}. Redirects are not followed.")
    return of_bytes(received.body)


def of_bytes(body: bytes) -> Sheet:
    """Raises NoPrices."""
    if len(body) > MOST:
        raise NoPrices(f"The file is longer than {MOST} bytes.")
    try:
        return price_forms.read(body)
    except ValueError as problem:
        raise NoPrices(f"These prices cannot be used, nothing was written: {problem}") from None
