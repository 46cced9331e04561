"""Neutral requests as inputs of Replicate's models, in the names most of their schemas have.

https://replicate.com/docs/topics/models/official-models; relay contract of providers, 3.17. Only what the caller
named is sent: a model's schema refuses members it does not know.
"""

from __future__ import annotations

from math import log

from relay.adapters.shape import Json, mapping
from relay.adapters.told_form import with_form_told
from relay.adapters.usual import chat_of
from relay.errors import BadRequest
from relay.neutral.request import Images, Media, Request, ToolCall, ToolResult, plain_text

NAME = "Replicate"
PASSED = ("min_tokens", "prompt_template")
RATIOS = ((1, 1), (16, 9), (9, 16), (4, 3), (3, 4), (3, 2), (2, 3), (5, 4), (4, 5), (21, 9), (9, 21))
ENCODINGS = {"png": "png", "webp": "webp", "jpeg": "jpg", "jpg": "jpg"}


def chat_input(request: Request) -> Json:
    """Raises BadRequest. Several turns become lines with the names of their roles."""
    chat = with_form_told(chat_of(request, NAME))
    parts = [part for turn in chat.turns for part in turn.parts]
    if chat.tools or any(isinstance(part, ToolCall | ToolResult) for part in parts):
        raise BadRequest(f"{NAME}'s models are given no tools")
    if any("," in stop for stop in chat.stop):
        raise BadRequest(f"stop: {NAME}'s models take sequences in a list by commas, so that none can hold one")
    said = [(turn.role, plain_text(turn.parts)) for turn in chat.turns]
    prompt = said[0][1] if len(said) == 1 else "\n".join(f"{role}: {text}" for role, text in said if text)
    given: Json = {
        "prompt": prompt,
        "system_prompt": "\n\n".join(part.text for part in chat.system if part.text) or None,
        "image": _image([part for part in parts if isinstance(part, Media)]),
        "max_tokens": chat.max_tokens,
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "top_k": chat.top_k,
        "presence_penalty": chat.presence_penalty,
        "frequency_penalty": chat.frequency_penalty,
        "stop_sequences": ",".join(chat.stop) or None,
        "seed": chat.seed,
    }
    given |= {name: chat.extra.get(name) for name in PASSED}
    return {name: value for name, value in given.items() if value is not None} | mapping(chat.extra.get("input"))


def _image(media: list[Media]) -> str | None:
    if not media:
        return None
    if len(media) > 1 or media[0].kind != "image":
        raise BadRequest(f"{NAME}'s models take text and one image")
    return media[0].url or f"data:{media[0].mime or 'image/png'};base64,{media[0].data}"


def image_input(request: Images) -> Json:
    given: Json = {
        "prompt": request.prompt,
        "aspect_ratio": aspect_ratio(request.size),
        "num_outputs": request.n if request.n > 1 else None,
        "seed": request.extra.get("seed"),
        "output_format": ENCODINGS.get(str(request.extra.get("output_format"))),
    }
    return {name: value for name, value in given.items() if value is not None} | mapping(request.extra.get("input"))


def aspect_ratio(size: str) -> str | None:
    """The nearest to "1024x1792" of those models take: "9:16". None for what names no size; a model has a default."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and len(size) < 12 and int(width) and int(height)):
        return None
    wanted = log(int(width) / int(height))
    across, down = min(RATIOS, key=lambda ratio: abs(log(ratio[0] / ratio[1]) - wanted))
    return f"{across}:{down}"
