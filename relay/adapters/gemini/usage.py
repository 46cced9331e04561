"""Gemini's `usageMetadata`: https://ai.google.dev/api/generate-content#UsageMetadata.

Thoughts are counted beside the candidates, the results of built-in tools beside the prompt; cached tokens are part of
the prompt. Figures of a stream are cumulative.
"""

from __future__ import annotations

from typing import Any

from billing.pricing import Usage
from relay.adapters.shape import MOST_TOKENS, Json, clamped, items


def usage_of(counts: Json) -> Usage | None:
    """None where nothing was counted, as in the chunks that Vertex sends before its last."""
    prompt = clamped(counts.get("promptTokenCount")) + clamped(counts.get("toolUsePromptTokenCount"))
    thoughts = clamped(counts.get("thoughtsTokenCount"))
    if covers_text(counts):
        completion = clamped(counts.get("candidatesTokenCount")) + thoughts
    else:
        completion = max(thoughts, clamped(counts.get("totalTokenCount")) - prompt if prompt else 0)
    prompt, completion = min(prompt, MOST_TOKENS), min(completion, MOST_TOKENS)
    if not prompt and not completion:
        return None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=min(clamped(counts.get("cachedContentTokenCount")), prompt),
        audio_prompt_tokens=min(_of(counts.get("promptTokensDetails"), "AUDIO"), prompt),
        image_prompt_tokens=min(_of(counts.get("promptTokensDetails"), "IMAGE"), prompt),
        reasoning_tokens=min(thoughts, completion),
        audio_completion_tokens=min(_of(counts.get("candidatesTokensDetails"), "AUDIO"), completion),
        image_completion_tokens=min(_of(counts.get("candidatesTokensDetails"), "IMAGE"), completion),
    )


def covers_text(counts: Json) -> bool:
    """Whether what the candidates said is counted; the first chunks of a stream leave it out."""
    return counts.get("candidatesTokenCount") is not None


def _of(details: Any, modality: str) -> int:
    return sum(clamped(entry.get("tokenCount")) for entry in items(details) if entry.get("modality") == modality)
