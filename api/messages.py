"""Texts of the management contract that belong to no single app. Kept as they are: scripts compare some of them."""

from __future__ import annotations

from django.http import HttpRequest

from api.messages_en import english, wants_english

NOT_SIGNED_IN = "无权进行此操作，未登录且未提供 access token"
BAD_ACCESS_TOKEN = "无权进行此操作，access token 无效"  # noqa: S105
LEVEL_TOO_LOW = "无权进行此操作，权限不足"
BANNED = "用户已被封禁"
FACTOR_FIRST = "管理员要求启用两步验证，请先在网页上完成设置"
FOREIGN_ORIGIN = "无权进行此操作，请求来自其他网站"
NOT_FOUND = "record not found"
NO_PRIMARY_KEY = "WHERE conditions required"
QUOTA_OUT_OF_RANGE = "额度超出允许的范围"
MAIL_NOT_SET_UP = "SMTP 服务器未配置"
BODY_TOO_LARGE = "请求体过大"

_INVALID_PARAMETER = {"en": "invalid parameter", "zh": "无效的参数"}
_INVALID_INPUT = {"en": "Invalid input, please check your input", "zh": "无效的输入，请检查您的输入"}
_MAIL_FAILED = {"en": "failed to send email: ", "zh": "发送邮件失败："}


def _language(request: HttpRequest) -> str:
    return "zh" if request.headers.get("Accept-Language", "").lower().startswith("zh") else "en"


def invalid_parameter(request: HttpRequest) -> str:
    """One of the three texts the contract translates (1.13)."""
    return _INVALID_PARAMETER[_language(request)]


def invalid_input(request: HttpRequest) -> str:
    return _INVALID_INPUT[_language(request)]


def mail_failed(request: HttpRequest, reason: str) -> str:
    return _MAIL_FAILED[_language(request)] + (english(reason) if wants_english(request) else reason)
