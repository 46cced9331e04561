"""The money of one call: hold, progress, settle or release. A hold ends in one of the last two, or with the sweeper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from accounts.callers import Caller
from billing.batch import Hold, Outcome, Progress, Settlement, Verdict
from billing.books import Books
from billing.pricing import Usage, details, log_content
from billing.waiting import BooksClosed
from options.registry import Options
from relay import charging, told
from relay.errors import BooksAway, Forbidden, InsufficientQuota, KeyConflict, NotAuthenticated, RelayError
from relay.keeping import Keeping
from relay.told import WELL, Ending
from relay.types import Attempt, Call
from telemetry.calls import HOLD, SETTLE, Steps, phase, settled

COMFORT = 20  # a caller with so many times the hold in hand is not made to wait for it before the upstream is called


def refusal(outcome: Outcome) -> RelayError | None:
    """Why a hold was not granted, in the contract's words."""
    if outcome.verdict is Verdict.GRANTED:
        return None
    match outcome.verdict:
        case Verdict.KEY_LOST:
            return KeyConflict("a repeat of this request has taken its Idempotency-Key over; nothing was charged")
        case Verdict.USER_GONE:
            return Forbidden("用户已被封禁")
        case Verdict.TOKEN_GONE:
            return NotAuthenticated("该令牌状态不可用")
        case Verdict.TOKEN_EMPTY:
            return NotAuthenticated("该令牌额度已用尽")
        case Verdict.TOKEN_SHORT:
            return InsufficientQuota("令牌额度不足", code="pre_consume_token_quota_failed")
    return InsufficientQuota("user quota is not enough")


class Account:
    """Opened by `request`; `close` releases what is still open and may be called always."""

    def __init__(
        self,
        books: Books,
        caller: Caller,
        call: Call,
        request_id: str,
        options: Options,
        keeping: Keeping | None = None,
    ) -> None:
        self._books = books
        self._caller = caller
        self._call = call
        self._request_id = request_id
        self._options = options
        self._keeping = keeping
        self._hold: Hold | None = None
        self._future: asyncio.Future[Outcome] | None = None
        self.steps: Steps | None = None  # of the call's trace
        self.ended = False
        self.started = time.monotonic()
        self.first_byte = 0.0  # monotonic; when a stream began to go out
        self.wanted = 0
        self.comfortable = False  # a hint from the last look at the balance: the hold will surely be granted
        self.held = 0

    def request(self, attempt: Attempt) -> charging.Need:
        """What this attempt needs; the first one of a call asks for it to be held. Raises BadRequest, BooksAway."""
        need = charging.need(self._call, attempt, self._options)
        if self._future is None:
            caller = self._caller
            self.wanted = need.amount
            self._hold = Hold(
                request_id=self._request_id,
                user_id=caller.user_id,
                token_id=caller.token_id,
                limited=not caller.unlimited,
                amount=need.amount,
                least=need.least,
                worker=self._books.worker,
                channel_id=attempt.route.channel_id,
                username=caller.username,
                token_name=caller.token_name,
                model_name=attempt.model,
                prompt_tokens=self._call.prompt_estimate,
            )
            plenty = self.wanted * COMFORT
            self.comfortable = caller.spendable > plenty and (caller.unlimited or caller.remain_quota > plenty)
            try:
                self._future = self._books.ahead(self._hold) if self.comfortable else self._books.submit(self._hold)
            except BooksClosed as error:
                raise BooksAway("the gateway cannot write its books at the moment") from error
        return need

    def unless_refused(self, told: Callable[[asyncio.Future[Outcome]], None]) -> bool:
        """Call `told` when the hold has been decided. False: it has been, or it is wiser to wait for that."""
        if not self.comfortable or self._future is None or self._future.done():
            return False
        self._future.add_done_callback(told)
        return True

    async def secured(self) -> None:
        """Return when the hold is durable. Raises the refusal, or BooksAway."""
        assert self._future is not None
        outcome = await self._outcome()
        error = refusal(outcome)
        if error:
            raise error
        self.held = max(self.held, outcome.amount)

    async def _outcome(self) -> Outcome:
        assert self._future is not None
        try:
            if self._future.done():
                return self._future.result()
            self._books.hurry(self._request_id)
            began = time.monotonic()
            outcome = await asyncio.shield(self._future)
            phase(HOLD, began, self.steps)
            return outcome
        except BooksClosed as error:
            raise BooksAway("the gateway cannot write its books at the moment") from error

    async def raise_to(self, attempt: Attempt, need: charging.Need) -> None:
        """Hold more, as a dearer channel comes next: what it needs or, if the balance does not bear that, the least.

        Raises the refusal of the hold, or BooksAway.
        """
        for amount in (need.amount, need.least):
            if self.held < amount:
                await self._progressed(attempt, 0, 0, amount)

    async def progress(self, attempt: Attempt, usage: Usage, amount: int) -> bool:
        """Record what a stream has generated and raise the hold to `amount`; False when more is spent than held.

        Raises the refusal of the hold, or BooksAway.
        """
        charge = charging.charge(self._call, attempt, usage)
        await self._progressed(attempt, usage.completion_tokens, charge, amount)
        return charge <= self.held

    async def _progressed(self, attempt: Attempt, completion_tokens: int, charge: int, amount: int) -> None:
        await self.secured()  # a record of what is not there yet would be taken for one that was swept
        caller = self._caller
        entry = Progress(
            request_id=self._request_id,
            user_id=caller.user_id,
            token_id=caller.token_id,
            limited=not caller.unlimited,
            held=self.held,
            amount=max(amount, self.held),
            completion_tokens=completion_tokens,
            charge=charge,
            channel_id=attempt.route.channel_id,
            model_name=attempt.model,
            content=log_content(attempt.price, self._call.mode.value),
        )
        try:
            outcome = await self._books.post(entry)
        except BooksClosed as error:
            raise BooksAway("the gateway cannot write its books at the moment") from error
        self.held = outcome.amount

    async def settle(self, attempt: Attempt, usage: Usage, ending: Ending = WELL, pictures: int | None = None) -> None:
        """Charge what was used; durable when this returns. Raises BooksAway: the sweeper will do it then.

        A hold that is still being written is not waited for: the settlement goes after it, often into the same
        transaction, and raises what refuses the hold.
        """
        assert self._future is not None
        keyed = await self._keeping.end() if self._keeping is not None else None
        hold = None if self._future.done() else self._hold
        if hold is None:
            await self.secured()
        began = time.monotonic()
        caller = self._caller
        settlement = Settlement(
            self._request_id,
            caller.user_id,
            caller.token_id,
            not caller.unlimited,
            charging.charge(self._call, attempt, usage, pictures),
            attempt.route.channel_id,
            self._line(attempt, usage, ending, began),
            self._options["LogConsumeEnabled"],
            hold,
            keyed,
        )
        self.ended = True
        try:
            outcome = await self._books.submit(settlement)
        except BooksClosed as error:
            raise BooksAway("the gateway cannot write its books at the moment") from error
        if refused := refusal(outcome):
            raise refused
        if self._keeping is not None:
            self._keeping.settled = True
        settled(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, outcome.amount, outcome.uncollected)
        phase(SETTLE, began, self.steps)
        if self.steps is not None:
            self.steps.append((usage, began, began))

    def _line(self, attempt: Attempt, usage: Usage, ending: Ending, now: float) -> dict[str, Any]:
        """Columns of the log row."""
        call, caller = self._call, self._caller
        return {
            "username": caller.username,
            "token_name": caller.token_name,
            "model_name": charging.logged_model(call, attempt),
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "content": log_content(attempt.price, call.mode),
            "elapsed_time": int((now - self.started) * 1000),
            "is_stream": call.stream,
            "system_prompt_reset": attempt.system_prompt_reset,
            "estimated": usage.estimated,
            "usage_details": details(usage),
            "cached_tokens": usage.cached_tokens,
            "group": caller.group,
            "status": ending.status,
            "error_code": ending.error_code,
            "first_token_time": self._first_token_time(),
            "upstream_model": told.upstream_model(call, attempt),
            "ip": told.address(call.ip),
            "user_agent": told.agent(call.headers),
        }

    def _first_token_time(self) -> int:
        """Milliseconds, at least 1; 0 where nothing was streamed."""
        return max(1, int((self.first_byte - self.started) * 1000)) if self.first_byte else 0

    async def close(self) -> None:
        """Release the hold if the call was not settled. Never raises for a hold that was refused."""
        try:
            if self._future is not None and not self.ended:
                await self._release()
        finally:
            self._future = None  # it leads back to us: in a circle, the whole call would wait for a collection

    async def _release(self) -> None:
        self.ended = True
        if self._books.withdraw(self._request_id):
            return
        try:
            outcome = await self._outcome()
        except BooksAway:
            return
        if outcome.verdict is Verdict.GRANTED:
            caller = self._caller
            await self._post(Settlement(self._request_id, caller.user_id, caller.token_id, not caller.unlimited, None))

    async def _post(self, entry: Settlement) -> Outcome:
        try:
            return await self._books.post(entry)
        except BooksClosed as error:
            raise BooksAway("the gateway cannot write its books at the moment") from error
