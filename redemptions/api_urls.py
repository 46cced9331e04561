from __future__ import annotations

from api.routing import both
from redemptions import api

urlpatterns = [
    *both("redemption", api.Redemptions),
    *both("redemption/search", api.RedemptionSearch),
    *both("redemption/<str:code_id>", api.OneRedemption),
]
