"""Cloudflare Turnstile, asked anew for every call (management contract, 1.14; remedies S17, S30)."""

from __future__ import annotations

import httpx
from rest_framework.request import Request

from accounts.http import client_address
from api.bodies import query_text
from api.envelope import Refusal
from options.registry import Options

VERIFY = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
TIMEOUT = 5.0  # seconds
MISSING = "Turnstile token 为空"
REFUSED = "Turnstile 校验失败，请刷新重试！"


def check(request: Request, options: Options) -> None:
    """Where the option is on, query parameter `turnstile` must be a token Cloudflare accepts. Raises Refusal."""
    if not options["TurnstileCheckEnabled"]:
        return
    token = query_text(request, "turnstile")
    if not token:
        raise Refusal(MISSING)
    form = {"secret": options["TurnstileSecretKey"], "response": token, "remoteip": client_address(request._request)}
    try:
        reply = httpx.post(VERIFY, data=form, timeout=TIMEOUT)
        passed = reply.status_code == 200 and reply.json().get("success") is True
    except (httpx.HTTPError, ValueError, AttributeError):
        passed = False
    if not passed:
        raise Refusal(REFUSED)
