"""Adding and editing a channel: each type's boxes, batches of keys, mapping, models, secrets; without script too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from accounts.confirming import CONFIRMED
from accounts.models import User
from audit.models import AuditEntry
from channels_app import form_table, testing
from channels_app.models import Channel
from channels_app.providers import PROVIDERS
from channels_app.testing import AlreadyRunning
from console.channel_form.pairs import PairsField, PairsWidget
from options.services import set_option
from tests.channels_app.test_balances import answering
from tests.channels_app.test_services import ROOT, lose_secrets, made
from tests.console.conftest import PASSWORD, signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "channel-fields"}
NEW: dict[str, Any] = {
    "type": "1",
    "type_was": "1",
    "name": "one",
    "group": ["default"],
    "models": ["gpt-4o"],
    "key": "sk-1",
    "auto_disable": "on",
}


@pytest.fixture
def at(adam: User) -> Client:
    return signed_in(adam)


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def as_stored(channel: Channel, **changes: Any) -> dict[str, Any]:
    """What the form of a channel posts when nothing is touched."""
    return {
        "type": str(channel.type),
        "type_was": str(channel.type),
        "name": channel.name,
        "auto_disable": "on",
        "group": channel.group.split(","),
        "models": channel.model_names.split(","),
        **changes,
    }


class TestTheSchedule:
    @pytest.mark.parametrize(("typed", "stored"), [("", None), ("0", 0), ("30", 30)])
    def test_is_empty_zero_or_minutes(self, at: Client, typed: str, stored: int | None) -> None:
        channel = made(test_every=5)
        assert 'name="test_every" value="5"' in text(at.get(f"/channel/edit/{channel.pk}"))
        at.post(f"/channel/edit/{channel.pk}", as_stored(channel, test_every=typed))
        assert Channel.objects.get(pk=channel.pk).test_every == stored

    @pytest.mark.parametrize(
        ("typed", "error"),
        [
            ("-1", "Ensure this value is greater than or equal to 0."),
            ("525601", "Ensure this value is less than or equal to 525600."),
            ("x", "Enter a whole number."),
        ],
    )
    def test_nonsense_is_refused(self, at: Client, typed: str, error: str) -> None:
        channel = made(test_every=5)
        answer = at.post(f"/channel/edit/{channel.pk}", as_stored(channel, test_every=typed))
        assert answer.status_code == 422
        assert error in text(answer)
        assert Channel.objects.get(pk=channel.pk).test_every == 5

    @pytest.mark.parametrize(
        ("every", "common", "shown"),
        [
            (None, None, "never"),
            (None, 60, "every 60 minutes, as the server does for all"),
            (0, 60, "never"),
            (1, 60, "every minute"),
            (15, None, "every 15 minutes"),
        ],
    )
    def test_is_told_on_the_page(
        self, at: Client, settings: Any, every: int | None, common: int | None, shown: str
    ) -> None:
        settings.CHANNEL_TEST_FREQUENCY = common
        channel = made(test_every="" if every is None else every)
        assert f"<dt>Tested by itself</dt><dd>{shown}</dd>" in text(at.get(f"/channel/{channel.pk}"))


@pytest.mark.parametrize("channel_type", list(PROVIDERS))
def test_every_type_is_drawn_with_its_boxes_and_no_other(at: Client, channel_type: int) -> None:
    page = text(at.get(f"/channel/add?type={channel_type}"))

    wanted = {f"box_{box.name}" for box in form_table.form_of(channel_type).boxes}
    every = {f"box_{box.name}" for each in PROVIDERS for box in form_table.form_of(each).boxes}
    assert {name for name in every if f'name="{name}"' in page} == wanted
    assert ('name="key"' in page) == (channel_type not in (33, 42))  # D28
    assert ('name="models"' in page) == (channel_type != 43)
    assert f'value="{channel_type}" selected' in page


def test_the_selector_is_grouped_and_searchable_by_number(at: Client) -> None:
    page = text(at.get("/channel/add"))
    for group in ("General", "International", "China", "Clouds", "Self-hosted", "Resellers"):
        assert f'<optgroup label="{group}">' in page
    assert "OpenAI Compatible – OpenAI-compatible, with a base URL of your own · 50" in page


class TestAdding:
    def test_stores_what_was_typed(self, at: Client) -> None:
        posted = {
            **NEW,
            "group": ["default", "new group".replace(" ", "-")],
            "models": ["gpt-4o", "own-1, own-2"],
            "tags": "a, b",
            "priority": "0",
            "weight": "3",
            "test_model": "own-1",
            "test_every": "15",
            "notes": "n",
            "box_base_url": "https://x.example/",
            "model_mapping_from": ["own-1", ""],
            "model_mapping_to": ["gpt-4o", ""],
            "box_proxy": "http://p.example",
        }
        answer = at.post("/channel/add", posted)

        assert (answer.status_code, answer["Location"]) == (302, "/channel")
        channel = Channel.objects.get()
        assert (channel.group, channel.model_names) == ("default,new-group", "gpt-4o,own-1,own-2")  # D27
        assert (channel.tags, channel.weight, channel.test_model, channel.test_every) == ("a,b", 3, "own-1", 15)
        assert json.loads(channel.model_mapping) == {"own-1": "gpt-4o"}
        assert (channel.key, channel.base_url) == ("sk-1", "https://x.example")
        assert json.loads(channel.config) == {"proxy": "http://p.example"}
        assert AuditEntry.objects.get(action="channel.create").actor_name == "adam"

    def test_makes_one_channel_for_each_different_key(self, at: Client) -> None:
        at.post("/channel/add", {**NEW, "key": "sk-1\r\n sk-2 \n\nsk-1\n"})
        stored = {channel.name: channel.key for channel in Channel.objects.all()}
        assert stored == {"one #1": "sk-1", "one #2": "sk-2"}

    def test_leads_on_as_wanted(self, at: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        assert at.post("/channel/add", {**NEW, "after": "add"})["Location"] == "/channel/add?type=1"
        began: list[Any] = []

        def start(*asked: Any) -> int:
            began.append(asked[2])
            return 7

        monkeypatch.setattr(testing, "start", start)
        assert at.post("/channel/add", {**NEW, "after": "test"})["Location"] == "/test-runs/7"
        assert began == [[Channel.objects.latest("id").pk]]

    def test_is_done_though_the_test_has_to_wait(self, at: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def busy(*_: Any) -> int:
            raise AlreadyRunning

        monkeypatch.setattr(testing, "start", busy)
        answer = at.post("/channel/add", {**NEW, "after": "test"}, follow=True)
        assert "another test of channels is under way" in text(answer)
        assert Channel.objects.count() == 1

    def test_aws_needs_no_key_and_keeps_its_secrets_in_config(self, at: Client) -> None:
        boxes = {"box_region": "us-west-2", "box_ak": "AK", "box_sk": "SK"}
        at.post("/channel/add", {**NEW, "type": "33", "key": "", **boxes})
        assert json.loads(Channel.objects.get().config) == {"region": "us-west-2", "ak": "AK", "sk": "SK"}

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"name": ""}, "This field is required."),
            ({"key": " \n "}, "This field is required."),
            ({"models": []}, "Choose at least one model."),
            ({"group": []}, "This field is required."),
            ({"type": "15", "key": "nonsense"}, "expected: APIKey|SecretKey"),
            ({"type": "50"}, "This field is required."),
            ({"box_base_url": "ftp://x"}, "the base URL must start with http:// or https://"),
            ({"type": "33", "box_region": "us-west-2", "box_ak": "AK"}, "This field is required."),
            ({"model_mapping_json": "{"}, "This is not valid JSON."),
            ({"model_mapping_json": '["a"]'}, "The mapping must be a JSON object."),
            ({"model_mapping_json": '{"a": 1}'}, "Each row needs a name on both sides: a"),
            ({"model_mapping_from": ["a"], "model_mapping_to": [""]}, "Each row needs a name on both sides: a"),
            ({"weight": "-1"}, "greater than or equal to 0"),
        ],
    )
    def test_says_what_is_wrong_and_stores_nothing(self, at: Client, changes: dict[str, Any], says: str) -> None:
        answer = at.post("/channel/add", {**NEW, **changes})
        assert answer.status_code == 422
        assert says in text(answer)
        assert not Channel.objects.exists()

    def test_a_refused_form_still_holds_what_was_typed(self, at: Client) -> None:
        """D46: the second try was broken."""
        page = text(at.post("/channel/add", {**NEW, "name": "", "models": ["gpt-4o", "my-own"], "notes": "typed"}))
        assert '<option value="my-own" selected>' in page
        assert "typed</textarea>" in page

    def test_answers_the_drawer_with_the_form_alone(self, at: Client) -> None:
        headers = {"HX-Request": "true", "HX-Target": "drawer-body"}
        assert "<html" not in text(at.get("/channel/add", headers=headers))
        refused = at.post("/channel/add", {**NEW, "name": ""}, headers=headers)
        assert (refused.status_code, "<html" in text(refused)) == (422, False)
        assert at.post("/channel/add", NEW, headers=headers)["HX-Redirect"] == "/channel"


class TestChangingTheForm:
    """Buttons that store nothing: by htmx the fields alone, without script the whole page."""

    def press(self, at: Client, do: str, **changes: Any) -> dict[str, Any]:
        posted = {**NEW, "do": do, **changes}
        part, page = at.post("/channel/form", posted, headers=HTMX), at.post("/channel/add", posted)
        assert (part.status_code, page.status_code) == (200, 200)
        assert "<html" not in text(part)
        assert "<html" in text(page)
        assert part.context["form"].chosen_models == page.context["form"].chosen_models
        assert not Channel.objects.exists()
        return {"form": part.context["form"], "text": text(part), "page": text(page)}

    def test_another_type_swaps_its_boxes_and_keeps_what_was_typed(self, at: Client) -> None:
        shown = self.press(at, "type", type="34", name="typed", box_base_url="https://kept.example", key="sk-typed")
        assert 'name="box_user_id"' in shown["text"]
        for kept in ('value="typed"', 'value="https://kept.example"', "sk-typed"):
            assert kept in shown["text"]
        assert shown["form"].chosen_models == ["gpt-4o"]

    def test_another_type_fills_the_models_only_where_nobody_chose_any(self, at: Client) -> None:
        assert self.press(at, "type", type="36", models=[])["form"].chosen_models == list(PROVIDERS[36].models)
        usual = list(PROVIDERS[1].models)
        assert self.press(at, "type", type="36", models=usual)["form"].chosen_models == list(PROVIDERS[36].models)
        assert self.press(at, "type", type="36", models=["mine"])["form"].chosen_models == ["mine"]

    def test_a_usual_value_gives_way_to_that_of_the_new_type(self, at: Client) -> None:
        from_azure = {"type_was": "3", "box_api_version": "2024-03-01-preview"}
        assert 'value="v2.1"' in self.press(at, "type", type="18", **from_azure)["text"]
        typed = {"type_was": "3", "box_api_version": "2025-01-01"}
        assert 'value="2025-01-01"' in self.press(at, "type", type="18", **typed)["text"]

    def test_models_are_filled_and_cleared(self, at: Client) -> None:
        assert self.press(at, "related", models=["mine"])["form"].chosen_models == list(PROVIDERS[1].models)
        everything = self.press(at, "all", models=["mine"])["form"].chosen_models
        assert everything[0] == "mine"
        assert {"gpt-4o", "deepseek-chat", "claude-3-opus-20240229"} <= set(everything)
        assert self.press(at, "clear")["form"].chosen_models == []

    def test_the_provider_is_asked_with_the_typed_key(self, at: Client) -> None:
        listed = {"/v1/models": {"data": [{"id": "gpt-4o"}, {"id": "brand-new"}]}}
        with answering(listed) as (base_url, seen):
            shown = self.press(at, "fetch", box_base_url=base_url, key="sk-typed", models=["gpt-4o", "left"])
        assert {headers["authorization"] for _, headers in seen} == {"Bearer sk-typed"}
        assert 'name="take" value="brand-new"' in shown["text"]
        assert 'name="drop" value="left"' in shown["text"]
        assert "1 is offered and chosen already." in shown["text"]

    def test_the_ticked_ones_are_taken_in_and_out(self, at: Client) -> None:
        assert self.press(at, "take", take=["brand-new"])["form"].chosen_models == ["gpt-4o", "brand-new"]
        assert self.press(at, "drop", models=["a", "b"], drop=["a"])["form"].chosen_models == ["b"]

    def test_a_provider_that_tells_none_is_said_so(self, at: Client) -> None:
        shown = self.press(at, "fetch", type="34", type_was="34", box_user_id="u")
        assert "this type of provider has no list of models that could be asked for" in shown["text"]

    def test_models_without_a_price_are_named(self, at: Client) -> None:
        assert "1 chosen model has no price" in self.press(at, "take", models=["my-own"])["text"]
        set_option(ROOT, "ModelRatio", '{"my-own": 1}')
        assert "has no price" not in self.press(at, "take", models=["my-own"])["text"]


class TestEditing:
    def test_changes_what_was_changed_and_keeps_the_secrets(self, at: Client) -> None:
        channel = made(key="sk-old", config={"proxy": "http://u:p@proxy.example"}, tags="a")
        at.post(f"/channel/edit/{channel.pk}", as_stored(channel, name="renamed", tags=""))
        channel.refresh_from_db()
        assert (channel.name, channel.key, channel.tags) == ("renamed", "sk-old", "")
        assert json.loads(channel.config) == {"proxy": "http://u:p@proxy.example"}

    def test_replaces_the_key_and_forgets_a_secret_when_told_so(self, at: Client) -> None:
        """D36: secrets could never be cleared."""
        channel = made(key="sk-old", config={"proxy": "http://proxy.example"})
        at.post(f"/channel/edit/{channel.pk}", as_stored(channel, key="sk-new", clear_proxy="on"))
        channel.refresh_from_db()
        assert (channel.key, channel.config) == ("sk-new", "")

    def test_shows_no_stored_secret_but_the_end_of_a_long_key(self, at: Client) -> None:
        long, short = made(key="sk-canary-0123456789-a1b2"), made(key="sk-canary")
        aws = made(type=33, key="", config={"region": "r", "ak": "AK-canary", "sk": "SK-canary"})
        page = text(at.get(f"/channel/edit/{long.pk}"))
        assert "A key is stored, ending in a1b2." in page
        assert "A key is stored. Leave the box empty to keep it." in text(at.get(f"/channel/edit/{short.pk}"))
        for channel in (long, short, aws):
            assert "canary" not in text(at.get(f"/channel/edit/{channel.pk}"))
        assert "stored; leave it empty to keep it" in text(at.get(f"/channel/edit/{aws.pk}"))

    def test_the_end_of_a_key_is_no_markup(self, at: Client) -> None:
        channel = made(key="sk-0123456789-<b>")
        assert "ending in -&lt;b&gt;" in text(at.get(f"/channel/edit/{channel.pk}"))

    def test_a_stored_key_is_not_sent_to_an_address_that_was_only_typed(self, at: Client) -> None:
        channel = made(key="sk-stored")
        with answering({"/v1/models": {"data": [{"id": "a"}]}}) as (base_url, seen):
            posted = as_stored(channel, do="fetch", pk=channel.pk, box_base_url=base_url)
            shown = text(at.post("/channel/form", posted, headers=HTMX))
        assert "The stored key is sent to the stored address only" in shown
        assert seen == []

    def test_the_stored_key_asks_at_the_stored_address(self, at: Client) -> None:
        with answering({"/v1/models": {"data": [{"id": "brand-new"}]}}) as (base_url, seen):
            channel = made(key="sk-stored", base_url=base_url)
            posted = as_stored(channel, do="fetch", pk=channel.pk, box_base_url=base_url)
            shown = text(at.post("/channel/form", posted, headers=HTMX))
        assert 'value="brand-new"' in shown
        assert seen[0][1]["authorization"] == "Bearer sk-stored"

    def test_a_mapping_is_rows_and_pretty_json(self, at: Client) -> None:
        channel = made(model_mapping='{"a":"b","c":"d"}')
        page = at.get(f"/channel/edit/{channel.pk}").content.decode()
        assert 'name="model_mapping_from" value="a"' in page
        assert "{\n  &quot;a&quot;: &quot;b&quot;,\n" in page

    def test_what_the_type_has_no_box_for_stays(self, at: Client) -> None:
        channel = made(config={"user_id": "u"})
        at.post(f"/channel/edit/{channel.pk}", as_stored(channel, name="renamed"))
        assert json.loads(Channel.objects.get(pk=channel.pk).config) == {"user_id": "u"}

    def test_a_lost_secret_can_be_typed_anew(self, at: Client) -> None:
        channel = made()
        lose_secrets(channel)
        assert at.get(f"/channel/edit/{channel.pk}").status_code == 200
        posted = as_stored(Channel(type=1, name="one", group="default", model_names="m"), key="sk-new")
        answer = at.post(f"/channel/edit/{channel.pk}", posted)
        assert answer.status_code == 302, answer.context["form"].errors
        assert Channel.objects.get(pk=channel.pk).key == "sk-new"

    def test_the_old_column_of_the_version_is_shown_in_its_box(self, at: Client) -> None:
        channel = made(type=3, base_url="https://x.example", other="2023-09-01-preview")
        assert 'value="2023-09-01-preview"' in text(at.get(f"/channel/edit/{channel.pk}"))


class TestRevealing:
    def test_is_for_root_who_lately_showed_who_it_is_and_on_record(self, root: User, adam: User) -> None:
        channel = made(key="sk-canary")
        address = f"/channel/{channel.pk}/reveal"
        at_root = signed_in(root)
        session = at_root.session
        session[CONFIRMED] = 0
        session.save()

        assert signed_in(adam).post(address).status_code == 403
        assert at_root.post(address)["Location"].startswith("/confirm?next=")
        at_root.post("/confirm", {"password": PASSWORD})
        assert b"canary" not in at_root.get(address).content
        assert not AuditEntry.objects.filter(action="channel.reveal").exists()
        assert b"sk-canary" in at_root.post(address).content
        assert AuditEntry.objects.get(action="channel.reveal").actor_name == "root"


class TestPairs:
    @pytest.mark.parametrize(
        ("data", "value"),
        [
            ({"m_from": ["a", "c", ""], "m_to": ["b", "d", ""]}, '{"a": "b", "c": "d"}'),
            ({"m_from": [" a "], "m_to": ["b"], "m_json": "{}", "m_was": "{}"}, '{"a": "b"}'),
            ({"m_from": ["a"], "m_to": ["b"], "m_json": '{"x": "y"}', "m_was": '{"a": "b"}'}, '{"x": "y"}'),
            ({"m_from": [""], "m_to": [""], "m_json": '{\r\n"a": "b"}', "m_was": '{\n"a": "b"}'}, ""),
            ({"m_json": "broken", "m_was": "broken"}, "broken"),
            ({"m_from": ['{"a": "b"}'], "m_to": [""]}, '{"a": "b"}'),
            ({}, ""),
        ],
    )
    def test_whichever_was_changed_counts(self, data: dict[str, Any], value: str) -> None:
        query = QueryDict(mutable=True)
        for name, each in data.items():
            query.setlist(name, each if isinstance(each, list) else [each])
        assert PairsWidget().value_from_datadict(query, {}, "m") == value

    def test_an_empty_mapping_is_no_mapping(self) -> None:
        assert PairsField(required=False).clean("") == ""
        assert PairsField(required=False).clean("{}") == "{}"
