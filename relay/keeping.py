"""What one caller is answered, as far as it may be kept for a repeat of the request (relay.idempotent)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from billing.batch import Keyed
from idempotency.models import State
from relay.threads import in_computing_thread
from vault.keys import seal, unseal

PURPOSE = "idempotent answers"
LEVEL = 1  # of zlib: answers are text, and shrink to a third without costing a call much
AT_ONCE = 32 * 1024  # bytes that are sealed on the spot; more is done on a thread

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it went out. `request_id` is the one that was billed; a stream names no length."""

    request_id: str
    status: int
    headers: list[tuple[bytes, bytes]]
    stream: bool
    body: bytes

    def sealed(self, digest: str) -> bytes:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        head = orjson.dumps([self.request_id, self.status, headers, self.stream])
        return seal(PURPOSE, zlib.compress(head + b"\n" + self.body, LEVEL), bound_to=digest)

    @classmethod
    def unsealed(cls, digest: str, sealed: bytes) -> Kept:
        """Raises vault.keys.CannotDecrypt."""
        head, _, body = zlib.decompress(unseal(PURPOSE, sealed, bound_to=digest)).partition(b"\n")
        request_id, status, headers, stream = orjson.loads(head)
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return cls(request_id, status, pairs, stream, body)


class Keeping:
    """The answer of one call with a key, as it comes. Only a whole one is kept: `whole` or `ends` has to be called."""

    def __init__(self, digest: str, request_id: str, most: int) -> None:
        """`most`: bytes of an answer that is kept."""
        self.handed_over = False  # what becomes of the key is said in a bill, which may still wait for the books
        self.settled = False  # it is in the books
        self._digest = digest
        self._request_id = request_id
        self._most = most
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._stream = True
        self._complete = False
        self._closed = False

    def started(self, status: int, headers: Headers) -> None:
        if not self._closed:
            self._status, self._headers = status, list(headers)

    def said(self, part: bytes) -> None:
        if self._closed:
            return
        self._size += len(part)
        if self._size <= self._most:
            self._parts.append(part)
        else:
            self._parts.clear()

    def whole(self, status: int, body: bytes, headers: Headers) -> None:
        """The answer that goes out once it is settled."""
        self.started(status, headers)
        self.said(body)
        self._stream = False
        self._complete = True

    def ends(self, ending: bytes) -> None:
        """All but this has gone out of a stream that ended well."""
        self.said(ending)
        self._complete = True

    async def end(self) -> Keyed:
        """For the settlement. What comes afterwards is not kept."""
        self._closed = True
        keyed = await self._ended()
        self.handed_over = True  # nothing is awaited between this and the books
        return keyed

    async def _ended(self) -> Keyed:
        if not self._complete:
            return Keyed(self._digest)
        if self._size > self._most:
            return Keyed(self._digest, State.TOO_LARGE)
        kept = Kept(self._request_id, self._status, self._headers, self._stream, b"".join(self._parts))
        self._parts.clear()
        if self._size <= AT_ONCE:
            sealed = kept.sealed(self._digest)
        else:
            sealed = await in_computing_thread(kept.sealed, self._digest)
        return Keyed(self._digest, State.KEPT, sealed)
