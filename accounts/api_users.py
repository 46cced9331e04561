"""/api/user for administrators (management contract, 2.5)."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import levels, services
from accounts.api import BAD_INPUT, partial_json, user_json
from accounts.models import Role, User, UserStatus, fold
from accounts.refusals import NoId, NotFound
from api import messages
from api.bodies import Body, lenient_integer, path_id, query_text, read_body, required
from api.callers import actor, caller
from api.envelope import Refusal, answer
from api.paging import begins, found, page
from api.views import AdminView

ORDERS = ("quota", "used_quota", "request_count")
TEXTS = ("username", "password", "display_name", "email", "github_id", "wechat_id", "lark_id", "oidc_id", "group")
NUMBERS = ("role", "status", "quota")
KEPT_WHEN_EMPTY = frozenset({"username", "password", "group"})
KEPT_WHEN_ZERO = frozenset({"role", "status"})


class Users(AdminView):
    def get(self, request: Request) -> Response:
        order = query_text(request, "order")
        ordering = [F(order).desc(), "-id"] if order in ORDERS else ["-id"]
        return page(request, User.objects.exclude(status=UserStatus.DELETED).order_by(*ordering), user_json)

    def post(self, request: Request) -> Response:
        body = read_body(request)
        username, password = body.text("username"), body.text("password")
        required(request, username and password)
        levels.may_create(caller(request), body.integer("role", Role.COMMON))
        try:
            services.register(
                username=username,
                password=password,
                display_name=body.text("display_name"),
                actor=actor(request),
            )
        except BAD_INPUT:
            raise Refusal(messages.invalid_input(request._request)) from None
        return answer()

    def put(self, request: Request) -> Response:
        """Fields that are given are applied, 0 and "" among them, save where they cannot be meant (remedy D4)."""
        body = read_body(request)
        user_id = body.integer("id")
        required(request, user_id)
        try:
            services.update_user(caller(request), actor(request), user_id, _changes(body))
        except BAD_INPUT:
            raise Refusal(messages.invalid_input(request._request)) from None
        return answer()


def _changes(body: Body) -> dict[str, Any]:
    texts = {name: body.text(name) for name in TEXTS if name in body}
    numbers = {name: body.integer(name) for name in NUMBERS if name in body}
    return {
        **{name: value for name, value in texts.items() if value or name not in KEPT_WHEN_EMPTY},
        **{name: value for name, value in numbers.items() if value or name not in KEPT_WHEN_ZERO},
    }


class UserSearch(AdminView):
    def get(self, request: Request) -> Response:
        """By id, or the beginning of name, e-mail address or display name, whatever their case."""
        keyword = query_text(request, "keyword")
        wanted = (
            Q(pk=lenient_integer(keyword))
            | Q(username_key__startswith=fold(keyword))
            | Q(email_key__startswith=fold(keyword))
            | begins("display_name", keyword)
        )
        return found(User.objects.filter(wanted).order_by("-id"), user_json)


class OneUser(AdminView):
    def get(self, request: Request, user_id: str) -> Response:
        wanted = path_id(user_id)
        if not wanted:
            raise NoId
        user = User.objects.filter(pk=wanted).first()
        if user is None:
            raise NotFound
        levels.may_read(caller(request), user)
        return answer(user_json(user))

    def delete(self, request: Request, user_id: str) -> Response:
        services.delete_user(caller(request), actor(request), path_id(user_id))
        return answer()


class ManageUser(AdminView):
    def post(self, request: Request) -> Response:
        body = read_body(request)
        user = services.manage(caller(request), actor(request), body.text("username"), body.text("action"))
        return answer(partial_json(user, "role", "status"))
