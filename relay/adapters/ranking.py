"""Reranking, as Cohere has it and as every API shaped after it: Jina, SiliconFlow, Together, Alibaba's Bailian.

https://docs.cohere.com/reference/rerank, https://api.jina.ai/scalar#tag/rerank,
https://docs.siliconflow.cn/cn/api-reference/rerank/create-rerank.
"""

from __future__ import annotations

from collections.abc import Iterable

from billing.pricing import Usage
from relay.adapters.shape import Json, clamped, items, mapping, number, real, text
from relay.errors import UpstreamError
from relay.neutral.events import Ranked
from relay.neutral.request import Rerank


def rerank_body(model: str, request: Rerank, passed: Iterable[str]) -> Json:
    """`passed`: members beyond the usual ones that the upstream knows, where the caller sent them."""
    body: Json = {"model": model, "query": request.query, "documents": request.documents}
    if request.top_n is not None:
        body["top_n"] = request.top_n
    return body | {name: request.extra[name] for name in passed if request.extra.get(name) is not None}


def read_ranking(answer: Json) -> Ranked:
    """Cohere's answer, or one of the many APIs shaped like it. Raises UpstreamError: it is none.

    Cohere bills searches and names no tokens (then usage is None); the others name `usage.total_tokens`.
    """
    if not isinstance(answer.get("results"), list):
        raise UpstreamError("the upstream's answer holds no ranking", code="bad_response")
    results = [(number(item.get("index")), real(item.get("relevance_score"))) for item in items(answer["results"])]
    usage = mapping(answer.get("usage"))
    total = clamped(usage.get("total_tokens")) or clamped(usage.get("prompt_tokens"))
    counted = Usage(total, 0) if total else billed(answer)
    return Ranked(results, counted, text(answer.get("id")))


def billed(answer: Json) -> Usage | None:
    """Of embeddings and rankings: what Cohere says of tokens in `meta`."""
    meta = mapping(answer.get("meta"))
    for name in ("billed_units", "tokens"):
        figures = mapping(meta.get(name))
        if tokens := clamped(figures.get("input_tokens")) + clamped(figures.get("image_tokens")):
            return Usage(tokens, clamped(figures.get("output_tokens")))
    return None
