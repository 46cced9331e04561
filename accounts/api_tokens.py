"""/api/token, one's own only (management contract, 2.10)."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import tokens
from accounts.models import Token, TokenStatus
from api.bodies import Body, lenient_integer, path_id, query_text, read_body
from api.callers import caller
from api.envelope import answer
from api.paging import begins, found, page
from api.views import ApiView

ORDERS: dict[str, list[Any]] = {
    "remain_quota": [F("unlimited_quota").desc(), F("remain_quota").desc(), "-id"],
    "used_quota": [F("used_quota").desc(), "-id"],
}


def token_json(token: Token) -> dict[str, Any]:
    """`key` without the `sk-` that pages put in front."""
    return {
        "id": token.pk,
        "user_id": token.user_id,
        "key": token.key,
        "status": token.status,
        "name": token.name,
        "created_time": token.created_time,
        "accessed_time": token.accessed_time,
        "expired_time": token.expired_time,
        "remain_quota": token.remain_quota,
        "unlimited_quota": token.unlimited_quota,
        "used_quota": token.used_quota,
        "models": token.model_names,
        "subnet": token.subnet,
    }


def _changes(body: Body) -> dict[str, Any]:
    """Members that are given. A null list of models or networks is an empty one: no restriction."""
    changes: dict[str, Any] = {}
    for name, column in (("name", "name"), ("models", "model_names"), ("subnet", "subnet")):
        if name in body.members:
            changes[column] = body.text(name)
    for name in ("expired_time", "remain_quota"):
        if name in body:
            changes[name] = body.integer(name)
    if "unlimited_quota" in body:
        changes["unlimited_quota"] = body.flag("unlimited_quota")
    return changes


class Tokens(ApiView):
    echoes = True

    def get(self, request: Request) -> Response:
        ordering = ORDERS.get(query_text(request, "order"), ["-id"])
        return page(request, Token.objects.filter(user_id=caller(request).pk).order_by(*ordering), token_json)

    def post(self, request: Request) -> Response:
        token = tokens.create_token(user_id=caller(request).pk, **_changes(read_body(request)))
        return answer(token_json(token))

    def put(self, request: Request) -> Response:
        """With `status_only` the status alone is taken; without it everything else that is given."""
        body = read_body(request)
        user_id, token_id = caller(request).pk, body.integer("id")
        if query_text(request, "status_only"):
            return answer(token_json(tokens.set_token_status(user_id, token_id, body.integer("status"))))
        if body.integer("status") == TokenStatus.ENABLED:
            tokens.check_enabling(tokens.find_token(user_id, token_id))
        return answer(token_json(tokens.update_token(user_id, token_id, _changes(body))))


class TokenSearch(ApiView):
    def get(self, request: Request) -> Response:
        rows = Token.objects.filter(begins("name", query_text(request, "keyword")), user_id=caller(request).pk)
        return found(rows.order_by("-id"), token_json)


class OneToken(ApiView):
    def get(self, request: Request, token_id: str) -> Response:
        return answer(token_json(tokens.find_token(caller(request).pk, path_id(token_id))))

    def delete(self, request: Request, token_id: str) -> Response:
        tokens.delete_token(caller(request).pk, lenient_integer(token_id))
        return answer()
