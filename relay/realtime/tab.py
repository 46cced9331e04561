"""The money of a session: one hold at a time, ended by one charge for each response.

Each hold and its charge has a request id of its own, the session's with a number (invariant I3). Nothing of a response
goes out before a hold is durable that covers it so far; what a response has used is settled before its end is told.
"""

from __future__ import annotations

import time

from accounts.callers import Caller
from billing import pricing
from billing.books import Books
from billing.tables import PriceTable
from billing.tokens import count_text
from billing.usage import Usage
from options.registry import Options
from relay import charging
from relay.account import Account
from relay.charging import generous
from relay.errors import InsufficientQuota
from relay.realtime.heard import Transcript
from relay.threads import in_computing_thread
from relay.types import Attempt, Call, Mode

TRANCHE = 1024  # completion tokens by which a hold grows: 50 seconds of sound
STEP = 64  # tokens by which it grows where the balance does not bear a tranche
PROGRESS_EVERY = 1.0  # seconds between two records of a response's progress


class Tab:
    """`attempt` is the channel's that answered in the end; set before the first response."""

    def __init__(
        self, books: Books, caller: Caller, call: Call, options: Options, prices: PriceTable, session_id: str
    ) -> None:
        self.attempt: Attempt | None = None
        self._books = books
        self._caller = caller
        self._call = call
        self._options = options
        self._prices = prices
        self._session_id = session_id
        self._charges = 0
        self._account: Account | None = None
        self._next_record = 0.0
        self._next_look = 0  # completion tokens at which to look again

    async def open(self, attempt: Attempt) -> None:
        """Hold the least that a response can cost, for the first or for the next one. Raises the refusal, BooksAway."""
        self.attempt = attempt
        if self._account is None or self._account.ended:
            self._account = self._new_account(self._call)
        self._account.request(attempt)
        await self._account.secured()

    def begin(self) -> None:
        """A response begins: its time counts from here, and its prompt is held before any of it goes out."""
        assert self._account is not None
        self._account.started = time.monotonic()
        self._next_look = 0

    async def keep_ahead(self, usage: Usage) -> None:
        """Raise the hold ahead of what is being generated. Raises InsufficientQuota: the balance bears no more."""
        account, attempt = self._opened()
        now = time.monotonic()
        if usage.completion_tokens < self._next_look and now < self._next_record:
            return
        charge = charging.charge(self._call, attempt, usage)
        wanted = account.held
        if self._room(charge) < TRANCHE // 2:
            wanted = max(wanted, charge, self._worst(usage, TRANCHE))
        if now >= self._next_record or wanted > account.held:
            self._next_record = now + PROGRESS_EVERY
            if not await account.progress(attempt, usage, wanted):
                little = charge + int(STEP * attempt.price.dearest_completion_token)
                if not await account.progress(attempt, usage, little) and not await account.progress(
                    attempt, usage, charge
                ):
                    raise InsufficientQuota("user quota is not enough")
        self._next_look = usage.completion_tokens + max(self._room(charge) // 2, 1)

    async def settle(self, usage: Usage) -> None:
        """Charge a response; durable when this returns. `open` for the next one comes after."""
        account, attempt = self._opened()
        await account.settle(attempt, usage)

    async def charge_transcript(self, transcript: Transcript) -> None:
        """As the same model is charged for at /v1/audio/transcriptions: by the tokens of what it wrote."""
        route = self._opened()[1].route
        model = transcript.model
        tokens = await in_computing_thread(count_text, model, transcript.said)
        attempt = Attempt(route, model, self._prices.price(model, route.type, self._caller.group))
        account = self._new_account(Call(Mode.TRANSCRIPTION, self._call.path, "", "", "", b"", {}, model))
        try:
            account.request(attempt)
            await account.secured()
            await account.settle(attempt, Usage(0, tokens))
        finally:
            await account.close()

    def _new_account(self, call: Call) -> Account:
        self._charges += 1
        return Account(self._books, self._caller, call, f"{self._session_id}-{self._charges}", self._options)

    async def close(self, usage: Usage | None) -> None:
        """The session is over: charge what was under way (None: nothing was), else give the hold back."""
        if self._account is None or self.attempt is None:
            return
        if usage is None:
            await self._account.close()
            return
        if self._account.ended:  # another response, beside this one, had just been charged
            await self.open(self.attempt)
        await self._account.settle(self.attempt, usage)

    def _opened(self) -> tuple[Account, Attempt]:
        assert self._account is not None
        assert self.attempt is not None
        return self._account, self.attempt

    def _worst(self, usage: Usage, more: int) -> int:
        attempt = self._opened()[1]
        return pricing.text_cost(attempt.price, generous(usage.prompt_tokens), usage.completion_tokens + more)

    def _room(self, charge: int) -> int:
        """Completion tokens that what is held beyond `charge` pays for."""
        account, attempt = self._opened()
        per_token = attempt.price.dearest_completion_token
        return int((account.held - charge) / per_token) if per_token else TRANCHE
