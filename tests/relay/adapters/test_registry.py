"""Every protocol the providers' table calls served has an adapter that can do what the row says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from channels_app.providers import PROVIDERS, BadProviderRow
from relay.adapters.registry import ADAPTERS, PASSED_ON, check
from relay.neutral.request import Chat, Embeddings, Images, Rerank

MODES = {Chat: "chat", Embeddings: "embeddings", Images: "images", Rerank: "rerank"}


def test_a_row_that_is_served_without_an_adapter_stops_the_start_by_name():
    acme = replace(PROVIDERS[1], id=60, name="Acme", protocol="acme")
    with pytest.raises(BadProviderRow, match=r"provider 60 \(Acme\): served, but no adapter speaks acme"):
        check([acme], ADAPTERS)
    check([replace(acme, served=False)], ADAPTERS)
    check([acme], {"acme"})


def test_every_row_whose_protocol_is_spoken_is_served():
    spoken = ADAPTERS.keys() | PASSED_ON
    assert [row.name for row in PROVIDERS.values() if row.protocol in spoken and not row.served] == []


def test_every_adapter_has_a_row():
    assert set(ADAPTERS) <= {provider.protocol for provider in PROVIDERS.values()}


def test_a_row_names_no_kind_of_request_that_its_adapter_cannot_make():
    for provider in PROVIDERS.values():
        adapter = ADAPTERS.get(provider.protocol)
        if adapter is None:
            continue
        made = {MODES[request] for request in adapter.requests}
        assert provider.modes & set(MODES.values()) <= made, provider.name
