from __future__ import annotations

from api.routing import both
from options import api

urlpatterns = both("option", api.Options)
