"""GET /v1/models and /v1/models/{id}: the models this key can really use (relay contract, 1.6), in three shapes.

OpenAI's by default; Anthropic's for callers that name its version (https://platform.claude.com/docs/en/api/models-list);
Google's under /v1beta (https://ai.google.dev/api/models).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from accounts.callers import Caller
from channels_app.catalogue import model_object
from channels_app.snapshot import Snapshot
from relay.asgi import Reply
from relay.dialects.gemini import models as gemini_models
from relay.errors import ModelNotFound
from relay.route import current
from relay.types import Head
from relay.worker import Worker

Json = dict[str, Any]
CREATED = "2021-07-20T16:00:00Z"  # the contract's one moment for all models, as Anthropic writes it


@dataclass(frozen=True, slots=True)
class Shape:
    one: Callable[[str], Json]
    all: Callable[[list[str], str], Json]  # (names, query)


def _anthropic_model(name: str) -> Json:
    return {"type": "model", "id": name, "display_name": name, "created_at": CREATED}


def _anthropic_list(names: list[str], query: str) -> Json:
    models = [_anthropic_model(name) for name in names]
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return {"data": models, "has_more": False, **ends}


OPENAI = Shape(model_object, lambda names, _: {"object": "list", "data": [model_object(name) for name in names]})
ANTHROPIC = Shape(_anthropic_model, _anthropic_list)
GOOGLE = Shape(gemini_models.model_document, gemini_models.model_list)


def shape_for(head: Head) -> Shape:
    if head.path.startswith(("/v1beta/", "/v1alpha/")) or "x-goog-api-key" in head.headers:
        return GOOGLE
    return ANTHROPIC if "anthropic-version" in head.headers else OPENAI


def usable(snapshot: Snapshot, caller: Caller) -> list[str]:
    """The models of the token's own list, else of the caller's group; each once, in the order of the catalogue."""
    if caller.model_names is not None:
        return list(dict.fromkeys(caller.model_names))
    return list(snapshot.models.get(caller.group, ()))


async def list_models(worker: Worker, head: Head, reply: Reply, shape: Shape) -> None:
    caller, _ = await worker.callers.authenticate(head)
    await reply.whole(200, orjson.dumps(shape.all(usable(current(worker), caller), head.query)))


async def one_model(worker: Worker, head: Head, reply: Reply, shape: Shape, name: str) -> None:
    """Raises ModelNotFound for a model this key cannot use, known to others or not."""
    caller, _ = await worker.callers.authenticate(head)
    if name not in usable(current(worker), caller):
        raise ModelNotFound(f"The model '{name}' does not exist")
    await reply.whole(200, orjson.dumps(shape.one(name)))
