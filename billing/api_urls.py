from __future__ import annotations

from api.routing import both
from billing import api

urlpatterns = [
    *both("topup", api.TopUp),
    *both("log", api.Logs),
    *both("log/stat", api.LogStat),
    *both("log/search", api.LogSearch),
    *both("log/self", api.OwnLogs),
    *both("log/self/stat", api.OwnLogStat),
    *both("log/self/search", api.OwnLogSearch),
]
