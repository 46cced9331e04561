"""One call, from its bytes to its last byte. Each step is a module; this file is their order.

authenticate   header -> caller                                    401, 403
read           body -> call, by the dialect of its path            400, 413
plan           snapshot + caller + model -> channels, best first   404, 503
hold           the most it can cost, durable before anything goes out     403
passage        to an upstream and back, attempt after attempt, until one answers    429, 502, 504
answer         whole or as a stream; settled before its last byte
"""

from __future__ import annotations

import asyncio
import logging
import time

from accounts.callers import Caller
from billing.batch import Outcome, Verdict
from billing.pricing import Usage
from channels_app.snapshot import Route, Snapshot
from config import weight
from relay import passages, reading, stored
from relay.account import Account
from relay.adapters.base import UpstreamAnswer
from relay.asgi import Receive, Reply, read_body
from relay.authenticate import check_model
from relay.charging import TRANSCRIPTS, affordable
from relay.credible import credible
from relay.dialects.base import Dialect
from relay.errors import CallerLeft, GatewayError, InsufficientQuota, NoChannel, RelayError, UpstreamError
from relay.lifeline import Lifeline
from relay.passages.base import Passage
from relay.route import Plan, plan_for
from relay.streaming import Meter, Stream
from relay.threads import in_computing_thread
from relay.told import LEFT_EARLY, UNFORESEEN, WELL, Ending, error_code
from relay.types import Attempt, Call, Generated, Head, Mode
from relay.upstream import Answer
from relay.upstream_errors import ERROR_LIMIT, reason, without_key
from relay.worker import Worker
from telemetry import calls

log = logging.getLogger(__name__)

CONVERSATIONS = frozenset({Mode.CHAT, Mode.RESPONSES})
# Their prompt costs also when nobody stayed for the answer.
PROMPT_COSTS = frozenset({*CONVERSATIONS, Mode.COMPLETIONS, Mode.EDITS, Mode.EMBEDDINGS, Mode.RERANK})
SATURATED = "当前分组上游负载已饱和，请稍后再试"  # the contract's text for a final 429
PLAUSIBLE = 100_000  # tokens of a call that are believed without a look


async def serve(
    worker: Worker, head: Head, mode: Mode, dialect: Dialect, receive: Receive, reply: Reply, model_in_path: str = ""
) -> None:
    """Raises RelayError before anything has been sent, CallerLeft when there is nobody to answer any more."""
    caller, suffix = await worker.callers.authenticate(head)
    trace = reply.trace
    trace.caller, trace.head = caller, head
    body = await read_body(receive, head, worker.limits.body)
    call = dialect.read(mode, head, body, model_in_path)
    call.headers, call.ip = head.headers, head.ip
    trace.call = call
    check_model(caller, call.model)
    snapshot, plan = await plan_for(worker, caller, call.model, suffix)
    trace.routed = True
    calls.phase(calls.PLAN, trace.started, trace.steps)
    if call.needs_native:
        await stored.narrow(plan, caller, dialect, call)
    lifeline = Lifeline(receive, worker.alarms)
    lifeline.watch()
    account = Account(worker.books, caller, call, reply.request_id, snapshot.options, reply.keeping)
    account.steps = trace.steps
    try:
        await Relay(worker, snapshot, caller, dialect, call, account, lifeline, reply).run(plan)
    finally:
        lifeline.stop()
        await account.close()


def report_failure(worker: Worker, request_id: str, route: Route, error: UpstreamError) -> None:
    """An attempt failed: for the log, and for what is known about the channel."""
    error.message = without_key(error.message, route.key)
    shown = error.message[:200]
    log.warning("request %s: channel #%d failed: %s %s", request_id, route.channel_id, error.status, shown)
    if error.retry_after is not None and error.status in (429, 503):
        worker.health.pause(route.channel_id, error.retry_after)
    calls.failed(route.channel_id, reason(error))
    worker.health.report(route, error)


class Relay:
    """One call on its way through the upstreams. Attempts share nothing but the hold."""

    def __init__(
        self,
        worker: Worker,
        snapshot: Snapshot,
        caller: Caller,
        dialect: Dialect,
        call: Call,
        account: Account,
        lifeline: Lifeline,
        reply: Reply,
    ) -> None:
        self._worker = worker
        self._snapshot = snapshot
        self._caller = caller
        self._dialect = dialect
        self._call = call
        self._account = account
        self._lifeline = lifeline
        self._reply = reply

    async def run(self, plan: Plan) -> None:
        """Try channel after channel until one answers. The last failure is the caller's answer."""
        failure: UpstreamError | None = None
        give_up = self._account.started + self._worker.limits.first_byte
        for _ in range(1 + plan.retries):
            route = plan.next()
            if route is None or (failure and time.monotonic() > give_up):
                break
            if failure is not None:
                calls.retried(reason(failure))
            try:
                await self._attempt(route)
                return
            except UpstreamError as error:
                failure = error
                if self._reply.trace.steps is not None:
                    self._reply.trace.steps.append((error, time.monotonic(), 0.0))
                report_failure(self._worker, self._reply.request_id, route, error)
                if not error.retry or self._reply.started:
                    break
        if failure is None:
            raise NoChannel(f"当前分组 {self._caller.group} 下对于模型 {self._call.model} 无可用渠道")
        if failure.status == 429:
            failure.message = SATURATED
        raise failure

    async def _attempt(self, route: Route) -> None:
        call = self._call
        model = route.upstream_model(call.model)
        attempt = Attempt(
            route=route,
            model=model,
            price=self._snapshot.prices.price(model, route.type, self._caller.group),
            system_prompt_reset=bool(route.system_prompt) and call.mode in CONVERSATIONS,
        )
        trace = self._reply.trace
        trace.attempt = attempt
        if trace.steps is not None:
            trace.steps.append((attempt, time.monotonic(), 0.0))
        try:
            await self._hold(attempt)
            passage = passages.find(self._worker, self._dialect, call, attempt, self._lifeline)
            await self._exchange(attempt, passage)
        except _HoldRefused:
            await self._secured()  # raises the refusal itself
            raise

    async def _exchange(self, attempt: Attempt, passage: Passage) -> None:
        answer: UpstreamAnswer | None = None
        began = time.monotonic()
        try:
            async with self._lifeline.interruptible():
                answer = await passage.open()
            calls.phase(calls.FIRST_BYTE, began, self._reply.trace.steps)
            if answer.status not in (200, 201):
                answer = await passage.second_try(answer)
            if answer.status not in (200, 201):
                raise await self._failed(passage, answer)
            if self._call.stream and passage.streams(answer):
                await self._stream(attempt, passage, answer)
            else:
                await self._whole(attempt, passage, answer)
        except CallerLeft:
            if answer is not None:
                answer.close()
            await self._settle_abandoned(attempt, Generated())
            raise
        finally:
            if answer is not None:
                answer.close()

    # --- hold ---------------------------------------------------------------------------------------------------

    async def _hold(self, attempt: Attempt) -> None:
        """Ask for the hold. A caller with plenty is sent ahead while it commits; the others wait for it here."""
        account = self._account
        need = account.request(attempt)
        if need.amount <= account.wanted and account.unless_refused(self._cut_if_refused):
            return
        async with self._lifeline.interruptible():
            await self._secured()
            if account.held < need.amount and account.wanted < need.amount:
                await account.raise_to(attempt, need)
        if account.held < need.least:
            raise InsufficientQuota("user quota is not enough")
        if account.held < need.amount or (self._call.max_tokens is None and not account.comfortable):
            attempt.max_tokens = self._lower_maximum(attempt)

    def _cut_if_refused(self, future: asyncio.Future[Outcome]) -> None:
        if future.cancelled() or future.exception() is not None or future.result().verdict is not Verdict.GRANTED:
            self._lifeline.cut(_HoldRefused())

    async def _secured(self) -> None:
        try:
            await self._account.secured()
        except RelayError as error:
            self._note(error)
            raise

    def _note(self, refusal: RelayError) -> None:
        """A refused hold has ended the call: an empty token is shown as such on its row."""
        if refusal.status == 401 and refusal.message == "该令牌额度已用尽":
            self._worker.callers.note_exhausted(self._caller)

    def _lower_maximum(self, attempt: Attempt) -> int | None:
        """The balance bears less than the worst case, or not much more: the upstream may generate what was held."""
        call = self._call
        if call.stream or call.mode not in (*CONVERSATIONS, Mode.COMPLETIONS):
            return None
        bearable = affordable(call, attempt, self._account.held)
        if bearable is None or (call.max_tokens is not None and bearable >= call.max_tokens):
            return None
        return bearable

    # --- answers ------------------------------------------------------------------------------------------------

    async def _failed(self, passage: Passage, answer: UpstreamAnswer) -> UpstreamError:
        async with self._lifeline.interruptible():
            body = await answer.read(ERROR_LIMIT)
        return passage.failure(answer.status, body, answer.retry_after)

    async def _whole(self, attempt: Attempt, passage: Passage, answer: UpstreamAnswer) -> None:
        limit = self._worker.limits.answer
        body = answer.ready(limit) if isinstance(answer, Answer) else None
        if body is None:
            async with self._lifeline.interruptible():
                body = await answer.read(limit)
        if self._call.mode is not Mode.SPEECH and weight.too_heavy(body):
            raise UpstreamError("the upstream's answer is too long", code="answer_too_large")
        generated, shown, headers = passage.whole(answer, body)
        self._worker.health.report(attempt.route, None)
        calls.answered(attempt.route.channel_id)
        if generated.kept_as:
            await self._noted(attempt, generated)
        if self._reply.keeping is not None:
            self._reply.keeping.whole(answer.status, shown, headers)
        await self._settle(attempt, generated, Ending(answer.status))
        await self._reply.whole(answer.status, shown, headers)

    async def _stream(self, attempt: Attempt, passage: Passage, answer: UpstreamAnswer) -> None:
        """Whatever ends the stream, what was generated is settled before its last byte."""
        flow = passage.flow()
        meter = Meter(self._call, attempt, self._account, rough=self._snapshot.options["ApproximateTokenEnabled"])
        ending, how = b"", UNFORESEEN

        async def release() -> None:
            """What has to be on record before anything of the answer goes out."""
            await self._secured()
            await self._noted(attempt, flow.generated)
            self._account.first_byte = time.monotonic()
            calls.first_token(self._reply.trace.started)

        calls.stream_begun()
        try:
            ending = await self._forwarded(Stream(flow, meter, self._reply, release), answer)
            self._worker.health.report(attempt.route, None)
            calls.answered(attempt.route.channel_id)
            how = WELL
            if flow.generated.error is not None:
                how = Ending(error_code=error_code(flow.generated.error))
            elif self._reply.keeping is not None:
                self._reply.keeping.ends(ending)
        except CallerLeft:
            how = LEFT_EARLY
            if not self._reply.started:
                await self._settle_abandoned(attempt, flow.generated)
                raise
        except RelayError as error:
            if not self._reply.started:
                raise
            if isinstance(error, UpstreamError):
                error.message = without_key(error.message, attempt.route.key)
                self._worker.health.report(attempt.route, error)
                calls.failed(attempt.route.channel_id, reason(error))
            ending, how = flow.fail(error, self._reply.request_id), Ending(error_code=error_code(error))
        finally:
            # The upstream first: the caller has left, the balance is gone, or all has been said.
            answer.close()
            calls.stream_over(how.status, how.error_code if self._reply.started else "not_begun")
            if self._reply.started:
                self._reply.status = how.status
                await self._settle(attempt, flow.generated, how)
        if not self._lifeline.was_cut:
            await self._reply.body(ending, more=False)

    async def _forwarded(self, stream: Stream, answer: UpstreamAnswer) -> bytes:
        """The stream's end. What nobody foresaw, in the middle of an answer, is told its caller as an error."""
        try:
            async with self._lifeline.interruptible():
                return await stream.forward(answer)
        except (RelayError, CallerLeft):
            raise
        except Exception as error:
            if not self._reply.started:
                raise
            log.exception("request %s failed in its stream: %s", self._reply.request_id, type(error).__name__)
            raise GatewayError("the gateway failed to serve this request", code="internal_error") from error

    async def _noted(self, attempt: Attempt, generated: Generated) -> None:
        if generated.kept_as:
            await stored.remember(self._caller.user_id, generated.kept_as, attempt.route.channel_id)

    async def _settle(self, attempt: Attempt, generated: Generated, ending: Ending) -> None:
        usage = generated.usage
        if usage is None or generated.texts or generated.counted or self._call.mode in TRANSCRIPTS:
            rough = self._snapshot.options["ApproximateTokenEnabled"]
            usage = await in_computing_thread(
                reading.own_count, self._call, self._dialect, attempt.model, generated, rough
            )
        if usage.prompt_tokens > PLAUSIBLE or usage.completion_tokens > PLAUSIBLE:
            usage = self._believed(attempt, usage, generated)
        try:
            await self._account.settle(attempt, usage, ending, generated.pictures)
        except RelayError as error:
            self._note(error)
            raise

    def _believed(self, attempt: Attempt, usage: Usage, generated: Generated) -> Usage:
        call = self._call
        seen = generated.size + generated.counted  # a token has at least one byte
        usage, doubt = credible(usage, call.prompt_estimate, seen or None, call.max_tokens)
        if doubt:
            request_id, channel_id = self._reply.request_id, attempt.route.channel_id
            log.warning("request %s: usage of channel #%d cannot be true: %s", request_id, channel_id, doubt)
        return usage

    async def _settle_abandoned(self, attempt: Attempt, generated: Generated) -> None:
        """The caller left before anything was sent back: the prompt went to the upstream and is charged.

        So is what came but was not shown, such as thoughts.

        Pictures and sound that nobody received cost nothing.
        """
        call = self._call
        if attempt.sent and not self._account.ended and call.mode in PROMPT_COSTS:
            await self._secured()
            await self._settle(attempt, generated, LEFT_EARLY)


class _HoldRefused(Exception):
    """The hold was refused while the upstream was already being called; the refusal itself is in the account."""
