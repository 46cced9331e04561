"""The list of models as Gemini's clients read it (https://ai.google.dev/api/models)."""

from __future__ import annotations

import pytest
from google.genai import types

from relay.dialects.gemini.models import model_document, model_list
from relay.errors import BadRequest

NAMES = ["gpt-4o", "gemini-embedding-001", "claude-opus-5"]


def test_the_sdk_reads_a_model() -> None:
    told = model_document("gemini-embedding-001")
    # The SDK's own converter renames this member before it validates.
    told["supportedActions"] = told.pop("supportedGenerationMethods")
    model = types.Model.model_validate({name: value for name, value in told.items() if name != "baseModelId"})
    assert model.name == "models/gemini-embedding-001"
    assert model.supported_actions == ["embedContent", "batchEmbedContents"]
    assert "generateContent" in model_document("gpt-4o")["supportedGenerationMethods"]


def test_without_a_size_all_models_are_one_page() -> None:
    page = model_list(NAMES, "key=sk-x")
    assert [model["name"] for model in page["models"]] == [f"models/{name}" for name in NAMES]
    assert "nextPageToken" not in page
    assert "nextPageToken" not in model_list(NAMES, "pageSize=3")
    assert model_list([]) == {"models": []}


def test_pages_follow_each_other_to_the_end() -> None:
    first = model_list(NAMES, "pageSize=2")
    rest = model_list(NAMES, f"pageSize=2&pageToken={first['nextPageToken']}")
    assert [len(first["models"]), len(rest["models"])] == [2, 1]
    assert rest["models"][0]["name"] == "models/claude-opus-5"
    assert "nextPageToken" not in rest


@pytest.mark.parametrize("query", ["pageSize=-1", "pageSize=x", "pageToken=abc", "pageSize=9999999999"])
def test_pages_that_are_none_are_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        model_list(NAMES, query)
