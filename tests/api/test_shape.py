"""What every answer has in common (management contract, 1.1 to 1.4 and 1.12)."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.api.conftest import Caller


def test_status_says_what_front_ends_start_with(db: None) -> None:
    answer = Client().get("/api/status")

    data = answer.json()["data"]
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert set(data) == {
        "version", "start_time", "email_verification", "github_oauth", "github_client_id", "lark_client_id",
        "system_name", "logo", "footer_html", "wechat_qrcode", "wechat_login", "server_address",
        "turnstile_check", "turnstile_site_key", "top_up_link", "chat_link", "quota_per_unit",
        "display_in_currency", "oidc", "oidc_client_id", "oidc_well_known", "oidc_authorization_endpoint",
        "oidc_token_endpoint", "oidc_userinfo_endpoint",
    }  # fmt: skip
    assert (data["quota_per_unit"], data["display_in_currency"], data["system_name"]) == (500000.0, True, "One API")
    assert data["server_address"] == "http://localhost:3000"


@pytest.mark.parametrize("path", ["notice", "about", "home_page_content"])
def test_public_texts_are_strings(db: None, path: str) -> None:
    assert Client().get(f"/api/{path}").json() == {"success": True, "message": "", "data": ""}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/xyz"), ("PATCH", "/api/status"), ("OPTIONS", "/api/user/self"), ("GET", "/api")]
)
def test_an_unknown_path_or_method_is_404_with_the_contracts_body(db: None, method: str, path: str) -> None:
    answer = Client().generic(method, path)

    message = f"Invalid URL ({method} {path})"
    assert answer.status_code == 404
    assert answer.json() == {"error": {"message": message, "type": "invalid_request_error", "param": "", "code": ""}}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["oauth/telegram/login"])
def test_what_is_not_built_yet_is_404_and_no_fake_success(root: Caller, path: str) -> None:
    assert root.send("GET", path).status_code == 404


@pytest.mark.parametrize("path", ["status", "user/self", "user", "token", "log/self", "channel/models", "option"])
def test_both_spellings_of_a_path_are_served_directly(root: Caller, path: str) -> None:
    assert root.send("GET", path).status_code == root.send("GET", f"{path}/").status_code == 200


def test_every_answer_has_a_request_id_of_our_own(db: None) -> None:
    answer = Client().get("/api/status", headers={"X-Oneapi-Request-Id": "mine"})

    assert answer.headers["X-Oneapi-Request-Id"].isdigit()
    assert 23 <= len(answer.headers["X-Oneapi-Request-Id"]) <= 31


def test_a_body_is_json_whatever_its_type_says(root: Caller) -> None:
    body = b'{"key": "Notice", "value": "hello"}'

    answer = root.client.generic("PUT", "/api/option/", body, content_type="text/plain", headers=root.headers)

    assert answer.json() == {"success": True, "message": ""}
    assert Client().get("/api/notice").json()["data"] == "hello"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'"text"', b'{"id": "1"}', b'{"id": 1.5}', b'{"name": "a\\u0000b"}']
)
def test_a_bad_body_is_refused_and_not_an_error(user: Caller, body: bytes) -> None:
    answer = user.send("PUT", "token", body)

    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert answer.json()["message"]


def test_a_body_of_more_than_ten_megabytes_is_refused(root: Caller) -> None:
    answer = root.send("PUT", "option", b" " * (10 * 1024 * 1024 + 1))

    assert (answer.status_code, answer.json()["success"]) == (413, False)


def test_an_error_of_ours_is_an_empty_500_with_the_request_id(root: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a secret of the database")

    monkeypatch.setattr("options.services.load", fail)
    root.client.raise_request_exception = False

    answer = root.send("GET", "option")

    assert (answer.status_code, answer.content, answer.headers.get("Content-Length", "0")) == (500, b"", "0")
    assert answer.headers["X-Oneapi-Request-Id"]


def test_groups_are_the_names_of_the_ratio_table(admin: Caller) -> None:
    assert sorted(admin.get("group/")["data"]) == ["default", "svip", "vip"]


def test_models_are_listed_by_channel_type_as_text(user: Caller) -> None:
    data = user.get("models")["data"]

    assert set(data) == {str(number) for number in range(1, 52)}
    assert "gpt-4o" in data["1"]


def test_too_many_calls_from_one_address_are_refused(db: None, settings) -> None:
    settings.GLOBAL_API_RATE_LIMIT = 3

    assert [Client().get("/api/status").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert Client().get("/api/status", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_a_limit_of_zero_is_none(db: None, settings) -> None:
    settings.GLOBAL_API_RATE_LIMIT = 0

    assert {Client().get("/api/status").status_code for _ in range(20)} == {200}
