"""Message Pusher: one POST that says it all (management contract, 6.6)."""

from __future__ import annotations

import time

import httpx
import orjson

from notices.letters import Letter
from options.registry import Options

TIMEOUT = httpx.Timeout(10.0)  # seconds for each step
DEADLINE = 20.0  # seconds for the whole answer
MAX_ANSWER = 64 * 1024  # bytes


class PushError(Exception):
    """Not delivered, as far as we know. The text holds no token."""


def configured(options: Options) -> bool:
    return bool(options["MessagePusherAddress"])


def push(options: Options, letter: Letter) -> None:
    """Raises PushError unless the answer is 2xx and says `"success": true`. Redirects are not followed."""
    body = {
        "title": letter.subject,
        "description": letter.html,
        "content": letter.html,
        "url": "",
        "channel": "",
        "token": options["MessagePusherToken"],
    }
    try:
        status, raw = _post(options["MessagePusherAddress"], body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise PushError(f"the message pusher cannot be reached: {type(error).__name__}") from None
    if not 200 <= status < 300:
        raise PushError(f"the message pusher answered {status}")
    try:
        answer = orjson.loads(raw)
    except ValueError:
        raise PushError("the message pusher's answer is not JSON") from None
    if not isinstance(answer, dict) or answer.get("success") is not True:
        raise PushError("the message pusher did not say success")


def _post(address: str, body: dict[str, str]) -> tuple[int, bytes]:
    deadline = time.monotonic() + DEADLINE
    with (
        httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client,
        client.stream("POST", address, json=body) as reply,
    ):
        raw = b""
        for chunk in reply.iter_bytes():
            raw += chunk
            if len(raw) > MAX_ANSWER:
                raise ValueError("the answer is too long")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer takes too long")
        return reply.status_code, raw
