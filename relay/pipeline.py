"""One call, from its bytes to its last byte. Each step is a module; this file is their order.

authenticate   header -> caller                                    401, 403
read           body -> call                                        400, 413
plan           snapshot + caller + model -> channels, best first   404, 503
hold           the most it can cost, durable before anything goes out     403
upstream       attempt after attempt, until one answers            429, 502, 504
answer         whole or as a stream; settled before its last byte
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable

from django.db import connections

from accounts.callers import Caller
from billing.batch import Outcome
from channels_app import services as channels
from channels_app.snapshot import Route, Snapshot
from relay import reading
from relay.account import Account, refusal
from relay.adapters import openai_body
from relay.adapters.openai import adapter_for
from relay.asgi import Receive, Reply, read_body
from relay.authenticate import check_model
from relay.charging import TRANSCRIPTS, affordable, need
from relay.dialects import openai
from relay.errors import CallerLeft, GatewayError, NoChannel, RelayError, UpstreamError
from relay.lifeline import Lifeline
from relay.route import Plan
from relay.streaming import Stream, error_event
from relay.types import Attempt, Call, Generated, Head, Mode
from relay.upstream import Answer
from relay.upstream_errors import normalise
from relay.worker import Worker

log = logging.getLogger(__name__)

PROMPT_COSTS = frozenset({Mode.CHAT, Mode.COMPLETIONS, Mode.EDITS, Mode.EMBEDDINGS})  # also when nobody stayed
SATURATED = "当前分组上游负载已饱和，请稍后再试"  # the contract's text for a final 429
ERROR_LIMIT = 1024 * 1024  # bytes of an upstream's error that are read
PASSED_ON = frozenset({b"content-type", b"openai-processing-ms", b"openai-version", b"content-disposition"})


async def serve(
    worker: Worker, head: Head, mode: Mode, receive: Receive, reply: Reply, model_in_path: str = ""
) -> None:
    """Raises RelayError before anything has been sent, CallerLeft when there is nobody to answer any more."""
    caller, suffix = await worker.callers.authenticate(head)
    body = await read_body(receive, head, worker.limits.body)
    call = openai.read(mode, head, body, model_in_path)
    check_model(caller, call.model)
    snapshot, plan = await plan_for(worker, caller, call.model, suffix)
    lifeline = Lifeline(receive, worker.alarms)
    lifeline.watch()
    account = Account(worker.books, caller, call, reply.request_id, snapshot.options)
    try:
        await Relay(worker, snapshot, caller, call, account, lifeline, reply).run(plan)
    finally:
        lifeline.stop()
        await account.close()


async def plan_for(worker: Worker, caller: Caller, model: str, suffix: str) -> tuple[Snapshot, Plan]:
    """The channels of a call. What is refused is looked up once more: its channel may have been made a moment ago."""
    try:
        snapshot = current(worker)
        return snapshot, Plan(snapshot, caller, model, suffix, worker.health)
    except RelayError:
        await worker.look_again()
        snapshot = current(worker)
        return snapshot, Plan(snapshot, caller, model, suffix, worker.health)


def current(worker: Worker) -> Snapshot:
    """The snapshot to route by. Raises GatewayError while none could be loaded."""
    if worker.snapshot is None:
        raise GatewayError("the gateway is starting or its database is away", status=503, code="not_ready")
    return worker.snapshot


class Relay:
    """One call on its way through the upstreams. Attempts share nothing but the hold."""

    def __init__(
        self,
        worker: Worker,
        snapshot: Snapshot,
        caller: Caller,
        call: Call,
        account: Account,
        lifeline: Lifeline,
        reply: Reply,
    ) -> None:
        self._worker = worker
        self._snapshot = snapshot
        self._caller = caller
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
            try:
                await self._attempt(route)
                return
            except UpstreamError as error:
                failure = error
                self._report(route, error)
                if not error.retry or self._reply.started:
                    break
        if failure is None:
            raise NoChannel(f"当前分组 {self._caller.group} 下对于模型 {self._call.model} 无可用渠道")
        if failure.status == 429:
            failure.message = SATURATED
        raise failure

    def _report(self, route: Route, error: UpstreamError) -> None:
        log.warning(
            "request %s: channel #%d failed: %s %s",
            self._reply.request_id,
            route.channel_id,
            error.status,
            error.message[:200],
        )
        if error.retry_after is not None and error.status in (429, 503):
            self._worker.health.pause(route.channel_id, error.retry_after)
        self._worker.health.report(route, error)

    async def _attempt(self, route: Route) -> None:
        call = self._call
        model = route.upstream_model(call.model)
        attempt = Attempt(
            route=route,
            model=model,
            price=self._snapshot.prices.price(model, route.type, self._caller.group),
            system_prompt_reset=bool(route.system_prompt) and call.mode is Mode.CHAT,
        )
        attempt.asks_usage = openai_body.asks_usage(call, attempt, self._worker.limits.always_usage)
        try:
            await self._hold(attempt)
            await self._exchange(attempt)
        except _HoldRefused:
            await self._secured()  # raises the refusal itself
            raise

    async def _exchange(self, attempt: Attempt) -> None:
        call = self._call
        try:
            answer = await self._send(attempt)
        except CallerLeft:
            await self._settle_abandoned(attempt)
            raise
        try:
            if answer.status == 400 and attempt.asks_usage:
                answer = await self._again_without_usage(attempt, answer)
            if answer.status not in (200, 201):
                raise await self._failed(answer)
            if call.stream and self._is_stream(answer):
                await self._stream(attempt, answer)
            else:
                await self._whole(attempt, answer)
        except CallerLeft:
            answer.close()
            await self._settle_abandoned(attempt)
            raise
        finally:
            answer.close()

    # --- hold ---------------------------------------------------------------------------------------------------

    async def _hold(self, attempt: Attempt) -> None:
        """Ask for the hold. A caller with plenty is sent ahead while it commits; the others wait for it here."""
        account = self._account
        future = account.request(attempt)
        if account.comfortable() and not future.done():
            future.add_done_callback(self._cut_if_refused)
            return
        async with self._lifeline.interruptible():
            await self._secured()
        if account.held < need(self._call, attempt, self._snapshot.options).amount:
            attempt.max_tokens = self._lower_maximum(attempt)

    def _cut_if_refused(self, future: asyncio.Future[Outcome]) -> None:
        if future.cancelled() or future.exception() is not None or refusal(future.result()) is not None:
            self._lifeline.cut(_HoldRefused())

    async def _secured(self) -> None:
        await self._noting(self._account.secured())

    async def _noting(self, step: Awaitable[None]) -> None:
        """A step that a refused hold may end; an empty token is shown as such on its row."""
        try:
            await step
        except RelayError as error:
            if error.status == 401 and error.message == "该令牌额度已用尽":
                self._worker.callers.note_exhausted(self._caller)
            raise

    def _lower_maximum(self, attempt: Attempt) -> int | None:
        """The balance bears less than the worst case: the upstream may generate no more than was held."""
        call = self._call
        if call.stream or call.mode not in (Mode.CHAT, Mode.COMPLETIONS):
            return None
        bearable = affordable(call, attempt, self._account.held)
        if bearable is None or (call.max_tokens is not None and bearable >= call.max_tokens):
            return None
        return bearable

    # --- upstream -----------------------------------------------------------------------------------------------

    async def _send(self, attempt: Attempt) -> Answer:
        call = self._call
        route = attempt.route
        adapter = adapter_for(route)
        url = adapter.url(route, call.mode, call.path, call.query, attempt.model)
        headers = adapter.headers(route)
        headers.append(("Content-Type", call.content_type))
        headers.append(("Accept", call.accept or ("text/event-stream" if call.stream else "application/json")))
        answer = self._worker.clients.send("POST", url, headers, openai_body.encode(call, attempt), proxy=route.proxy)
        try:
            async with self._lifeline.interruptible():
                await answer.open()
        except BaseException:
            answer.close()
            raise
        finally:
            attempt.sent = attempt.sent or answer.sent
        return answer

    async def _again_without_usage(self, attempt: Attempt, answer: Answer) -> Answer:
        """A 400 that names the member we added: perhaps the upstream does not know it. Ask again without.

        Remembered only when that helps: what else a caller wrote there may be what was refused.
        """
        async with self._lifeline.interruptible():
            body = await answer.read(ERROR_LIMIT)
        pause = answer.retry_after
        answer.close()
        if b"stream_options" not in body and b"include_usage" not in body:
            raise normalise(answer.status, body, pause)
        attempt.asks_usage = False
        again = await self._send(attempt)
        try:
            if again.status in (200, 201):
                await asyncio.to_thread(_remember_refusal, attempt.route.channel_id)
        except BaseException:
            again.close()
            raise
        return again

    async def _failed(self, answer: Answer) -> UpstreamError:
        async with self._lifeline.interruptible():
            body = await answer.read(ERROR_LIMIT)
        return normalise(answer.status, body, answer.retry_after)

    def _is_stream(self, answer: Answer) -> bool:
        kind = answer.header("content-type").lower()
        if kind.startswith("application/json"):
            return False
        return kind.startswith("text/event-stream") or self._call.mode in openai_body.STREAMS_WITH_USAGE

    # --- answers ------------------------------------------------------------------------------------------------

    async def _whole(self, attempt: Attempt, answer: Answer) -> None:
        call = self._call
        async with self._lifeline.interruptible():
            body = await answer.read(self._worker.limits.answer)
        if call.mode is Mode.SPEECH:
            generated = Generated(finished=True)
        elif call.mode in TRANSCRIPTS:
            generated = reading.transcript(call, body)
        else:
            generated = reading.read_json(call, body)
        if call.stream and call.mode in openai_body.STREAMS_WITH_USAGE:
            raise UpstreamError("the upstream answered a stream request without a stream", code="bad_response")
        self._worker.health.report(attempt.route, None)
        await self._settle(attempt, generated)
        await self._reply.whole(answer.status, body, [header for header in answer.headers if header[0] in PASSED_ON])

    async def _stream(self, attempt: Attempt, answer: Answer) -> None:
        """Whatever ends the stream, what was generated is settled before its last byte."""
        options = self._snapshot.options
        hides_usage = not (self._call.shows_usage or self._worker.limits.always_usage)
        rough = options["ApproximateTokenEnabled"]
        stream = Stream(self._call, attempt, self._account, self._reply, rough=rough, hides_usage=hides_usage)
        ending = b""
        try:
            async with self._lifeline.interruptible():
                ending = await stream.forward(answer, self._secured)
            self._worker.health.report(attempt.route, None)
        except CallerLeft:
            if not self._reply.started:
                raise
        except RelayError as error:
            if not self._reply.started:
                raise
            if isinstance(error, UpstreamError):
                self._worker.health.report(attempt.route, error)
            ending = error_event(error, self._reply.request_id)
        finally:
            # The upstream first: the caller has left, the balance is gone, or all has been said.
            answer.close()
            if self._reply.started:
                await self._settle(attempt, stream.generated)
        if self._lifeline.reason is None:
            await self._reply.body(ending, more=False)

    async def _settle(self, attempt: Attempt, generated: Generated) -> None:
        usage = generated.usage
        if usage is None or generated.texts or generated.counted or self._call.mode in TRANSCRIPTS:
            rough = self._snapshot.options["ApproximateTokenEnabled"]
            usage = await asyncio.to_thread(reading.own_count, self._call, attempt.model, generated, rough)
        await self._noting(self._account.settle(attempt, usage))

    async def _settle_abandoned(self, attempt: Attempt) -> None:
        """The caller left before anything was sent back: the prompt went to the upstream and is charged, no more.

        Pictures and sound that nobody received cost nothing.
        """
        call = self._call
        if attempt.sent and not self._account.ended and call.mode in PROMPT_COSTS:
            await self._secured()
            await self._settle(attempt, Generated())


class _HoldRefused(Exception):
    """The hold was refused while the upstream was already being called; the refusal itself is in the account."""


def _remember_refusal(channel_id: int) -> None:
    """On a thread of the pool, which keeps no connection of its own."""
    try:
        channels.record_refuses_stream_options(channel_id)
    finally:
        connections.close_all()
