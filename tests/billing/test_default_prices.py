"""The built-in prices of a date, the names they stand for, and what lies over them."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import default_prices
from billing.default_prices import DATA, PARTS, ModelRatios, defaults, of_dollars
from billing.families import families
from billing.pricing import Price, Usage, text_charge
from billing.tables import PART_OPTIONS, Layer, PriceTable
from options.registry import SPECS

DEFAULT = PriceTable.of_defaults()
DOCS = (DATA.parent.parent / "docs" / "pricing.md").read_text()


def price(model: str, table: PriceTable = DEFAULT) -> Price:
    return table.price(model, 1, "default")


def dollars(model: str) -> tuple[float, float]:
    """USD for 1M tokens of prompt and completion."""
    found = price(model)
    assert found.known, model
    return float(found.model_ratio * 2), round(float(found.model_ratio * found.completion_ratio * 2), 6)


@pytest.mark.parametrize(
    ("model", "prompt", "completion"),
    [
        ("gpt-4.1", 2, 8),
        ("gpt-5-mini", 0.25, 2),
        ("gpt-6.2-sol", 2, 10),
        ("o4-mini", 1.1, 4.4),
        ("claude-opus-4-5", 5, 25),
        ("claude-sonnet-4-5", 3, 15),
        ("gemini-2.5-flash", 0.3, 2.5),
        ("grok-4.6", 2, 6),
        ("deepseek-v4-flash", 2 / 7, 8 / 7),
    ],
)
def test_models_of_the_day_cost_what_their_makers_ask(model: str, prompt: float, completion: float) -> None:
    assert dollars(model) == pytest.approx((prompt, completion), abs=1e-6)


def test_anthropics_cache() -> None:
    parts = price("claude-sonnet-4-5").parts
    assert (str(parts.cached), str(parts.cache_write), str(parts.cache_write_long)) == ("0.1", "1.25", "2")
    assert str(price("claude-opus-5-5").parts.cached) == "0.05"  # a figure of its own comes before the rule
    assert str(price("claude-opus-5-5").parts.cache_write_long) == "2"  # for the other parts the rule still holds


def test_sound_and_pictures() -> None:
    assert str(price("gpt-audio").parts.audio_prompt) == "12.8"  # 32 / 2.5
    assert str(price("gpt-audio").parts.audio_completion) == "25.6"  # 64 / 2.5
    assert str(price("gemini-nano-banana-2.1").parts.image_completion) == "20"  # 30 / 1.5


def test_models_of_before_have_their_cache_too() -> None:
    assert str(price("gpt-4o").parts.cached) == "0.5"
    assert str(price("gpt-4o-2024-05-13").parts.cached) == "1"
    assert price("gpt-4").parts.cached is None
    assert str(price("anthropic/claude-3.5-sonnet").parts.cached) == "0.1"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("openai/gpt-5-mini", "gpt-5-mini"),
        ("openai/gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        ("gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("claude-3-7-sonnet-latest", "claude-3-7-sonnet"),
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("eu.amazon.nova-pro-v1:0", "nova-pro"),
        ("x-ai/grok-4", "grok-4"),
        ("doubao-seed-2-1-pro-260915", "doubao-seed-2-1-pro"),
    ],
)
def test_a_name_with_a_date_a_prefix_or_a_version_costs_what_the_plain_name_costs(name: str, plain: str) -> None:
    assert price(plain).known
    assert price(name) == price(plain)


@pytest.mark.parametrize(
    "name",
    ["gpt-5:free", "acme/gpt-5", "my-gpt-5", "gpt-5-large", "deepseek-v9", "us.gpt-5", "claude-x", "@20250101", ""],
)
def test_other_names_stand_for_themselves(name: str) -> None:
    assert not price(name).known


def test_a_dated_name_with_a_price_of_its_own_keeps_it() -> None:
    assert dollars("gpt-4o") == (5, 20)
    assert dollars("gpt-4o-2024-08-06") == (2.5, 10)
    assert dollars("claude-3-5-haiku-20241022") == (1, 5)
    table = PriceTable({"gpt-4o": Decimal(9)}, {"gpt-4o": Decimal(9)}, {})
    assert price("gpt-4o-2024-08-06", table).model_ratio == Decimal("1.25")
    assert price("gpt-4o-2024-08-06", table).completion_ratio == 4


def test_the_operators_plain_name_prices_the_dated_ones_that_have_no_price() -> None:
    table = PriceTable({"gpt-5": Decimal(9)}, {"gpt-5": Decimal(3)}, {}, {"cached": {"gpt-5": Decimal("0.7")}})
    found = price("openai/gpt-5-2025-08-07", table)
    assert found.model_ratio == 9
    assert found.completion_ratio == 3
    assert found.parts.cached == Decimal("0.7")


def test_synced_prices_lie_between_the_built_in_and_the_operators() -> None:
    synced = Layer(
        {"gpt-4o": Decimal(1), "gpt-4": Decimal(2), "new": Decimal(3)},
        {"gpt-4o": Decimal(5)},
        {"cached": {"gpt-4o": Decimal("0.2"), "gpt-4": Decimal("0.3")}},
    )
    table = PriceTable({"gpt-4": Decimal(8)}, {}, {}, {"cached": {"gpt-4": Decimal("0.9")}}, synced)
    assert price("gpt-4o", table).model_ratio == 1
    assert price("gpt-4o", table).completion_ratio == 5
    assert price("gpt-4o", table).parts.cached == Decimal("0.2")
    assert price("gpt-4", table).model_ratio == 8
    assert price("gpt-4", table).parts.cached == Decimal("0.9")
    assert price("new", table).known
    assert price("gpt-4-turbo", table).model_ratio == 5


def test_a_part_may_be_priced_for_one_type_of_channel() -> None:
    table = PriceTable({}, {}, {}, {"cached": {"gpt-4o(3)": Decimal(1)}})
    assert table.price("gpt-4o", 3, "default").parts.cached == 1
    assert table.price("gpt-4o", 1, "default").parts.cached == Decimal("0.5")


def test_a_negative_ratio_of_a_part_makes_no_table() -> None:
    with pytest.raises(ValueError, match="not a ratio"):
        PriceTable({}, {}, {}, {"cached": {"m": Decimal(-1)}})


def test_each_part_has_an_option_that_is_a_table_of_ratios() -> None:
    assert set(PART_OPTIONS) == set(PARTS)
    assert {SPECS[key].group for key in PART_OPTIONS.values()} == {"ratio"}
    assert {SPECS[key].default for key in PART_OPTIONS.values()} == {"{}"}


def test_every_ratio_of_a_part_survives_a_browser() -> None:
    tables = [*defaults().parts.values()]
    rules = [rule.ratio for each in defaults().part_rules.values() for rule in each]
    for ratio in [*(ratio for table in tables for ratio in table.values()), *rules]:
        assert Decimal(repr(float(ratio))) == ratio
        assert 0 <= ratio <= 1_000


def test_every_group_of_figures_says_where_it_is_from() -> None:
    """Groups are divided by comments, and the comment above figures names a place that can be looked up."""
    comment, told = "", 0
    above = "figures"
    for line in (DATA / "2026.toml").read_text().splitlines():
        if line.startswith("#"):
            comment = line if above != "comment" else f"{comment} {line}"
            above = "comment"
        elif "=" in line:
            assert re.search(r"[a-z]\.(com|ai|dev|cn|io|so|sh|to|rs)/", comment), (comment, line)
            above, told = "figures", told + 1
    assert told > 190


def test_the_page_on_prices_tells_what_could_not_be_found() -> None:
    assert "### What could not be found" in DOCS


def test_a_model_cannot_be_priced_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in DATA.glob("*.toml"):
        (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.setattr(default_prices, "DATA", tmp_path)
    (tmp_path / "2027.toml").write_text('[usd]\n"gpt-5" = { prompt = 1 }\n')
    with pytest.raises(ValueError, match="gpt-5 has a price already"):
        defaults.__wrapped__()


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"completion": 1}, "no prompt price"),
        ({"prompt": 1, "cache": 1}, "no such column: cache"),
        ({"prompt": 1, "cached": -1}, "below 0"),
        ({"prompt": 0, "completion": 1}, "the prompt is free"),
    ],
)
def test_prices_that_make_no_ratio(columns: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        of_dollars({kind: Fraction(told) for kind, told in columns.items()})


def test_a_ratio_is_a_price_over_the_price_of_the_prompt() -> None:
    columns = {"prompt": Fraction(3), "completion": Fraction(15), "cached": Fraction(1)}
    assert of_dollars(columns) == ModelRatios(Decimal("1.5"), Decimal(5), {"cached": Decimal("0.333333333333")})


@given(st.text(max_size=300))
def test_a_name_has_few_other_forms_each_shorter_or_as_long(name: str) -> None:
    found = list(families(name))
    assert len(found) <= 12
    assert name not in found
    assert len(set(found)) == len(found)
    assert all(0 < len(form) <= len(name) for form in found)


@pytest.mark.parametrize(
    ("model", "usage", "points"),
    [
        ("claude-sonnet-4-5", Usage(1_000, 100, cached_tokens=800), 1_170),
        ("claude-sonnet-4-5", Usage(1_000, 100, cache_write_long_tokens=800), 3_450),
        ("gpt-audio", Usage(100, 100, audio_completion_tokens=90), 3_055),
    ],
)
def test_the_examples_of_the_page_on_prices(model: str, usage: Usage, points: int) -> None:
    assert text_charge(price(model), usage) == points
    assert f"| {points:,} |" in DOCS
