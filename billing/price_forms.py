"""Price lists as others publish them, read into ratios. Pure: bytes in, ratios out; all of it or ValueError.

Two forms are known, told apart by their members:

* ours (docs/pricing.md): `{"unit": "USD per 1M tokens", "models": {"gpt-5": {"prompt": 1.25, "completion": 10,
  "cached": 0.125}}}`;
* LiteLLM's model_prices_and_context_window.json, USD for one token
  (https://docs.litellm.ai/docs/proxy/model_cost_map and the schema beside the file). Its models carry their provider
  (`gemini/gemini-2.5-pro`); where a maker sells its own, the plain name is priced too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from billing.default_prices import ModelRatios, of_dollars

UNIT = "USD per 1M tokens"
DEAREST = 1_000_000  # USD per 1M tokens; more is a wrong unit
MOST_MODELS = 100_000
LONGEST_NAME = 191  # as the log's column

_LITELLM = {
    "input_cost_per_token": "prompt",
    "output_cost_per_token": "completion",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_long",
    "input_cost_per_audio_token": "audio_prompt",
    "output_cost_per_audio_token": "audio_completion",
    "input_cost_per_image_token": "image_prompt",
    "output_cost_per_image_token": "image_completion",
    "output_cost_per_reasoning_token": "reasoning",
}
_LITELLM_NOT_MODELS = frozenset({"sample_spec", "fallback_generalizations"})
_LITELLM_MODES = frozenset({"chat", "completion", "embedding", "responses"})  # what is billed by the token, by us too
# Who sells a model under its plain name, the maker before those who host it.
_SELLERS = (
    "openai", "anthropic", "gemini", "mistral", "xai", "deepseek", "moonshot", "zai", "dashscope", "minimax",
    "volcengine", "cohere", "perplexity", "groq",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """Ratios by model, and how many entries were left out, by reason."""

    models: Mapping[str, ModelRatios]
    left_out: Mapping[str, int] = field(default_factory=dict)


def read(body: bytes) -> Sheet:
    """Raises ValueError with the first thing that is wrong; a list without a single price is wrong, too."""
    try:
        document = json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    document = _object(document, "the list")
    sheet = _ours(document) if "unit" in document else _litellm(document)
    if not sheet.models:
        raise ValueError("no model with a price in it")
    return sheet


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no price")


def _ours(document: dict[str, Any]) -> Sheet:
    if document["unit"] != UNIT:
        raise ValueError(f"the unit must be {UNIT!r}")
    models = _object(document.get("models"), "`models`")
    if len(models) > MOST_MODELS:
        raise ValueError(f"more than {MOST_MODELS} models")
    found = {}
    for name, entry in models.items():
        _check_name(name)
        columns = _object(entry, name)
        found[name] = _ratios(name, {kind: _price(name, kind, told, 1) for kind, told in columns.items()})
    return Sheet(found)


def _litellm(document: dict[str, Any]) -> Sheet:
    if len(document) > MOST_MODELS:
        raise ValueError(f"more than {MOST_MODELS} models")
    found: dict[str, ModelRatios] = {}
    left_out: Counter[str] = Counter()
    for name, entry in document.items():
        if name in _LITELLM_NOT_MODELS:
            continue
        _check_name(name)
        told = _object(entry, name)
        columns = {
            kind: _price(name, member, told[member], 1_000_000)
            for member, kind in _LITELLM.items()
            if told.get(member) is not None
        }
        if told.get("mode", "chat") not in _LITELLM_MODES:
            left_out["not billed by the token"] += 1
        elif not columns.get("prompt"):
            left_out["free, or without a price of a prompt token"] += 1
        else:
            found[name] = _ratios(name, columns)
    for seller in _SELLERS:
        for name in [name for name in found if name.startswith(f"{seller}/")]:
            found.setdefault(name.removeprefix(f"{seller}/"), found[name])
    return Sheet(found, dict(left_out))


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a JSON object")  # noqa: TRY004 (what is wrong is the list, not our call)
    return value


def _check_name(name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"not the name of a model: {name[:40]!r}")


def _price(name: str, kind: str, told: Any, tokens: int) -> Fraction:
    """USD per 1M tokens of one kind, told for `1M / tokens` of them."""
    if not isinstance(told, Decimal) or not told.is_finite():
        raise ValueError(f"{name}: {kind} is no number")
    exponent = told.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > 30:
        raise ValueError(f"{name}: {kind} is no price")
    price = Fraction(told) * tokens
    if not 0 <= price <= DEAREST:
        raise ValueError(f"{name}: {kind} must be between 0 and {DEAREST} USD per 1M tokens")
    return price


def _ratios(name: str, columns: Mapping[str, Fraction]) -> ModelRatios:
    try:
        return of_dollars(columns)
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from None
