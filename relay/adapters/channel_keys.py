"""Channel keys that are several credentials in one."""

from __future__ import annotations

from relay.errors import UpstreamError


def parts(key: str, form: str) -> list[str]:
    """The credentials of a key of the form "A|B|C". Raises UpstreamError: it has another number, or an empty one.

    A key is checked when it is stored; channels that were moved in from elsewhere may still hold any text.
    """
    found = [part.strip() for part in key.split("|")]
    if len(found) != form.count("|") + 1 or not all(found):
        raise UpstreamError(f"the channel's key must have the form {form}", status=500, code="channel_key_invalid")
    return found
