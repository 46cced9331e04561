"""What an image may be, and what it costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.images import size_factor, upstream_name
from billing.pricing import Price, image_charge, image_problem
from billing.tables import PriceTable

TABLE = PriceTable.of_defaults()


def charge(model: str, size: str, quality: str = "", n: int = 1) -> int:
    return image_charge(TABLE.price(model, 1, "default"), model, size, quality, n)


@pytest.mark.parametrize(
    ("model", "size", "quality", "points"),
    [
        ("dall-e-2", "256x256", "", 10_000),
        ("dall-e-2", "512x512", "", 11_250),
        ("dall-e-2", "1024x1024", "hd", 12_500),
        ("dall-e-3", "1024x1024", "", 20_000),
        ("dall-e-3", "1792x1024", "standard", 40_000),
        ("dall-e-3", "1024x1024", "hd", 40_000),
        ("dall-e-3", "1024x1792", "hd", 60_000),
        ("wanx-v1", "720x1280", "", 8_000),
        ("cogview-3", "any", "", 7_142),  # CNY 0.1 = 7142.857 points, cut
        ("step-1x-medium", "512x512", "", 30_000),  # no ratio of its own
        ("black-forest-labs/flux-schnell", "1024x1024", "", 1_500),
    ],
)
def test_costs_what_the_price_list_says(model: str, size: str, quality: str, points: int) -> None:
    assert charge(model, size, quality) == points


def test_each_image_is_cut_to_points_before_they_are_added() -> None:
    assert charge("cogview-3", "any", n=3) == 3 * 7_142


@pytest.mark.parametrize("n", [0, -1, -(10**9)])
def test_fewer_than_one_image_never_pays_the_caller(n: int) -> None:
    assert charge("dall-e-2", "1024x1024", n=n) == 12_500


def test_a_free_model_is_free() -> None:
    assert charge("cogview-3-flash", "1024x1024", n=4) == 0


@given(
    st.decimals(0, 10**6, places=6),
    st.sampled_from(["dall-e-2", "dall-e-3", "unheard-of"]),
    st.sampled_from(["1024x1024", "1024x1792", "", "0x0"]),
    st.sampled_from(["", "hd"]),
    st.integers(-(10**6), 10**6),
)
def test_is_never_negative(ratio: Decimal, model: str, size: str, quality: str, n: int) -> None:
    points = image_charge(Price(ratio, Decimal(1), Decimal(1)), model, size, quality, n)
    assert points >= (1 if ratio else 0)


def test_a_size_without_a_factor_counts_once() -> None:
    assert size_factor("unheard-of", "7x7", "hd") == 1


@pytest.mark.parametrize(
    ("model", "prompt", "size", "n", "code"),
    [
        ("dall-e-2", "", "1x1", 99, "prompt_missing"),
        ("dall-e-2", "a cat", "1x1", 99, "size_not_supported"),
        ("dall-e-2", "a" * 1001, "256x256", 99, "prompt_too_long"),
        ("cogview-3", "a" * 834, "any", 1, "prompt_too_long"),
        ("dall-e-2", "a cat", "256x256", 11, "n_not_within_range"),
        ("dall-e-3", "a cat", "1024x1024", 2, "n_not_within_range"),
        ("dall-e-3", "a cat", "1024x1024", 0, "n_not_within_range"),
        ("unheard-of", "a cat", "any", -1, "n_not_within_range"),
        ("unheard-of", "a cat", "any", 0, "n_not_within_range"),
    ],
)
def test_refuses(model: str, prompt: str, size: str, n: int, code: str) -> None:
    problem = image_problem(model, prompt, size, n)
    assert problem is not None
    assert problem[0] == code


def test_takes_what_is_in_order() -> None:
    assert image_problem("dall-e-2", "a cat", "256x256", 10) is None
    assert image_problem("cogview-3", "a cat", "any size", 1) is None
    assert image_problem("unheard-of", "a" * 100_000, "any size", 50) is None


def test_a_prompt_is_measured_in_characters() -> None:
    assert image_problem("dall-e-2", "猫" * 1000, "256x256", 1) is None  # 3,000 bytes


def test_the_messages_are_the_contracts() -> None:
    assert image_problem("dall-e-2", "", "", 1) == ("prompt_missing", "prompt is required")
    assert image_problem("dall-e-2", "a", "", 1) == (
        "size_not_supported",
        "size not supported for this image model",
    )


def test_some_models_have_another_name_at_their_provider() -> None:
    assert upstream_name("ali-stable-diffusion-xl") == "stable-diffusion-xl"
    assert upstream_name("dall-e-3") == "dall-e-3"
