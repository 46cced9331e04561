"""An upstream's usage is believed as far as it can be true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Usage
from relay.credible import COMPLETION_MORE, PROMPT_MORE, PROMPT_TIMES, credible

counts = st.integers(-(10**12), 10**12)
usages = st.builds(
    Usage,
    counts,
    counts,
    st.booleans(),
    *[counts] * 8,
)


@pytest.mark.parametrize(
    ("usage", "estimate", "size", "maximum"),
    [
        (Usage(12, 9), 10, 40, None),
        (Usage(25_000, 40), 10, 200, 100),  # a system prompt of the provider's own
        (Usage(1_048_576, 65_536), 10, 200_000, None),  # a film by its address
        (Usage(6_000_000, 2_000), 500, 8_000, None),  # three rounds of a tool that reads documents upstream
        (Usage(12, 128_000, reasoning_tokens=127_900), 10, 400, 1_000),  # thoughts nobody sees, beyond max_tokens
        (Usage(12, 384_000), 10, None, None),  # passed on unread
        (Usage(12, 64_000), 10, 0, 128_000),
        (Usage(2_630, 10), 1_000, 40, None),  # a token for each byte
        (Usage(100, 10, cached_tokens=100, audio_completion_tokens=10), 100, 0, None),
        (Usage(0, 0), 0, 0, None),
    ],
)
def test_what_honest_providers_report_is_left_alone(usage: Usage, estimate: int, size: int | None, maximum: int | None):
    kept, why = credible(usage, estimate, size, maximum)
    assert kept is usage
    assert why == ""


def test_a_thousand_million_tokens_for_a_greeting_are_not_believed() -> None:
    usage, why = credible(Usage(10**9, 10**9), 10, 40, 100)
    assert usage == Usage(4 * 10 + 8_000_000, 100 + 524_288)
    assert why == (
        "1000000000 prompt tokens told, 8000040 believed; 1000000000 completion tokens told, 524388 believed"
    )


def test_one_lie_does_not_touch_the_other_figure() -> None:
    usage, why = credible(Usage(12, 10**9, estimated=True), 10, 40, None)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.estimated) == (12, 40 + COMPLETION_MORE, True)
    assert "prompt" not in why


def test_tokens_below_zero_credit_nobody() -> None:
    assert credible(Usage(-5, -7), 10, 40, None)[0] == Usage(0, 0)


def test_parts_are_no_more_than_the_whole() -> None:
    usage, why = credible(Usage(100, 50, cached_tokens=500, reasoning_tokens=-1), 100, 40, None)
    assert usage == Usage(100, 50, cached_tokens=100, reasoning_tokens=0)
    assert why == "cached_tokens, reasoning_tokens outside of what they are part of"


def test_parts_shrink_with_the_whole() -> None:
    usage, _ = credible(Usage(10**9, 0, cached_tokens=10**9), 0, 0, None)
    assert usage.cached_tokens == usage.prompt_tokens == PROMPT_MORE


@given(usages, st.integers(-10, 10**7), st.none() | st.integers(0, 10**8), st.none() | st.integers(0, 10**6))
def test_nothing_beyond_the_bounds_comes_out_and_a_second_look_changes_nothing(
    usage: Usage, estimate: int, size: int | None, maximum: int | None
) -> None:
    kept, why = credible(usage, estimate, size, maximum)

    assert 0 <= kept.prompt_tokens <= PROMPT_TIMES * max(estimate, 0) + PROMPT_MORE
    assert 0 <= kept.completion_tokens <= max(size or 0, maximum or 0) + COMPLETION_MORE
    assert 0 <= kept.cached_tokens <= kept.prompt_tokens
    assert 0 <= kept.image_completion_tokens <= kept.completion_tokens
    assert (why == "") == (kept == usage)
    assert credible(kept, estimate, size, maximum) == (kept, "")
