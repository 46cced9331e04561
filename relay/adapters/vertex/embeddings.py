"""Vectors of Vertex AI: embedContent and batchEmbedContents of Gemini's models, predict of the others.

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api; which model has which
call, and how several texts are sent to Gemini's: google-genai 3.4.0, `Models.embed_content`; relay contract of
providers, 3.4.
"""

from __future__ import annotations

from billing.pricing import Usage
from relay.adapters.gemini.adapter import read_embeddings, vector
from relay.adapters.gemini.answer import failure, google_error
from relay.adapters.gemini.request import PURPOSES
from relay.adapters.shape import Json, clamped, document, items, mapping
from relay.adapters.usual import texts_of
from relay.errors import UpstreamError
from relay.neutral.events import Vectors
from relay.neutral.request import Embeddings

NAME = "Vertex AI"


def by_content(model: str) -> bool:
    return "gemini" in model


def question(model: str, asked: Embeddings) -> tuple[str, Json]:
    """(action, body). Raises BadRequest: token numbers mean nothing there."""
    texts = texts_of(asked.inputs, NAME)
    size = {} if asked.dimensions is None else {"outputDimensionality": asked.dimensions}
    purpose = None if asked.purpose is None else PURPOSES[asked.purpose]
    if not by_content(model):
        task = {} if purpose is None else {"task_type": purpose}
        body: Json = {"instances": [{"content": text, **task} for text in texts]}
        return "predict", {**body, "parameters": size} if size else body
    config = size | ({} if purpose is None else {"taskType": purpose})
    common: Json = {"embedContentConfig": config} if config else {}
    contents = [{"content": {"parts": [{"text": text}]}, **common} for text in texts]
    return ("embedContent", contents[0]) if len(contents) == 1 else ("batchEmbedContents", {"requests": contents})


def answer(model: str, body: bytes, wanted: int) -> Vectors:
    """`wanted` vectors in the order of the inputs. Raises UpstreamError."""
    if by_content(model):
        return read_embeddings(body, wanted)
    told = document(body)
    if google_error(told):
        raise failure(told)
    found = [mapping(prediction.get("embeddings")) for prediction in items(told.get("predictions"))]
    if len(found) != wanted:
        raise UpstreamError(f"the upstream sent {len(found)} vectors for {wanted} inputs", code="bad_response")
    prompt = sum(clamped(mapping(entry.get("statistics")).get("token_count")) for entry in found)
    return Vectors([vector(entry.get("values")) for entry in found], Usage(prompt, 0) if prompt else None)
