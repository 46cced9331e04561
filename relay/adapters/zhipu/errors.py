"""GLM's errors: a code of digits as text, and no type.

https://docs.bigmodel.cn/cn/api/api-code; relay contract of providers, 3.9.
"""

from __future__ import annotations

from relay.errors import UpstreamError
from relay.upstream_errors import CALLERS_FAULT

KIND = "zhipu_error"
STATUS = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), 401),
    **dict.fromkeys(("1110", "1111", "1112", "1120", "1121", "1220"), 403),
    "1113": 402,
    **dict.fromkeys(("1210", "1212", "1213", "1214", "1215", "1261", "1301"), 400),
    **dict.fromkeys(("1211", "1221", "1222"), 404),
    **dict.fromkeys(("1302", "1303", "1304", "1305", "1308", "1309", "1310", "1313"), 429),
    **dict.fromkeys(("500", "1200", "1230", "1234"), 500),
}


def explained(error: UpstreamError, *, with_status: bool) -> UpstreamError:
    """The error with its type; `with_status`: and with the status its code stands for, where it came with none."""
    code = str(error.code)
    if code.isdigit():
        error.kind = KIND
        if with_status and code in STATUS:
            error.status = STATUS[code]
            error.answered = error.answered and error.status
            error.retry = error.status not in CALLERS_FAULT
    return error
