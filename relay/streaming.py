"""A stream on its way from an upstream to a caller: bytes untouched, usage read in passing, money ahead of both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from billing.pricing import text_cost
from relay import reading, sse
from relay.account import Account
from relay.adapters.openai_body import STREAMS_WITH_USAGE
from relay.asgi import Reply
from relay.charging import TRANCHE, generous
from relay.errors import InsufficientQuota, RelayError, UpstreamError
from relay.types import Attempt, Call, Generated
from relay.upstream import Answer
from relay.upstream_errors import normalise

PROGRESS_EVERY = 1.0  # seconds between two records of a stream's progress
FAREWELL = 0.2  # seconds an upstream may hold the line after its [DONE]
CLOSEST_LOOK = 256  # bytes of text after which a stream at the end of its money is looked at again
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Stream:
    """One attempt's stream; `generated` is what the bill will be made of, however it ends."""

    def __init__(
        self, call: Call, attempt: Attempt, account: Account, reply: Reply, *, rough: bool, hides_usage: bool
    ) -> None:
        self._call = call
        self._reply = reply
        self._reader = reading.StreamReader(hides_usage)
        self._meter = Meter(call, attempt, account, rough)
        self.generated = self._reader.generated

    async def forward(self, answer: Answer, secured: Callable[[], Awaitable[None]]) -> bytes:
        """Pass on all but the end; returns the end. Nothing goes out before `secured`, the hold, has returned.

        Raises UpstreamError (broken off, stalled, an error as its first event), InsufficientQuota.
        """
        parser = sse.Parser()
        generated = self.generated
        try:
            async for chunk in answer.chunks():
                await self._pass_on(parser.feed(chunk), secured)
                await self._meter.tick(generated)
                if generated.done:
                    answer.hurry(FAREWELL)
        except sse.EventTooLong:
            raise UpstreamError("an event of the upstream's stream is too long", code="event_too_long") from None
        except UpstreamError:
            if not generated.done or not self._reply.started:
                raise
        last = parser.close()
        if last is not None and last.data is not None:
            await self._pass_on([sse.Event(last.raw.rstrip(b"\r\n") + b"\n\n", last.data)], secured)
        return self._ending()

    async def _pass_on(self, events: list[sse.Event], secured: Callable[[], Awaitable[None]]) -> None:
        reply, generated = self._reply, self.generated
        shown = [event.raw for event in events if event.data is None or self._reader.feed(event.data)]
        if not reply.started and (shown or generated.finished):
            await secured()
            if generated.error is not None and not generated.size and generated.usage is None:
                raise _first_event_error(generated.error)
            await reply.start(200, HEADERS)
        if shown:
            await reply.body(b"".join(shown), more=True)

    def _ending(self) -> bytes:
        if not self._reply.started:
            raise UpstreamError("the upstream ended its stream before it began", code="empty_stream")
        if self.generated.error is not None:
            return b""  # its error event has been passed on; a [DONE] would call the answer whole
        if not self.generated.finished:
            raise UpstreamError("the upstream broke off its stream", code="stream_broken")
        # A chat ends with [DONE] even where its provider leaves it out; other streams end as their upstream did.
        return b"data: [DONE]\n\n" if self.generated.done or self._call.mode in STREAMS_WITH_USAGE else b""


class Meter:
    """Keeps a stream's hold ahead of what it generates, and its progress on record."""

    def __init__(self, call: Call, attempt: Attempt, account: Account, rough: bool) -> None:
        self._call = call
        self._attempt = attempt
        self._account = account
        self._rough = rough
        self._next = time.monotonic() + PROGRESS_EVERY
        # A token has at least one byte: so many more bytes cannot be more tokens than half of what the hold bears.
        self._look_at = CLOSEST_LOOK
        self._look_size = 0

    async def tick(self, generated: Generated) -> None:
        """Call after each chunk. Raises InsufficientQuota when the balance bears no more."""
        now = time.monotonic()
        if now < self._next and generated.size - self._look_size < self._look_at:
            return
        if generated.size > reading.COMPACT_AT:
            await asyncio.to_thread(reading.compact, self._attempt.model, generated, self._rough)
        usage = reading.so_far(self._call, generated)
        spent = self._cost(usage.completion_tokens)
        wanted = self._account.held
        if self._room(spent) < TRANCHE // 2:
            most = self._call.max_tokens or usage.completion_tokens + TRANCHE
            wanted = max(wanted, self._cost(min(usage.completion_tokens + TRANCHE, most)))
        if now >= self._next or wanted > self._account.held:
            self._next = now + PROGRESS_EVERY
            if not await self._account.progress(self._attempt, usage, wanted):
                raise InsufficientQuota("user quota is not enough")
        self._look_size = generated.size
        self._look_at = max(CLOSEST_LOOK, self._room(spent) // 2)

    def _room(self, spent: int) -> int:
        """Completion tokens that what is held beyond `spent` pays for."""
        per_token = self._attempt.price.ratio * self._attempt.price.completion_ratio
        return int((self._account.held - spent) / per_token) if per_token else TRANCHE

    def _cost(self, completion_tokens: int) -> int:
        return text_cost(self._attempt.price, generous(self._call.prompt_estimate), completion_tokens)


def error_event(error: RelayError, request_id: str) -> bytes:
    return b"data: " + error.encode(request_id) + b"\n\n"


def _first_event_error(payload: bytes) -> UpstreamError:
    """The upstream's first event is an error: nothing was sent, so another channel may answer."""
    error = normalise(502, payload, None)
    error.answered = 0  # 502 is what we make of it
    return error
