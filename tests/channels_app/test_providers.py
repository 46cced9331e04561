"""The table of channel types is complete, and a mistake in it names the row."""

import copy
from typing import Any

import pytest
from django.utils import translation

from channels_app import catalogue
from channels_app.providers import CATALOGUE, PROVIDERS, BadProviderRow, choices, parse

ROW: dict[str, Any] = {
    "id": 60,
    "name": "Acme",
    "label": "Acme",
    "protocol": "openai",
    "auth": "bearer",
    "owned_by": "acme",
    "key_format": "acme-...",
    "modes": ["chat"],
}


def table(**changes: Any) -> dict[str, Any]:
    return {"provider": [{**copy.deepcopy(ROW), **changes}]}


def test_has_every_channel_type_of_the_contract() -> None:
    assert set(range(1, 52)) <= set(PROVIDERS)


@pytest.mark.parametrize(
    ("channel_type", "base_url"),
    [
        (1, "https://api.openai.com"),
        (3, ""),
        (8, ""),
        (30, "http://localhost:11434"),
        (41, "https://api.novita.ai/v3/openai"),
        (51, "https://generativelanguage.googleapis.com/v1beta/openai"),
    ],
)
def test_knows_the_default_address(channel_type: int, base_url: str) -> None:
    assert PROVIDERS[channel_type].base_url == base_url


@pytest.mark.parametrize(
    ("channel_type", "mode", "path"),
    [
        (27, "chat", "/v1/text/chatcompletion_v2"),
        (40, "chat", "/api/v3/chat/completions"),
        (40, "embeddings", "/api/v3/embeddings"),
        (41, "chat", "/chat/completions"),
        (47, "chat", "/v2/chat/completions"),
        (49, "embeddings", "/compatible-mode/v1/embeddings"),
    ],
)
def test_knows_the_paths_that_differ(channel_type: int, mode: str, path: str) -> None:
    assert PROVIDERS[channel_type].paths[mode] == path


def test_mistral_is_never_sent_what_it_refuses() -> None:
    mistral = PROVIDERS[28]
    assert not mistral.stream_usage
    assert mistral.refuses == ("stream_options", "messages.name", "messages.call_ids")
    assert "messages.reasoning_content" not in mistral.knows
    assert dict(mistral.renames) == {"max_completion_tokens": "max_tokens"}


def test_the_legacy_column_stands_in_for_a_config_member() -> None:
    fills = {p.id: p.other_fills for p in PROVIDERS.values() if p.other_fills}
    assert fills == {3: "api_version", 17: "plugin", 18: "api_version", 21: "library_id", 24: "api_version"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"colour": "red"}, "unknown field colour"),
        ({"id": "60"}, "id must be int"),
        ({"served": 1}, "served must be bool"),
        ({"modes": ["chat", "telepathy"]}, "unknown modes telepathy"),
        ({"modes": "@none"}, "modes names '@none'"),
        ({"models": ["m", "m"]}, "models holds a name twice"),
        ({"base_url": "api.acme.example"}, "base_url must start with"),
        ({"path_style": "twisted"}, "path_style must be one of"),
        ({"paths": {"images": "/i"}}, "paths for modes it does not have: images"),
        ({"paths": {"chat": "c"}}, "every path starts with a slash"),
        ({"key_pattern": "("}, "key_pattern"),
        ({"other_fills": "colour"}, "other_fills"),
        ({"config": [{"name": "colour"}]}, "'colour' is no member of config"),
        ({"config": [{"name": "region", "pattern": "("}]}, "config: pattern of region"),
    ],
)
def test_a_bad_row_is_refused_by_name(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadProviderRow, match=r"provider .*\(Acme\)") as refusal:
        parse(table(**changes))
    assert complaint in str(refusal.value)


def test_a_row_without_a_required_field_is_refused_by_name() -> None:
    row = {name: value for name, value in ROW.items() if name != "key_format"}
    with pytest.raises(BadProviderRow, match=r"provider 60 \(Acme\): without key_format"):
        parse({"provider": [row]})


def test_an_id_is_given_once() -> None:
    with pytest.raises(BadProviderRow, match="already that of Acme"):
        parse({"provider": [ROW, ROW]})


def test_the_catalogue_names_providers_only() -> None:
    with pytest.raises(BadProviderRow, match="catalogue"):
        parse({"catalogue": [60, 61], "provider": [ROW]})


def test_choices_speak_the_readers_language() -> None:
    with translation.override("en"):
        assert (15, "Baidu") in choices()
    with translation.override("zh-hans"):
        assert (15, "百度文心千帆") in choices()


def test_the_catalogue_tells_each_model_once() -> None:
    ids = [model["id"] for model in catalogue.whole_catalogue()["data"]]
    assert len(ids) == len(set(ids))
    assert ids[0] == "gpt-3.5-turbo"
    assert CATALOGUE[0] == 1


def test_a_model_two_providers_list_belongs_to_the_first() -> None:
    assert catalogue.OWNERS["claude-3-opus-20240229"] == "anthropic"
    assert catalogue.OWNERS["gemini-1.5-pro"] == "google gemini"


def test_a_model_has_the_shape_of_the_contract() -> None:
    assert catalogue.model_object("gpt-4o") == {
        "id": "gpt-4o",
        "object": "model",
        "created": 1626777600,
        "owned_by": "openai",
        "permission": [
            {
                "id": "modelperm-LwHkVFn8AcMItP432fKKDIKJ",
                "object": "model_permission",
                "created": 1626777600,
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
        ],
        "root": "gpt-4o",
        "parent": None,
    }


def test_an_unknown_model_is_custom_and_comes_last() -> None:
    data = catalogue.model_list(["zeta", "gpt-4o", "alpha", "gpt-4o", "", "gpt-4"])["data"]
    assert [model["id"] for model in data] == ["gpt-4", "gpt-4o", "alpha", "zeta"]
    assert data[-1]["owned_by"] == "custom"
    assert data[-1]["permission"] is None


def test_models_are_told_by_channel_type() -> None:
    by_type = catalogue.models_by_type()
    assert by_type["36"] == ["deepseek-chat", "deepseek-reasoner"]
    assert by_type["34"] == []
    assert len(by_type) == 51
