"""What a model is for, as far as its name and its prices tell. A guess for people; nothing is decided by it."""

from __future__ import annotations

import re

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.pricing import Price

CHAT, IMAGE, SPEECH, TRANSCRIPTION, EMBEDDING, RERANK, MODERATION = (
    "chat", "image", "speech", "transcription", "embedding", "rerank", "moderation",
)  # fmt: skip
LABELS: dict[str, str | Promise] = {
    CHAT: _("chat"),
    IMAGE: _("images"),
    SPEECH: _("speech"),
    TRANSCRIPTION: _("transcription"),
    EMBEDDING: _("embeddings"),
    RERANK: _("ranking"),
    MODERATION: _("moderation"),
}
# First match wins: "gpt-4o-transcribe" is no chat, "gpt-4o-mini-tts" neither.
RULES = (
    (MODERATION, r"moderation"),
    (RERANK, r"rerank"),
    (EMBEDDING, r"embed|^bge-|^m3e|^text-search|^text-similarity"),
    (TRANSCRIPTION, r"whisper|transcribe|sensevoice|-asr"),
    (SPEECH, r"(^|[-/])tts($|-)|speech|cosyvoice"),
    (
        IMAGE,
        r"dall-e|gpt-image|stable-diffusion|(^|/)sd[x3]|flux|imagen|cogview|wanx|seedream|midjourney|step-1x|image-gen",
    ),
)
_RULES = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in RULES)


def kind_of(model: str) -> str:
    return next((kind for kind, pattern in _RULES if pattern.search(model)), CHAT)


def abilities_of(kind: str, price: Price) -> list[str | Promise]:
    """What the price list knows beyond text: a part that has a price of its own is a part the model has."""
    parts = price.parts
    if kind != CHAT:
        return []
    known = (
        (parts.cached, _("prompt cache")),
        (parts.image_prompt, _("images in")),
        (parts.image_completion, _("images out")),
        (parts.audio_prompt, _("sound in")),
        (parts.audio_completion, _("sound out")),
        (parts.reasoning, _("thinking")),
    )
    return [label for ratio, label in known if ratio is not None]
