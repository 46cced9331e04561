"""The objects of a JSON array (or of JSON documents one after the other), one by one, as their bytes come.

Gemini streams an array where no `alt=sse` was asked for: https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import re

from config.weight import too_heavy
from relay.sse import MAX_EVENT, EventTooLong

_MARK = re.compile(rb'["\\{}]')
_IN_STRING = re.compile(rb'["\\]')


class Objects:
    """Feed bytes as they arrive; each call returns the objects they complete. Whatever stands between is skipped."""

    def __init__(self) -> None:
        self._rest = b""
        self._position = 0  # bytes of the rest that were looked at
        self._depth = 0
        self._in_string = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Raises EventTooLong."""
        rest, position, start = self._rest + chunk, self._position, 0
        found: list[bytes] = []
        while mark := (_IN_STRING if self._in_string else _MARK).search(rest, position):
            at, sign = mark.start(), mark[0]
            position = at + 1
            if sign == b"\\":
                if position == len(rest):
                    position = at  # what it escapes is still to come
                    break
                position += 1
            elif sign == b'"':
                self._in_string = not self._in_string
            elif sign == b"{":
                start = start if self._depth else at
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if not self._depth:
                    found.append(rest[start:position])
        else:
            position = len(rest)
        kept = start if self._depth else position
        self._rest, self._position = rest[kept:], position - kept
        if len(self._rest) > MAX_EVENT or any(map(too_heavy, found)):
            raise EventTooLong
        return found
