"""What is typed in dollars, as the fewest entries of the options that make it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from django.utils.translation import gettext as _

from billing.default_prices import DECIMALS
from billing.price_editing.table import COLUMNS, MILLION, OPTION_OF, Book, Proposal, Row, shown

DEAREST = 10**6  # of a ratio, as options.registry refuses more


class BadPrice(ValueError):
    """What was typed is no price; `column` is where. The text is for the operator."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def cut(value: Fraction) -> Decimal:
    """To DECIMALS decimals, downwards, without zeros at the end."""
    return Decimal(value.numerator * 10**DECIMALS // value.denominator).scaleb(-DECIMALS).normalize() + 0


def edit(current: Book, model: str, typed: Mapping[str, Decimal | None]) -> Proposal:
    """One model's prices as typed, in dollars for 1M tokens by COLUMNS; None: the column has no price of its own.

    A figure that stands as it was shown keeps its exact value, also where the prompt's changes. Raises BadPrice.
    """
    row = current.row(model)
    dollars: dict[str, Fraction | None] = {}
    for column in COLUMNS:
        value = typed.get(column)
        if value is not None and value < 0:
            raise BadPrice(column, _("A price is not below 0."))
        if value is None:
            dollars[column] = None
        elif row.dollars[column] is not None and value == Decimal(shown(row.dollars[column])):
            dollars[column] = row.dollars[column]
        else:
            dollars[column] = Fraction(value)
    prompt = dollars["prompt"]
    if prompt is None:
        raise BadPrice("prompt", _("Enter the price of the prompt. Everything else is counted from it."))
    wanted: dict[str, Decimal | None] = {"prompt": _prompt_ratio(current, row, prompt)}
    for column in COLUMNS[1:]:
        value_now = dollars[column]
        if value_now is None:
            wanted[column] = None
        elif not prompt:
            if value_now:
                raise BadPrice(column, _("Where the prompt is free, nothing else can have a price."))
            continue
        elif value_now == row.dollars[column] and prompt == row.dollars["prompt"]:
            wanted[column] = row.ratios[column]
        else:
            wanted[column] = _bounded(column, cut(value_now / prompt))
    return entries(current, {model: wanted})


def _prompt_ratio(current: Book, row: Row, prompt: Fraction) -> Decimal:
    if prompt == row.dollars["prompt"] and row.ratios["prompt"] is not None:
        return row.ratios["prompt"]
    ratio = cut(prompt * Fraction(current.per_unit) / MILLION)
    if prompt and not ratio:
        raise BadPrice("prompt", _("This price is too small to be counted."))
    return _bounded("prompt", ratio)


def _bounded(column: str, ratio: Decimal) -> Decimal:
    if ratio > DEAREST:
        raise BadPrice(column, _("This price is too high."))
    return ratio


def entries(current: Book, wanted: Mapping[str, Mapping[str, Decimal | None]]) -> Proposal:
    """The fewest entries after which each model has the wanted ratios; None: no entry of its own; a column that is not
    named stays as it is."""
    proposal: Proposal = {}

    def put(column: str, model: str, ratio: Decimal | None) -> None:
        own = current.own[OPTION_OF[column]]
        if own.get(model) != ratio:
            proposal.setdefault(OPTION_OF[column], {})[model] = ratio

    for model, columns in wanted.items():
        ratio = columns.get("prompt")
        if ratio is not None and ratio != current.row(model).ratios["prompt"]:
            put("prompt", model, ratio)
        elif ratio is not None and not current.row(model).known:
            put("prompt", model, ratio)  # nobody had priced it: now somebody has, be it at the fallback
        for column in COLUMNS[1:]:
            if column in columns and columns[column] is None:
                put(column, model, None)
    then = current.changed(proposal)  # a price of its own may end what a model had from its family
    for model, columns in wanted.items():
        for column in COLUMNS[1:]:
            ratio = columns.get(column, current.row(model).ratios[column])
            if ratio is not None and then.row(model).ratios[column] != ratio:
                put(column, model, ratio)
    return proposal


def multiply(current: Book, models: Iterable[str], factor: Decimal) -> Proposal:
    """Every price of these models times `factor`, save of those nobody has priced. Raises BadPrice."""
    if not factor.is_finite() or not 0 < factor <= 1000:
        raise BadPrice("factor", _("The factor must be above 0 and at most 1000."))
    wanted: dict[str, dict[str, Decimal | None]] = {}
    for model in models:
        ratio = current.row(model).ratios["prompt"]
        if ratio is not None and current.row(model).known:
            wanted[model] = {"prompt": _bounded("factor", cut(Fraction(ratio) * Fraction(factor)))}
    return entries(current, wanted)


def forget(current: Book, models: Iterable[str]) -> Proposal:
    """Take the operator's own entries of these models out: the synced or built-in price holds again."""
    proposal: Proposal = {}
    for model in models:
        for column in current.row(model).own:
            proposal.setdefault(OPTION_OF[column], {})[model] = None
    return proposal


def touched(proposal: Proposal) -> set[str]:
    return {name for entries_ in proposal.values() for name in entries_}
