"""Errors that upstreams of OpenAI's family put into a 200, beside or in place of OpenAI's `error` object.

MiniMax: `base_resp {status_code, status_msg}`, https://platform.minimax.io/docs/api-reference/errorcode.md; iFlytek's
HTTP interface: `code`, `message` and `sid` beside OpenAI's members, https://www.xfyun.cn/doc/spark/HTTP调用文档.html.
"""

from __future__ import annotations

from typing import Any

from relay.adapters.shape import mapping, text
from relay.adapters.usual import reported
from relay.errors import UpstreamError
from relay.upstream_errors import find_error

Json = dict[str, Any]

MINIMAX = {
    **dict.fromkeys((1002, 1039, 1041, 2045, 2056), 429),
    **dict.fromkeys((1004, 2049), 401),
    1008: 402,
    **dict.fromkeys((1026, 1027, 1042, 2013, 20132), 400),
    1001: 504,
}
XUNFEI = {
    **dict.fromkeys((10003, 10004, 10005, 10013, 10014, 10019, 10163, 10907), 400),
    **dict.fromkeys((10015, 10016, 11200), 401),
    **dict.fromkeys((10007, 11201, 11202, 11203), 429),
    **dict.fromkeys((10008, 10009, 10010, 10110, 10222), 503),
}


def error_in(document: Json) -> UpstreamError | None:
    """The error an answer or a chunk tells of, as if it had come with the status it deserves; None: it tells of none.

    An `error` member beside choices is believed too: OpenRouter ends streams so.
    """
    base = mapping(document.get("base_resp"))
    status_code = base.get("status_code")
    if isinstance(status_code, int) and status_code:
        return _told(MINIMAX.get(status_code, 0), text(base.get("status_msg")), "minimax_error", status_code)
    code = document.get("code")
    if isinstance(code, int) and code and "sid" in document:
        return _told(XUNFEI.get(code, 0), text(document.get("message")), "xunfei_error", code)
    found = find_error(document)
    if found is None:
        return None
    message, kind, param, error_code = found
    failure = _told(_status(error_code), message, kind, error_code)
    failure.param = param
    return failure


def _told(status: int, message: str, kind: str | None, code: Any) -> UpstreamError:
    """`status` 0: what came tells none. It shows as 502 then, and says nothing about the channel's account."""
    failure = reported(status or 502, message, code, kind)
    failure.answered = status
    return failure


def _status(code: Any) -> int:
    """OpenRouter's codes are HTTP statuses; other codes tell no status."""
    return code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599 else 0
