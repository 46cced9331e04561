"""/api/redemption (management contract, 2.11)."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import lenient_integer, path_id, query_text, read_body
from api.callers import actor
from api.envelope import answer
from api.paging import begins, found, page
from api.views import AdminView
from redemptions import services
from redemptions.models import Redemption


def redemption_json(code: Redemption) -> dict[str, Any]:
    return {
        "id": code.pk,
        "user_id": code.user_id,
        "key": code.key,
        "status": code.status,
        "name": code.name,
        "quota": code.quota,
        "created_time": code.created_time,
        "redeemed_time": code.redeemed_time,
        "count": 0,
    }


class Redemptions(AdminView):
    echoes = True

    def get(self, request: Request) -> Response:
        return page(request, Redemption.objects.order_by("-id"), redemption_json)

    def post(self, request: Request) -> Response:
        body = read_body(request)
        keys = services.create_codes(
            actor(request),
            name=body.text("name"),
            count=body.integer("count"),
            quota=body.integer("quota"),
        )
        return answer(keys)

    def put(self, request: Request) -> Response:
        """With `status_only` the status alone is taken, without it name and quota."""
        body = read_body(request)
        if query_text(request, "status_only"):
            changes: dict[str, Any] = {"status": body.integer("status")}
        else:
            changes = {"name": body.text("name")} if "name" in body else {}
            changes |= {"quota": body.integer("quota")} if "quota" in body else {}
        code = services.update_code(actor(request), body.integer("id"), changes)
        return answer(redemption_json(code))


class RedemptionSearch(AdminView):
    def get(self, request: Request) -> Response:
        keyword = query_text(request, "keyword")
        rows = Redemption.objects.filter(Q(pk=lenient_integer(keyword)) | begins("name", keyword))
        return found(rows.order_by("-id"), redemption_json)


class OneRedemption(AdminView):
    def get(self, request: Request, code_id: str) -> Response:
        return answer(redemption_json(services.find_code(path_id(code_id))))

    def delete(self, request: Request, code_id: str) -> Response:
        services.delete_code(actor(request), lenient_integer(code_id))
        return answer()
