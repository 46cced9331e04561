"""What a call costs."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import (
    Price,
    Usage,
    log_content,
    speech_charge,
    text_charge,
    text_cost,
    transcription_charge,
)

ratios = st.decimals(min_value=0, max_value=1_000_000, places=12, allow_nan=False, allow_infinity=False)
tokens = st.integers(min_value=0, max_value=10**12)


def price(model_ratio: str, completion_ratio: str = "1", group_ratio: str = "1") -> Price:
    return Price(Decimal(model_ratio), Decimal(completion_ratio), Decimal(group_ratio))


@pytest.mark.parametrize(
    ("model_ratio", "completion_ratio", "prompt", "completion", "points"),
    [
        ("2.5", "4", 1000, 500, 7500),  # (1000 + 500 x 4) x 2.5
        ("0.075", "4", 10, 5, 3),  # 2.25, up
        ("0.0213", "1", 10, 10, 1),  # 0.426, up
        ("0.07", "1", 100, 0, 7),  # exactly 7, where binary floats make 7.000000000000001 and then 8
        ("0.1", "1", 8, 0, 1),  # a moderation
        ("15", "0", 0, 500, 1),  # free completions still are a call: at least 1 point
    ],
)
def test_charges_as_anybody_would_reckon_it(
    model_ratio: str, completion_ratio: str, prompt: int, completion: int, points: int
) -> None:
    assert text_charge(price(model_ratio, completion_ratio), Usage(prompt, completion)) == points


def test_no_tokens_cost_nothing() -> None:
    assert text_charge(price("30"), Usage(0, 0)) == 0


def test_a_free_model_costs_nothing() -> None:
    assert text_charge(price("0"), Usage(1_000, 1_000)) == 0


def test_a_free_group_pays_nothing() -> None:
    assert text_charge(price("2.5", group_ratio="0"), Usage(1_000, 1_000)) == 0


def test_the_group_ratio_multiplies() -> None:
    assert text_charge(price("2.5", "4", "0.5"), Usage(1000, 500)) == 3750


def test_the_smallest_ratio_still_costs_a_point() -> None:
    assert text_charge(price("0.000000000001"), Usage(1, 0)) == 1


def test_token_numbers_below_zero_count_as_none() -> None:
    assert text_charge(price("1"), Usage(100, -1_000_000)) == 100
    assert text_charge(price("1"), Usage(-5, -5)) == 0


@pytest.mark.parametrize("ratio", ["-1", "-500000", "NaN", "Infinity", "1E+100"])
def test_a_price_that_could_pay_the_caller_is_refused(ratio: str) -> None:
    with pytest.raises(ValueError, match="not a ratio"):
        price(ratio)


def test_a_ratio_of_absurd_precision_is_read_to_18_decimals() -> None:
    assert price("1E-999999").ratio == 0
    assert price("0.1234567890123456789").ratio == Decimal("0.123456789012345678")


def test_the_ratio_is_the_product_shown() -> None:
    assert price("0.0213", group_ratio="1.1").ratio == Decimal("0.02343")


@given(ratios, ratios, ratios, tokens, tokens)
def test_equals_the_arithmetic_of_fractions(
    model_ratio: Decimal, completion_ratio: Decimal, group_ratio: Decimal, prompt: int, completion: int
) -> None:
    charge = text_charge(Price(model_ratio, completion_ratio, group_ratio), Usage(prompt, completion))

    ratio = Fraction(model_ratio) * Fraction(group_ratio)
    exact = ceil((prompt + completion * Fraction(completion_ratio)) * ratio)
    assert charge == (max(exact, 1) if ratio and prompt + completion else 0)


@given(ratios, ratios, st.tuples(tokens, tokens), st.tuples(tokens, tokens))
def test_more_tokens_never_cost_less(
    model_ratio: Decimal, completion_ratio: Decimal, few: tuple[int, int], more: tuple[int, int]
) -> None:
    held = Price(model_ratio, completion_ratio, Decimal(1))

    assert 0 <= text_cost(held, *few) <= text_cost(held, few[0] + more[0], few[1] + more[1])


@given(ratios, st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_is_never_negative(model_ratio: Decimal, prompt: int, completion: int) -> None:
    assert text_charge(Price(model_ratio, Decimal(1), Decimal(1)), Usage(prompt, completion)) >= 0


def test_a_hold_for_the_same_tokens_covers_the_charge() -> None:
    held = price("0.0213", "1.5")
    assert text_cost(held, 17, 23) == text_charge(held, Usage(17, 23))


def test_speech_is_charged_by_the_character() -> None:
    assert speech_charge(price("7.5"), "a" * 100) == 750
    assert speech_charge(price("7.5"), "你" * 100) == 750  # not 300 bytes
    assert speech_charge(price("7.5"), "abc") == 22  # 22.5, cut
    assert speech_charge(price("7.5"), "") == 0
    assert speech_charge(price("0"), "abc") == 0
    assert speech_charge(price("0.01"), "abc") == 1


def test_speech_pays_no_completion_ratio() -> None:
    assert speech_charge(price("7.5", "3.7"), "a" * 100) == 750


def test_a_transcript_is_charged_by_the_token_times_the_ratio() -> None:
    assert transcription_charge(price("15", "0"), 200) == 3_000  # whisper: 0.6 cents, about a minute of speech
    assert transcription_charge(price("0.0213"), 1) == 1
    assert transcription_charge(price("15"), 0) == 0


def test_the_log_shows_the_ratios() -> None:
    shown = price("2.5", "4", "0.5")
    assert log_content(shown, "chat") == "倍率：2.50 × 0.50 × 4.00"
    assert log_content(shown, "images") == "倍率：2.50 × 0.50"
    assert log_content(shown, "audio_speech") == "倍率：2.50 × 0.50"
