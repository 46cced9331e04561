"""Which ratio applies."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from billing.pricing import Price, Usage, text_charge
from billing.tables import PriceTable, defaults

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "reference_ratios.json").read_text(), parse_float=Decimal, parse_int=Decimal)
DOCS = (HERE.parent.parent / "docs" / "pricing.md").read_text()
DEFAULT = PriceTable.of_defaults()
NEAR = Decimal("1e-11")  # our ratios that do not end are cut to 12 decimals, the reference's to a double


def listed() -> dict[str, tuple[str, str]]:
    """The corrections of docs/pricing.md: name → (old, new), as `R` or `R × C`."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+?) \| ([^|]+?) \|$", DOCS, re.MULTILINE)
    return {name: (old, new) for name, old, new in rows}


def shown(model_ratio: Decimal, completion_ratio: Decimal) -> str:
    return f"{model_ratio:f}" if completion_ratio == 1 else f"{model_ratio:f} × {completion_ratio:f}"


def test_every_model_of_the_reference_has_a_price() -> None:
    unpriced = [name for name in REFERENCE["model_ratio"] if not DEFAULT.price(name, 1, "default").known]
    assert unpriced == ["openrouter/auto"]


@pytest.mark.parametrize("name", REFERENCE["model_ratio"])
def test_a_default_is_the_references_or_a_listed_correction(name: str) -> None:
    ours = DEFAULT.price(name, 1, "default")
    old_ratio = REFERENCE["model_ratio"][name]
    old_completion = REFERENCE["completion_ratio"].get(name, Decimal(1))

    if ours.model_ratio == old_ratio and abs(ours.completion_ratio - old_completion) < NEAR:
        assert name not in listed()
    else:
        old, new = listed()[name]
        assert old.split(" × ")[0] == f"{old_ratio:f}"
        assert new == shown(ours.model_ratio, ours.completion_ratio)


@pytest.mark.parametrize("vector", REFERENCE["lookup"], ids=lambda vector: f"{vector['fn']}-{vector['name']}")
def test_looks_up_as_the_reference_does(vector: dict[str, Any]) -> None:
    price: Price = DEFAULT.price(vector["name"], int(vector["channel_type"]), "default")
    corrected = {
        ("model_ratio", "qwen-max-internet"): Decimal("0.171428571428"),  # CNY 0.0024 at 500/7
        ("model_ratio", "llama3-8b-8192"): Decimal("0.025" if vector["channel_type"] == 29 else "0.15"),
        ("completion_ratio", "o3-mini"): Decimal(4),
        ("completion_ratio", "openai/gpt-4o"): Decimal(4),
    }
    expected = corrected.get((vector["fn"], vector["name"]), vector["result"])
    assert abs(getattr(price, vector["fn"]) - expected) < NEAR


def test_the_operators_table_wins_over_the_default() -> None:
    table = PriceTable({"gpt-4o": Decimal(7)}, {"gpt-4o": Decimal("1.5")}, {"default": Decimal(2)})
    price = table.price("gpt-4o", 1, "default")
    assert (price.model_ratio, price.completion_ratio, price.group_ratio) == (Decimal(7), Decimal("1.5"), Decimal(2))
    assert table.price("gpt-4", 1, "default").model_ratio == 15  # the others stay


def test_a_name_with_its_channel_type_comes_before_the_name() -> None:
    table = PriceTable({"m": Decimal(1), "m(33)": Decimal(2)}, {"m(33)": Decimal(3)}, {"default": Decimal(1)})
    assert table.price("m", 33, "default").model_ratio == 2
    assert table.price("m", 33, "default").completion_ratio == 3
    assert table.price("m", 1, "default").model_ratio == 1


def test_a_default_for_the_channel_type_comes_before_the_operators_for_the_name() -> None:
    table = PriceTable({"llama3-8b-8192": Decimal(9)}, {}, {"default": Decimal(1)})
    assert table.price("llama3-8b-8192", 33, "default").model_ratio == Decimal("0.15")
    assert table.price("llama3-8b-8192", 29, "default").model_ratio == 9


def test_searching_the_internet_costs_no_more() -> None:
    assert DEFAULT.price("qwen-max-internet", 17, "default") == DEFAULT.price("qwen-max", 17, "default")
    assert DEFAULT.price("command-r-internet", 35, "default").model_ratio == Decimal("0.25")


def test_unless_the_operator_says_so() -> None:
    table = PriceTable({"qwen-max-internet": Decimal(5)}, {}, {"default": Decimal(1)})
    assert table.price("qwen-max-internet", 17, "default").model_ratio == 5
    assert table.price("qwen-max", 17, "default").model_ratio < 1


def test_a_model_nobody_priced_is_dear_and_says_so() -> None:
    price = DEFAULT.price("no-such-model", 1, "default")
    assert (price.model_ratio, price.completion_ratio, price.known) == (Decimal(30), Decimal(1), False)


def test_a_group_nobody_priced_counts_as_1_and_says_so() -> None:
    price = DEFAULT.price("gpt-4o", 1, "strangers")
    assert (price.group_ratio, price.group_known, price.known) == (Decimal(1), False, True)
    assert DEFAULT.price("gpt-4o", 1, "vip").group_known


def test_the_operators_groups_replace_the_default_ones() -> None:
    table = PriceTable({}, {}, {"default": Decimal("0.5")})
    assert table.price("gpt-4o", 1, "default").group_ratio == Decimal("0.5")
    assert not table.price("gpt-4o", 1, "vip").group_known


def test_a_negative_ratio_makes_no_table() -> None:
    with pytest.raises(ValueError, match="not a ratio"):
        PriceTable({"openrouter/auto": Decimal(-500_000)}, {}, {})


def test_remembers_prices() -> None:
    assert DEFAULT.price("gpt-4o", 1, "default") is DEFAULT.price("gpt-4o", 1, "default")


@pytest.mark.parametrize(("name", "ratio"), [("qwen-turbo", Fraction("0.0003") * 500 / 7), ("glm-4", Fraction(50, 7))])
def test_a_price_in_yuan_is_charged_as_if_the_fraction_had_not_been_cut(name: str, ratio: Fraction) -> None:
    price = DEFAULT.price(name, 1, "default")
    for tokens in (1, 7, 100, 7_000, 123_456, 7_000_000):
        assert text_charge(price, Usage(tokens, 0)) == -(-tokens * ratio.numerator // ratio.denominator)


def test_every_default_survives_a_browser() -> None:
    """A console reads and writes ratios as doubles; none may come back changed."""
    table = defaults()
    for ratio in [*table.model_ratio.values(), *table.completion_ratio.values()]:
        assert Decimal(repr(float(ratio))) == ratio
        assert ratio >= 0


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("gpt-3.5-turbo", 3),
        ("gpt-3.5-turbo-1106", 2),
        ("gpt-4o-2024-05-13", 3),
        ("gpt-4o-2099", 4),
        ("gpt-4-turbo-2099", 3),
        ("gpt-4-2099-preview", 3),
        ("gpt-4-2099", 2),
        ("o1-2099", 4),
        ("o3", 4),
        ("claude-3-2099", 5),
        ("claude-2.2", 3),
        ("mistral-2099", 3),
        ("gemini-2099", 3),
        ("deepseek-2099", 2),
        ("unheard-of", 1),
    ],
)
def test_a_completion_ratio_follows_from_the_name(name: str, ratio: int) -> None:
    assert DEFAULT.price(name, 1, "default").completion_ratio == ratio
