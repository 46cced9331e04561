"""Images: which sizes, numbers and prompts a model takes, and how its price follows from size and quality.

The figures are in data/images.toml. A model that is not listed there takes any size, at factor 1, and any prompt.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

DEFAULT_MODEL = "dall-e-2"
DEFAULT_SIZE = "1024x1024"
DEFAULT_N = 1

_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class ImageModel:
    """One entry of data/images.toml. `sizes` maps a size to its price factor; empty: any size. `hd` likewise."""

    sizes: Mapping[str, Decimal]
    hd: Mapping[str, Decimal]  # further factor at quality "hd"; "other" stands for every size not named
    most: int | None  # images in one call
    prompt: int | None  # characters
    upstream: str  # the name it has at its provider; "" means its own


_UNLISTED = ImageModel(sizes={}, hd={}, most=None, prompt=None, upstream="")


@cache
def _models() -> Mapping[str, ImageModel]:
    with (Path(__file__).parent / "data" / "images.toml").open("rb") as file:
        rows = tomllib.load(file, parse_float=Decimal)
    return MappingProxyType({name: _model(row) for name, row in rows.items()})


def _model(row: dict[str, Any]) -> ImageModel:
    return ImageModel(
        sizes=MappingProxyType({size: Decimal(factor) for size, factor in row.get("sizes", {}).items()}),
        hd=MappingProxyType({size: Decimal(factor) for size, factor in row.get("hd", {}).items()}),
        most=row["n"][1],
        prompt=row["prompt"],
        upstream=row.get("upstream", ""),
    )


def size_factor(model: str, size: str, quality: str) -> Decimal:
    """How many times the base price one image costs. A size the model does not list counts as 1."""
    known = _models().get(model, _UNLISTED)
    factor = known.sizes.get(size, _ONE)
    if quality == "hd" and known.hd:
        factor *= known.hd.get(size, known.hd["other"])
    return factor


def factors(model: str) -> tuple[Decimal, Decimal]:
    """How many times the base price an image costs, in the cheapest size and quality and in the dearest."""
    known = _models().get(model, _UNLISTED)
    sizes = known.sizes or {"": _ONE}
    qualities = ("", "hd") if known.hd else ("",)
    found = [size_factor(model, size, quality) for size in sizes for quality in qualities]
    return min(found), max(found)


def image_problem(model: str, prompt: str, size: str, n: int) -> tuple[str, str] | None:
    """Why an image request is refused with 400: (code, message) of the contract, or None. `model` is the mapped name.

    Checked in the contract's order: prompt, size, length of the prompt (in characters), number. Fewer than one image is
    refused whatever the model.
    """
    known = _models().get(model, _UNLISTED)
    if not prompt:
        return "prompt_missing", "prompt is required"
    if known.sizes and size not in known.sizes:
        return "size_not_supported", "size not supported for this image model"
    if known.prompt is not None and len(prompt) > known.prompt:
        return "prompt_too_long", "prompt is too long"
    if n < 1 or (known.most is not None and n > known.most):
        return "n_not_within_range", "invalid value of n"
    return None


def upstream_name(model: str) -> str:
    """What the provider calls this image model, which is also the name in the log."""
    return _models().get(model, _UNLISTED).upstream or model
