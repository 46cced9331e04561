"""Providers count differently; the same tokens cost the same."""

from __future__ import annotations

from typing import Any

import pytest

from billing.pricing import Usage, details, text_charge
from billing.tables import PriceTable
from relay import reading
from relay.adapters.anthropic.answer import MessageUsage
from relay.adapters.bedrock import answer as bedrock_answer
from relay.adapters.gemini import usage as gemini_usage
from relay.adapters.openai.usage import read_usage

# 1,000 tokens fed in, 800 of them from the cache; 100 generated, 60 of them thoughts where the provider tells.
OPENAI = {
    "prompt_tokens": 1_000,
    "completion_tokens": 100,
    "total_tokens": 1_100,
    "prompt_tokens_details": {"cached_tokens": 800},
    "completion_tokens_details": {"reasoning_tokens": 60},
}
RESPONSES = {
    "input_tokens": 1_000,
    "output_tokens": 100,
    "total_tokens": 1_100,
    "input_tokens_details": {"cached_tokens": 800},
    "output_tokens_details": {"reasoning_tokens": 60},
}
DEEPSEEK = {
    "prompt_tokens": 1_000,
    "completion_tokens": 100,
    "total_tokens": 1_100,
    "prompt_cache_hit_tokens": 800,
    "prompt_cache_miss_tokens": 200,
}
ANTHROPIC = {
    "input_tokens": 200,
    "cache_read_input_tokens": 800,
    "cache_creation_input_tokens": 0,
    "output_tokens": 100,
}
GEMINI = {  # thoughts beside the candidates
    "promptTokenCount": 1_000,
    "cachedContentTokenCount": 800,
    "candidatesTokenCount": 40,
    "thoughtsTokenCount": 60,
    "totalTokenCount": 1_100,
}
BEDROCK = {"inputTokens": 200, "cacheReadInputTokens": 800, "outputTokens": 100, "totalTokens": 1_100}

CLAUDE = PriceTable.of_defaults().price("claude-sonnet-4-5", 14, "default")


def of_anthropic(told: dict[str, Any]) -> Usage | None:
    usage = MessageUsage()
    usage.take(told)
    return usage.whole()


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(reading.usage_of({"usage": OPENAI}), id="openai, passed on"),
        pytest.param(read_usage(OPENAI), id="openai, translated"),
        pytest.param(reading.usage_of({"usage": RESPONSES}), id="responses"),
        pytest.param(reading.usage_of({"usage": DEEPSEEK}), id="deepseek"),
        pytest.param(of_anthropic(ANTHROPIC), id="anthropic"),
        pytest.param(gemini_usage.usage_of(GEMINI), id="gemini"),
        pytest.param(bedrock_answer.usage_of(BEDROCK), id="bedrock"),
    ],
)
def test_the_same_tokens_cost_the_same_whoever_counts_them(usage: Usage) -> None:
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (1_000, 100, 800)
    assert text_charge(CLAUDE, usage) == 1_170  # (200 + 800 x 0.1 + 100 x 5) x 1.5
    assert '"cached":800' in details(usage)


def test_what_was_written_to_anthropics_cache_is_part_of_the_prompt_and_dearer() -> None:
    usage = of_anthropic(
        {
            "input_tokens": 100,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 900,
            "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 500},
            "output_tokens": 0,
        }
    )
    assert usage is not None
    assert usage.prompt_tokens == 1_000
    assert text_charge(CLAUDE, usage) == 2_400  # (100 + 400 x 1.25 + 500 x 2) x 1.5
    assert details(usage) == '{"cache_write":400,"cache_write_long":500}'
