"""Vectors and pictures as OpenAI's lists.

https://platform.openai.com/docs/api-reference/embeddings/object and .../images/object.
"""

from __future__ import annotations

import binascii
import struct
import time
from typing import Any

from relay.dialects.openai.writer import usage_document
from relay.errors import UpstreamError
from relay.neutral.events import Picture, Pictures, Vectors
from relay.types import Call

Json = dict[str, Any]


def embeddings_document(call: Call, vectors: Vectors) -> Json:
    """In the encoding the caller asked for, whichever the upstream used. Raises UpstreamError: base64 of no vector."""
    as_base64 = call.document.get("encoding_format") == "base64"
    document: Json = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else _floats(vector)}
            for index, vector in enumerate(vectors.vectors)
        ],
        "model": call.model,
    }
    if vectors.usage is not None:
        tokens = vectors.usage.prompt_tokens
        document["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens + vectors.usage.completion_tokens}
    return document


def _base64(vector: list[float] | str) -> str:
    """32-bit little-endian floats, as OpenAI packs them."""
    if isinstance(vector, str):
        return vector
    try:
        return binascii.b2a_base64(struct.pack(f"<{len(vector)}f", *vector), newline=False).decode()
    except (struct.error, OverflowError) as error:
        raise UpstreamError("the upstream's vector is none", code="bad_response_body") from error


def _floats(vector: list[float] | str) -> list[float]:
    if not isinstance(vector, str):
        return vector
    try:
        packed = binascii.a2b_base64(vector, strict_mode=True)
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (binascii.Error, struct.error) as error:
        raise UpstreamError("the upstream's vector is none", code="bad_response_body") from error


def images_document(_call: Call, pictures: Pictures) -> Json:
    document: Json = {
        "created": pictures.created or int(time.time()),
        "data": [_picture(picture) for picture in pictures.pictures],
    }
    if pictures.usage is not None:
        usage = usage_document(pictures.usage)
        document["usage"] = {
            "input_tokens": usage["prompt_tokens"],
            "output_tokens": usage["completion_tokens"],
            "total_tokens": usage["total_tokens"],
            "input_tokens_details": {
                "text_tokens": max(usage["prompt_tokens"] - pictures.usage.image_prompt_tokens, 0),
                "image_tokens": pictures.usage.image_prompt_tokens,
            },
        }
    return document


def _picture(picture: Picture) -> Json:
    document = {"url": picture.url} if picture.url else {"b64_json": picture.data}
    if picture.revised_prompt:
        document["revised_prompt"] = picture.revised_prompt
    return document
