"""/api/option, for root (management contract, 2.6)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role
from api import messages
from api.bodies import BadBody, read_body
from api.callers import actor
from api.envelope import Refusal, answer
from api.views import ApiView
from options import services
from options.registry import SPECS


class Options(ApiView):
    level = Role.ROOT

    def get(self, request: Request) -> Response:
        """Every option but the secrets, as texts."""
        texts = services.load().texts
        return answer([{"key": key, "value": texts[key]} for key, spec in SPECS.items() if not spec.secret])

    def put(self, request: Request) -> Response:
        """One option. A body of the wrong form is the one case of status 400 (contract 1.2)."""
        try:
            body = read_body(request)
            key, value = body.text("key"), body.text("value")
        except BadBody:
            raise Refusal(messages.invalid_parameter(request._request), status=400) from None
        services.set_option(actor(request), key, value)
        return answer()
