"""Reranking by upstreams shaped after Cohere's: https://docs.siliconflow.cn/cn/api-reference/rerank/create-rerank."""

from __future__ import annotations

import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.openai.adapter import TRANSLATED
from relay.errors import UpstreamError
from relay.neutral.events import Ranked
from relay.neutral.request import Rerank
from tests.relay.wire.cases import FakeOutside, load, route

ADAPTER = TRANSLATED["openai"]
ASKED = Rerank("which?", ["a", "b"], 1, extra={"instruction": "by age", "unknown": 1})


def job(kind: int, **config: str) -> Job:
    return Job(route(kind, config=config), "BAAI/bge-reranker-v2-m3", "rerank", ASKED)


@pytest.mark.parametrize(
    ("kind", "config", "url"),
    [
        (8, {"base_url": "https://mine.example"}, "https://mine.example/v1/rerank"),
        (39, {}, "https://api.together.xyz/v1/rerank"),
        (44, {}, "https://api.siliconflow.cn/v1/rerank"),
        (49, {}, "https://dashscope.aliyuncs.com/compatible-api/v1/reranks"),
        (50, {"base_url": "https://mine.example/v1"}, "https://mine.example/v1/rerank"),
    ],
)
async def test_documents_are_ranked_where_the_provider_ranks(kind, config, url):
    outgoing = await ADAPTER.prepare(job(kind, **config), FakeOutside(load("ollama_chat")))

    assert outgoing.url == url
    assert orjson.loads(outgoing.body) == {
        "model": "BAAI/bge-reranker-v2-m3",
        "query": "which?",
        "documents": ["a", "b"],
        "top_n": 1,
        "instruction": "by age",
    }
    assert ADAPTER.native(job(kind, **config), "/v1/rerank", "")[0] == url


async def test_a_provider_that_does_not_rank_is_not_asked():
    with pytest.raises(UpstreamError) as caught:
        await ADAPTER.prepare(job(1), FakeOutside(load("ollama_chat")))
    assert caught.value.code == "unsupported_mode"


@pytest.mark.parametrize(
    ("members", "usage"),
    [
        ({"usage": {"total_tokens": 12}}, Usage(12, 0)),
        ({"usage": {"prompt_tokens": 12, "total_tokens": 12}}, Usage(12, 0)),
        ({"meta": {"tokens": {"input_tokens": 12, "output_tokens": 1}}}, Usage(12, 1)),
        ({"meta": {"billed_units": {"search_units": 1}}}, None),
        ({}, None),
    ],
)
def test_tokens_are_read_wherever_they_are_told(members, usage):
    answer = {"id": "r", "results": [{"index": 1, "relevance_score": 1}], **members}

    assert ADAPTER.read(job(44), orjson.dumps(answer)) == Ranked([(1, 1.0)], usage, "r")


@pytest.mark.parametrize("answer", [{"results": "x"}, {"error": {"message": "no"}, "results": []}, {}])
def test_an_answer_without_a_ranking_is_an_error(answer):
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(44), orjson.dumps(answer))
