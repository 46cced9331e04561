"""Calls with an Idempotency-Key: made once, billed once, answered again (docs/idempotency.md).

After draft-ietf-httpapi-idempotency-key-header and what Stripe's API does. Who claims the key in the database makes the
call; a repeat waits for its end and gets the same bytes. What a call without the header goes through is not touched.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time

from django.conf import settings

from idempotency import services
from idempotency.services import AnswerTooLarge, OtherRequest, StillRunning, Wanted
from relay.asgi import Message, Receive, Reply, read_body
from relay.errors import BadRequest, GatewayError, KeyConflict
from relay.keeping import Keeping, Kept
from relay.lifeline import Lifeline
from relay.pipeline import serve as serve_call
from relay.routes import Asked
from relay.threads import in_computing_thread, look_up
from relay.types import Head
from relay.worker import Worker
from vault.keys import CannotDecrypt

log = logging.getLogger(__name__)

HEADER = "idempotency-key"
MAX_KEY = 255  # characters, as Stripe has it
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks at a call that is still running
RETRY_AFTER = (b"retry-after", b"2")
NO_RETRY = (b"x-should-retry", b"false")  # OpenAI's and Anthropic's SDKs would repeat a 409 by themselves
PART = 64 * 1024  # bytes of a stream sent again at a time
KEYS = "Idempotency-Keys"  # as a caller is told what cannot be looked up


async def serve(worker: Worker, head: Head, asked: Asked, receive: Receive, reply: Reply) -> None:
    """As pipeline.serve, which it calls for the first of a key. Raises RelayError, CallerLeft."""
    if not settings.IDEMPOTENCY_HOURS:
        await serve_call(worker, head, asked.mode, asked.dialect, receive, reply, asked.model)
        return
    key = checked(head.headers[HEADER])
    caller, _ = await worker.callers.authenticate(head)
    reply.trace.caller, reply.trace.head = caller, head
    heard: list[Message] = []

    async def hear() -> Message:
        heard.append(await receive())
        return heard[-1]

    async def again() -> Message:
        return heard.pop(0) if heard else await receive()

    body = await read_body(hear, head, worker.limits.body)
    request = fingerprint(head, asked.model, body)
    wanted = Wanted.of(token_id=caller.token_id, user_id=caller.user_id, key=key, request=request)
    kept = await _claim(worker, wanted, receive, reply.request_id)
    if kept is not None:
        await _repeat(kept, reply)
        return
    digest = wanted.digests[0]
    keeping = Keeping(digest, reply.request_id, settings.IDEMPOTENCY_MAX_BYTES)
    reply.keep(keeping)
    waits = False
    try:
        await serve_call(worker, head, asked.mode, asked.dialect, again, reply, asked.model)
    except asyncio.CancelledError:
        # The worker is made to stop. A bill that waits is written all the same; without its key it would cost nothing.
        waits = keeping.handed_over
        raise
    finally:
        if not (keeping.settled or waits):  # nothing was charged
            await _free(digest, reply.request_id)


def checked(key: str) -> str:
    """The key, opaque. Raises BadRequest."""
    if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise BadRequest(
            f"an Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters",
            code="invalid_idempotency_key",
            param="Idempotency-Key",
        )
    return key


def fingerprint(head: Head, model: str, body: bytes) -> str:
    """What makes two requests the same: path, query without the caller's key, and body.

    A form's boundary does not count: clients draw a new one for every attempt.
    """
    query = "&".join(part for part in head.query.split("&") if not part.startswith("key="))
    kind = head.headers.get("content-type", "")
    _, found, boundary = kind.partition("boundary=")
    boundary = boundary.split(";")[0].strip().strip('"')
    if found and boundary and kind.lower().startswith("multipart/"):
        body = body.replace(boundary.encode("latin-1"), b"")
    return f"{head.path} {model} {query} {hashlib.sha256(body).hexdigest()}"


async def _claim(worker: Worker, wanted: Wanted, receive: Receive, request_id: str) -> Kept | None:
    """What the first call was answered; None: this one is the first. Raises KeyConflict, CallerLeft, GatewayError."""
    lifeline = Lifeline(receive, worker.alarms)
    lifeline.watch()
    until = time.monotonic() + settings.IDEMPOTENCY_WAIT
    pause = FIRST_PAUSE
    try:
        while True:
            try:
                return await _claimed(wanted, request_id)
            except StillRunning:
                if time.monotonic() >= until:
                    raise KeyConflict(
                        "the first request with this Idempotency-Key is still being answered", headers=(RETRY_AFTER,)
                    ) from None
            async with lifeline.interruptible():
                await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
    finally:
        lifeline.stop()


async def _claimed(wanted: Wanted, request_id: str) -> Kept | None:
    try:
        found = await look_up(KEYS, services.claim, wanted, request_id)
    except OtherRequest:
        raise KeyConflict(
            "this Idempotency-Key has been used for another request", code="idempotency_key_reused", headers=(NO_RETRY,)
        ) from None
    except AnswerTooLarge:
        raise KeyConflict(
            "the request with this Idempotency-Key was answered and billed; its answer was too large to be kept",
            code="idempotent_answer_too_large",
            headers=(NO_RETRY,),
        ) from None
    if found is None:
        return None
    try:
        return await in_computing_thread(Kept.unsealed, found.digest, bytes(found.answer or b""))
    except CannotDecrypt as error:
        log.warning("the answer of request %s cannot be opened: %s", found.request_id, error)
        raise KeyConflict(
            "the request with this Idempotency-Key was answered and billed; its answer cannot be read any more",
            code="idempotent_answer_unreadable",
            headers=(NO_RETRY,),
        ) from error


async def _repeat(kept: Kept, reply: Reply) -> None:
    headers = [
        *kept.headers,
        (b"idempotent-replayed", b"true"),
        (b"idempotent-request-id", kept.request_id.encode()),
    ]
    if not kept.stream:
        await reply.whole(kept.status, kept.body, headers)
        return
    await reply.start(kept.status, headers)
    for start in range(0, len(kept.body), PART):
        await reply.body(kept.body[start : start + PART], more=True)
    await reply.body(b"", more=False)


async def _free(digest: str, request_id: str) -> None:
    """Where it fails, the claim runs out by itself."""
    try:
        await look_up(KEYS, services.free, digest, request_id)
    except GatewayError as error:
        log.warning("the key of request %s stays claimed for a while: %s", request_id, error.__cause__)
