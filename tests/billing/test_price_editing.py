"""Editing prices: dollars to ratios and back, to the digit; what is written, and what it takes with it."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest

from audit.services import Actor
from billing import price_editing
from billing.price_editing import COLUMNS, BadPrice, Book, PricesChanged
from billing.pricing import Usage, text_charge
from billing.tables import Layer
from options.registry import BadOption
from options.services import load, set_options

ROOT = Actor(user_id=1, name="root")
UNIT = Decimal(500_000)


def a_book(synced: Layer | None = None, unit: Decimal = UNIT, **own: dict[str, Decimal]) -> Book:
    empty: dict[str, dict[str, Decimal]] = {option: {} for option in price_editing.OPTION_OF.values()}
    return Book(empty | own, synced, unit)


def dollars(book: Book, model: str, column: str) -> str:
    return price_editing.shown(book.row(model).dollars[column])


@pytest.mark.parametrize(
    ("ratio", "unit", "shown"),
    [
        ("1", "500000", "2"),
        ("1.25", "500000", "2.5"),
        ("0.075", "500000", "0.15"),
        ("0.035714285714", "500000", "0.071429"),  # half a yuan
        ("0", "500000", "0"),
        ("0.00000001", "500000", "0"),
        ("1", "1000000", "1"),
        ("30", "7", "4285714.285714"),
    ],
)
def test_a_ratio_in_dollars(ratio: str, unit: str, shown: str) -> None:
    book = a_book(unit=Decimal(unit), ModelRatio={"m": Decimal(ratio)})

    assert dollars(book, "m", "prompt") == shown


@pytest.mark.parametrize(
    ("typed", "model_ratio", "completion_ratio", "cached_ratio"),
    [
        (("2.5", "10", "1.25"), "1.25", "4", "0.5"),
        (("0.15", "0.6", "0.075"), "0.075", "4", "0.5"),
        (("3", "10", "0.1"), "1.5", "3.333333333333", "0.033333333333"),
        (("0.000002", "0.000003", "0.000001"), "0.000001", "1.5", "0.5"),
    ],
)
def test_dollars_become_ratios(
    typed: tuple[str, ...], model_ratio: str, completion_ratio: str, cached_ratio: str
) -> None:
    figures = dict(zip(("prompt", "completion", "cached"), map(Decimal, typed), strict=True))

    proposal = price_editing.edit(a_book(), "new-model", figures)

    assert proposal == {
        "ModelRatio": {"new-model": Decimal(model_ratio)},
        "CompletionRatio": {"new-model": Decimal(completion_ratio)},
        "CacheRatio": {"new-model": Decimal(cached_ratio)},
    }


def test_dollars_and_back_differ_by_less_than_a_charge_shows() -> None:
    book = a_book()
    after = book.changed(price_editing.edit(book, "m", {"prompt": Decimal(3), "completion": Decimal(10)}))

    price = after.table.price("m", 0, "")
    assert text_charge(price, Usage(1_000_000, 1_000_000)) == 6_500_000  # 13 dollars
    assert dollars(after, "m", "completion") == "10"


def test_what_is_left_as_shown_keeps_its_dollars_when_the_prompt_changes() -> None:
    """gpt-4o: $2.50 → $2.75 does not make the answer dearer."""
    book = a_book(ModelRatio={"m": Decimal("1.25")}, CompletionRatio={"m": Decimal(4)})
    typed = {"prompt": Decimal("2.75"), "completion": Decimal(dollars(book, "m", "completion"))}

    after = book.changed(price_editing.edit(book, "m", typed))

    assert (dollars(after, "m", "prompt"), dollars(after, "m", "completion")) == ("2.75", "10")
    assert after.own["CompletionRatio"]["m"] == Decimal("3.636363636363")


@pytest.mark.parametrize("model", ["gpt-4o", "qwen-turbo", "claude-sonnet-4-5", "deepseek-chat"])
def test_a_price_saved_as_shown_writes_nothing(model: str) -> None:
    book = a_book()
    typed = {column: Decimal(text) if (text := dollars(book, model, column)) else None for column in COLUMNS}

    assert price_editing.edit(book, model, typed) == {}


def test_a_price_of_ones_own_does_not_lose_what_the_family_gave() -> None:
    """gpt-4o's dates have their completion and cache prices from gpt-4o."""
    book = a_book(
        ModelRatio={"fam": Decimal(1)}, CompletionRatio={"fam": Decimal(7)}, CacheRatio={"fam": Decimal("0.3")}
    )
    dated = "fam-2025-01-31"
    assert book.row(dated).under == "fam"

    after = book.changed(price_editing.multiply(book, [dated], Decimal(2)))

    assert [dollars(after, dated, column) for column in ("prompt", "completion", "cached")] == ["4", "28", "1.2"]


def test_multiplying_is_exact_and_leaves_unpriced_models_alone() -> None:
    book = a_book(ModelRatio={"a": Decimal("0.035714285714"), "b": Decimal(3)})

    proposal = price_editing.multiply(book, ["a", "b", "nobody-priced-this"], Decimal("1.1"))

    assert proposal == {"ModelRatio": {"a": Decimal("0.039285714285"), "b": Decimal("3.3")}}


@pytest.mark.parametrize("factor", ["0", "-1", "1001", "NaN", "Infinity"])
def test_a_factor_that_makes_no_sense_is_refused(factor: str) -> None:
    with pytest.raises(BadPrice):
        price_editing.multiply(a_book(), ["gpt-4o"], Decimal(factor))


@pytest.mark.parametrize(
    ("typed", "column", "says"),
    [
        ({"prompt": "-1"}, "prompt", "A price is not below 0."),
        ({"completion": "1"}, "prompt", "Enter the price of the prompt. Everything else is counted from it."),
        ({"prompt": "0", "completion": "1"}, "completion", "Where the prompt is free, nothing else can have a price."),
        ({"prompt": "0.0000000000001"}, "prompt", "This price is too small to be counted."),
        ({"prompt": "3000000"}, "prompt", "This price is too high."),
    ],
)
def test_what_is_no_price_is_refused_at_its_field(typed: dict[str, str], column: str, says: str) -> None:
    with pytest.raises(BadPrice, match=f"^{says}$") as caught:
        price_editing.edit(a_book(), "m", {name: Decimal(text) for name, text in typed.items()})

    assert caught.value.column == column


def test_where_a_price_comes_from_is_told() -> None:
    book = a_book(
        synced=Layer({"synced-model": Decimal(5), "both": Decimal(5)}, {}, {}), ModelRatio={"both": Decimal(2)}
    )

    assert [book.row(name).source for name in ("both", "synced-model", "gpt-4o", "nobody-priced-this")] == [
        "operator",
        "synced",
        "built-in",
        "",
    ]
    assert dollars(book, "both", "prompt") == "4"


def test_an_own_price_can_be_forgotten() -> None:
    book = a_book(ModelRatio={"gpt-4o": Decimal(9)}, CacheRatio={"gpt-4o": Decimal("0.1")})

    proposal = price_editing.forget(book, ["gpt-4o"])

    assert proposal == {"ModelRatio": {"gpt-4o": None}, "CacheRatio": {"gpt-4o": None}}
    assert book.changed(proposal).row("gpt-4o").source == "built-in"


def test_an_export_is_imported_back_to_the_digit() -> None:
    book = a_book(ModelRatio={"a": Decimal("0.035714285714")}, CacheRatio={"a": Decimal("0.10")})

    assert price_editing.read_import(book, price_editing.export(book), replace=True) == {}
    assert json.loads(price_editing.export(book))["ModelRatio"] == {"a": 0.035714285714}


def test_an_import_adds_and_with_replace_takes_away() -> None:
    book = a_book(ModelRatio={"a": Decimal(1), "b": Decimal(2)})
    text = '{"ModelRatio": {"a": 1.5}}'

    assert price_editing.read_import(book, text, replace=False) == {"ModelRatio": {"a": Decimal("1.5")}}
    assert price_editing.read_import(book, text, replace=True) == {"ModelRatio": {"a": Decimal("1.5"), "b": None}}
    assert price_editing.read_import(book, '{"c": 0.1}', replace=False) == {"ModelRatio": {"c": Decimal("0.1")}}


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"GroupRatio": {"vip": 2}}', '{"ModelRatio": {"a": "1"}}', '{"ModelRatio": {"a": -1}}', '{"a": null}'],
)
def test_an_import_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadOption):
        price_editing.read_import(a_book(), text, replace=False)


def test_a_proposal_survives_a_browser_to_the_digit() -> None:
    proposal = {"ModelRatio": {"a": Decimal("0.035714285714"), "b": None}}

    assert price_editing.read(price_editing.written(proposal)) == proposal
    with pytest.raises(BadOption):
        price_editing.read('{"SMTPToken": {"a": "1"}}')
    with pytest.raises(BadOption):
        price_editing.read('{"ModelRatio": {"a": "-1"}}')


def test_the_lines_of_a_preview() -> None:
    book = a_book(ModelRatio={"gpt-4o": Decimal("1.25")}, CompletionRatio={"gpt-4o": Decimal(4)})
    after = book.changed({"ModelRatio": {"gpt-4o": Decimal("1.375")}})

    found = {line.column: (line.before, line.after) for line in price_editing.lines(book, after, ["gpt-4o"])}

    assert found["prompt"] == (Fraction(5, 2), Fraction(11, 4))
    assert found["completion"] == (Fraction(10), Fraction(11))


@pytest.mark.django_db
def test_a_commit_writes_all_tables_and_can_be_undone() -> None:
    set_options(ROOT, {"ModelRatio": '{"a": 1, "b": 2}'})
    digest = price_editing.book(load()).digest

    price_editing.apply(
        ROOT, {"ModelRatio": {"a": Decimal("1.5")}, "CacheRatio": {"a": Decimal("0.1")}}, digest=digest, note="edit"
    )
    assert load()["ModelRatio"] == {"a": Decimal("1.5"), "b": Decimal(2)}
    assert load()["CacheRatio"] == {"a": Decimal("0.1")}

    set_options(ROOT, {"ModelRatio": '{"a": 7, "c": 3}'})  # another way in: raw JSON, or the API
    save = price_editing.history()[1]
    assert (save.note, save.entries) == (
        "edit",
        [("CacheRatio", "a", "", "0.1"), ("ModelRatio", "a", "1", "1.5")],
    )
    assert price_editing.undo(save.save_id) == {
        "ModelRatio": {"a": Decimal(1), "b": Decimal(2), "c": None},
        "CacheRatio": {"a": None},
    }


@pytest.mark.django_db
def test_a_commit_on_prices_that_have_changed_meanwhile_writes_nothing() -> None:
    digest = price_editing.book(load()).digest
    set_options(ROOT, {"ModelRatio": '{"a": 1}'})

    with pytest.raises(PricesChanged):
        price_editing.apply(ROOT, {"ModelRatio": {"a": Decimal(2)}}, digest=digest, note="edit")

    assert load()["ModelRatio"] == {"a": Decimal(1)}
