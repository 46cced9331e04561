"""What is asked and answered in every measurement, and what it must cost. Shared by all, so that none can drift."""

from __future__ import annotations

import json

MODEL = "gpt-4"  # 15 points a prompt token, twice that a completion token (billing/data/ratios.toml)
PATH = "/v1/chat/completions"
EVENTS = 64
PACE = 0.02  # seconds between two events of a stream
SLOW_EVENTS, SLOW_PACE = 7, 10.0  # of a stream that is open for a minute and says little
DELAY = 0.02  # seconds an upstream that thinks for a moment takes for a plain call
PROMPT_TOKENS = 10
COMPLETION_TOKENS = 20

CALL_PRICE = (PROMPT_TOKENS + 2 * COMPLETION_TOKENS) * 15  # points: 750
LEFT_PRICE = 40 * 15  # points: REQUEST's prompt by our own count, for a caller who left before the answer


def stream_price(events: int) -> int:
    """Points."""
    return (PROMPT_TOKENS + 2 * events) * 15


STREAM_PRICE = stream_price(EVENTS)  # 2,070

MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant who answers in one short sentence."},
    {"role": "user", "content": "How many cities does Switzerland have whose name begins with the letter B? Name two."},
]


def request(model: str = MODEL) -> bytes:
    return json.dumps({"model": model, "messages": MESSAGES, "max_tokens": 256, "temperature": 0.7}).encode()


def stream_request(model: str = MODEL) -> bytes:
    return json.dumps({"model": model, "messages": MESSAGES, "max_tokens": 256, "stream": True}).encode()


REQUEST = request()


def usage(completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
    }


CONTENT = b"Several do; two are Basel and Bern, both on a river."
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench0123456789",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": CONTENT.decode(),
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": usage(COMPLETION_TOKENS),
        "system_fingerprint": "fp_bench",
    }
).encode()


def event(number: int, events: int = EVENTS) -> bytes:
    """Event `number` of `events`, from 0: its content is the number itself, so that a lost or doubled one is seen."""
    return _event(
        [
            {
                "index": 0,
                "delta": {"content": f"{number} "},
                "finish_reason": "stop" if number == events - 1 else None,
            }
        ]
    )


def usage_event(events: int = EVENTS) -> bytes:
    return _event([], usage=usage(events))


def _event(choices: list[dict[str, object]], **members: object) -> bytes:
    chunk = {
        "id": "chatcmpl-bench0123456789",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": choices,
        **members,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
