"""What cached, cache-written, spoken and drawn tokens cost: by their own ratios, and never twice."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Log
from billing.pricing import AS_TEXT, PartRatios, Price, Usage, details, least_cost, text_charge, text_cost

ONE = Decimal(1)
CLAUDE = PartRatios(cached=Decimal("0.1"), cache_write=Decimal("1.25"), cache_write_long=Decimal(2))
AUDIO = PartRatios(audio_prompt=Decimal(16), audio_completion=Decimal(32))  # gpt-audio: 2.5, 10; sound 40 and 80

ratios = st.decimals(min_value=0, max_value=1_000, places=6, allow_nan=False, allow_infinity=False)
tokens = st.integers(min_value=0, max_value=10**9)
parts = st.builds(PartRatios, *[st.none() | ratios] * 8)
prices = st.builds(Price, ratios, ratios, ratios, parts=parts)
usages = st.builds(
    Usage,
    prompt_tokens=st.integers(-10, 10**9),
    completion_tokens=st.integers(-10, 10**9),
    **dict.fromkeys(
        (
            "cached_tokens", "cache_write_tokens", "cache_write_long_tokens", "audio_prompt_tokens",
            "image_prompt_tokens", "reasoning_tokens", "audio_completion_tokens", "image_completion_tokens",
        ),
        st.integers(-10, 10**9),
    ),
)  # fmt: skip


def price(model: str, completion: str, parts: PartRatios) -> Price:
    return Price(Decimal(model), Decimal(completion), ONE, parts=parts)


@pytest.mark.parametrize(
    ("usage", "points"),
    [
        (Usage(1_000, 100), 1_500 + 750),  # claude-sonnet: 1.5 a prompt token, 7.5 a completion token
        (Usage(1_000, 100, cached_tokens=800), 300 + 120 + 750),  # 200 at 1.5, 800 at a tenth of it
        (Usage(1_000, 100, cache_write_tokens=800), 300 + 1_500 + 750),  # 800 at 1.875
        (Usage(1_000, 100, cache_write_long_tokens=800), 300 + 2_400 + 750),  # 800 at 3
        (
            Usage(1_000, 0, cached_tokens=500, cache_write_tokens=300, cache_write_long_tokens=200),
            1_238,
        ),  # 75 + 562.5 + 600, up
        (Usage(1_000, 100, reasoning_tokens=90), 1_500 + 750),  # reasoning is completion like any other
    ],
)
def test_claudes_cache_costs_what_anthropic_asks(usage: Usage, points: int) -> None:
    assert text_charge(price("1.5", "5", CLAUDE), usage) == points


def test_sound_costs_by_its_own_ratio_instead_of_the_completion_ratio() -> None:
    audio = price("1.25", "4", AUDIO)
    assert text_charge(audio, Usage(100, 100, audio_prompt_tokens=60, audio_completion_tokens=90)) == ceil(
        Fraction("1.25") * (40 + 60 * 16 + 10 * 4 + 90 * 32)
    )


def test_thoughts_cost_what_the_completion_costs_unless_they_have_a_price() -> None:
    usage = Usage(0, 100, reasoning_tokens=90)
    assert text_charge(price("1", "5", CLAUDE), usage) == 500
    assert text_charge(price("1", "5", PartRatios(reasoning=Decimal(20))), usage) == 10 * 5 + 90 * 20


def test_pictures_likewise() -> None:
    drawn = price("0.15", "8", PartRatios(image_prompt=Decimal(2), image_completion=Decimal(100)))
    usage = Usage(100, 1_300, image_prompt_tokens=50, image_completion_tokens=1_290)
    assert text_charge(drawn, usage) == ceil(Fraction("0.15") * (50 + 50 * 2 + 10 * 8 + 1_290 * 100))


def test_an_unknown_ratio_changes_nothing() -> None:
    usage = Usage(
        1_000,
        500,
        False,
        300,
        200,
        100,
        50,
        50,
        reasoning_tokens=9,
        audio_completion_tokens=99,
        image_completion_tokens=9,
    )
    plain = text_charge(price("2.5", "4", AS_TEXT), Usage(1_000, 500))
    assert text_charge(price("2.5", "4", AS_TEXT), usage) == plain
    assert text_charge(price("2.5", "4", PartRatios(cached=ONE)), usage) == plain


def test_a_write_for_an_hour_costs_at_least_as_much_as_any_other() -> None:
    assert (
        text_charge(price("1", "1", PartRatios(cache_write=Decimal(2))), Usage(100, 0, cache_write_long_tokens=100))
        == 200
    )


def test_parts_that_are_more_than_the_whole_are_cut_to_it() -> None:
    """A provider that counts cached tokens beside the prompt, or twice, cannot bill more tokens than there were."""
    assert text_charge(price("1", "1", CLAUDE), Usage(100, 0, cached_tokens=500)) == 10
    assert text_charge(price("1", "1", CLAUDE), Usage(100, 0, cached_tokens=60, cache_write_long_tokens=90)) == 6 + 80
    assert (
        text_charge(price("1", "1", AUDIO), Usage(0, 10, audio_completion_tokens=11, image_completion_tokens=7)) == 320
    )


def test_a_part_below_zero_pays_nobody() -> None:
    assert text_charge(price("1", "1", CLAUDE), Usage(100, 0, cached_tokens=-1_000_000)) == 100


def test_a_prompt_that_is_all_cached_for_nothing_still_is_a_call() -> None:
    assert text_charge(price("1", "1", PartRatios(cached=Decimal(0))), Usage(100, 0, cached_tokens=100)) == 1


def test_a_part_with_a_negative_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match="not a ratio"):
        PartRatios(cached=Decimal(-1))


@given(prices, usages)
def test_equals_the_arithmetic_of_fractions(price: Price, usage: Usage) -> None:
    told = price.parts
    completion = Fraction(price.completion_ratio)
    write = Fraction(1 if told.cache_write is None else told.cache_write)

    def take(rest: int, *wanted: tuple[int, Decimal | None, Fraction]) -> tuple[int, Fraction]:
        total = Fraction(0)
        for count, ratio, otherwise in wanted:
            part = max(0, min(count, rest))
            rest -= part
            total += part * (otherwise if ratio is None else Fraction(ratio))
        return rest, total

    prompt, special = take(
        max(usage.prompt_tokens, 0),
        (usage.cached_tokens, told.cached, Fraction(1)),
        (usage.cache_write_long_tokens, told.cache_write_long, write),
        (usage.cache_write_tokens, told.cache_write, write),
        (usage.audio_prompt_tokens, told.audio_prompt, Fraction(1)),
        (usage.image_prompt_tokens, told.image_prompt, Fraction(1)),
    )
    generated, drawn = take(
        max(usage.completion_tokens, 0),
        (usage.reasoning_tokens, told.reasoning, completion),
        (usage.audio_completion_tokens, told.audio_completion, completion),
        (usage.image_completion_tokens, told.image_completion, completion),
    )
    ratio = Fraction(price.model_ratio) * Fraction(price.group_ratio)
    exact = ceil(ratio * (prompt + special + generated * completion + drawn))
    some = usage.prompt_tokens > 0 or usage.completion_tokens > 0
    assert text_charge(price, usage) == (max(exact, 1) if ratio and some else 0)


@given(prices, usages, tokens, tokens)
def test_a_hold_covers_the_charge_of_no_more_tokens_whatever_they_are(
    price: Price, usage: Usage, more: int, much_more: int
) -> None:
    held = text_cost(price, max(usage.prompt_tokens, 0) + more, max(usage.completion_tokens, 0) + much_more)
    assert 0 <= text_charge(price, usage) <= held


@given(prices, tokens, tokens)
def test_plain_text_costs_the_same_with_and_without_ratios_for_parts(
    price: Price, prompt: int, completion: int
) -> None:
    plain = Price(price.model_ratio, price.completion_ratio, price.group_ratio)
    assert text_charge(price, Usage(prompt, completion)) == text_charge(plain, Usage(prompt, completion))
    assert least_cost(price, prompt, completion) == text_charge(plain, Usage(prompt, completion))
    assert least_cost(price, prompt, completion) <= text_cost(price, prompt, completion)


def test_a_hold_for_a_prompt_that_may_be_written_to_a_cache_is_twice_the_plain_one() -> None:
    assert text_cost(price("1.5", "5", CLAUDE), 1_000, 0) == 3_000
    assert least_cost(price("1.5", "5", CLAUDE), 1_000, 0) == 1_500


@given(prices, tokens)
def test_a_completion_token_is_never_dearer_than_said(price: Price, completion: int) -> None:
    assert text_cost(price, 0, completion) == max(
        ceil(price.dearest_completion_token * completion), 1 if price.ratio and completion else 0
    )


def test_a_log_row_tells_only_what_there_was() -> None:
    assert details(Usage(1_000, 500)) == ""
    assert details(Usage(1_000, 500, cached_tokens=800, reasoning_tokens=90)) == '{"cached":800,"reasoning":90}'
    assert details(Usage(1_000, 500, cached_tokens=-1)) == "{}"


def test_the_longest_details_fit_their_column() -> None:
    most = 10**30
    told = details(Usage(most, most, False, most, most, most, most, most, most, most, most))
    assert len(told) <= (Log._meta.get_field("usage_details").max_length or 0)
    assert set(json.loads(told).values()) == {10**10 - 1}
