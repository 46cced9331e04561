"""Which channel a call goes to, and which models a key has (relay contract, 1.6 and section 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import Got, ask, chat, until
from tests.server import ROOT_TOKEN, Account, Gateway

PATH = "/v1/chat/completions"
PURSE = 10**12


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    upstream: FakeUpstream
    user: Account

    def ask(self, model: str, **members: Any) -> Got:
        return ask(self.gateway, self.user, PATH, chat(model, **members))

    def answered_by(self, model: str, calls: int) -> Counter[str]:
        """How many of so many calls each channel answered; the channels' answers are their names."""
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: self.ask(model), range(calls)))
        assert {got.status for got in answers} == {200}
        return Counter(got.json()["choices"][0]["message"]["content"] for got in answers)


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway:

        def channel(name: str, models: str, **fields: Any) -> None:
            gateway.add_channel(upstream_process.scripted(text=name), models, name=name, **fields)

        channel("high", "tiers", priority=10)
        channel("low", "tiers", priority=5)
        channel("lowest", "tiers", priority=-1)
        channel("disabled-but-highest", "tiers", priority=99, status=2)
        channel("auto-disabled", "tiers", priority=98, status=3)
        channel("one", "weights", weight=1)
        channel("three", "weights", weight=3)
        channel("six", "weights", weight=6)
        channel("a", "even")
        channel("b", "even")
        channel("mine", "grouped", group="default,vip")
        channel("theirs", "grouped", group="vip", priority=50)
        channel("off", "switched-off,model/with/slash", status=2)
        channel("odd", "odd,With.Case,a b,model/with/slash,名字")
        channel("gpt", "gpt-4o-mini,gpt-3.5-turbo")
        channel("mapped", "asked-name", model_mapping='{"asked-name": "gpt-3.5-turbo", "other": "x"}')
        gateway.wait_until_routed(ROOT_TOKEN, "asked-name")
        yield House(gateway, upstream_process, gateway.new_user(PURSE))


class TestChoice:
    def test_the_highest_priority_that_is_enabled_takes_all(self, house: House) -> None:
        assert house.answered_by("tiers", 20) == {"high": 20}

    def test_within_a_priority_the_weights_decide(self, house: House) -> None:
        answered = house.answered_by("weights", 400)

        # Binomial: 40, 120 and 240 expected; five standard deviations on either side.
        assert 10 <= answered["one"] <= 70
        assert 74 <= answered["three"] <= 166
        assert 191 <= answered["six"] <= 289

    def test_without_weights_all_are_alike(self, house: House) -> None:
        answered = house.answered_by("even", 100)

        assert 25 <= answered["a"] <= 75

    def test_a_channel_of_another_group_is_out_of_reach(self, house: House) -> None:
        assert house.answered_by("grouped", 5) == {"mine": 5}

    @pytest.mark.parametrize("model", ["With.Case", "a b", "model/with/slash", "名字"])
    def test_names_match_exactly(self, house: House, model: str) -> None:
        assert house.ask(model).status == 200
        assert house.ask(model + " ").status == 404
        assert house.ask(model.upper() + "X").status == 404

    def test_case_counts(self, house: House) -> None:
        assert house.ask("with.case").status == 404

    def test_what_nobody_carries_is_404_and_what_is_out_of_service_503(self, house: House) -> None:
        missing, out = house.ask("nobody-has-it"), house.ask("switched-off")

        assert (missing.status, missing.error["type"], missing.error["code"], missing.error["param"]) == (
            404,
            "invalid_request_error",
            "model_not_found",
            "model",
        )
        assert missing.headers["cache-control"] == "no-store"
        assert out.status == 503
        assert out.error == {
            "message": f"当前分组 default 下对于模型 switched-off 无可用渠道 (request id: {out.request_id})",
            "type": "one_api_error",
        }

    def test_a_change_is_in_force_within_a_second(self, house: House) -> None:
        gateway = house.gateway
        channel = gateway.add_channel(house.upstream.scripted(text="first"), "changing")
        until(lambda: house.ask("changing").status == 200, 5)

        gateway.operator("edit_channel", channel_id=channel, base_url=house.upstream.scripted(text="second"))
        until(lambda: b"second" in house.ask("changing").body, 5)

        gateway.operator("edit_channel", channel_id=channel, status=2)
        until(lambda: house.ask("changing").status == 503, 5)


class TestMapping:
    def test_only_the_model_changes_in_the_body_and_nothing_in_the_answer(self, house: House) -> None:
        house.upstream.reset()
        body = (
            b'{ "messages" : [{"role":"user","content":"Hi \\u00e9"}],\n "model"\t: "asked-name", "n": 1.0e0 ,"x":[]}'
        )
        got = ask(house.gateway, house.user, PATH, body.replace(b"1.0e0", b"1"))

        (seen,) = house.upstream.seen()
        assert seen.body == body.replace(b"1.0e0", b"1").replace(b'"asked-name"', b'"gpt-3.5-turbo"')
        assert got.json()["model"] == "gpt-3.5-turbo"

    def test_the_upstream_s_name_is_priced_and_logged(self, house: House) -> None:
        account = house.gateway.new_user(PURSE)
        ask(house.gateway, account, PATH, chat("asked-name"))

        (row,) = house.gateway.books().logs(account.id)
        assert (row.model_name, row.quota) == ("gpt-3.5-turbo", 7)  # (10 + 5 x 3) x 0.25

    def test_the_caller_s_name_is_what_a_token_is_limited_to(self, house: House) -> None:
        allowed = house.gateway.new_user(PURSE, model_names="asked-name")
        refused = house.gateway.new_user(PURSE, model_names="gpt-3.5-turbo")

        assert ask(house.gateway, allowed, PATH, chat("asked-name")).status == 200
        assert ask(house.gateway, refused, PATH, chat("asked-name")).status == 403


class TestModelList:
    def models(self, house: House, account: Account) -> list[str]:
        got = ask(house.gateway, account, "/v1/models")
        assert got.json()["object"] == "list"
        return [model["id"] for model in got.json()["data"]]

    def test_what_enabled_channels_of_the_group_carry_each_once(self, house: House) -> None:
        names = self.models(house, house.user)

        assert len(names) == len(set(names))
        assert {"tiers", "weights", "even", "grouped", "gpt-4o-mini", "名字", "asked-name"} <= set(names)
        assert "switched-off" not in names
        assert "" not in names

    def test_a_token_s_own_list_is_shown_as_it_stands(self, house: House) -> None:
        account = house.gateway.new_user(PURSE, model_names="gpt-4o-mini, switched-off,gpt-4o-mini,nobody-has-it")

        assert self.models(house, account) == ["gpt-4o-mini", "switched-off", "nobody-has-it"]

    def test_a_group_without_channels_has_none(self, house: House) -> None:
        user_id = house.gateway.operator("user", username="lonely", quota=0, group="lonely")
        token = house.gateway.operator("token", user_id=user_id)

        assert self.models(house, Account(user_id, "lonely", token["id"], token["key"])) == []

    def test_the_shape_of_one_we_know(self, house: House) -> None:
        got = ask(house.gateway, house.user, "/v1/models/gpt-4o-mini").json()

        assert (got["id"], got["object"], got["owned_by"], got["root"]) == (
            "gpt-4o-mini",
            "model",
            "openai",
            "gpt-4o-mini",
        )
        assert got["parent"] is None
        assert got["created"] == 1626777600
        assert got["permission"][0]["object"] == "model_permission"

    def test_the_shape_of_one_we_do_not_know(self, house: House) -> None:
        got = ask(house.gateway, house.user, "/v1/models/tiers").json()

        assert (got["id"], got["owned_by"], got["permission"]) == ("tiers", "custom", None)

    @pytest.mark.parametrize("path", ["model/with/slash", "model%2Fwith%2Fslash", "a%20b", "%E5%90%8D%E5%AD%97"])
    def test_any_name_can_be_asked_for(self, house: House, path: str) -> None:
        assert ask(house.gateway, house.user, f"/v1/models/{path}").status == 200

    @pytest.mark.parametrize("name", ["nobody-has-it", "switched-off", "gpt-4"])
    def test_one_this_key_cannot_use_is_404(self, house: House, name: str) -> None:
        got = ask(house.gateway, house.user, f"/v1/models/{name}")

        assert (got.status, got.error["code"], got.error["param"]) == (404, "model_not_found", "model")
        assert got.error["message"].startswith(f"The model '{name}' does not exist")
