"""The contract's literals by default, English for who asks for it (remedy A11)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from api.messages_en import ENGLISH, english
from tests.api.conftest import caller

pytestmark = pytest.mark.django_db

HAN = re.compile("[\u4e00-\u9fff]")
SPOKEN = ("accounts", "api", "billing", "channels_app", "options", "redemptions")
# Kept in log lines and the ledger, or read from upstreams; never the message of an answer.
KEPT = re.compile("赠送|修改为|充值|倍率|额度$|渠道 \\{\\} 测试|您的账户已欠费")
OWN_RULE = {"无效的参数", "无效的输入，请检查您的输入", "发送邮件失败："}  # contract 1.13


def literals() -> Iterator[tuple[str, str]]:
    for app in SPOKEN:
        for path in sorted((Path(settings.BASE_DIR) / app).rglob("*.py")):
            if "migrations" in path.parts or path.name == "messages_en.py":
                continue
            inside: set[int] = set()
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    inside |= {id(part) for part in node.values}
                    text = "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)  # type: ignore[misc]
                    yield path.name, text
                elif isinstance(node, ast.Expr):  # docstrings
                    inside.add(id(node.value))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                    yield path.name, node.value


def test_every_literal_has_an_english_text() -> None:
    found = {text for _, text in literals() if HAN.search(text) and not KEPT.search(text)} - OWN_RULE
    assert len(found) > 50
    assert {text for text in found if HAN.search(english(text))} == set()


def test_the_table_has_nothing_that_nobody_says() -> None:
    said = {text for _, text in literals()}
    unsaid = {text for text in ENGLISH if text not in said and "{}" not in text}
    assert unsaid == set()


@pytest.mark.parametrize(
    ("language", "message"),
    [
        (None, "无权进行此操作，权限不足"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "无权进行此操作，权限不足"),
        ("fr", "无权进行此操作，权限不足"),
        ("en-US,en;q=0.9", "Not allowed: your role does not permit this"),
        ("EN", "Not allowed: your role does not permit this"),
    ],
)
def test_english_is_asked_for_by_name(language: str | None, message: str) -> None:
    headers = {"Accept-Language": language} if language else {}
    assert caller("common").send("GET", "user/", **headers).json()["message"] == message


def test_what_a_text_carries_stays() -> None:
    assert english("兑换码额度必须在1-500之间") == "The code's quota must be between 1 and 500"
    assert english("输入不合法 username") == "Not accepted: username"


def test_what_is_no_literal_is_left_alone() -> None:
    assert english("上游说不") == "上游说不"


def test_the_three_translated_texts_keep_their_own_rule() -> None:
    root = caller("root", role=100)
    assert root.ask("POST", "user/manage", {})["success"] is False
    assert root.ask("POST", "user/", {})["message"] == "invalid parameter"
    assert root.send("POST", "user/", {}, **{"Accept-Language": "zh"}).json()["message"] == "无效的参数"
