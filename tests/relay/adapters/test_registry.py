"""Every protocol the providers' table calls served has an adapter that can do what the row says."""

from __future__ import annotations

from channels_app.providers import PROVIDERS, SERVED_PROTOCOLS
from relay.adapters.openai_translated import TRANSLATED
from relay.adapters.registry import ADAPTERS
from relay.neutral.request import Chat, Embeddings, Images, Rerank

WITHOUT = {"proxy"}  # passes everything on, and is no protocol
MODES = {Chat: "chat", Embeddings: "embeddings", Images: "images", Rerank: "rerank"}


def test_what_is_served_has_an_adapter():
    assert set(ADAPTERS) | set(TRANSLATED) >= SERVED_PROTOCOLS - WITHOUT


def test_a_row_names_no_kind_of_request_that_its_adapter_cannot_make():
    for provider in PROVIDERS.values():
        adapter = {**TRANSLATED, **ADAPTERS}.get(provider.protocol)
        if adapter is None:
            continue
        made = {MODES[request] for request in adapter.requests}
        assert provider.modes & set(MODES.values()) <= made, provider.name
