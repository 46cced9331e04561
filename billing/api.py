"""/api/log and /api/topup (management contract, 2.12 and 2.5)."""

from __future__ import annotations

import hashlib
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services as accounts
from api.bodies import query_integer, query_text, read_body
from api.callers import actor, caller
from api.envelope import Refusal, answer
from api.paging import found, page
from api.views import AdminView, ApiView
from billing import reports
from billing.models import Log
from billing.reports import LogFilter

SEARCHED = 100  # newest rows of a search


def log_json(log: Log) -> dict[str, Any]:
    return {
        "id": log.pk,
        "user_id": log.user_id,
        "created_at": log.created_at,
        "type": log.type,
        "content": log.content,
        "username": log.username,
        "token_name": log.token_name,
        "model_name": log.model_name,
        "quota": log.quota,
        "prompt_tokens": log.prompt_tokens,
        "completion_tokens": log.completion_tokens,
        "channel": log.channel_id,
        "request_id": log.request_id,
        "elapsed_time": log.elapsed_time,
        "is_stream": log.is_stream,
        "system_prompt_reset": log.system_prompt_reset,
        "usage_details": log.usage_details,
    }


def own_log_json(log: Log) -> dict[str, Any]:
    """As a user sees it: row and channel numbers are the operator's (remedy A8)."""
    return {**log_json(log), "id": 0, "channel": 0}


def _filter(request: Request) -> LogFilter:
    return LogFilter(
        type=query_integer(request, "type"),
        start=query_integer(request, "start_timestamp"),
        end=query_integer(request, "end_timestamp"),
        model_name=query_text(request, "model_name"),
        username=query_text(request, "username"),
        token_name=query_text(request, "token_name"),
        channel_id=query_integer(request, "channel"),
    )


def _own_filter(request: Request) -> LogFilter:
    asked = _filter(request)
    return LogFilter(asked.type, asked.start, asked.end, asked.model_name, "", asked.token_name)


class Logs(AdminView):
    def get(self, request: Request) -> Response:
        return page(request, _filter(request).rows(), log_json)

    def delete(self, request: Request) -> Response:
        before = query_integer(request, "target_timestamp")
        if before <= 0:
            raise Refusal("target timestamp is required")
        return answer(reports.purge(actor(request), before))


class LogStat(AdminView):
    def get(self, request: Request) -> Response:
        return answer({"quota": reports.quota_sum(_filter(request))})


class LogSearch(AdminView):
    def get(self, request: Request) -> Response:
        return found(reports.search(query_text(request, "keyword")), log_json, SEARCHED)


class OwnLogs(ApiView):
    def get(self, request: Request) -> Response:
        return page(request, _own_filter(request).rows(caller(request).pk), own_log_json)


class OwnLogStat(ApiView):
    def get(self, request: Request) -> Response:
        return answer({"quota": reports.quota_sum(_own_filter(request), caller(request).pk)})


class OwnLogSearch(ApiView):
    def get(self, request: Request) -> Response:
        return found(reports.search(query_text(request, "keyword"), caller(request).pk), own_log_json, SEARCHED)


class TopUp(AdminView):
    """The hook for payment systems outside."""

    echoes = True

    def post(self, request: Request) -> Response:
        """A repeated `Idempotency-Key` credits once, and succeeds."""
        body = read_body(request)
        quota = body.integer("quota")
        if quota < 0:
            raise Refusal("quota 不能为负数！")
        once = request.headers.get("Idempotency-Key", "")
        accounts.top_up(
            actor(request),
            body.integer("user_id"),
            quota,
            body.text("remark"),
            f"top-up:{hashlib.sha256(once.encode()).hexdigest()[:48]}" if once else None,
        )
        return answer()
