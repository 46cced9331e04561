from __future__ import annotations

import json

import pytest

from audit.models import AuditEntry
from options.models import Option
from tests.api.conftest import Caller


def options(root: Caller) -> dict[str, str]:
    return {row["key"]: row["value"] for row in root.get("option/")["data"]}


def test_every_option_but_the_secrets_is_listed_as_text(root: Caller) -> None:
    listed = options(root)

    assert all(isinstance(value, str) for value in listed.values())
    assert "EmailDomainWhitelist" in listed
    assert "OidcClientId" in listed
    assert not [key for key in listed if key.endswith(("Token", "Secret"))]
    assert "TurnstileSecretKey" not in listed
    for table in ("ModelRatio", "GroupRatio", "CompletionRatio"):
        assert isinstance(json.loads(listed[table]), dict)


def test_an_option_is_stored_and_audited(root: Caller) -> None:
    assert root.put("option/", {"key": "RetryTimes", "value": "3"}) == {"success": True, "message": ""}

    assert options(root)["RetryTimes"] == "3"
    assert AuditEntry.objects.get(action="option.update").actor_id == root.user.pk


def test_a_secret_is_stored_unreadably_and_never_told(root: Caller) -> None:
    assert root.put("option/", {"key": "SMTPToken", "value": "s3cret"})["success"]

    assert "s3cret" not in Option.objects.get(pk="SMTPToken").value
    assert "s3cret" not in str(AuditEntry.objects.values())


@pytest.mark.parametrize("body", [{"key": "RetryTimes", "value": 3}, {"key": 1, "value": "3"}, b"nonsense", b""])
def test_a_value_that_is_no_text_is_the_one_case_of_400(root: Caller, body) -> None:
    answer = root.send("PUT", "option/", body)

    assert (answer.status_code, answer.json()) == (400, {"success": False, "message": "invalid parameter"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NoSuchOption", "1"),
        ("RetryTimes", "x"),
        ("QuotaPerUnit", "0"),
        ("ChannelDisableThreshold", "1e-99999999999999999999"),
        ("ModelRatio", "{"),
        ("ModelRatio", '{"gpt-4": 1e-99999}'),
        ("Theme", "../etc"),
    ],
)
def test_what_an_option_cannot_be_is_refused_and_not_stored(root: Caller, key: str, value: str) -> None:
    answer = root.send("PUT", "option/", {"key": key, "value": value})

    assert (answer.status_code, answer.json()["success"]) == (200, False)
    assert not Option.objects.exists()
    assert root.get("option/")["success"]


def test_a_switch_waits_for_what_it_needs(root: Caller) -> None:
    answer = root.put("option/", {"key": "WeChatAuthEnabled", "value": "true"})

    assert answer["message"] == "无法启用微信登录，请先填入微信登录相关配置信息！"
