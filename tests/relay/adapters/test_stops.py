"""Sequences that end an answer: more of them than a protocol takes are refused, for which to leave out nobody knows.

One: https://docs.bigmodel.cn/api-reference (`stop`). Four: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t.
Five: https://docs.cohere.com/reference/chat, https://ai.google.dev/api/generate-content. None:
https://www.xfyun.cn/doc/spark/Web.html, https://www.coze.com/open/docs/developer_guides/chat_v3,
https://developers.deepl.com/api-reference/translate,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html.
"""

from __future__ import annotations

import orjson
import pytest

from relay.adapters.registry import ADAPTERS
from relay.errors import BadRequest
from relay.neutral.request import Chat, Json
from tests.relay.adapters.vendors import HELLO, Answers, job_for

INVOKED = {"region": "us-east-1", "ak": "AKIDEXAMPLE", "sk": "SECRET", "api_version": "invoke"}
LIMITS = [
    pytest.param(16, "i.s", "glm-4.7", {}, 1, id="zhipu"),
    pytest.param(15, "A|S", "ERNIE-4.0-8K", {}, 4, id="baidu"),
    pytest.param(35, "k", "command-a-03-2025", {}, 5, id="cohere"),
    pytest.param(35, "k", "command-r-08-2024", {"api_version": "v1"}, 5, id="cohere v1"),
    pytest.param(24, "k", "gemini-2.5-flash", {}, 5, id="gemini"),
    pytest.param(18, "A|S|K", "Spark-Max", {}, 0, id="xunfei"),
    pytest.param(16, "i.s", "chatglm_turbo", {}, 0, id="zhipu v3"),
    pytest.param(33, "", "meta.llama3-70b-instruct-v1:0", INVOKED, 0, id="llama by InvokeModel"),
    pytest.param(34, "k", "bot-7", {}, 0, id="coze"),
    pytest.param(38, "k", "deepl-en", {}, 0, id="deepl"),
    pytest.param(21, "k", "library", {"library_id": "9"}, 0, id="ai proxy's library"),
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


async def test_a_sequence_that_holds_a_comma_would_be_two_at_replicate() -> None:
    assert b'"stop_sequences":"END,STOP"' in await sent(46, "k", "meta/meta-llama-3-8b", {}, ["END", "STOP"])
    with pytest.raises(BadRequest, match="stop"):
        await sent(46, "k", "meta/meta-llama-3-8b", {}, ["END", "1,2"])
