"""The list of models an upstream tells, for channels stored and not stored."""

from __future__ import annotations

from typing import Any

import pytest

from channels_app import upstream_models
from channels_app.models import Channel
from channels_app.services import ChannelInvalid, ChannelMissing
from channels_app.upstream_models import ModelsUnknown, of_channel, of_draft
from tests.channels_app.test_balances import answering
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db
LIST = {"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "b"}, {"id": 3}, {}, {"id": "x,y"}]}


@pytest.mark.parametrize(
    ("channel_type", "path", "header", "document", "names"),
    [
        (1, "/v1/models", "authorization", LIST, ["b", "a"]),
        (40, "/api/v3/models", "authorization", LIST, ["b", "a"]),
        (49, "/compatible-mode/v1/models", "authorization", LIST, ["b", "a"]),
        (14, "/v1/models?limit=1000", "x-api-key", LIST, ["b", "a"]),
        (
            24,
            "/v1beta/models?pageSize=1000",
            "x-goog-api-key",
            {"models": [{"name": "models/gemini-pro"}]},
            ["gemini-pro"],
        ),
    ],
)
def test_of_a_stored_channel(channel_type: int, path: str, header: str, document: Any, names: list[str]) -> None:
    with answering({path.partition("?")[0]: document}) as (base_url, seen):
        assert of_channel(made(type=channel_type, base_url=base_url, key="sk-k").pk) == names

    ((asked, headers),) = seen
    assert asked == path
    assert headers[header].removeprefix("Bearer ") == "sk-k"


def test_of_a_channel_that_is_not_stored() -> None:
    with answering({"/v1/models": LIST}) as (base_url, seen):
        assert of_draft({"type": 1, "base_url": base_url + "/"}, " sk-new ") == ["b", "a"]

    assert seen[0][1]["authorization"] == "Bearer sk-new"
    assert not Channel.objects.exists()


def test_an_address_that_ends_with_v1() -> None:
    with answering({"/proxy/v1/models": [{"id": "a"}, "b"]}) as (base_url, _):
        assert of_draft({"type": 50, "base_url": base_url + "/proxy/v1"}, "k") == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "key"),
    [({"type": 1, "base_url": "file:///etc"}, "k"), ({"type": 999}, "k"), ({"type": 1}, ""), ({"type": 50}, "k")],
)
def test_a_draft_that_could_not_be_stored_is_refused_before_a_call(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(ChannelInvalid):
        of_draft(fields, key)


def test_what_is_no_list_says_why() -> None:
    with answering({"/v1/models": {"error": "no"}}) as (base_url, _), pytest.raises(ModelsUnknown, match="no list"):
        of_channel(made(base_url=base_url).pk)
    with pytest.raises(ModelsUnknown, match="cannot be reached"):
        of_channel(made(base_url="http://127.0.0.1:1").pk)
    with pytest.raises(ModelsUnknown, match=upstream_models.NOT_BUILT):
        of_channel(made(type=3, base_url="http://127.0.0.1:1").pk)
    with pytest.raises(ChannelMissing):
        of_channel(404)
