"""Sequences that end an answer: more of them than a protocol takes are refused, for which to leave out nobody knows.

One: https://docs.bigmodel.cn/api-reference (`stop`). Four: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t.
Five: https://docs.cohere.com/reference/chat, https://ai.google.dev/api/generate-content. None:
https://www.xfyun.cn/doc/spark/Web.html.
"""

from __future__ import annotations

import orjson
import pytest

from relay.adapters.registry import ADAPTERS
from relay.errors import BadRequest
from relay.neutral.request import Chat, Json
from tests.relay.adapters.vendors import HELLO, Answers, job_for

LIMITS = [
    pytest.param(16, "i.s", "glm-4.7", {}, 1, id="zhipu"),
    pytest.param(15, "A|S", "ERNIE-4.0-8K", {}, 4, id="baidu"),
    pytest.param(35, "k", "command-a-03-2025", {}, 5, id="cohere"),
    pytest.param(35, "k", "command-r-08-2024", {"api_version": "v1"}, 5, id="cohere v1"),
    pytest.param(24, "k", "gemini-2.5-flash", {}, 5, id="gemini"),
    pytest.param(18, "A|S|K", "Spark-Max", {}, 0, id="xunfei"),
]


async def sent(kind: int, key: str, model: str, config: Json, stops: list[str]) -> bytes:
    job = job_for(kind, key, Chat(HELLO, stop=stops), model, config)
    outside = Answers([(200, {"access_token": "t", "expires_in": 9})])
    return (await ADAPTERS[job.route.provider.protocol].prepare(job, outside)).body


@pytest.mark.parametrize(("kind", "key", "model", "config", "most"), LIMITS)
async def test_all_sequences_are_sent_or_none(kind: int, key: str, model: str, config: Json, most: int) -> None:
    stops = [f"END{number}" for number in range(most + 1)]

    body = await sent(kind, key, model, config, stops[:most])
    assert orjson.dumps(stops[:most]) in body or not most
    with pytest.raises(BadRequest, match="stop"):
        await sent(kind, key, model, config, stops)
