"""The OpenAPI document describes every route, and the answers have the shapes it tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command

from api.schema import document
from api.schema_shapes import OPERATIONS
from tests.api.conftest import Caller, caller

pytestmark = pytest.mark.django_db


def test_the_document_is_valid_and_free_of_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "openapi: 3.1.0" in capsys.readouterr().out


def test_every_line_of_the_table_is_a_route_and_no_operation_is_named_twice() -> None:
    described = [
        (f"{method.upper()} {path.removeprefix('/api/')}", operation["operationId"])
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]
    assert {name for name, _ in described} == set(OPERATIONS)
    assert len({name for _, name in described}) == len(described)


def check(path: str, answer: Any) -> None:
    schema = document()["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document()["components"]}).validate(answer)


# These ask an upstream, start a run or send a mail; their own tests look at their answers.
ELSEWHERE = re.compile("fetch_models|update_balance|channel/test$|verification|reset_password|email/bind")


def test_what_root_is_answered_has_the_shape_it_tells() -> None:
    root = caller("root", role=100)
    assert root.post("token/", {"name": "one"})["success"]
    assert root.post("channel/", {"type": 1, "key": "sk-1", "name": "c", "models": "m", "group": "default"})["success"]
    assert root.post("redemption/", {"name": "code", "count": 1, "quota": 5})["success"]
    asked = [path for path, methods in document()["paths"].items() if "get" in methods and not ELSEWHERE.search(path)]
    assert len(asked) > 25
    for path in asked:
        answer = root.get(re.sub(r"{\w+}", "1", path.removeprefix("/api/")))
        check(path, answer)
        if path in {"/api/user", "/api/token", "/api/channel", "/api/redemption", "/api/option"}:
            assert answer["success"]
            assert answer["data"]


def test_strangers_may_read_the_document_and_its_page_loads_nothing_from_elsewhere() -> None:
    stranger = Caller(None)
    assert stranger.get("schema")["openapi"] == "3.1.0"
    page = stranger.send("GET", "docs")
    text = page.content.decode()
    assert page.status_code == 200
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert not re.search("https?://|<style|<script>| style=| on[a-z]+=", text)
    loaded = re.findall(r'(?:src|href)="/static/([^"?]+)', text)
    assert len(loaded) == 3
    assert all(finders.find(name) for name in loaded)


def test_the_tests_the_documentation_names_are_there() -> None:
    root = Path(settings.BASE_DIR)
    table = (root / "docs/compatibility.md").read_text().partition("## Weaknesses")[2]
    there = {
        name for path in root.glob("tests/**/test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    named = set(re.findall(r"`(test_\w+)`", table))
    assert len(named) > 60
    assert named - there == set()
