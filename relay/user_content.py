"""Fetching what callers name by address: pictures, sounds and files for upstreams that want their bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """`data` in base64; `mime` without parameters."""

    data: str
    mime: str


class UserContent:
    """One worker's."""

    async def fetch(self, url: str, kind: str) -> Content:
        """`kind`: image, audio, video or file. Raises BadRequest: refused, unreachable, too large, or of another kind."""
        raise NotImplementedError
