"""The levels of the management contract, 1.5: public, user, admin, root."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import User
from api import messages
from api.envelope import Refusal


class AtLevel(BasePermission):
    """The caller's role must reach the view's `level`; None is public."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if view.level is None:
            return True
        user = request.user
        if not isinstance(user, User):
            raise Refusal(messages.NOT_SIGNED_IN, status=401)
        if user.role < view.level:
            raise Refusal(messages.LEVEL_TOO_LOW)
        return True
