"""All prices as they are with some options, in ratios and in dollars for 1M tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cached_property

from billing.price_sheets import load as load_sheet
from billing.pricing import Price, readable
from billing.tables import OPERATOR, PART_OPTIONS, Layer, PriceTable
from options.registry import Options, ratios_text

OPTION_OF: Mapping[str, str] = {"prompt": "ModelRatio", "completion": "CompletionRatio", **PART_OPTIONS}
COLUMNS = tuple(OPTION_OF)
MILLION = 1_000_000
SHOWN = Decimal("0.000001")  # dollars: what is shown of a price in a form
ANY_GROUP = ""  # prices are shown without a group's factor

# option → name → ratio; None takes the entry out
Proposal = dict[str, dict[str, Decimal | None]]


@dataclass(frozen=True)
class Row:
    """One model's price without a group's factor. Dollars for 1M tokens, None where the part costs as text does.

    `source`: one of billing.tables.LAYERS, "" where nobody has priced it and the fallback holds; `under`: the name
    whose price it is. `own`: the columns in which the operator has an entry for just this name.
    """

    model: str
    source: str
    under: str
    own: frozenset[str]
    ratios: Mapping[str, Decimal | None]
    dollars: Mapping[str, Fraction | None]

    @property
    def known(self) -> bool:
        return bool(self.source)


@dataclass(frozen=True)
class Line:
    """One figure that a proposal changes: dollars before and after."""

    model: str
    column: str
    before: Fraction | None
    after: Fraction | None


class Book:
    """All prices as they are with some options; rows are worked out when asked for, and kept."""

    def __init__(self, own: Mapping[str, Mapping[str, Decimal]], synced: Layer | None, per_unit: Decimal) -> None:
        self.own = own
        self.synced = synced
        self.per_unit = per_unit
        self.table = PriceTable(
            own["ModelRatio"],
            own["CompletionRatio"],
            {ANY_GROUP: Decimal(1)},
            {part: own[option] for part, option in PART_OPTIONS.items()},
            synced=synced,
        )
        self._rows: dict[str, Row] = {}

    def row(self, model: str) -> Row:
        found = self._rows.get(model)
        if found is None:
            found = self._rows[model] = self._row(model)
        return found

    def _row(self, model: str) -> Row:
        price = self.table.price(model, 0, ANY_GROUP)
        under, source = self.table.source(model)
        ratios = _ratios(price)
        per_ratio = Fraction(MILLION) / Fraction(self.per_unit)
        prompt = Fraction(price.model_ratio) * per_ratio
        dollars = {
            column: None if ratio is None else (prompt if column == "prompt" else prompt * Fraction(ratio))
            for column, ratio in ratios.items()
        }
        own = frozenset(column for column, option in OPTION_OF.items() if model in self.own[option])
        return Row(model, source, under, own, ratios, dollars)

    def names(self) -> set[str]:
        """Every name with a price, and those of which the operator has set a part alone."""
        return self.table.names().union(*self.own.values())

    @cached_property
    def digest(self) -> str:
        """Of the operator's own tables: equal as long as nobody changes them."""
        text = "\n".join(f"{option} {ratios_text(dict(self.own[option]))}" for option in OPTION_OF.values())
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def changed(self, proposal: Proposal) -> Book:
        """The book as it would be. Raises ValueError for a ratio that is none."""
        own = {option: dict(table) for option, table in self.own.items()}
        for option, entries in proposal.items():
            for name, ratio in entries.items():
                if ratio is None:
                    own[option].pop(name, None)
                else:
                    own[option][name] = readable(ratio)
        return Book(own, self.synced, self.per_unit)


def book(options: Options) -> Book:
    """As stored now. One query, for the synced sheet."""
    return Book({option: options[option] for option in OPTION_OF.values()}, load_sheet(), options["QuotaPerUnit"])


_books: dict[tuple[str, ...], Book] = {}


def shown_book(options: Options) -> Book:
    """The same, kept in memory under the texts it is made of: for lists, which are drawn often."""
    synced = load_sheet()
    key = (*(options.texts[option] for option in OPTION_OF.values()), options.texts["QuotaPerUnit"], _mark(synced))
    if key not in _books:
        _books.clear()
        _books[key] = Book({option: options[option] for option in OPTION_OF.values()}, synced, options["QuotaPerUnit"])
    return _books[key]


def _mark(synced: Layer | None) -> str:
    return "" if synced is None else str(hash((*synced.model.items(), *synced.completion.items(), str(synced.parts))))


def _ratios(price: Price) -> dict[str, Decimal | None]:
    parts = {part: getattr(price.parts, part) for part in PART_OPTIONS}
    return {"prompt": price.model_ratio, "completion": price.completion_ratio, **parts}


def shown(dollars: Fraction | None) -> str:
    """As a form shows it: at most six decimals, no zeros at the end; "" for None."""
    if dollars is None:
        return ""
    exact = Decimal(dollars.numerator) / Decimal(dollars.denominator)
    text = f"{exact.quantize(SHOWN, ROUND_HALF_UP):f}".rstrip("0").rstrip(".")
    return text or "0"


def lines(before: Book, after: Book, models: Iterable[str]) -> list[Line]:
    """What differs, by model and column."""
    found = []
    for model in sorted(models):
        old, new = before.row(model), after.row(model)
        found += [
            Line(model, column, old.dollars[column], new.dollars[column])
            for column in COLUMNS
            if old.dollars[column] != new.dollars[column]
        ]
    return found


def is_own(row: Row) -> bool:
    return row.source == OPERATOR or bool(row.own)
