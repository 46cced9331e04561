"""Reranking as Cohere's and Jina's clients speak it: https://docs.cohere.com/reference/rerank."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from billing.pricing import Price, Usage
from options.registry import Options
from relay.charging import need
from relay.dialects.rerank import RerankDialect
from relay.errors import BadRequest, NotAuthenticated, UpstreamError
from relay.neutral.events import Ranked, Vectors
from relay.neutral.request import Rerank
from relay.types import Attempt, Head, Mode
from tests.relay.wire.cases import route

DIALECT = RerankDialect()
ASKED = {"model": "rerank-v3.5", "query": "which?", "documents": ["a", {"text": "b"}, "c"]}


def call(path="/v1/rerank", **members):
    head = Head("POST", path, path, "", {"content-type": "application/json"}, "127.0.0.1")
    return DIALECT.read(Mode.RERANK, head, orjson.dumps({**ASKED, **members}))


def answered(ranked, **members):
    return orjson.loads(DIALECT.whole(call(**members), ranked))


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_both_addresses_ask_the_same_of_an_upstream(path):
    assert (call(path).path, call(path).model, call(path).mode) == ("/v1/rerank", "rerank-v3.5", Mode.RERANK)


def test_a_request_is_read_whole():
    read = DIALECT.neutral(call(top_n=2, return_documents=True, max_tokens_per_doc=9))

    assert read == Rerank("which?", ["a", "b", "c"], 2, True, {"max_tokens_per_doc": 9})


@pytest.mark.parametrize(
    "members",
    [
        {"model": ""},
        {"model": 3},
        {"query": ""},
        {"query": ["a"]},
        {"documents": []},
        {"documents": "a"},
        {"documents": [1]},
        {"documents": [{"image": "x"}]},
        {"top_n": 0},
        {"top_n": "2"},
        {"return_documents": "yes"},
    ],
)
def test_what_is_no_request_is_refused(members):
    with pytest.raises(BadRequest) as caught:
        call(**members)
    assert caught.value.status == 400


def test_the_query_is_estimated_once_for_each_document():
    one, ten = call(documents=["a"]), call(documents=["a"] * 10)

    assert one.prompt_estimate == 3  # 7 bytes at 0.38
    assert ten.prompt_estimate == 27  # 70 bytes


def test_where_nobody_counted_the_query_counts_once_for_each_document():
    asked = call(documents=["alpha", "beta gamma"])  # "which?" is 2 tokens, the documents are 1 and 2

    assert DIALECT.prompt_tokens(asked, "rerank-v3.5", rough=False) == 2 * 2 + 1 + 2
    assert DIALECT.prompt_tokens(asked, "rerank-v3.5", rough=True) == asked.prompt_estimate


def test_nothing_is_held_for_words_that_nobody_will_generate():
    price = Price(Decimal(1), Decimal(1), Decimal(1))

    assert need(call(documents=["a"]), Attempt(route(35), "rerank-v3.5", price), Options({})).least == 3  # its estimate


def test_results_come_best_first_and_no_more_than_asked_for():
    ranked = Ranked([(0, 0.1), (2, 0.9), (7, 0.95), (1, 0.5)], Usage(12, 0), "r1")

    answer = answered(ranked, top_n=2)

    assert answer["id"] == "r1"
    assert answer["results"] == [{"index": 2, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.5}]
    assert answer["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
    assert answer["meta"]["tokens"]["input_tokens"] == 12


def test_documents_are_given_back_where_asked_for():
    answer = answered(Ranked([(1, 0.5)]), return_documents=True)

    assert answer["results"] == [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}]
    assert answer["id"].startswith("rerank-")
    assert "usage" not in answer


def test_bytes_are_passed_on_but_for_a_mapped_model():
    asked = call(documents=[{"text": "b", "more": 1}])
    price = Price(Decimal(1), Decimal(1), Decimal(1))

    assert DIALECT.native_body(asked, Attempt(route(44), "rerank-v3.5", price)) == asked.body
    mapped = orjson.loads(DIALECT.native_body(asked, Attempt(route(44), "BAAI/bge-reranker", price)))
    assert mapped == {**asked.document, "model": "BAAI/bge-reranker"}


@pytest.mark.parametrize("error", [UpstreamError("gone"), NotAuthenticated("who?")])
def test_an_error_is_found_by_clients_of_both_kinds(error):
    body = orjson.loads(DIALECT.failure(error, "REQUEST"))

    assert body["message"] == body["error"]["message"] == f"{error.message} (request id: REQUEST)"


def test_only_rankings_are_answers():
    with pytest.raises(TypeError):
        DIALECT.whole(call(), Vectors([]))
    with pytest.raises(BadRequest):
        DIALECT.writer(call())
