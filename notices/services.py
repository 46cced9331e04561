"""What the rest of the program tells people. Each call writes to the queue, inside the caller's transaction."""

from __future__ import annotations

from notices import codes, queue
from notices.models import Kind

MAX_TEXT = 2000  # characters, of an upstream's words for example


def verification_code(address: str) -> None:
    """Send a code to the address, or, where it belongs to an account, a note that it does."""
    queue.post_all(Kind.VERIFICATION, [(address, {})], lifetime=codes.LIFETIME)  # one: a stranger typed it


def password_reset(address: str) -> None:
    """Send a link to whoever has an account with this address; nothing to anybody else."""
    queue.post_all(Kind.RESET, [(address, {})], lifetime=codes.LIFETIME)


def channel_disabled(channel_id: int, name: str, reason: str) -> None:
    """Tell the operator that a channel was taken out of service. Once for each change: the caller sees to that."""
    facts = {"channel_id": channel_id, "name": _storable(name), "reason": _storable(reason)}
    queue.post(Kind.CHANNEL_DISABLED, facts=facts)


def channel_enabled(channel_id: int, name: str) -> None:
    """Tell the operator that a channel is back in service."""
    queue.post(Kind.CHANNEL_ENABLED, facts={"channel_id": channel_id, "name": _storable(name)})


def test_finished(summary: str) -> None:
    """Tell the operator what the test of all channels found: plain text, line breaks are kept."""
    queue.post(Kind.TEST_FINISHED, facts={"summary": _storable(summary)})


def _storable(text: str) -> str:
    """Cut, and without what no database or mail takes: no words of an upstream must stop its channel's disabling."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode().replace("\x00", "")
