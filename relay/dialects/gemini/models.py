"""The models of a key in the shape of Gemini's list: GET /v1beta/models and /v1beta/models/{name}.

https://ai.google.dev/api/models. Limits are left out: nobody knows them for models of every provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs

from relay.dialects.members import refused
from relay.neutral.request import Json

MOST = 1000  # models a page, as Google has it
CHAT_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]
EMBEDDING_METHODS = ["embedContent", "batchEmbedContents"]


def model_document(name: str) -> Json:
    """`name` as the caller would ask for it, without "models/"."""
    return {
        "name": f"models/{name}",
        "baseModelId": name,
        "version": "001",
        "displayName": name,
        "description": "",
        "supportedGenerationMethods": EMBEDDING_METHODS if "embed" in name.lower() else CHAT_METHODS,
    }


def model_list(names: Sequence[str], query: str = "") -> Json:
    """One page: `pageSize` and `pageToken` of the query, a token being the number of models before the page.

    Raises BadRequest for a size or a token that is none.
    """
    asked = parse_qs(query)
    size = _figure(asked, "pageSize") or MOST
    begin = _figure(asked, "pageToken")
    end = begin + min(size, MOST)
    page: Json = {"models": [model_document(name) for name in names[begin:end]]}
    return {**page, "nextPageToken": str(end)} if end < len(names) else page


def _figure(asked: dict[str, list[str]], name: str) -> int:
    value = asked.get(name, ["0"])[-1]
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise refused(f"{name} is invalid")
    return int(value)
