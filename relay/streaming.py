"""A stream on its way from an upstream to a caller, with the money ahead of both."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

from billing.pricing import text_cost
from relay import reading, sse
from relay.account import Account
from relay.adapters.base import UpstreamAnswer
from relay.asgi import Reply
from relay.charging import TRANCHE, generous
from relay.errors import InsufficientQuota, UpstreamError
from relay.passages.base import Flow
from relay.types import Attempt, Call, Generated, Usage
from relay.upstream import Answer

PROGRESS_EVERY = 1.0  # seconds between two records of a stream's progress
FAREWELL = 0.2  # seconds an upstream may hold the line after its [DONE]
CLOSEST_LOOK = 256  # bytes of text after which a stream at the end of its money is looked at again


class Stream:
    """One attempt's stream; its flow's `generated` is what the bill will be made of, however it ends."""

    def __init__(self, flow: Flow, meter: Meter, reply: Reply, secured: Callable[[], Awaitable[None]]) -> None:
        """`secured` returns when the hold is durable: nothing goes out before."""
        self._flow = flow
        self._meter = meter
        self._reply = reply
        self._secured = secured

    async def forward(self, answer: UpstreamAnswer) -> bytes:
        """Pass on all but the end; returns the end.

        Raises UpstreamError (broken off, stalled, an error before anything went out), InsufficientQuota.
        """
        flow, generated = self._flow, self._flow.generated
        try:
            async for chunk in answer.chunks():
                await self._pass_on(flow.feed(chunk))
                await self._meter.tick(generated)
                if generated.error is not None and flow.ends_at_error:
                    break
                if (generated.done or generated.error is not None) and isinstance(answer, Answer):
                    answer.hurry(FAREWELL)
            else:
                await self._pass_on(flow.last())
        except sse.EventTooLong:
            raise UpstreamError("an event of the upstream's stream is too long", code="event_too_long") from None
        except UpstreamError:
            if not (generated.done or generated.error is not None) or not self._reply.started:
                raise
        if not self._reply.started:
            raise generated.error or UpstreamError("the upstream ended its stream before it began", code="empty_stream")
        return flow.ending()

    async def _pass_on(self, shown: bytes) -> None:
        reply, generated = self._reply, self._flow.generated
        if not reply.started and (shown or generated.finished or generated.error is not None):
            await self._secured()
            if generated.error is not None and not generated.size:  # nothing was generated, though it may be counted
                raise generated.error
            await reply.start(200, self._flow.headers)
        if shown:
            await reply.body(shown, more=True)


class Meter:
    """Keeps a stream's hold ahead of what it generates, and its progress on record."""

    def __init__(self, call: Call, attempt: Attempt, account: Account, rough: bool) -> None:
        self._call = call
        self._attempt = attempt
        self._account = account
        self._rough = rough
        # Streams that begin together do not come to the books together ever after.
        self._next = time.monotonic() + PROGRESS_EVERY * (1 + random.random() / 2)  # noqa: S311
        # A token has at least one byte: so many more bytes cannot be more tokens than half of what the hold bears.
        self._look_at = CLOSEST_LOOK
        self._look_size = 0

    async def tick(self, generated: Generated) -> None:
        """Call after each chunk. Raises InsufficientQuota when the balance bears no more."""
        now = time.monotonic()
        if now < self._next and generated.size - self._look_size < self._look_at:
            return
        if generated.size > reading.COMPACT_AT:
            await self._count_out(generated)
        usage, wanted = self._reckoned(generated)
        if now >= self._next or wanted > self._account.held:
            self._next = now + PROGRESS_EVERY
            if not await self._account.progress(self._attempt, usage, wanted):
                # What was reckoned by size runs ahead of the truth, and nobody is cut off for what they do not owe.
                await self._count_out(generated)
                usage, wanted = self._reckoned(generated)
                if not await self._account.progress(self._attempt, usage, wanted):
                    raise InsufficientQuota("user quota is not enough")
        self._look_size = generated.size
        self._look_at = max(CLOSEST_LOOK, self._room(self._cost(usage.completion_tokens)) // 2)

    async def _count_out(self, generated: Generated) -> None:
        await reading.compact(self._attempt.model, generated, self._rough)

    def _reckoned(self, generated: Generated) -> tuple[Usage, int]:
        """What has been generated so far, and how many points should be held for it and for what comes next.

        No more than the caller's maximum costs, unless what came already seems to be more.
        """
        usage = reading.so_far(self._call, generated)
        come = usage.completion_tokens
        if self._room(self._cost(come)) >= TRANCHE // 2:
            return usage, self._account.held
        most = max(self._call.max_tokens or come + TRANCHE, come + CLOSEST_LOOK)
        return usage, max(self._account.held, self._cost(min(come + TRANCHE, most)))

    def _room(self, spent: int) -> int:
        """Completion tokens that what is held beyond `spent` pays for."""
        per_token = self._attempt.price.dearest_completion_token
        return int((self._account.held - spent) / per_token) if per_token else TRANCHE

    def _cost(self, completion_tokens: int) -> int:
        return text_cost(self._attempt.price, generous(self._call.prompt_estimate), completion_tokens)
