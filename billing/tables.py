"""Which ratio a model, a type of channel and a group have: the operator's tables over the synced over the default ones.

The defaults are figures in data/*.toml, with their source and date (billing.default_prices). docs/pricing.md says in
which order they are looked up, where they differ from their source and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from billing.default_prices import PARTS, NameRule, Ratios, StripRule, defaults
from billing.families import families
from billing.pricing import PartRatios, Price, readable

__all__ = ["PART_OPTIONS", "Layer", "PriceTable", "defaults"]

# The operator's options, by the part of a call they price.
PART_OPTIONS = MappingProxyType(
    {
        "cached": "CacheRatio",
        "cache_write": "CacheWriteRatio",
        "cache_write_long": "CacheWriteLongRatio",
        "audio_prompt": "AudioRatio",
        "image_prompt": "ImageRatio",
        "reasoning": "ReasoningRatio",
        "audio_completion": "AudioCompletionRatio",
        "image_completion": "ImageCompletionRatio",
    }
)
MEMO = 20_000  # prices remembered per table; names come from channels, so this is never near in practice


OPERATOR, SYNCED, BUILT_IN = "operator", "synced", "built-in"
LAYERS = (OPERATOR, SYNCED, BUILT_IN)


@dataclass(frozen=True, slots=True)
class Layer:
    """Ratios from one source. `parts`: by the names of `PartRatios`, each model -> ratio."""

    model: Ratios = field(default_factory=dict)
    completion: Ratios = field(default_factory=dict)
    parts: Mapping[str, Ratios] = field(default_factory=dict)


class PriceTable:
    """The operator's tables over the synced ones over the defaults. Immutable: a change of an option makes a new one.

    `model_ratio`, `completion_ratio` and `parts` add to what lies below and win over it; `group_ratio` stands alone,
    and a group that is not in it counts as 1. Raises ValueError for a ratio that is negative or not finite.
    """

    def __init__(
        self,
        model_ratio: Ratios,
        completion_ratio: Ratios,
        group_ratio: Ratios,
        parts: Mapping[str, Ratios] = MappingProxyType({}),
        synced: Layer | None = None,
    ) -> None:
        self.model_ratio = _checked(model_ratio)
        self.completion_ratio = _checked(completion_ratio)
        self.group_ratio = _checked(group_ratio)
        self._defaults = known = defaults()
        synced = synced or Layer()
        self._models = (self.model_ratio, _checked(synced.model), known.model_ratio)
        self._completions = (self.completion_ratio, _checked(synced.completion), known.completion_ratio)
        self._parts = {
            name: (_checked(parts.get(name, {})), _checked(synced.parts.get(name, {})), known.parts[name])
            for name in PARTS
        }
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

    def source(self, model: str, channel_type: int = 0) -> tuple[str, str]:
        """Where the model's ratio comes from: the name under which it stands, and which of LAYERS; ("", "") where
        nobody has priced it."""
        for name in (model, *families(model)):
            found = _found(name, channel_type, self._models, self._defaults.strip_model)
            if found is not None:
                return name, LAYERS[found[0]]
        return "", ""

    def names(self) -> set[str]:
        """Every name that has a ratio of its own in any layer."""
        return set().union(*self._models)

    def _look_up(self, model: str, channel_type: int, group: str) -> Price:
        ratio = self._model(model, channel_type)
        name = model
        if ratio is None:
            name, ratio = self._of_family(model, channel_type)
        group_ratio = self.group_ratio.get(group)
        return Price(
            self._defaults.unknown_model if ratio is None else ratio,
            self._completion(model, name, channel_type),
            self._defaults.unknown_group if group_ratio is None else group_ratio,
            known=ratio is not None,
            group_known=group_ratio is not None,
            parts=PartRatios(**{part: self._part(part, model, channel_type) for part in PARTS}),
        )

    def _of_family(self, model: str, channel_type: int) -> tuple[str, Decimal | None]:
        """The nearest form of the name that has a ratio, and the ratio; the name itself where none has."""
        for name in families(model):
            ratio = self._model(name, channel_type)
            if ratio is not None:
                return name, ratio
        return model, None

    def _model(self, model: str, channel_type: int) -> Decimal | None:
        return _find(model, channel_type, self._models, self._defaults.strip_model)

    def _completion(self, model: str, name: str, channel_type: int) -> Decimal:
        """`name`: under which the model's own ratio was found; its completion ratio goes with that one."""
        strip = self._defaults.strip_completion
        for each in dict.fromkeys((model, name)):
            ratio = _find(each, channel_type, self._completions, strip)
            if ratio is not None:
                return ratio
        return _ruled(self._defaults.completion_rules, _stripped(name, strip), self._defaults.unknown_completion)

    def _part(self, part: str, model: str, channel_type: int) -> Decimal | None:
        """None: it costs what text costs."""
        forms = (model, *families(model))
        for name in forms:
            ratio = _find(name, channel_type, self._parts[part], ())
            if ratio is not None:
                return ratio
        for name in forms:
            for rule in self._defaults.part_rules[part]:
                if rule.fits(name):
                    return rule.ratio
        return None


def _ruled(rules: tuple[NameRule, ...], name: str, otherwise: Decimal) -> Decimal:
    return next((rule.ratio for rule in rules if rule.fits(name)), otherwise)


def _find(model: str, channel_type: int, tables: tuple[Ratios, ...], strip: tuple[StripRule, ...]) -> Decimal | None:
    found = _found(model, channel_type, tables, strip)
    return None if found is None else found[1]


def _found(
    model: str, channel_type: int, tables: tuple[Ratios, ...], strip: tuple[StripRule, ...]
) -> tuple[int, Decimal] | None:
    """First hit, and in which table: an entry for the whole name in the tables above the defaults; then, without a
    suffix that costs nothing, `name(type)` and after it `name`, each in the operator's table before the synced and the
    default one."""
    name = _stripped(model, strip)
    if name != model:
        for key in (f"{model}({channel_type})", model):
            for number, table in enumerate(tables[:-1]):
                if key in table:
                    return number, table[key]
    for key in (f"{name}({channel_type})", name):
        for number, table in enumerate(tables):
            if key in table:
                return number, table[key]
    return None


def _stripped(model: str, rules: tuple[StripRule, ...]) -> str:
    for rule in rules:
        model = rule.apply(model)
    return model


def _checked(table: Ratios) -> Ratios:
    return MappingProxyType({name: readable(Decimal(ratio)) for name, ratio in table.items()})
