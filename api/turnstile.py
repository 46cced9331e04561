"""Cloudflare Turnstile, asked anew for every call (management contract, 1.14; remedies S17, S30)."""

from __future__ import annotations

import logging
import time

import httpx
import orjson
from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from accounts.http import client_address
from api.bodies import query_text
from api.envelope import Refusal
from options.registry import Options

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(5.0)  # seconds for each step
DEADLINE = 10.0  # seconds for the whole answer
MAX_ANSWER = 64 * 1024  # bytes
MAX_TOKEN = 2048  # characters, by Cloudflare's documentation
MISSING = "Turnstile token 为空"
REFUSED = "Turnstile 校验失败，请刷新重试！"


def check(request: Request, options: Options) -> None:
    """Where the option is on, query parameter `turnstile` must be a token Cloudflare accepts. Raises Refusal.

    A verification that cannot be had counts as failed; why, the log says.
    """
    check_token(query_text(request, "turnstile"), request._request, options)


def check_token(token: str, request: HttpRequest, options: Options) -> None:
    """As `check`, for a form that brings its token along."""
    if not options["TurnstileCheckEnabled"]:
        return
    if not token:
        raise Refusal(MISSING)
    if len(token) > MAX_TOKEN or not _accepted(options, token, client_address(request)):
        raise Refusal(REFUSED)


def secret_problem(options: Options) -> str:
    """Try the stored secret with an answer nobody gave: "" where Cloudflare knows it, else why not, for root."""
    try:
        status, raw = _post({"secret": options["TurnstileSecretKey"], "response": "on-trial"})
        answer = orjson.loads(raw)
    except (httpx.HTTPError, ValueError) as error:
        return type(error).__name__
    codes = answer.get("error-codes") if isinstance(answer, dict) else None
    if not isinstance(codes, list):
        return f"status {status}"
    return "" if "invalid-input-response" in codes else ", ".join(str(code)[:60] for code in codes[:5])


def _accepted(options: Options, token: str, address: str) -> bool:
    form = {"secret": options["TurnstileSecretKey"], "response": token, "remoteip": address}
    try:
        status, raw = _post(form)
        answer = orjson.loads(raw) if status == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        log.warning("Turnstile cannot be asked: %s", type(error).__name__)
        return False
    if not isinstance(answer, dict):
        log.warning("Turnstile gave no answer: status %s", status)
        return False
    return answer.get("success") is True


def _post(form: dict[str, str]) -> tuple[int, bytes]:
    """Status and body. Raises httpx.HTTPError, ValueError for too long a body. Redirects are not followed."""
    deadline = time.monotonic() + DEADLINE
    with (
        httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client,
        client.stream("POST", settings.TURNSTILE_VERIFY_URL, data=form) as reply,
    ):
        raw = b""
        for chunk in reply.iter_bytes():
            raw += chunk
            if len(raw) > MAX_ANSWER:
                raise ValueError("the answer is too long")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer takes too long")
        return reply.status_code, raw
