"""A form that lay open while something else changed what it shows: saving it writes what was changed in it, no more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import Token, User
from accounts.services import create_token, update_user
from audit.models import AuditEntry
from audit.services import SYSTEM
from channels_app.models import Channel
from channels_app.services import update_channel
from console.options.table import TABS
from options.services import load, set_option
from redemptions.models import Redemption
from redemptions.services import create_codes, update_code
from tests.channels_app.test_services import made
from tests.console.conftest import signed_in
from tests.console.drawn import drawn, fields_of

pytestmark = pytest.mark.django_db
END = 4_000_000_000  # of a code

DRAWER = {"hx-request": "true", "hx-target": "drawer-body"}


@pytest.fixture(params=[{}, DRAWER], ids=["page", "drawer"])
def headers(request: pytest.FixtureRequest) -> dict[str, str]:
    return dict(request.param)


class TestKeys:
    def test_what_was_spent_meanwhile_is_not_given_back(self, alice: User, headers: dict[str, str]) -> None:
        address, client = self.opened(alice, remain_quota=1_000)
        form = drawn(client, address, **headers)
        Token.objects.update(remain_quota=400, used_quota=600)

        client.post(address, {**form, "name": "renamed"}, headers=headers)

        token = Token.objects.get()
        assert (token.name, token.remain_quota, token.used_quota) == ("renamed", 400, 600)

    def test_an_amount_that_was_changed_is_written(self, alice: User, headers: dict[str, str]) -> None:
        address, client = self.opened(alice, remain_quota=1_000)
        form = drawn(client, address, **headers)
        Token.objects.update(remain_quota=400)

        client.post(address, {**form, "quota_0": "0.5", "quota_1": "dollars"}, headers=headers)

        assert Token.objects.get().remain_quota == 250_000

    def test_a_refused_form_still_knows_what_it_was_drawn_with(self, alice: User) -> None:
        address, client = self.opened(alice, remain_quota=1_000)
        form = drawn(client, address)
        Token.objects.update(remain_quota=400)
        refused = client.post(address, {**form, "name": "n" * 99})
        assert refused.status_code == 422

        client.post(address, {**fields_of(refused.content.decode(), address), "name": "renamed"})

        token = Token.objects.get()
        assert (token.name, token.remain_quota) == ("renamed", 400)

    @staticmethod
    def opened(alice: User, **fields: Any) -> tuple[str, Client]:
        token = create_token(user_id=alice.pk, name="laptop", **fields)
        return f"/token/edit/{token.pk}", signed_in(alice)


class TestOptions:
    def test_what_another_root_changed_is_not_undone(self, at_root: Client) -> None:
        set_option(SYSTEM, "SMTPServer", "old.example")
        form = drawn(at_root, "/setting/system", "/setting/system/smtp")
        set_option(SYSTEM, "SMTPPort", "2525")

        at_root.post("/setting/system/smtp", {**form, "SMTPServer": "new.example"})

        assert (load()["SMTPServer"], load()["SMTPPort"]) == ("new.example", 2525)
        assert AuditEntry.objects.latest("pk").detail["after"] == {"SMTPServer": "new.example"}

    def test_nor_are_tables_switches_lists_and_amounts(self, at_root: Client) -> None:
        others = {
            "ModelRatio": '{"gpt-x":7}',
            "QuotaForNewUser": "5",
            "RegisterEnabled": "false",
            "EmailDomainWhitelist": "one.example",
        }
        homes = {
            item.key: (tab.name, group.name) for tab in TABS.values() for group in tab.groups for item in group.items
        }
        for key, value in others.items():
            tab, group = homes[key]
            form = drawn(at_root, f"/setting/{tab}", f"/setting/{tab}/{group}")
            set_option(SYSTEM, key, value)
            assert at_root.post(f"/setting/{tab}/{group}", form).status_code == 302

        texts = load().texts
        assert {key: texts[key] for key in others} == others

    def test_a_value_that_was_changed_wins(self, at_root: Client) -> None:
        form = drawn(at_root, "/setting/operation", "/setting/operation/ratios")
        set_option(SYSTEM, "GroupRatio", '{"default":2}')

        at_root.post("/setting/operation/ratios", {**form, "GroupRatio": '{"default":1,"vip":0.5}'})

        assert load().texts["GroupRatio"] == '{"default":1,"vip":0.5}'

    def test_marks_that_are_none_count_as_no_marks(self, at_root: Client) -> None:
        form = drawn(at_root, "/setting/system", "/setting/system/smtp")
        for number, seen in enumerate(("", "[]", "{", "[" * 100_000)):
            sent = {**form, "seen": seen, "SMTPServer": f"{number}.example"}
            assert at_root.post("/setting/system/smtp", sent).status_code == 302
            assert load()["SMTPServer"] == f"{number}.example"

    def test_no_secret_is_marked(self, at_root: Client) -> None:
        set_option(SYSTEM, "SMTPToken", "stored")

        (seen,) = drawn(at_root, "/setting/system", "/setting/system/smtp")["seen"]

        assert "SMTPServer" in json.loads(seen)
        assert "SMTPToken" not in json.loads(seen)

    @pytest.mark.parametrize(("key", "value"), [("ModelRatio", '{"a":1,"b":2}'), ("SystemName", "Theirs")])
    def test_the_raw_table_undoes_nothing_either(self, at_root: Client, key: str, value: str) -> None:
        set_option(SYSTEM, key, '{"a":1}')
        address = f"/django-admin/options/option/{key}/change/"
        form = drawn(at_root, address, "")
        set_option(SYSTEM, key, value)

        assert at_root.post(address, form).status_code == 302
        assert load().texts[key] == value

        assert at_root.post(address, {**form, "new_value": '{"c":3}'}).status_code == 302
        assert load().texts[key] == '{"c":3}'


class TestCodes:
    def test_what_another_administrator_changed_is_not_undone(self, adam: User, headers: dict[str, str]) -> None:
        code, address, client = self.opened(adam)
        form = drawn(client, address, **headers)
        update_code(SYSTEM, code.pk, {"quota": 900, "batch": "theirs", "expires_at": END + 60})

        assert client.post(address, {**form, "name": "renamed"}, headers=headers).status_code < 400

        code.refresh_from_db()
        assert (code.name, code.quota, code.batch, code.expires_at) == ("renamed", 900, "theirs", END + 60)
        assert AuditEntry.objects.latest("pk").detail == {"name": "renamed"}

    def test_what_was_changed_wins_and_may_be_emptied(self, adam: User) -> None:
        code, address, client = self.opened(adam)
        form = drawn(client, address)
        update_code(SYSTEM, code.pk, {"quota": 900, "expires_at": END + 60})

        client.post(address, {**form, "quota_0": "0.5", "quota_1": "dollars", "batch": "", "expires": ""})

        code.refresh_from_db()
        assert (code.quota, code.batch, code.expires_at) == (250_000, "", 0)

    def test_a_refused_form_still_knows_what_it_was_drawn_with(self, adam: User) -> None:
        code, address, client = self.opened(adam)
        form = drawn(client, address)
        update_code(SYSTEM, code.pk, {"quota": 900})
        refused = client.post(address, {**form, "name": ""})
        assert refused.status_code == 422

        client.post(address, {**fields_of(refused.content.decode(), address), "name": "renamed"})

        code.refresh_from_db()
        assert (code.name, code.quota) == ("renamed", 900)

    @staticmethod
    def opened(adam: User) -> tuple[Redemption, str, Client]:
        create_codes(SYSTEM, name="gift", count=1, quota=500, batch="spring", expires_at=END)
        code = Redemption.objects.get()
        return code, f"/redemption/edit/{code.pk}", signed_in(adam)


class TestUsers:
    def test_what_another_administrator_changed_is_not_undone(self, root: User, adam: User, alice: User) -> None:
        set_option(SYSTEM, "GroupRatio", '{"default":1,"vip":1}')
        client, address = signed_in(adam), f"/user/edit/{alice.pk}"
        form = drawn(client, address)
        update_user(root, SYSTEM, alice.pk, {"group": "vip"})

        client.post(address, {**form, "display_name": "Alice L"})

        alice.refresh_from_db()
        assert (alice.username, alice.display_name, alice.group) == ("alice", "Alice L", "vip")

    def test_what_was_changed_wins(self, root: User, adam: User, alice: User) -> None:
        client, address = signed_in(adam), f"/user/edit/{alice.pk}"
        form = drawn(client, address)
        update_user(root, SYSTEM, alice.pk, {"display_name": "Theirs"})

        client.post(address, {**form, "display_name": "Mine", "password": "a new one of hers"})

        alice.refresh_from_db()
        assert alice.display_name == "Mine"
        assert alice.check_password("a new one of hers")


class TestChannels:
    def test_a_note_reverts_nothing_else(self, adam: User, headers: dict[str, str]) -> None:
        channel, address, client = self.opened(adam, models="gpt-4o,mine", base_url="https://one.example", test_every=5)
        form = drawn(client, address, **headers)
        theirs = {
            "priority": 9, "weight": 3, "models": "gpt-4o,gpt-5", "group": "vip", "tags": "b", "test_every": 7,
            "auto_disable": False, "model_mapping": '{"a":"b"}', "base_url": "https://two.example",
            "config": {"proxy": "http://proxy.example"},
        }  # fmt: skip
        update_channel(SYSTEM, channel.pk, theirs)

        client.post(address, {**form, "notes": "hello"}, headers=headers)

        after = Channel.objects.get(pk=channel.pk)
        assert after.notes == "hello"
        assert (after.priority, after.weight, after.model_names, after.group) == (9, 3, "gpt-4o,gpt-5", "vip")
        assert (after.tags, after.test_every, after.auto_disable) == ("b", 7, False)
        assert (after.model_mapping, after.base_url) == ('{"a":"b"}', "https://two.example")
        assert json.loads(after.config) == {"proxy": "http://proxy.example"}
        assert AuditEntry.objects.latest("pk").detail["fields"] == ["notes"]

    def test_what_was_changed_wins_and_may_be_emptied(self, adam: User) -> None:
        channel, address, client = self.opened(adam, tags="a", priority=1, test_every=5, notes="old")
        form = drawn(client, address)
        update_channel(SYSTEM, channel.pk, {"priority": 9, "tags": "b"})

        client.post(address, {**form, "priority": "2", "tags": "", "test_every": "", "models": ["gpt-4o", "mine"]})

        after = Channel.objects.get(pk=channel.pk)
        assert (after.priority, after.tags, after.test_every, after.notes) == (2, "", None, "old")
        assert after.model_names == "gpt-4o,mine"

    def test_a_redrawn_form_still_knows_what_it_was_drawn_with(self, adam: User) -> None:
        channel, address, client = self.opened(adam)
        form = drawn(client, address)
        update_channel(SYSTEM, channel.pk, {"priority": 9})
        redrawn = client.post(address, {**form, "do": "take", "take": ["brand-new"]}).content.decode()

        client.post(address, fields_of(redrawn, address))

        after = Channel.objects.get(pk=channel.pk)
        assert (after.priority, after.model_names) == (9, "brand-new,gpt-4o")

    def test_members_of_the_config_are_kept_each_by_itself(self, adam: User) -> None:
        stored = {"region": "r1", "ak": "AK", "sk": "SK"}
        channel, address, client = self.opened(adam, type=33, key="", config=stored)
        form = drawn(client, address)
        update_channel(SYSTEM, channel.pk, {"config": {"region": "r2", "ak": "AK2", "sk": ""}})

        client.post(address, {**form, "box_sk": "SK3"})

        assert json.loads(Channel.objects.get(pk=channel.pk).config) == {"region": "r2", "ak": "AK2", "sk": "SK3"}

    def test_a_box_that_was_empty_empties_nothing(self, adam: User) -> None:
        channel, address, client = self.opened(adam, type=35, base_url="https://one.example")
        form = drawn(client, address)
        update_channel(SYSTEM, channel.pk, {"config": {"api_version": "v2"}})

        client.post(address, {**form, "notes": "hello"})

        after = Channel.objects.get(pk=channel.pk)
        assert (after.notes, json.loads(after.config)) == ("hello", {"api_version": "v2"})

    def test_another_type_takes_its_boxes_as_they_stand(self, adam: User) -> None:
        channel, address, client = self.opened(adam, config={"proxy": "http://proxy.example"})
        form = drawn(client, address)
        update_channel(SYSTEM, channel.pk, {"priority": 9, "base_url": "https://theirs.example"})

        client.post(address, {**form, "type": "50", "box_base_url": "https://mine.example"})

        after = Channel.objects.get(pk=channel.pk)
        assert (after.type, after.base_url, after.priority) == (50, "https://mine.example", 9)
        assert json.loads(after.config) == {"proxy": "http://proxy.example"}

    @pytest.mark.parametrize("by_way_of", ["33", "42"])  # neither has a box for the address
    def test_a_type_chosen_by_mistake_and_taken_back_changes_nothing(self, adam: User, by_way_of: str) -> None:
        config = {"api_version": "v1", "proxy": "http://proxy.example"}
        channel, address, client = self.opened(adam, type=24, base_url="https://one.example", config=config)
        form = drawn(client, address)

        for wanted in (by_way_of, "24"):
            form = fields_of(client.post(address, {**form, "type": wanted, "do": "type"}).content.decode(), address)
        assert client.post(address, {**form, "notes": "hello"}).status_code == 302

        after = Channel.objects.get(pk=channel.pk)
        assert (after.type, after.base_url, after.notes) == (24, "https://one.example", "hello")
        assert json.loads(after.config) == config
        assert AuditEntry.objects.latest("pk").detail["fields"] == ["notes"]

    def test_a_box_of_the_new_type_shows_what_is_stored_for_it(self, adam: User) -> None:
        channel, address, client = self.opened(adam, type=14, config={"user_id": "u-7"})
        form = drawn(client, address)

        redrawn = fields_of(client.post(address, {**form, "type": "34", "do": "type"}).content.decode(), address)
        assert redrawn["box_user_id"] == ["u-7"]
        client.post(address, redrawn)

        after = Channel.objects.get(pk=channel.pk)
        assert (after.type, json.loads(after.config)) == (34, {"user_id": "u-7"})

    def test_a_box_that_was_not_drawn_empties_nothing(self, adam: User) -> None:
        """Without a script a type may be chosen and saved before its boxes are there."""
        channel, address, client = self.opened(adam, type=14, config={"api_version": "v1"})

        client.post(address, {**drawn(client, address), "type": "24"})

        after = Channel.objects.get(pk=channel.pk)
        assert (after.type, json.loads(after.config)) == (24, {"api_version": "v1"})

    def test_no_secret_is_marked(self, adam: User) -> None:
        stored = {"region": "r1", "ak": "AK-canary", "sk": "SK-canary"}
        _, address, client = self.opened(adam, type=33, key="", config=stored)

        (seen,) = drawn(client, address)["seen"]

        assert "box_region" in json.loads(seen)
        assert not {"box_ak", "box_sk", "box_proxy", "key"} & json.loads(seen).keys()

    @staticmethod
    def opened(adam: User, **fields: Any) -> tuple[Channel, str, Client]:
        channel = made(**{"models": "gpt-4o", "group": "default", **fields})
        return channel, f"/channel/edit/{channel.pk}", signed_in(adam)
