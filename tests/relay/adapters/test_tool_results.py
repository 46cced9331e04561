"""Results of tools follow the calls they answer, one after the other; what a tool showed comes after all of them.

https://platform.openai.com/docs/guides/function-calling: every call of an assistant's message has to be answered before
anything else is said.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.adapters.registry import ADAPTERS
from relay.dialects.openai import request as openai_request
from tests.relay.adapters.vendors import PIXEL, Answers, job_for

PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


def asked() -> dict[str, Any]:
    calls = [{"id": one, "type": "function", "function": {"name": "shot", "arguments": "{}"}} for one in "ab"]
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "a", "content": [PICTURE]},
            {"role": "tool", "tool_call_id": "b", "content": "done"},
        ],
        "tools": [{"type": "function", "function": {"name": "shot"}}],
    }


@pytest.mark.parametrize(
    ("kind", "key", "model"),
    [
        pytest.param(16, "i.s", "glm-4.6v", id="zhipu"),
        pytest.param(17, "k", "qwen-vl-max", id="ali"),
        pytest.param(23, "1|AKID|sk", "hunyuan-vision", id="tencent"),
    ],
)
async def test_a_picture_does_not_come_between_results(kind: int, key: str, model: str) -> None:
    job = job_for(kind, key, openai_request.chat(asked()), model)

    body = orjson.loads((await ADAPTERS[job.route.provider.protocol].prepare(job, Answers())).body)

    messages = body.get("messages") or body.get("Messages") or body["input"]["messages"]
    roles = [message.get("role") or message.get("Role") for message in messages]
    assert roles == ["user", "assistant", "tool", "tool", "user"]
    assert PIXEL in orjson.dumps(messages[-1]).decode()
