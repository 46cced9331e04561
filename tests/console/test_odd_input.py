"""What nobody types by hand: numbers and moments without bounds, deep JSON, NUL and letters where none can stand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.services import create_token
from audit.services import SYSTEM
from channels_app.services import create_channels
from console import operator_text
from options.registry import MAX_QUOTA, BadOption
from options.services import load, set_option
from redemptions.models import Redemption
from redemptions.services import create_codes
from tests.api.conftest import Caller, caller
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

DEEP = "[" * 200_000
END = 253_402_300_799  # of the year 9999, in UTC
KEY = {"name": "laptop", "lifetime": "never", "unlimited": "", "quota_1": "dollars", "count": "1"}


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


class TestAmounts:
    @pytest.mark.parametrize("amount", ["9e999999", "-9e999999", "1e999999", "9" * 40])
    def test_too_many_dollars_are_refused(self, alice: User, amount: str) -> None:
        answer = signed_in(alice).post("/token/add", {**KEY, "quota_0": amount})

        assert answer.status_code == 422
        assert f"The amount must be between 0 and {MAX_QUOTA} points." in text_of(answer)


class TestMoments:
    @pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "Pacific/Kiritimati", "America/New_York"])
    def test_a_key_may_end_with_the_year_9999(self, alice: User, root: User, zone: str) -> None:
        token = create_token(user_id=alice.pk, name="laptop", expired_time=END)

        for user, pages in ((alice, ("/token", f"/token/edit/{token.pk}")), (root, (f"/user/{alice.pk}/keys",))):
            client = signed_in(user)
            client.cookies["zone"] = zone
            for page in pages:
                answer = client.get(page)
                assert (answer.status_code, "9999" in text_of(answer)) == (200, True), page

    @pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
    def test_so_may_a_code(self, root: User, zone: str) -> None:
        create_codes(SYSTEM, name="gift", count=1, quota=5, expires_at=END)
        number = Redemption.objects.get().pk
        client = signed_in(root)
        client.cookies["zone"] = zone

        for page in ("/redemption", f"/redemption/edit/{number}"):
            answer = client.get(page)
            assert (answer.status_code, "9999" in text_of(answer)) == (200, True), page
        table = b"".join(client.post("/redemption/export/csv"))
        assert b"9999-12-30T00:00:00Z" in table

    def test_a_code_that_is_said_to_end_before_1970_is_refused(self, root: User) -> None:
        create_codes(SYSTEM, name="gift", count=1, quota=5)
        fields = {"name": "gift", "quota_0": "5", "quota_1": "points", "batch": "", "expires": "1900-01-01T00:00"}

        assert signed_in(root).post(f"/redemption/edit/{Redemption.objects.get().pk}", fields).status_code == 422
        assert Redemption.objects.get().expires_at == 0


class TestDeepJson:
    def test_sent_to_the_playground_is_a_bad_request(self, alice: User) -> None:
        assert signed_in(alice).post("/playground/call", DEEP, content_type="application/json").status_code == 400

    def test_typed_as_tools_is_an_error_of_the_form(self, alice: User) -> None:
        token = create_token(user_id=alice.pk, name="laptop", unlimited_quota=True)
        create_channels(SYSTEM, {"type": 1, "name": "one", "models": "gpt-4o"}, ["sk-1"])
        fields = {"model": "gpt-4o", "key": token.pk, "message": "hello", "tools": DEEP}

        assert signed_in(alice).post("/playground", fields).status_code == 422

    @pytest.mark.parametrize("address", ["/channel/add", "/channel/form"])
    def test_typed_as_a_mapping_does_no_harm(self, adam: User, address: str) -> None:
        fields = {"type": "1", "name": "one", "models": "gpt-4o", "group": "default", "key": "sk-1", "do": "all"}
        sent = {**fields, "model_mapping_json": DEEP}

        assert signed_in(adam).post(address, sent).status_code == 200
        del sent["do"]
        assert signed_in(adam).post("/channel/add", sent).status_code == 422

    def test_as_a_row_of_prices_is_refused(self, root: User) -> None:
        answer = signed_in(root).post("/prices/accept", {"rows": DEEP})

        assert (answer.status_code, answer["Location"]) == (302, "/prices/compare")


class TestHalfLetters:
    """JSON can name a half of a letter, "\\ud800", which no page can show."""

    MAPPING = '{"gpt-4o": "b\\ud800"}'

    def test_are_no_mapping_of_a_channel(self, adam: User) -> None:
        fields = {"type": "1", "name": "one", "models": "gpt-4o", "group": "default", "key": "sk-1"}
        sent = {**fields, "model_mapping_json": self.MAPPING}

        assert signed_in(adam).post("/channel/form", {**sent, "do": "all"}).status_code == 200
        assert signed_in(adam).post("/channel/add", sent).status_code == 422

    @pytest.mark.parametrize(
        ("address", "fields"),
        [
            ("/prices/import", {"text": '{"a\\ud800": 1}'}),
            ("/prices/commit", {"proposal": '{"ModelRatio": {"a\\ud800": "1"}}'}),
            ("/prices/accept", {"rows": '{"model": "a\\ud800", "ratios": {"prompt": "1"}}'}),
            ("/prices/accept", {"rows": '{"model": "a", "ratios": {"a\\ud800": "1"}}'}),
        ],
    )
    def test_name_no_model_of_a_price(self, root: User, address: str, fields: dict[str, str]) -> None:
        client = signed_in(root)

        assert client.post(address, fields).status_code in (302, 422)
        assert client.get("/prices").status_code == 200  # which tells why

    def test_name_no_group(self, root: User) -> None:
        with pytest.raises(BadOption):
            set_option(SYSTEM, "GroupRatio", '{"default":1,"v\\ud800":1}')
        assert signed_in(root).get("/groups").status_code == 200


class TestNul:
    @pytest.mark.parametrize("address", ["/palette?q=a%00b", "/playground/bill?request=a%00b"])
    def test_is_looked_for_and_not_found(self, root: User, address: str) -> None:
        assert signed_in(root).get(address).status_code in (200, 404)

    def test_names_no_save_of_prices(self, root: User) -> None:
        assert signed_in(root).post("/prices/undo", {"save": "a\x00b"}).status_code < 500


class TestCookies:
    """They are letters of ASCII; asgi takes no others, and a browser would not give them back."""

    @pytest.mark.parametrize("code", ["中", "é", "a%0d%0ab", "%00"])
    def test_an_invitation_that_none_can_hold_is_not_kept(self, db: None, code: str) -> None:
        answer = Client().get(f"/register?aff={code}")

        assert answer.status_code == 200
        assert not [name for name in answer.cookies if "invit" in name or name == "aff"]

    def test_one_of_ours_is(self, db: None) -> None:
        assert len(Client().get("/register?aff=aB12").cookies) > len(Client().get("/register?aff=%E4").cookies)

    @pytest.mark.parametrize(
        ("address", "fields", "status"),
        [
            ("/look/columns", {"list": "列", "known": ["key"]}, 400),
            ("/look/columns", {"list": "keys", "known": ["列", "key"]}, 302),
            ("/notice/dismiss", {"notice": "中"}, 302),
        ],
    )
    def test_wishes_are_kept_in_ascii(self, alice: User, address: str, fields: dict[str, Any], status: int) -> None:
        answer = signed_in(alice).post(address, fields)

        assert answer.status_code == status
        for cookie in answer.cookies.values():
            cookie.output(header="").encode("ascii")
        if "columns_keys" in answer.cookies:
            assert answer.cookies["columns_keys"].value == "key"


class TestLinks:
    @pytest.mark.parametrize(
        "text", ["https://[shop", "http://[broken] x", "https://one.example [docs](https://two.example)"]
    )
    def test_text_with_brackets_is_text(self, alice: User, text: str) -> None:
        for key in ("About", "HomePageContent", "TopUpLink", "ChatLink", "Notice"):
            set_option(SYSTEM, key, text)

        for page in ("/", "/about", "/topup", "/token", "/help", "/chat"):
            assert signed_in(alice).get(page).status_code in (200, 404), page
        assert "[docs]" not in text_of(Client().get("/about"))

    def test_a_link_with_a_literal_address_is_a_link(self) -> None:
        assert operator_text.link(" http://[::1]:80/page ") == "http://[::1]:80/page"
        assert operator_text.link("http://[::1]/page [more]") == ""

    @pytest.mark.parametrize(
        "address",
        [
            "http://[x",
            "https://",
            "http:///path",
            "ftp://one.example",
            "http://x:99999",
            "http://x:port",
            "http://x\x00y",
        ],
    )
    def test_the_servers_address_is_one(self, root: User, address: str) -> None:
        with pytest.raises(BadOption, match="must be an http:// or https:// address"):
            set_option(SYSTEM, "ServerAddress", address)
        answer = signed_in(root).post("/setting/system/server", {"ServerAddress": address})

        assert answer.status_code == 422
        assert load()["ServerAddress"] == ""

    @pytest.mark.parametrize("address", ["", "http://[::1]:3000", "https://one.example", "http://10.0.0.1:8080"])
    def test_every_other_address_may_be_the_servers(self, db: None, address: str) -> None:
        set_option(SYSTEM, "ServerAddress", address)

        assert load()["ServerAddress"] == address
        assert Client().post("/login/passkey/options", {"purpose": "sign_in"}).status_code == 200


class TestChannels:
    @pytest.mark.parametrize("config", [{"proxy": "http://["}, '{"proxy": "http://[x"}'])
    def test_a_proxy_that_is_no_address_is_refused(self, db: None, config: Any) -> None:
        root: Caller = caller("root", 100)
        body = {"type": 1, "name": "one", "key": "sk-1", "models": "a", "config": config}

        for path in ("channel/", "channel/fetch_models"):
            answer = root.send("POST", path, body)
            assert (answer.status_code, answer.json()["success"]) == (200, False), path
        assert "proxy" in root.post("channel/", body)["message"]


@pytest.mark.parametrize("since", ["abc", "", "-1", "9" * 30])
def test_a_span_of_the_raw_log_that_is_none_is_every_span(at_root: Client, since: str) -> None:
    answer = at_root.get(f"/django-admin/billing/log/?since={since}")

    assert answer.status_code == 200
    assert re.search(r"0 \w+", text_of(answer))
