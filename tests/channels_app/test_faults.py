"""What disables a channel: the upstream's own structured refusal of the account, and nothing a caller can cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channels_app.faults import refuses_account
from relay.upstream_errors import normalise

OPENAI, ANTHROPIC, ZHIPU, GEMINI, GROQ = 1, 14, 16, 24, 29


def error(message: str = "no", **members: Any) -> Any:
    return {"error": {"message": message, **members}}


@pytest.mark.parametrize(
    ("status", "document", "channel_type"),
    [
        (401, error("Incorrect API key provided: sk-abc", code="invalid_api_key"), OPENAI),
        (401, {"message": "invalid api token"}, OPENAI),  # Cohere's shape
        (403, error(type="permission_error"), ANTHROPIC),
        (403, error(type="forbidden"), OPENAI),
        (403, error(code="account_deactivated"), OPENAI),
        (429, error("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"), OPENAI),
        (403, error("Your access was terminated due to violation of our policies"), OPENAI),
        (400, error("Your credit balance is too low to access the Anthropic API", type="invalid_request_error"), 14),
        (400, error("API key not valid. Please pass a valid API key.", code=400), GEMINI),
        (400, error("API key expired. Please renew the API key."), GEMINI),
        (400, error("Organization has been restricted. Please reach out to support"), GROQ),
        (402, error("Insufficient Balance", type="unknown_error", code="invalid_request_error"), 36),
        (429, error("您的账户已欠费，请充值后重试。", code="1113"), ZHIPU),
    ],
)
def test_a_refused_account(status: int, document: Any, channel_type: int) -> None:
    assert refuses_account(channel_type, normalise(status, dump(document), None))


@pytest.mark.parametrize(
    ("status", "document", "channel_type"),
    [
        (401, b"<html>proxy authentication required</html>", OPENAI),
        (401, b"", OPENAI),
        (403, error("Country not supported", type="request_forbidden"), OPENAI),
        (403, error("Input flagged by moderation: what is my credit balance"), 20),
        (400, error("'your credit balance is too low' is not a valid role"), ANTHROPIC),
        (400, error("Your credit balance is too low, says a prompt"), OPENAI),
        (400, error("api key not valid"), OPENAI),
        (400, error("bad", type="permission_error", code="invalid_api_key"), OPENAI),
        (404, error("no", type="forbidden"), OPENAI),
        (422, error("credit balance permission denied"), OPENAI),
        (429, error("Rate limit reached for requests", type="requests", code="rate_limit_exceeded"), OPENAI),
        (402, error("This request requires more credits, or fewer max_tokens"), 20),
        (500, error("insufficient quota", type="insufficient_quota"), OPENAI),
        (503, error("overloaded", type="overloaded_error"), ANTHROPIC),
        (403, error("no", type=["forbidden"], code={"a": 1}), OPENAI),
    ],
)
def test_what_says_nothing_about_the_account(status: int, document: Any, channel_type: int) -> None:
    assert not refuses_account(channel_type, normalise(status, dump(document), None))


def dump(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()
