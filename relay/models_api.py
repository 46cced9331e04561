"""GET /v1/models and /v1/models/{id}: the models this key can really use (relay contract, 1.6)."""

from __future__ import annotations

import orjson

from accounts.callers import Caller
from channels_app.catalogue import model_object
from channels_app.snapshot import Snapshot
from relay.asgi import Reply
from relay.errors import ModelNotFound
from relay.pipeline import current
from relay.types import Head
from relay.worker import Worker


def usable(snapshot: Snapshot, caller: Caller) -> list[str]:
    """The models of the token's own list, else of the caller's group; each once, in the order of the catalogue."""
    if caller.model_names is not None:
        return list(dict.fromkeys(caller.model_names))
    return list(snapshot.models.get(caller.group, ()))


async def list_models(worker: Worker, head: Head, reply: Reply) -> None:
    caller, _ = await worker.callers.authenticate(head)
    names = usable(current(worker), caller)
    await reply.whole(200, orjson.dumps({"object": "list", "data": [model_object(name) for name in names]}))


async def one_model(worker: Worker, head: Head, reply: Reply, name: str) -> None:
    """Raises ModelNotFound for a model this key cannot use, known to others or not."""
    caller, _ = await worker.callers.authenticate(head)
    if name not in usable(current(worker), caller):
        raise ModelNotFound(f"The model '{name}' does not exist")
    await reply.whole(200, orjson.dumps(model_object(name)))
