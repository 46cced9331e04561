"""Which ratio a model, a type of channel and a group have: the operator's tables over the default ones.

The defaults are figures in data/ratios.toml, with their source and date. docs/pricing.md says where they differ from
their source and why.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from billing.pricing import Price, readable

# Decimals of a default ratio that does not end (1/7, 4/3), cut and not rounded: the charge is then that of the fraction
# itself for any number of tokens in practice, and the ratio survives a browser, which reads numbers as doubles.
DECIMALS = 12
MEMO = 20_000  # prices remembered per table; names come from channels, so this is never near in practice

Ratios = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class NameRule:
    """A completion ratio by name. A condition that is "" always holds; `equals` stands for the whole name."""

    ratio: Decimal
    equals: str = ""
    prefix: str = ""
    suffix: str = ""

    def fits(self, name: str) -> bool:
        if self.equals and name != self.equals:
            return False
        return name.startswith(self.prefix) and name.endswith(self.suffix)


@dataclass(frozen=True, slots=True)
class StripRule:
    """A name with this suffix and one of these prefixes costs what the name without the suffix costs."""

    suffix: str
    prefixes: tuple[str, ...]

    def apply(self, name: str) -> str:
        if name.startswith(self.prefixes) and name.endswith(self.suffix):
            return name.removesuffix(self.suffix)
        return name


@dataclass(frozen=True, slots=True)
class Defaults:
    """data/ratios.toml, converted to ratios."""

    model_ratio: Ratios
    completion_ratio: Ratios
    group_ratio: Ratios
    completion_rules: tuple[NameRule, ...]
    strip_model: tuple[StripRule, ...]
    strip_completion: tuple[StripRule, ...]
    unknown_model: Decimal
    unknown_completion: Decimal
    unknown_group: Decimal


@cache
def defaults() -> Defaults:
    """The default tables, read once. KeyError or ValueError for a file that is not what it should be."""
    with (Path(__file__).parent / "data" / "ratios.toml").open("rb") as file:
        data = tomllib.load(file, parse_float=Decimal)
    points_per_million = Fraction(data["points_per_usd"], 1_000_000)  # points a token, for each USD per 1M tokens
    points_per_yuan = Fraction(data["points_per_usd"], 1_000 * data["cny_per_usd"])
    model_ratio: dict[str, Decimal] = {}
    completion_ratio: dict[str, Decimal] = {}
    for name, ratio in data["ratio"].items():
        model_ratio[name] = _decimal(Fraction(ratio))
    for name, yuan in data["cny"].items():
        model_ratio[name] = _decimal(Fraction(yuan) * points_per_yuan)
    for name, dollars in data["usd_both"].items():
        model_ratio[name] = _decimal(Fraction(dollars) * points_per_million)
    for name, (prompt, completion) in data["usd"].items():
        model_ratio[name] = _decimal(Fraction(prompt) * points_per_million)
        if prompt:  # a free model has no quotient
            completion_ratio[name] = _decimal(Fraction(completion) / Fraction(prompt))
    for name, ratio in data["completion"].items():
        completion_ratio[name] = _decimal(_fraction(ratio))
    return Defaults(
        model_ratio=MappingProxyType(model_ratio),
        completion_ratio=MappingProxyType(completion_ratio),
        group_ratio=MappingProxyType({name: Decimal(ratio) for name, ratio in data["group_ratio"].items()}),
        completion_rules=tuple(
            NameRule(**{**rule, "ratio": _decimal(_fraction(rule["ratio"]))}) for rule in data["completion_rule"]
        ),
        strip_model=_strip_rules(data, "model"),
        strip_completion=_strip_rules(data, "completion"),
        unknown_model=Decimal(data["unknown_model"]),
        unknown_completion=Decimal(data["unknown_completion"]),
        unknown_group=Decimal(data["unknown_group"]),
    )


def _strip_rules(data: dict[str, Any], of: str) -> tuple[StripRule, ...]:
    return tuple(
        StripRule(rule["suffix"], tuple(rule["prefixes"])) for rule in data["strip_suffix"] if rule["of"] == of
    )


def _fraction(value: int | Decimal | str) -> Fraction:
    """A number, or two as text with a slash between them."""
    if isinstance(value, str):
        above, below = value.split("/")
        return Fraction(above) / Fraction(below)
    return Fraction(value)


def _decimal(value: Fraction) -> Decimal:
    """The value cut to DECIMALS decimals, without trailing zeros."""
    units = value.numerator * 10**DECIMALS // value.denominator
    return Decimal(units).scaleb(-DECIMALS).normalize() + 0  # + 0: 30, not 3E+1


class PriceTable:
    """The operator's tables over the defaults. Immutable: a change of an option makes a new one.

    `model_ratio` and `completion_ratio` add to the defaults and win over them; `group_ratio` stands alone, and a group
    that is not in it counts as 1. Raises ValueError for a ratio that is negative or not finite.
    """

    def __init__(self, model_ratio: Ratios, completion_ratio: Ratios, group_ratio: Ratios) -> None:
        self.model_ratio = _checked(model_ratio)
        self.completion_ratio = _checked(completion_ratio)
        self.group_ratio = _checked(group_ratio)
        self._defaults = defaults()
        self._memo: dict[tuple[str, int, str], Price] = {}

    @classmethod
    def of_defaults(cls) -> PriceTable:
        """The table of a gateway whose operator has set no ratio."""
        return cls({}, {}, defaults().group_ratio)

    def price(self, model: str, channel_type: int, group: str) -> Price:
        """The price of a model (its name after mapping) on a type of channel for a group. Never fails."""
        key = (model, channel_type, group)
        price = self._memo.get(key)
        if price is None:
            price = self._look_up(model, channel_type, group)
            if len(self._memo) >= MEMO:
                self._memo.clear()
            self._memo[key] = price
        return price

    def _look_up(self, model: str, channel_type: int, group: str) -> Price:
        ratio = self._model(model, channel_type)
        group_ratio = self.group_ratio.get(group)
        return Price(
            self._defaults.unknown_model if ratio is None else ratio,
            self._completion(model, channel_type),
            self._defaults.unknown_group if group_ratio is None else group_ratio,
            known=ratio is not None,
            group_known=group_ratio is not None,
        )

    def _model(self, model: str, channel_type: int) -> Decimal | None:
        return _find(model, channel_type, self.model_ratio, self._defaults.model_ratio, self._defaults.strip_model)

    def _completion(self, model: str, channel_type: int) -> Decimal:
        strip = self._defaults.strip_completion
        ratio = _find(model, channel_type, self.completion_ratio, self._defaults.completion_ratio, strip)
        if ratio is not None:
            return ratio
        name = _stripped(model, strip)
        for rule in self._defaults.completion_rules:
            if rule.fits(name):
                return rule.ratio
        return self._defaults.unknown_completion


def _find(model: str, channel_type: int, own: Ratios, default: Ratios, strip: tuple[StripRule, ...]) -> Decimal | None:
    """First hit: the operator's entry for the whole name; then, without a suffix that costs nothing, `name(type)`
    and after it `name`, each in the operator's table before the default one."""
    name = _stripped(model, strip)
    if name != model:
        for key in (f"{model}({channel_type})", model):
            if key in own:
                return own[key]
    for key in (f"{name}({channel_type})", name):
        for table in (own, default):
            if key in table:
                return table[key]
    return None


def _stripped(model: str, rules: tuple[StripRule, ...]) -> str:
    for rule in rules:
        model = rule.apply(model)
    return model


def _checked(table: Ratios) -> Ratios:
    return MappingProxyType({name: readable(Decimal(ratio)) for name, ratio in table.items()})
