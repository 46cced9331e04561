"""Cohere's SDK at the gateway: it ranks at /v2/rerank, the one address of Cohere's own API that is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cohere
import httpx
import pytest

from tests.relay.matrix.conftest import Matrix
from tests.relay.matrix.upstreams.cohere import RANKS

DOCUMENTS = ["Oslo is the capital of Norway.", "Rome.", "Lima is in Peru."]


@pytest.fixture
def sdk(matrix: Matrix) -> Iterator[cohere.ClientV2]:
    matrix.charged()
    with httpx.Client(timeout=30) as connections:
        key, address = f"sk-{matrix.account.key}", matrix.gateway.base_url
        yield cohere.ClientV2(key, base_url=address, max_retries=0, httpx_client=connections)


def test_documents_are_ranked(matrix: Matrix, sdk: cohere.ClientV2) -> None:
    ranking = sdk.rerank(model=RANKS, query="Where?", documents=DOCUMENTS, top_n=2)

    assert [(result.index, result.relevance_score) for result in ranking.results] == [(1, 0.9), (2, 0.8)]
    assert matrix.upstreams["Cohere"].violations == []


def test_a_ranking_that_is_billed_in_searches_is_charged_by_our_own_count_of_the_prompt(
    matrix: Matrix, sdk: cohere.ClientV2
) -> None:
    sdk.rerank(model=RANKS, query="Where?", documents=DOCUMENTS)

    (row,) = matrix.charged()
    assert row.estimated
    assert row.figures.completion == 0
    assert 10 <= row.figures.prompt <= 40
    assert row.quota == row.ledger > 0


def test_other_models_than_its_own_are_not_there(sdk: cohere.ClientV2) -> None:
    with pytest.raises(cohere.NotFoundError):
        sdk.rerank(model="rerank-unknown", query="Where?", documents=DOCUMENTS)


def test_cohere_chat_is_no_dialect_of_the_gateway(sdk: cohere.ClientV2) -> None:
    messages: Any = [{"role": "user", "content": "Hello"}]
    with pytest.raises(cohere.NotFoundError):
        sdk.chat(model=RANKS, messages=messages)
