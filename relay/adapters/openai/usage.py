"""The usage that upstreams of OpenAI's family report, details included.

https://platform.openai.com/docs/api-reference/chat/object (`prompt_tokens_details`, `completion_tokens_details`),
https://api-docs.deepseek.com/api/create-chat-completion (`prompt_cache_hit_tokens`), Moonshot (`cached_tokens` beside
the totals, and `usage` inside the last choice of a stream), Groq (`x_groq.usage`),
https://docs.x.ai/docs/guides/reasoning (reasoning beside the completion, and in the total).
"""

from __future__ import annotations

from typing import Any

from billing.pricing import Usage
from relay.adapters.shape import MOST_TOKENS, clamped, items, mapping

Json = dict[str, Any]


def usage_in(document: Json) -> Usage | None:
    """None where an answer or a chunk reports none, or only zeros."""
    found = mapping(document.get("usage")) or mapping(mapping(document.get("x_groq")).get("usage"))
    if not found:
        found = next(
            (usage for choice in items(document.get("choices")) if (usage := mapping(choice.get("usage")))), {}
        )
    return read_usage(found) if found else None


def read_usage(usage: Json) -> Usage | None:
    """Of chat (`prompt_tokens`) and of responses (`input_tokens`)."""
    prompt = clamped(usage.get("prompt_tokens", usage.get("input_tokens")))
    completion = clamped(usage.get("completion_tokens", usage.get("output_tokens")))
    total = clamped(usage.get("total_tokens"))
    if not prompt:
        prompt = max(total - completion, 0)  # embeddings of some providers name the total alone
    if not prompt and not completion:
        return None
    fed = mapping(usage.get("prompt_tokens_details")) or mapping(usage.get("input_tokens_details"))
    made = mapping(usage.get("completion_tokens_details")) or mapping(usage.get("output_tokens_details"))
    reasoning = clamped(made.get("reasoning_tokens"))
    if reasoning and total == prompt + completion + reasoning:
        completion = min(completion + reasoning, MOST_TOKENS)  # xAI counts thoughts beside what is said
    cached = clamped(fed.get("cached_tokens")) or clamped(usage.get("prompt_cache_hit_tokens"))
    cached = min(cached or clamped(usage.get("cached_tokens")), prompt)
    written = clamped(fed.get("cache_write_tokens")) or clamped(fed.get("cache_creation_input_tokens"))
    return Usage(
        prompt,
        completion,
        cached_tokens=cached,
        cache_write_tokens=min(written, prompt - cached),
        audio_prompt_tokens=min(clamped(fed.get("audio_tokens")), prompt),
        image_prompt_tokens=min(clamped(fed.get("image_tokens")), prompt),
        reasoning_tokens=min(reasoning, completion),
        audio_completion_tokens=min(clamped(made.get("audio_tokens")), completion),
        image_completion_tokens=min(clamped(made.get("image_tokens")), completion),
    )
