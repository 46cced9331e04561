"""What an OpenAI-speaking upstream tells of its tokens reaches the charge and the log row."""

from __future__ import annotations

import pytest

from billing.pricing import Usage
from relay.reading import usage_of

NOTHING = {
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0},
}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({}, Usage(100, 50)),
        (NOTHING, Usage(100, 50)),
        ({"prompt_tokens_details": None}, Usage(100, 50)),
        ({"prompt_tokens_details": "odd", "completion_tokens_details": [1]}, Usage(100, 50)),
        ({"prompt_tokens_details": {"cached_tokens": 64}}, Usage(100, 50, cached_tokens=64)),
        ({"prompt_tokens_details": {"cached_tokens": 640}}, Usage(100, 50, cached_tokens=100)),
        ({"prompt_tokens_details": {"cached_tokens": -64, "audio_tokens": 7}}, Usage(100, 50, audio_prompt_tokens=7)),
        (
            {"prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 30}},  # OpenRouter
            Usage(100, 50, cached_tokens=10, cache_write_tokens=30),
        ),
        ({"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}, Usage(100, 50, cached_tokens=64)),  # DeepSeek
        (
            {"completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 10}},
            Usage(100, 50, reasoning_tokens=40, audio_completion_tokens=10),
        ),
    ],
)
def test_reads_what_the_tokens_consisted_of(told: dict[str, object], usage: Usage) -> None:
    assert usage_of({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, **told}}) == usage


def test_reads_them_by_the_names_of_responses_and_transcripts_too() -> None:
    told = {"input_tokens": 100, "output_tokens": 5, "input_tokens_details": {"audio_tokens": 90, "text_tokens": 10}}
    assert usage_of({"usage": told}) == Usage(100, 5, audio_prompt_tokens=90)


def test_details_alone_are_no_usage() -> None:
    assert usage_of({"usage": {"prompt_tokens": 0, "completion_tokens": 0, **NOTHING}}) is None


@pytest.mark.parametrize(
    ("total", "reasoning", "completion"),
    [
        (14_428, 2_809, 4_308),  # xAI
        (11_619, 809, 1_499),  # OpenAI: they are part of the completion
        (11_619, 2_809, 1_499),  # a total that knows nothing of them
        (14_429, 2_809, 1_499),  # nor is it this sum
        (None, 2_809, 1_499),
    ],
)
def test_thoughts_beside_the_completion_are_billed_where_the_total_says_so(
    total: int | None, reasoning: int, completion: int
) -> None:
    """Grok's `total_tokens` is the sum of the three.

    https://docs.x.ai/docs/guides/reasoning;
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/grok/capabilities/reasoning ("separated
    from the completion_tokens").
    """
    told = {
        "prompt_tokens": 10_120,
        "completion_tokens": 1_499,
        **({} if total is None else {"total_tokens": total}),
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }

    usage = usage_of({"usage": told})

    assert usage == Usage(10_120, completion, reasoning_tokens=min(reasoning, completion))
