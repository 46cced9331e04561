"""Price lists of others become ratios, or nothing does."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import price_forms
from billing.default_prices import ModelRatios

UNIT = {"unit": "USD per 1M tokens"}


def ours(**models: Any) -> bytes:
    return json.dumps({**UNIT, "models": models}).encode()


def litellm(**models: Any) -> bytes:
    return json.dumps({"sample_spec": {"input_cost_per_token": "a number"}, **models}).encode()


def test_our_own_form() -> None:
    sheet = price_forms.read(ours(m={"prompt": 1.25, "completion": 10, "cached": 0.125, "audio_completion": 64}))
    assert sheet.models == {
        "m": ModelRatios(Decimal("0.625"), Decimal(8), {"cached": Decimal("0.1"), "audio_completion": Decimal("51.2")})
    }


def test_a_model_may_be_free_and_may_have_one_price_only() -> None:
    sheet = price_forms.read(ours(free={"prompt": 0, "completion": 0}, embedding={"prompt": 0.02}))
    assert sheet.models["free"] == ModelRatios(Decimal(0), None, {})
    assert sheet.models["embedding"] == ModelRatios(Decimal("0.01"), Decimal(1), {})


def test_the_form_of_litellm() -> None:
    claude = {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_read_input_token_cost": 3e-07,
        "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "max_tokens": 64000,
        "supports_vision": True,
    }
    parts = {"cached": Decimal("0.1"), "cache_write": Decimal("1.25"), "cache_write_long": Decimal(2)}
    sheet = price_forms.read(litellm(**{"claude-sonnet-4-5": claude}))
    assert sheet.models == {"claude-sonnet-4-5": ModelRatios(Decimal("1.5"), Decimal(5), parts)}


def test_what_litellm_does_not_price_by_the_token_is_left_out_and_counted() -> None:
    sheet = price_forms.read(
        litellm(
            chat={"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            picture={"mode": "image_generation", "input_cost_per_token": 1e-6},
            free={"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
            unpriced={"mode": "chat"},
        )
    )
    assert list(sheet.models) == ["chat"]
    assert sheet.left_out == {"not billed by the token": 1, "free, or without a price of a prompt token": 2}


def test_a_makers_own_offer_prices_the_plain_name_unless_that_has_a_price() -> None:
    def at(price: float) -> dict[str, float]:
        return {"input_cost_per_token": price, "output_cost_per_token": price}

    sheet = price_forms.read(
        litellm(
            **{
                "groq/qwen-x": at(9e-6),
                "dashscope/qwen-x": at(2e-6),
                "gemini/g": at(4e-6),
                "g": at(6e-6),
                "azure/only-here": at(8e-6),
            }
        )
    )
    assert sheet.models["qwen-x"].model == 1  # the maker's, not the host's, whatever the order
    assert sheet.models["g"].model == 3
    assert "only-here" not in sheet.models


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        json.dumps({"unit": "EUR", "models": {"m": {"prompt": 1}}}).encode(),
        json.dumps({**UNIT, "models": []}).encode(),
        ours(),
        ours(m=1),
        ours(m={}),
        ours(m={"completion": 1}),
        ours(m={"prompt": "1"}),
        ours(m={"prompt": True}),
        ours(m={"prompt": None}),
        ours(m={"prompt": -1}),
        ours(m={"prompt": 1, "completion": -0.001}),
        ours(m={"prompt": 0, "completion": 1}),
        ours(m={"prompt": 1, "ratio": 2}),
        ours(m={"prompt": 1e7}),
        ours(**{"": {"prompt": 1}}),
        ours(**{"a\x00b": {"prompt": 1}}),
        ours(**{"m" * 192: {"prompt": 1}}),
        b'{"unit": "USD per 1M tokens", "models": {"m": {"prompt": NaN}}}',
        b'{"unit": "USD per 1M tokens", "models": {"m": {"prompt": 1e-999999}}}',
        b'{"unit": "USD per 1M tokens", "models": {"m": {"prompt": 1e999999}}}',
        litellm(m={"input_cost_per_token": "1e-6"}),
        litellm(m={"input_cost_per_token": -1e-6}),
        litellm(m={"input_cost_per_token": 2}),
        litellm(good={"input_cost_per_token": 1e-6}, m=[]),
    ],
)
def test_one_wrong_entry_makes_the_whole_list_useless(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        price_forms.read(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.binary(max_size=50) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    try:
        sheet = price_forms.read(body)
    except ValueError:
        return
    assert all(found.model >= 0 for found in sheet.models.values())
