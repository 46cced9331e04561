"""Editing the operator's own prices: dollars in, ratios of the options out, and what a change would do beforehand.

The options ModelRatio, CompletionRatio, CacheRatio … stay the store; a `Proposal` names the entries to write in them.
Dollars are for 1M tokens, by QuotaPerUnit, as money is shown everywhere; a ratio is cut to DECIMALS decimals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cached_property

from django.db import transaction
from django.utils.translation import gettext as _

from audit.services import Actor
from billing.default_prices import DECIMALS
from billing.price_sheets import load as load_sheet
from billing.pricing import Price, readable
from billing.tables import OPERATOR, PART_OPTIONS, Layer, PriceTable
from options import services as option_services
from options import versions
from options.models import OptionChange
from options.registry import BadOption, Options, parse_ratios, ratios_text

OPTION_OF: Mapping[str, str] = {"prompt": "ModelRatio", "completion": "CompletionRatio", **PART_OPTIONS}
COLUMNS = tuple(OPTION_OF)
MILLION = 1_000_000
SHOWN = Decimal("0.000001")  # dollars: what is shown of a price in a form
DEAREST = 10**6  # of a ratio, as options.registry refuses more
ANY_GROUP = ""  # prices are shown without a group's factor

# option → name → ratio; None takes the entry out
Proposal = dict[str, dict[str, Decimal | None]]


class BadPrice(ValueError):
    """What was typed is no price; `column` is where. The text is for the operator."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


class PricesChanged(Exception):
    """Somebody changed prices since the preview was drawn; nothing was written."""


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


def read_import(current: Book, text: str, *, replace: bool) -> Proposal:
    """`{"ModelRatio": {…}, "CompletionRatio": {…}}`, or one bare table of model ratios. With `replace`, own entries
    that the file does not name go. Raises BadOption."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadOption(_("not valid JSON: %s") % error) from None
    if not isinstance(document, dict):
        raise BadOption(_("must be a JSON object of name and number"))
    if any(isinstance(value, dict) for value in document.values()):
        tables = {option: _inner(text, option) for option in document}
    else:
        tables = {"ModelRatio": parse_ratios(text)}
    proposal: Proposal = {}
    for option, table in tables.items():
        own = current.own[option]
        found: dict[str, Decimal | None] = {name: ratio for name, ratio in table.items() if own.get(name) != ratio}
        if replace:
            found |= {name: None for name in own if name not in table}
        if found:
            proposal[option] = found
    return proposal


def _inner(text: str, option: str) -> Mapping[str, Decimal]:
    if option not in OPTION_OF.values():
        raise BadOption(_("%s is no table of prices.") % option)
    document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    value = document[option]
    if not isinstance(value, dict):
        raise BadOption(f"{option}: " + _("must be a JSON object of name and number"))
    if not all(isinstance(ratio, Decimal) for ratio in value.values()):
        bad = next(name for name, ratio in value.items() if not isinstance(ratio, Decimal))
        raise BadOption(f"{option}: " + _("the ratio of %r is not a number") % bad)
    try:
        return parse_ratios(ratios_text(value))
    except (BadOption, ValueError) as error:
        raise BadOption(f"{option}: {error}") from None


def export(current: Book) -> str:
    """The operator's own tables, in the form that `read_import` reads."""
    rows = [f'  "{option}": {ratios_text(dict(current.own[option]))}' for option in OPTION_OF.values()]
    return "{\n" + ",\n".join(rows) + "\n}\n"


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


def touched(proposal: Proposal) -> set[str]:
    return {name for entries_ in proposal.values() for name in entries_}


def written(proposal: Proposal) -> str:
    """As text, to be carried by a form."""
    rows = {
        option: {name: None if ratio is None else f"{ratio:f}" for name, ratio in table.items()}
        for option, table in proposal.items()
    }
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> Proposal:
    """What `written` wrote. Raises BadOption: it came back through a browser."""
    try:
        document = json.loads(text)
        proposal: Proposal = {}
        for option, table in document.items():
            if option not in OPTION_OF.values():
                raise BadOption(_("%s is no table of prices.") % option)
            proposal[option] = {
                str(name): None if ratio is None else readable(Decimal(ratio)) for name, ratio in table.items()
            }
    except (ArithmeticError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise BadOption(_("not valid JSON: %s") % type(error).__name__) from None
    return proposal


@transaction.atomic
def apply(actor: Actor, proposal: Proposal, *, digest: str, note: str) -> int:
    """Write the entries, all or none; returns how many entries changed. Raises PricesChanged, options.BadOptions."""
    versions.lock(versions.ROUTING)
    current = book(option_services.load())
    if current.digest != digest:
        raise PricesChanged
    then = current.changed(proposal)
    changes = {option: ratios_text(dict(then.own[option])) for option in proposal}
    option_services.set_options(actor, changes, note=note)
    return sum(len(table) for table in proposal.values())


@dataclass(frozen=True)
class Save:
    """One save of prices, whoever made it and by which way."""

    save_id: str
    created_at: int
    actor_name: str
    note: str
    entries: list[tuple[str, str, str, str]] = field(default_factory=list)  # option, name, before, after ("": none)


def history(saves: int = 50) -> list[Save]:
    """The latest saves, newest first. Two queries."""
    rows = OptionChange.objects.filter(key__in=OPTION_OF.values()).order_by("-pk")
    ids = list(dict.fromkeys(rows.values_list("save_id", flat=True)[: saves * len(OPTION_OF)]))[:saves]
    found: dict[str, Save] = {}
    for change in rows.filter(save_id__in=ids):
        save = found.setdefault(change.save_id, Save(change.save_id, change.created_at, change.actor_name, change.note))
        old, new = _table(change.before), _table(change.after)
        save.entries.extend(
            (change.key, name, _figure(old.get(name)), _figure(new.get(name)))
            for name in sorted(old.keys() | new.keys())
        )
    return list(found.values())


def undo(save_id: str) -> Proposal:
    """The entries as they were before this save: it and all later ones are undone. Empty for a save nobody knows."""
    mine = OptionChange.objects.filter(save_id=save_id, key__in=OPTION_OF.values()).order_by("pk").first()
    proposal: Proposal = {}
    if mine is None:
        return proposal
    for change in OptionChange.objects.filter(pk__gte=mine.pk, key__in=OPTION_OF.values()).order_by("-pk"):
        for name, ratio in _table(change.before).items():  # older ones come later, and win
            proposal.setdefault(change.key, {})[name] = ratio
    current = book(option_services.load())
    return {
        option: differing
        for option, table in proposal.items()
        if (differing := {name: ratio for name, ratio in table.items() if current.own[option].get(name) != ratio})
    }


def _table(text: str | None) -> dict[str, Decimal | None]:
    found: dict[str, Decimal | None] = json.loads(text or "{}", parse_float=Decimal, parse_int=Decimal)
    return found


def _figure(ratio: Decimal | None) -> str:
    return "" if ratio is None else f"{ratio:f}"


def is_own(row: Row) -> bool:
    return row.source == OPERATOR or bool(row.own)
