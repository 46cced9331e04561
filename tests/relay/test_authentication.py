"""Who may call: every way to show a key, and every reason to be refused (relay contract, section 2)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import Got, ask, chat, until
from tests.server import ROOT_TOKEN, Account, Gateway

MODEL, OTHER = "gpt-3.5-turbo", "gpt-4o-mini"
PATH = "/v1/chat/completions"
PURSE = 1_000_000_000
DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class House:
    """The gateway believes X-Forwarded-For of the loopback, so that tests can come from anywhere."""

    gateway: Gateway
    channel: int
    off: int  # a disabled channel
    elsewhere: int  # a channel of the group "vip" only
    user: Account

    def ask(self, account: Account | None, model: str = MODEL, **headers: str) -> Got:
        return ask(
            self.gateway, account, PATH, chat(model), headers={k.replace("_", "-"): v for k, v in headers.items()}
        )


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = {"TRUSTED_PROXIES": "127.0.0.1,10.9.0.0/16"}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        channel = gateway.add_channel(upstream_process.url, f"{MODEL},{OTHER}")
        off = gateway.add_channel(upstream_process.url, MODEL, status=2)
        elsewhere = gateway.add_channel(upstream_process.scripted(text="from elsewhere"), "gpt-vip", group="vip")
        gateway.wait_until_routed(ROOT_TOKEN, MODEL)
        yield House(gateway, channel, off, elsewhere, gateway.new_user(PURSE))


def is_refusal(got: Got, status: int, message: str) -> bool:
    """The contract's short shape: message with the request id, type, nothing else."""
    assert got.status == status, got.body
    assert got.error == {"message": f"{message} (request id: {got.request_id})", "type": "one_api_error"}
    return True


class TestWhereTheKeyStands:
    @pytest.mark.parametrize(
        ("header", "form"),
        [
            ("Authorization", "Bearer sk-{}"),
            ("Authorization", "Bearer {}"),
            ("Authorization", "sk-{}"),
            ("Authorization", "{}"),
            ("Authorization", "bearer sk-{}"),
            ("Authorization", "Bearer   sk-{}  "),
            ("authorization", "Bearer sk-{}"),
            ("x-api-key", "sk-{}"),
            ("X-Api-Key", "{}"),
            ("api-key", "sk-{}"),
            ("x-goog-api-key", "sk-{}"),
            ("x-goog-api-key", "{}"),
        ],
    )
    def test_every_form_is_read(self, house: House, header: str, form: str) -> None:
        got = ask(house.gateway, None, PATH, chat(MODEL), headers={header: form.format(house.user.key)})

        assert got.status == 200

    def test_authorization_comes_first(self, house: House) -> None:
        got = house.ask(None, Authorization="Bearer sk-" + "0" * 48, x_api_key=house.user.key)

        assert is_refusal(got, 401, "无效的令牌")

    def test_no_key(self, house: House) -> None:
        assert is_refusal(house.ask(None), 401, "未提供令牌")
        assert is_refusal(house.ask(None, Authorization="sk-"), 401, "未提供令牌")

    @pytest.mark.parametrize("key", ["0" * 48, "x", "x" * 5000, "äöü", "' OR 1=1", "Basic dXNlcjp3b3Jk", "令牌"])
    def test_a_key_nobody_has(self, house: House, key: str) -> None:
        got = house.ask(None, Authorization=f"Bearer sk-{key}".encode().decode("latin-1"))

        assert is_refusal(got, 401, "无效的令牌")

    def test_neither_the_query_nor_a_cookie_is_a_key(self, house: House) -> None:
        got = ask(house.gateway, None, f"{PATH}?key={house.user.key}", chat(MODEL), headers={"Cookie": house.user.key})

        assert is_refusal(got, 401, "未提供令牌")

    def test_the_key_is_case_sensitive(self, house: House) -> None:
        assert house.ask(None, Authorization=f"Bearer sk-{house.user.key.swapcase()}").status == 401


class TestNamedChannel:
    def test_root_may_name_one_and_it_needs_no_ability(self, house: House) -> None:
        got = house.ask(None, MODEL, Authorization=f"Bearer sk-{ROOT_TOKEN}-{house.elsewhere}")

        assert got.status == 200
        assert got.json()["choices"][0]["message"]["content"] == "from elsewhere"

    def test_an_admin_may_too_in_any_header(self, house: House) -> None:
        user_id = house.gateway.operator("user", username="admin2", quota=PURSE, role=10)
        key = house.gateway.operator("token", user_id=user_id)["key"]

        assert house.ask(None, x_api_key=f"sk-{key}-{house.channel}").status == 200
        assert house.ask(None, x_api_key=f"{key}-{house.channel}-and-more").status == 200

    def test_an_ordinary_user_may_not(self, house: House) -> None:
        got = house.ask(None, Authorization=f"Bearer sk-{house.user.key}-{house.channel}")

        assert is_refusal(got, 403, "普通用户不支持指定渠道")

    @pytest.mark.parametrize("suffix", ["999999", "x", "1.0", "٣", "+1", "0", "9" * 30])
    def test_an_unknown_one_is_400(self, house: House, suffix: str) -> None:
        got = house.ask(None, Authorization=f"Bearer sk-{ROOT_TOKEN}-{suffix}".encode().decode("latin-1"))

        assert got.status == 400
        assert got.error["message"].startswith("无效的渠道 Id")

    def test_a_disabled_one_is_403(self, house: House) -> None:
        got = house.ask(None, Authorization=f"Bearer sk-{ROOT_TOKEN}-{house.off}")

        assert is_refusal(got, 403, "该渠道已被禁用")


class TestTokens:
    def test_expired_since_a_moment(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, expired_time=int(time.time()) - 1)

        assert is_refusal(house.ask(account), 401, "该令牌已过期")
        assert is_refusal(house.ask(account), 401, "该令牌已过期")
        status = f"SELECT status FROM tokens WHERE id = {account.token_id}"
        until(lambda: house.gateway.database.value(status) == 3)

    def test_expires_in_a_while(self, house: House) -> None:
        assert house.ask(house.gateway.new_user(PURSE, expired_time=int(time.time()) + DAY)).status == 200

    def test_zero_is_long_ago(self, house: House) -> None:
        assert is_refusal(house.ask(house.gateway.new_user(PURSE, expired_time=0)), 401, "该令牌已过期")

    def test_expires_between_two_calls_without_anybody_telling(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, expired_time=int(time.time()) + 5)
        assert house.ask(account).status == 200

        until(lambda: house.ask(account).status == 401, 10)

    @pytest.mark.parametrize("status", [2, 0, 9])
    def test_not_enabled(self, house: House, status: int) -> None:
        assert is_refusal(house.ask(house.gateway.new_user(PURSE, status=status)), 401, "该令牌状态不可用")

    def test_marked_expired(self, house: House) -> None:
        assert is_refusal(house.ask(house.gateway.new_user(PURSE, status=3)), 401, "该令牌已过期")

    def test_marked_exhausted(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, status=4, name="mine")

        assert is_refusal(house.ask(account), 401, f"令牌 mine（#{account.token_id}）额度已用尽")

    def test_with_nothing_left_is_refused_and_marked(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, remain_quota=0)

        assert is_refusal(house.ask(account), 401, "该令牌额度已用尽")
        status = f"SELECT status FROM tokens WHERE id = {account.token_id}"
        until(lambda: house.gateway.database.value(status) == 4)

    def test_with_too_little_left_is_another_refusal(self, house: House) -> None:
        got = house.ask(house.gateway.new_user(PURSE, remain_quota=1))

        assert got.status == 403
        assert got.error["code"] == "pre_consume_token_quota_failed"

    def test_disabled_in_use_stops_within_a_second(self, house: House) -> None:
        account = house.gateway.new_user(PURSE)
        assert house.ask(account).status == 200
        house.gateway.operator("token_status", token_id=account.token_id, status=2)

        until(lambda: house.ask(account).status == 401, 5)


class TestUsers:
    def test_a_banned_user(self, house: House) -> None:
        account = house.gateway.new_user(PURSE)
        assert house.ask(account).status == 200
        house.gateway.api("POST", "/api/user/manage", json={"username": account.username, "action": "disable"})

        until(lambda: house.ask(account).status == 403, 5)
        assert is_refusal(house.ask(account), 403, "用户已被封禁")

    def test_the_token_s_faults_come_before_the_user_s(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, status=2)
        house.gateway.api("POST", "/api/user/manage", json={"username": account.username, "action": "disable"})

        assert is_refusal(house.ask(account), 401, "该令牌状态不可用")


class TestSubnets:
    """The peer of these tests is 127.0.0.1, a trusted proxy; 10.9.0.0/16 is another one."""

    @pytest.mark.parametrize(
        ("subnet", "ip", "inside"),
        [
            ("192.168.1.0/24", "192.168.1.77", True),
            ("192.168.1.0/24", "192.168.2.1", False),
            ("192.168.1.0/24", "::ffff:192.168.1.7", True),
            ("10.0.0.0/8, 192.168.0.0/16", "192.168.9.9", True),
            ("10.0.0.0/8,2001:db8::/32", "2001:db8::1", True),
            ("10.0.0.0/8,2001:db8::/32", "[2001:db8::1]:4711", True),
            ("10.0.0.0/8,2001:db8::/32", "2001:db9::1", False),
            ("2001:db8::/32", "192.168.1.1", False),
            ("0.0.0.0/0", "2001:db8::1", False),
            ("192.168.1.7/32", "192.168.1.7", True),
            ("nonsense", "192.168.1.7", False),
            ("nonsense,192.168.1.0/24", "192.168.1.7", True),
        ],
    )
    def test_inside_or_not(self, house: House, subnet: str, ip: str, inside: bool) -> None:
        got = house.ask(house.gateway.new_user(PURSE, subnet=subnet), X_Forwarded_For=ip)

        assert got.status == (200 if inside else 403)
        if not inside:
            shown = ip.removeprefix("::ffff:")
            assert is_refusal(got, 403, f"该令牌只能在指定网段使用：{subnet}，当前 ip：{shown}")

    @pytest.mark.parametrize(
        ("forwarded", "inside"),
        [
            ("1.2.3.4, 192.168.1.7", True),
            ("192.168.1.7, 1.2.3.4", False),  # the caller wrote the first one, our proxy saw 1.2.3.4
            ("192.168.1.7, 10.9.1.1", True),
            ("192.168.1.7, 1.2.3.4, 10.9.1.1", False),
            ("192.168.1.7, rubbish", False),
            ("rubbish", False),
            ("", False),
        ],
    )
    def test_what_callers_write_themselves_does_not_count(self, house: House, forwarded: str, inside: bool) -> None:
        account = house.gateway.new_user(PURSE, subnet="192.168.1.0/24")

        assert house.ask(account, X_Forwarded_For=forwarded).status == (200 if inside else 403)

    def test_the_real_ip_header_counts_alone_only(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, subnet="192.168.1.0/24")

        assert house.ask(account, X_Real_IP="192.168.1.7").status == 200
        assert house.ask(account, X_Real_IP="192.168.1.7", X_Forwarded_For="1.2.3.4").status == 403

    def test_without_headers_the_peer_counts(self, house: House) -> None:
        assert house.ask(house.gateway.new_user(PURSE, subnet="127.0.0.0/8")).status == 200
        assert house.ask(house.gateway.new_user(PURSE, subnet="::1/128")).status == 403


class TestModels:
    def test_a_list_limits_the_token(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, model_names=f"{OTHER}, gpt-vip")

        assert house.ask(account, OTHER).status == 200
        assert is_refusal(house.ask(account, MODEL), 403, f"该令牌无权使用模型：{MODEL}")

    def test_the_list_is_looked_at_before_the_channels(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, model_names=OTHER)

        assert house.ask(account, "gpt-nobody").status == 403

    def test_the_group_decides_what_there_is(self, house: House) -> None:
        user_id = house.gateway.operator("user", username="vip1", quota=PURSE, group="vip")
        token = house.gateway.operator("token", user_id=user_id)
        vip = Account(user_id, "vip1", token["id"], token["key"])

        assert house.ask(vip, "gpt-vip").status == 200
        got = house.ask(vip, MODEL)
        assert (got.status, got.error["code"], got.error["param"]) == (404, "model_not_found", "model")
        assert house.ask(house.user, "gpt-vip").status == 404


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/x", "/v1/files", "/dashboard/billing/usage", PATH])
def test_nothing_is_told_to_strangers(house: House, path: str) -> None:
    got = ask(house.gateway, None, path, chat(MODEL) if path == PATH else None)

    assert is_refusal(got, 401, "未提供令牌")
