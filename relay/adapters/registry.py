"""The upstream protocols by the names the providers' table (`channels_app/data/providers.toml`) uses for them."""

from __future__ import annotations

from collections.abc import Mapping

from relay.adapters.anthropic import Anthropic
from relay.adapters.base import Adapter

ADAPTERS: Mapping[str, Adapter] = {
    "anthropic-messages": Anthropic(),
}
