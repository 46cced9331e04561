"""The form of an answer where a protocol has no member for it: told in words, or refused. Left out it is nowhere."""

from __future__ import annotations

import orjson
import pytest

from relay.adapters.registry import ADAPTERS
from relay.errors import BadRequest
from relay.neutral.request import Chat, Json, OutputFormat, Text
from tests.relay.adapters.vendors import HELLO, Answers, job_for

SCHEMA = {"type": "object", "properties": {"city_of_birth": {"type": "string"}}}
TOLD = [
    pytest.param(15, "A|S", "ERNIE-4.0-8K", {}, id="baidu"),
    pytest.param(16, "i.s", "glm-4.7", {}, id="zhipu"),
    pytest.param(18, "A|S|K", "Spark-Max", {}, id="xunfei"),
    pytest.param(23, "1|AKID|sk", "hunyuan-turbos", {}, id="tencent"),
    pytest.param(34, "k", "bot-1", {"user_id": "u"}, id="coze"),
    pytest.param(46, "k", "meta/meta-llama-3-8b-instruct", {}, id="replicate"),
]
REFUSED = [
    pytest.param(21, "k", "gpt-4", {"library_id": "l"}, id="aiproxy-library"),
    pytest.param(38, "k", "deepl-zh", {}, id="deepl"),
]


async def sent(kind: int, key: str, model: str, config: Json, output: OutputFormat | None) -> str:
    job = job_for(kind, key, Chat(HELLO, system=[Text("Be brief.")], output=output), model, config)
    outside = Answers([(200, {"access_token": "t", "expires_in": 9})])
    outgoing = await ADAPTERS[job.route.provider.protocol].prepare(job, outside)
    return "\n".join(texts(orjson.loads(outgoing.body)))


def texts(document: object) -> list[str]:
    """All of a document, however deep."""
    if isinstance(document, dict):
        return [text for value in document.values() for text in texts(value)]
    if isinstance(document, list):
        return [text for value in document for text in texts(value)]
    return [document] if isinstance(document, str) else []


@pytest.mark.parametrize(("kind", "key", "model", "config"), TOLD)
async def test_a_schema_is_told_to_the_model(kind: int, key: str, model: str, config: Json) -> None:
    asked = await sent(kind, key, model, config, OutputFormat("schema", SCHEMA, "person"))

    assert orjson.dumps(SCHEMA).decode() in asked
    assert "Be brief." in asked


@pytest.mark.parametrize(("kind", "key", "model", "config"), [case for case in TOLD if case.id != "zhipu"])
async def test_where_there_is_no_json_mode_json_is_asked_for_in_words(
    kind: int, key: str, model: str, config: Json
) -> None:
    assert "JSON" in await sent(kind, key, model, config, OutputFormat("json"))
    assert "JSON" not in await sent(kind, key, model, config, OutputFormat("text"))


@pytest.mark.parametrize(("kind", "key", "model", "config"), REFUSED)
async def test_who_writes_no_json_refuses_to(kind: int, key: str, model: str, config: Json) -> None:
    for output in (OutputFormat("json"), OutputFormat("schema", SCHEMA)):
        with pytest.raises(BadRequest, match="plain text"):
            await sent(kind, key, model, config, output)

    assert "Hi" in await sent(kind, key, model, config, OutputFormat("text"))
