"""Holds an answer against the served OpenAPI document."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import orjson

from api.schema import document


def check(method: str, route: str, answer: Any) -> None:
    """`route` as in the document, without /api/: the answer's status is documented, and its body is as told there."""
    documented = operation(method, route)["responses"].get(str(answer.status_code))
    assert documented is not None, f"{method} {route}: {answer.status_code} is not documented: {answer.content[:500]}"
    if "content" not in documented:
        assert answer.content == b"", f"{method} {route}"
        return
    assert answer.headers["Content-Type"].partition(";")[0] in documented["content"], f"{method} {route}"
    error = jsonschema.exceptions.best_match(
        _validator(method, route, str(answer.status_code)).iter_errors(orjson.loads(answer.content))
    )
    assert error is None, f"{method} {route}: {error}"


def operation(method: str, route: str) -> dict[str, Any]:
    described: dict[str, Any] = document()["paths"][f"/api/{route}"][method.lower()]
    return described


@cache
def _validator(method: str, route: str, status: str) -> jsonschema.Draft202012Validator:
    content = operation(method, route)["responses"][status]["content"]
    schema = content["application/json"]["schema"]
    return jsonschema.Draft202012Validator({**schema, "components": document()["components"]})
