"""The OpenAPI 3.1 document of /api, and a page to read it with that loads nothing from elsewhere."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.drainage import warn
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role
from api.schema_parts import FLAG, ID, TEXT, Shape, named
from api.schema_shapes import COMPONENTS, OPERATIONS, Operation
from api.views import ApiView, PublicView, Unknown

SECURITY = {
    "accessToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The access token of `GET /api/user/token`, bare or behind `Bearer `",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "session"},
}
ROLES = {Role.COMMON: "Any account.", Role.ADMIN: "Administrators.", Role.ROOT: "Root."}


class Schema(AutoSchema):
    """One operation from its line in OPERATIONS; a route without one is a warning, which the tests refuse."""

    def get_operation(self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any) -> Any:
        route = path.removeprefix("/api/").rstrip("/")
        operation = OPERATIONS.get(f"{method} {route}")
        if operation is None:
            warn(f"{method} {path} is not described in api/schema_shapes.py")
            return None
        return describe(operation, method, route, cast("ApiView", self.view))


def describe(operation: Operation, method: str, route: str, view: ApiView) -> dict[str, Any]:
    words = re.findall(r"[a-z]+", route)
    described: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *words]),
        "summary": operation.summary,
        "description": ROLES.get(view.level, "Anybody.") if view.level is not None else "Anybody.",
        "tags": [words[0]],
        "security": [] if view.level is None else [{name: []} for name in SECURITY],
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": ID} for name in re.findall(r"{(\w+)}", route)),
            *({"name": name, "in": "query", "schema": shape} for name, shape in operation.query.items()),
            *(
                {"name": name, "in": "header", "description": text, "schema": TEXT}
                for name, text in operation.headers.items()
            ),
        ],
        "responses": _answers(operation, route, view),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.body}}}
    return described


def _answers(operation: Operation, route: str, view: ApiView) -> dict[str, Any]:
    refusal = {"description": "Refused", "content": {"application/json": {"schema": named("Refusal")}}}
    done: dict[str, Any] = {
        "description": "Done, or refused with a reason",
        "content": {"application/json": {"schema": {"anyOf": [_success(operation), named("Refusal")]}}},
    }
    if operation.paged:
        total = {"description": "Rows in all, left out above 10,000", "schema": {"type": "integer"}}
        done["headers"] = {"X-Total-Count": total}
    answers = {"200": done, "429": {"description": "Too many calls; no body"}}
    if view.level is not None:
        answers["401"] = refusal
    if operation.body is not None:
        answers["413"] = refusal
    if "{" in route:
        unknown = {"application/json": {"schema": named("NoRoute")}}
        answers["404"] = {"description": "No such route: what stands for the id holds a slash", "content": unknown}
    if operation.bad_request:
        answers["400"] = refusal
    if operation.forbidden:
        answers["403"] = refusal
    return dict(sorted(answers.items()))


def _success(operation: Operation) -> Shape:
    if operation.whole is not None:
        return operation.whole
    properties = {"success": {**FLAG, "const": True}, "message": TEXT, **operation.beside}
    if operation.data is not None:
        properties["data"] = operation.data
    return {"type": "object", "properties": properties, "required": list(properties)}


def one_spelling(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Each route once, without the slash that may stand at its end; what is no route is left out."""
    return [entry for entry in endpoints if not entry[0].endswith("/") and entry[3].cls is not Unknown]


def add_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**result, "components": {"schemas": dict(COMPONENTS), "securitySchemes": SECURITY}}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    schema: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


class Document(PublicView):
    def get(self, request: Request) -> Response:
        return Response(document())


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "api/docs.html")
