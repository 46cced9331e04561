"""Reranking as Cohere's and Jina's clients speak it: POST /v1/rerank, and Cohere's /v2/rerank.

https://docs.cohere.com/reference/rerank, https://api.jina.ai/scalar#tag/rerank. Both take the same request; an answer
here has the members of both.
"""

from __future__ import annotations

from typing import Any

import orjson

from billing import tokens
from relay import splice
from relay.dialects.base import Dialect, Whole, Writer
from relay.dialects.members import Json, flag, refused, text, whole
from relay.errors import BadRequest, RelayError
from relay.neutral.events import Ranked, new_id
from relay.neutral.request import Rerank
from relay.sizing import tokens_of
from relay.types import Attempt, Call, Head, Mode

PATH = "/v1/rerank"  # whichever the caller used: upstreams of this form have no other
READ = frozenset({"model", "query", "documents", "top_n", "return_documents"})


class RerankDialect(Dialect):
    name = "rerank"
    native = frozenset({"openai"})

    def read(self, mode: Mode, head: Head, body: bytes, model_in_path: str = "") -> Call:
        document = splice.parse(body)
        model = text(document, "model")
        if not model:
            raise refused("model is required")
        request = _request(document)
        call = Call(
            mode=mode,
            path=PATH,
            query=head.query,
            content_type=head.headers.get("content-type", "") or "application/json",
            accept=head.headers.get("accept", ""),
            body=body,
            document=document,
            model=model,
        )
        call.prompt_estimate = _estimate(request)
        return call

    def neutral(self, call: Call) -> Rerank:
        return _request(call.document)

    def native_body(self, call: Call, attempt: Attempt) -> bytes:
        if attempt.model == call.model:
            return call.body
        return splice.replace(call.body, call.document, {"model": attempt.model})

    def writer(self, call: Call) -> Writer:
        raise BadRequest("rankings are not streamed", code="unsupported_mode")

    def whole(self, call: Call, answer: Whole) -> bytes:
        if not isinstance(answer, Ranked):
            raise TypeError(f"{type(answer).__name__} is no answer to a call of this dialect")
        request = _request(call.document)
        document: Json = {
            "id": answer.id or new_id("rerank-"),
            "object": "list",
            "model": call.model,
            "results": _results(request, answer),
        }
        if answer.usage is not None:
            tokens = answer.usage.prompt_tokens
            document["meta"] = {"tokens": {"input_tokens": tokens, "output_tokens": answer.usage.completion_tokens}}
            document["usage"] = {
                "prompt_tokens": tokens,
                "total_tokens": tokens + answer.usage.completion_tokens,
            }
        return orjson.dumps(document)

    def prompt_tokens(self, call: Call, model: str, *, rough: bool) -> int:
        """Cohere bills searches and names no tokens. What a model reads is the query, again with every document."""
        if rough:
            return call.prompt_estimate
        request = _request(call.document)
        query = tokens.count_text(model, request.query)
        return query * len(request.documents) + sum(tokens.count_text(model, text) for text in request.documents)

    def failure(self, error: RelayError, request_id: str) -> bytes:
        """Cohere's clients read `message`; those of everybody else read OpenAI's `error`."""
        body = error.body(request_id)
        return orjson.dumps({**body, "message": body["error"]["message"]})


def _request(document: Json) -> Rerank:
    """Raises BadRequest."""
    query = text(document, "query")
    if not query:
        raise refused("query is required")
    documents = document.get("documents")
    if not isinstance(documents, list) or not documents:
        raise refused("documents must be a list with at least one text")
    top_n = whole(document, "top_n")
    if top_n is not None and top_n < 1:
        raise refused("top_n must be at least 1")
    extra = {name: value for name, value in document.items() if name not in READ}
    texts = [_text(item) for item in documents]
    return Rerank(query, texts, top_n, flag(document, "return_documents") or False, extra)


def _text(item: Any) -> str:
    """A document is a text, or an object with one."""
    if isinstance(item, dict):
        item = item.get("text")
    if not isinstance(item, str):
        raise refused("every document must be a string, or an object whose text is one")
    return item


def _estimate(request: Rerank) -> int:
    """Tokens. A model that ranks reads the query again with every document."""
    size = len(request.query.encode()) * len(request.documents)
    return tokens_of(size + sum(len(document.encode()) for document in request.documents))


def _results(request: Rerank, ranked: Ranked) -> list[Json]:
    """Best first and no more than were asked for, whatever the upstream made of that."""
    known = [(index, score) for index, score in ranked.results if 0 <= index < len(request.documents)]
    known.sort(key=lambda result: -result[1])
    results: list[Json] = []
    for index, score in known[: request.top_n]:
        result: Json = {"index": index, "relevance_score": score}
        if request.return_documents:
            result["document"] = {"text": request.documents[index]}
        results.append(result)
    return results
