"""The default prices: data/*.toml, read once and converted to ratios.

ratios.toml holds the models of the reference system as they were priced when it stopped; every other file there is of
one date and adds models, or what parts of a call cost (cached tokens, sound, pictures). No model is priced twice.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from billing.pricing import PartRatios

# Decimals of a default ratio that does not end (1/7, 4/3), cut and not rounded: the charge is then that of the fraction
# itself for any number of tokens in practice, and the ratio survives a browser, which reads numbers as doubles.
DECIMALS = 12
DATA = Path(__file__).parent / "data"
BASE = "ratios.toml"
NO_PRICES = frozenset({"images.toml"})
PARTS = tuple(field.name for field in fields(PartRatios))
POINTS_PER_USD = 500_000  # a ratio is a price in this unit, whatever QuotaPerUnit says
COLUMNS = frozenset({"prompt", "completion", *PARTS})

Ratios = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class NameRule:
    """A ratio by name. A condition that is "" always holds; `equals` stands for the whole name."""

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
    """The files of data/, converted to ratios. `parts` and `part_rules`: by the names of `PartRatios`."""

    model_ratio: Ratios
    completion_ratio: Ratios
    group_ratio: Ratios
    completion_rules: tuple[NameRule, ...]
    strip_model: tuple[StripRule, ...]
    strip_completion: tuple[StripRule, ...]
    parts: Mapping[str, Ratios]
    part_rules: Mapping[str, tuple[NameRule, ...]]
    unknown_model: Decimal
    unknown_completion: Decimal
    unknown_group: Decimal


@dataclass(frozen=True, slots=True)
class ModelRatios:
    """`completion` is None for a model that is free: it has no quotients."""

    model: Decimal
    completion: Decimal | None
    parts: Mapping[str, Decimal]


def of_dollars(columns: Mapping[str, Fraction]) -> ModelRatios:
    """Ratios of one model from its prices in USD per 1M tokens; COLUMNS names the kinds of tokens.

    Without a completion price a completion costs what a prompt costs. Raises ValueError: no prompt price, a column
    nobody knows, a price below 0, or a prompt that is free where something else is not.
    """
    if unknown := columns.keys() - COLUMNS:
        raise ValueError(f"no such column: {', '.join(sorted(unknown))}")
    if "prompt" not in columns:
        raise ValueError("no prompt price")
    if any(price < 0 for price in columns.values()):
        raise ValueError("a price below 0")
    prompt = columns["prompt"]
    if not prompt:
        if any(columns.values()):
            raise ValueError("the prompt is free and something else is not")
        return ModelRatios(Decimal(0), None, {})
    return ModelRatios(
        _decimal(prompt * POINTS_PER_USD / 1_000_000),
        _decimal(columns.get("completion", prompt) / prompt),
        {part: _decimal(columns[part] / prompt) for part in PARTS if part in columns},
    )


@cache
def defaults() -> Defaults:
    """The default tables, read once. KeyError or ValueError for a file that is not what it should be."""
    data = _read(BASE)
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
    parts: dict[str, dict[str, Decimal]] = {part: {} for part in PARTS}
    part_rules: dict[str, list[NameRule]] = {part: [] for part in PARTS}
    for path in sorted(DATA.glob("*.toml")):
        if path.name != BASE and path.name not in NO_PRICES:
            _add(_read(path.name), Fraction(data["cny_per_usd"]), model_ratio, completion_ratio, parts, part_rules)
    return Defaults(
        model_ratio=MappingProxyType(model_ratio),
        completion_ratio=MappingProxyType(completion_ratio),
        group_ratio=MappingProxyType({name: Decimal(ratio) for name, ratio in data["group_ratio"].items()}),
        completion_rules=tuple(
            NameRule(**{**rule, "ratio": _decimal(_fraction(rule["ratio"]))}) for rule in data["completion_rule"]
        ),
        strip_model=_strip_rules(data, "model"),
        strip_completion=_strip_rules(data, "completion"),
        parts=MappingProxyType({part: MappingProxyType(table) for part, table in parts.items()}),
        part_rules=MappingProxyType({part: tuple(rules) for part, rules in part_rules.items()}),
        unknown_model=Decimal(data["unknown_model"]),
        unknown_completion=Decimal(data["unknown_completion"]),
        unknown_group=Decimal(data["unknown_group"]),
    )


def _read(name: str) -> dict[str, Any]:
    with (DATA / name).open("rb") as file:
        return tomllib.load(file, parse_float=Decimal)


def _add(
    added: dict[str, Any],
    cny_per_usd: Fraction,
    model_ratio: dict[str, Decimal],
    completion_ratio: dict[str, Decimal],
    parts: dict[str, dict[str, Decimal]],
    part_rules: dict[str, list[NameRule]],
) -> None:
    """A dated file: models with prices in USD or CNY per 1M tokens, and ratios of parts by name."""
    priced = [(name, columns, Fraction(1)) for name, columns in added.get("usd", {}).items()]
    priced += [(name, columns, cny_per_usd) for name, columns in added.get("cny", {}).items()]
    for name, columns, per_usd in priced:
        if name in model_ratio:
            raise ValueError(f"{name} has a price already")
        found = of_dollars({kind: Fraction(price) / per_usd for kind, price in columns.items()})
        model_ratio[name] = found.model
        if found.completion is not None:
            completion_ratio[name] = found.completion
        for part, ratio in found.parts.items():
            parts[part][name] = ratio
    for rule in added.get("part_rule", ()):
        conditions = {key: rule[key] for key in ("equals", "prefix", "suffix") if key in rule}
        for part in rule.keys() - conditions.keys():
            part_rules[part].append(NameRule(_decimal(_fraction(rule[part])), **conditions))


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
