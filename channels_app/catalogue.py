"""The model lists told to clients: `/v1/models`, `/api/channel/models`, `/api/models` (relay reference 1.6).

Built-in names come from the providers' rows, each once, under the first owner in catalogue order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from channels_app.providers import CATALOGUE, PROVIDERS

CREATED = 1626777600  # the contract's fixed moment, unix seconds
CUSTOM = "custom"  # owner of a name no provider lists
PERMISSION: Mapping[str, Any] = MappingProxyType(
    {
        "id": "modelperm-LwHkVFn8AcMItP432fKKDIKJ",
        "object": "model_permission",
        "created": CREATED,
        "allow_create_engine": True,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
)


def _owners() -> dict[str, str]:
    owners: dict[str, str] = {}
    for channel_type in CATALOGUE:
        provider = PROVIDERS[channel_type]
        for name in provider.models:
            owners.setdefault(name, provider.owned_by)
    return owners


OWNERS: Mapping[str, str] = MappingProxyType(_owners())  # model name -> owner, in catalogue order
_PLACES = {name: place for place, name in enumerate(OWNERS)}


def model_object(name: str) -> dict[str, Any]:
    """One model in OpenAI's list shape. A name no provider lists is owned by "custom" and has no permission object."""
    owner = OWNERS.get(name)
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": owner or CUSTOM,
        "permission": [dict(PERMISSION)] if owner else None,
        "root": name,
        "parent": None,
    }


def model_list(names: Iterable[str]) -> dict[str, Any]:
    """The list answer for these names: each once, known ones first in catalogue order, then the others by name."""
    distinct = {name for name in names if name}
    ordered = sorted(distinct, key=lambda name: (_PLACES.get(name, len(_PLACES)), name))
    return {"object": "list", "data": [model_object(name) for name in ordered]}


def whole_catalogue() -> dict[str, Any]:
    """The list answer with every built-in name."""
    return {"object": "list", "data": [model_object(name) for name in OWNERS]}


def models_by_type() -> dict[str, list[str]]:
    """Channel type number, as text -> the names its form offers."""
    return {str(provider.id): list(provider.models) for provider in PROVIDERS.values()}
