"""Django's admin in the hands of root, and closed to everybody else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Role, Token, User, UserStatus
from accounts.services import create_token
from audit.models import AuditEntry
from audit.services import SYSTEM
from billing.models import LedgerEntry, Log, LogType
from channels_app.models import Ability, Channel, ChannelStatus
from options import versions
from options.models import Option
from options.services import load, set_option
from redemptions.models import Redemption
from redemptions.services import redeem
from tests.console.conftest import PASSWORD, signed_in

pytestmark = pytest.mark.django_db

KEY = "sk-a-secret-of-the-provider-0123456789"
CHANNELS = "/django-admin/channels_app/channel/"
OPTIONS = "/django-admin/options/option/"
USERS = "/django-admin/accounts/user/"
TOKENS = "/django-admin/accounts/token/"
CODES = "/django-admin/redemptions/redemption/"
LOGS = "/django-admin/billing/log/"


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def form_of(client: Client, address: str) -> dict[str, Any]:
    """What a browser would send if nothing were changed on the page."""
    form = client.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    values |= {f"initial-{name}": form[name].initial for name in form.fields if form.fields[name].show_hidden_initial}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def errors_of(answer: Any) -> str:
    return str(answer.context["adminform"].form.errors)


def new_channel(client: Client, **fields: Any) -> Any:
    typed = {
        "type": 1,
        "name": "first",
        "group": "default,vip",
        "model_names": "gpt-4o,gpt-4o-mini",
        "new_key": KEY,
        "priority": 0,
        "weight": 0,
        "status": 1,
        **fields,
    }
    return client.post(f"{CHANNELS}add/", typed)


def every_page(client: Client, address: str, pk: Any) -> str:
    pages = (client.get(address), client.get(f"{address}{pk}/change/"), client.get(f"{address}{pk}/history/"))
    return "".join(text_of(page) for page in pages)


def test_only_root_gets_in(root: User, adam: User, alice: User) -> None:
    assert signed_in(root).get("/django-admin/").status_code == 200
    for user in (adam, alice):
        for address in ("/django-admin/", CHANNELS, LOGS, f"{OPTIONS}add/"):
            assert signed_in(user).get(address).status_code == 403
    assert Client().get(LOGS, follow=True).redirect_chain[-1][0] == f"/login?next={LOGS}"


def test_a_demotion_counts_at_once(root: User) -> None:
    client = signed_in(root)
    User.objects.update(role=Role.ADMIN)

    assert client.get("/django-admin/").status_code == 403


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model._meta.label)
def test_every_table_opens_under_the_policy(at_root: Client, model: Any) -> None:
    address = f"/django-admin/{model._meta.app_label}/{model._meta.model_name}/"
    for answer in (at_root.get(address), at_root.get(f"{address}add/")):
        assert answer.status_code in (200, 403)
        assert "unsafe-inline" not in answer["Content-Security-Policy"]
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script>", text_of(answer))


@pytest.mark.parametrize("address", [OPTIONS, "/django-admin/options/version/"])
@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_a_row_that_no_text_can_name_is_not_there(at_root: Client, address: str, page: str) -> None:
    assert at_root.get(f"{address}%00/{page}/").status_code in (302, 403, 404)


def test_a_channel_is_added_with_what_calls_need(at_root: Client) -> None:
    before = versions.read()["routing"]

    assert new_channel(at_root).status_code == 302

    channel = Channel.objects.get()
    assert channel.key == KEY
    assert set(Ability.objects.values_list("group", "model")) == {
        ("default", "gpt-4o"),
        ("default", "gpt-4o-mini"),
        ("vip", "gpt-4o"),
        ("vip", "gpt-4o-mini"),
    }
    assert versions.read()["routing"] > before
    assert AuditEntry.objects.filter(action="channel.create", actor_name="root").exists()


def test_a_channel_never_shows_its_secrets(at_root: Client) -> None:
    new_channel(
        at_root,
        type=33,
        new_key="",
        config_ak="access-key-1234",
        config_sk="secret-key-1234",
        config_region="us-east-1",
    )
    channel = Channel.objects.get()
    pages = every_page(at_root, CHANNELS, channel.pk)

    assert "secret-key-1234" in channel.config
    assert "us-east-1" in pages
    for secret in ("access-key-1234", "secret-key-1234"):
        assert secret not in pages


def test_what_was_typed_as_a_key_does_not_come_back_with_an_error(at_root: Client) -> None:
    answer = new_channel(at_root, name="")

    assert answer.status_code == 200
    assert "This field is required" in errors_of(answer)
    assert KEY not in text_of(answer)
    assert not Channel.objects.exists()


@pytest.mark.parametrize(("typed", "stored"), [("", None), ("0", 0), ("15", 15)])
def test_a_schedule_of_tests_is_set_and_cleared(at_root: Client, typed: str, stored: int | None) -> None:
    new_channel(at_root, test_every="5")
    channel = Channel.objects.get(test_every=5)
    address = f"{CHANNELS}{channel.pk}/change/"

    assert at_root.post(address, {**form_of(at_root, address), "test_every": typed}).status_code == 302

    assert Channel.objects.get().test_every == stored


def test_an_empty_key_keeps_the_stored_one(at_root: Client) -> None:
    new_channel(at_root)
    channel = Channel.objects.get()
    address = f"{CHANNELS}{channel.pk}/change/"

    answer = at_root.post(address, {**form_of(at_root, address), "name": "renamed", "model_names": "gpt-4o"})

    assert answer.status_code == 302
    channel = Channel.objects.get()
    assert (channel.name, channel.key) == ("renamed", KEY)
    assert Ability.objects.count() == 2
    assert KEY not in every_page(at_root, CHANNELS, channel.pk)


def test_a_key_is_replaced(at_root: Client) -> None:
    new_channel(at_root)
    address = f"{CHANNELS}{Channel.objects.get().pk}/change/"

    at_root.post(address, {**form_of(at_root, address), "new_key": "sk-another-one"})

    assert Channel.objects.get().key == "sk-another-one"


def test_a_form_left_open_does_not_undo_an_automatic_disabling(at_root: Client) -> None:
    new_channel(at_root)
    address = f"{CHANNELS}{Channel.objects.get().pk}/change/"
    typed = form_of(at_root, address)
    Channel.objects.update(status=ChannelStatus.AUTO_DISABLED)

    at_root.post(address, {**typed, "name": "renamed"})

    channel = Channel.objects.get()
    assert (channel.name, channel.status) == ("renamed", ChannelStatus.AUTO_DISABLED)


def test_a_form_left_open_does_not_give_back_what_was_spent(at_root: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(quota=1_000)
    address = f"{USERS}{alice.pk}/change/"
    typed = form_of(at_root, address)
    User.objects.filter(pk=alice.pk).update(quota=400)

    at_root.post(address, {**typed, "group": "vip"})

    alice.refresh_from_db()
    assert (alice.group, alice.quota) == ("vip", 400)
    assert not LedgerEntry.objects.exists()


def test_secrets_of_the_provider_are_kept_and_forgotten_on_demand(at_root: Client) -> None:
    new_channel(
        at_root,
        type=33,
        new_key="",
        config_ak="access-key-1234",
        config_sk="secret-key-1234",
        config_region="us-east-1",
    )
    address = f"{CHANNELS}{Channel.objects.get().pk}/change/"

    at_root.post(address, {**form_of(at_root, address), "config_region": "eu-west-1"})
    kept = Channel.objects.get().config
    at_root.post(address, {**form_of(at_root, address), "forget_secrets": "on"})
    forgotten = Channel.objects.get().config

    assert "secret-key-1234" in kept
    assert "eu-west-1" in kept
    assert "1234" not in forgotten
    assert "eu-west-1" in forgotten


def test_a_key_of_several_lines_makes_several_channels(at_root: Client) -> None:
    new_channel(at_root, new_key="sk-one\nsk-two\n\nsk-three")

    assert sorted(channel.key for channel in Channel.objects.all()) == ["sk-one", "sk-three", "sk-two"]


def test_all_models_of_a_type_are_filled_in(at_root: Client) -> None:
    new_channel(at_root, model_names="my-own", fill_models="on")

    names = Channel.objects.get().model_names.split(",")
    assert names[0] == "my-own"
    assert "gpt-4o" in names


@pytest.mark.parametrize(
    "wrong",
    [{"base_url": "ftp://x"}, {"model_mapping": "not json"}, {"new_key": ""}, {"type": 999}, {"model_names": " , "}],
)
def test_a_refused_channel_is_an_error_of_the_form(at_root: Client, wrong: dict[str, Any]) -> None:
    answer = new_channel(at_root, **wrong)

    assert answer.status_code == 200
    assert errors_of(answer)
    assert not Channel.objects.exists()


def test_channels_are_switched_off_and_deleted_with_their_abilities(at_root: Client) -> None:
    new_channel(at_root)
    pk = Channel.objects.get().pk

    at_root.post(CHANNELS, {"action": "disable", "_selected_action": [pk]})
    assert not Ability.objects.filter(enabled=True).exists()

    at_root.post(CHANNELS, {"action": "delete_selected", "_selected_action": [pk], "post": "yes"})
    assert not Channel.objects.exists()
    assert not Ability.objects.exists()
    assert AuditEntry.objects.filter(action="channel.delete").exists()


def test_one_channel_is_deleted_from_its_page(at_root: Client) -> None:
    new_channel(at_root)

    at_root.post(f"{CHANNELS}{Channel.objects.get().pk}/delete/", {"post": "yes"})

    assert not Channel.objects.exists()
    assert not Ability.objects.exists()


def test_an_option_is_set_for_the_first_time_and_changed(at_root: Client) -> None:
    assert at_root.post(f"{OPTIONS}add/", {"key": "RetryTimes", "new_value": "3"}).status_code == 302
    assert load()["RetryTimes"] == 3

    assert at_root.post(f"{OPTIONS}RetryTimes/change/", {"new_value": "5"}).status_code == 302
    assert load()["RetryTimes"] == 5
    assert AuditEntry.objects.filter(action="option.update").count() == 2


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("RetryTimes", "many", "not a whole number"),
        ("ModelRatio", "{", "not valid JSON"),
        ("GitHubOAuthEnabled", "true", "GitHub Client Id"),
    ],
)
def test_a_refused_option_is_an_error_of_the_form(at_root: Client, key: str, value: str, says: str) -> None:
    answer = at_root.post(f"{OPTIONS}add/", {"key": key, "new_value": value})

    assert answer.status_code == 200
    assert says in errors_of(answer)
    assert not Option.objects.exists()


def test_a_secret_option_is_kept_when_left_empty_and_cleared_on_demand(at_root: Client) -> None:
    set_option(SYSTEM, "SMTPToken", "mail-secret-1234")
    address = f"{OPTIONS}SMTPToken/change/"

    assert "mail-secret-1234" not in every_page(at_root, OPTIONS, "SMTPToken")
    assert "v1:" not in every_page(at_root, OPTIONS, "SMTPToken")  # nor what it is encrypted as
    at_root.post(address, {"new_value": ""})
    assert load()["SMTPToken"] == "mail-secret-1234"
    at_root.post(address, {"new_value": "", "clear": "on"})
    assert load()["SMTPToken"] == ""


def test_options_go_back_to_their_defaults(at_root: Client) -> None:
    set_option(SYSTEM, "RetryTimes", "7")

    at_root.post(OPTIONS, {"action": "reset", "_selected_action": ["RetryTimes"]})

    assert load()["RetryTimes"] == 0


def test_logs_are_read_and_never_written(at_root: Client) -> None:
    log = Log.objects.create(
        user_id=1, username="alice", created_at=1_700_000_000, type=LogType.CONSUME, model_name="gpt-4o", quota=12
    )
    page = text_of(at_root.get(LOGS))

    assert "gpt-4o" in page
    assert "2023-11-14 22:13:20" in page
    assert at_root.get(f"{LOGS}{log.pk}/change/").status_code == 200
    assert at_root.post(f"{LOGS}{log.pk}/change/", {"quota": 0}).status_code == 403
    assert at_root.get(f"{LOGS}add/").status_code == 403
    assert at_root.post(f"{LOGS}{log.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "gpt-4o" not in text_of(at_root.get(f"{LOGS}?q=bob"))
    assert "gpt-4o" not in text_of(at_root.get(f"{LOGS}?since=3600"))
    assert "gpt-4o" in text_of(at_root.get(f"{LOGS}?q=alice&type__exact=2"))


def test_the_log_costs_the_same_however_long_it_is(at_root: Client) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            at_root.get(LOGS)
        return [query["sql"] for query in captured]

    Log.objects.create(user_id=1, created_at=1)
    few = queries()
    Log.objects.bulk_create(Log(user_id=1, created_at=number) for number in range(120))
    many = queries()

    assert len(few) == len(many)
    counts = [sql for sql in many if "COUNT(" in sql.upper() and "logs" in sql]
    assert counts
    assert all("LIMIT 10001" in sql or "LIMIT 10000" in sql for sql in counts)


def test_a_user_is_added_changed_and_deleted(at_root: Client, root: User) -> None:
    typed = {
        "username": "carol",
        "display_name": "Carol",
        "email": "",
        "role": 1,
        "group": "default",
        "new_password": PASSWORD,
    }
    assert at_root.post(f"{USERS}add/", typed).status_code == 302
    carol = User.objects.get(username="carol")
    assert carol.must_change_password
    assert carol.check_password(PASSWORD)
    assert carol.password not in every_page(at_root, USERS, carol.pk)

    address = f"{USERS}{carol.pk}/change/"
    before = versions.read()["identities"]
    answer = at_root.post(address, {**form_of(at_root, address), "group": "vip", "role": 10, "quota": 777, "status": 2})
    assert answer.status_code == 302
    carol.refresh_from_db()
    assert (carol.group, carol.role, carol.quota, carol.status) == ("vip", 10, 777, UserStatus.DISABLED)
    assert list(LedgerEntry.objects.filter(user_id=carol.pk).values_list("amount", flat=True)) == [777]
    assert versions.read()["identities"] > before

    at_root.post(USERS, {"action": "delete_selected", "_selected_action": [carol.pk, root.pk], "post": "yes"})
    carol.refresh_from_db()
    assert carol.status == UserStatus.DELETED
    assert User.objects.get(pk=root.pk).status == UserStatus.ENABLED


def test_a_name_that_is_taken_is_an_error_of_the_form(at_root: Client, alice: User) -> None:
    typed = {
        "username": "ALICE",
        "display_name": "",
        "email": "",
        "role": 1,
        "group": "default",
        "new_password": PASSWORD,
    }

    assert "This user name is taken." in errors_of(at_root.post(f"{USERS}add/", typed))


def test_root_cannot_be_demoted_disabled_or_deleted(at_root: Client, root: User) -> None:
    address = f"{USERS}{root.pk}/change/"

    at_root.post(address, {**form_of(at_root, address), "role": 1, "status": 2, "display_name": "The boss"})

    root.refresh_from_db()
    assert (root.role, root.status, root.display_name) == (Role.ROOT, UserStatus.ENABLED, "The boss")
    assert at_root.post(f"{USERS}{root.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_key_is_masked_until_it_is_asked_for(at_root: Client, alice: User) -> None:
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True)

    assert token.key not in every_page(at_root, TOKENS, token.pk)
    answer = at_root.post(TOKENS, {"action": "reveal", "_selected_action": [token.pk]})
    assert f"sk-{token.key}" in text_of(answer)
    assert "no-store" in answer["Cache-Control"]
    assert AuditEntry.objects.filter(action="token.reveal").exists()


def test_a_key_is_added_changed_and_deleted(at_root: Client, alice: User) -> None:
    typed = {"user": alice.pk, "name": "new", "expired_time": -1, "remain_quota": 5, "model_names": "", "subnet": ""}
    assert at_root.post(f"{TOKENS}add/", typed).status_code == 302
    token = Token.objects.get()
    assert len(token.key) == 48

    address = f"{TOKENS}{token.pk}/change/"
    assert at_root.post(address, {**form_of(at_root, address), "status": 2, "subnet": "10.0.0.0/8"}).status_code == 302
    token.refresh_from_db()
    assert (token.status, token.subnet) == (2, "10.0.0.0/8")
    assert "subnet" in errors_of(at_root.post(address, {**form_of(at_root, address), "subnet": "nowhere"}))

    at_root.post(f"{TOKENS}{token.pk}/delete/", {"post": "yes"})
    assert not Token.objects.exists()


def test_codes_are_made_shown_changed_and_deleted(at_root: Client) -> None:
    answer = at_root.post(f"{CODES}add/", {"name": "spring", "quota": 1000, "count": 3})
    codes = list(Redemption.objects.all())
    first = codes[0]

    assert len(codes) == 3
    assert all(code.key in text_of(answer) for code in codes)
    assert first.key not in every_page(at_root, CODES, first.pk)
    shown = text_of(at_root.post(CODES, {"action": "reveal", "_selected_action": [first.pk]}))
    assert first.key in shown
    assert codes[1].key not in shown

    address = f"{CODES}{first.pk}/change/"
    assert at_root.post(address, {**form_of(at_root, address), "status": 2, "quota": 5}).status_code == 302
    first.refresh_from_db()
    assert (first.status, first.quota) == (2, 5)
    assert errors_of(at_root.post(address, {**form_of(at_root, address), "quota": 0}))

    at_root.post(f"{CODES}{first.pk}/delete/", {"post": "yes"})
    assert Redemption.objects.count() == 2


def test_a_used_code_keeps_its_worth(at_root: Client, alice: User) -> None:
    at_root.post(f"{CODES}add/", {"name": "spring", "quota": 1000, "count": 1})
    code = Redemption.objects.get()
    redeem(alice.pk, code.key)
    address = f"{CODES}{code.pk}/change/"

    at_root.post(address, {"name": "summer", "quota": 1, "status": 1})

    code.refresh_from_db()
    assert (code.name, code.quota, code.status) == ("summer", 1000, 3)


def test_the_books_cannot_be_written(at_root: Client) -> None:
    for name in ("billing/ledgerentry", "billing/hold", "billing/log", "audit/auditentry", "channels_app/ability"):
        assert at_root.get(f"/django-admin/{name}/add/").status_code == 403
        assert "delete_selected" not in text_of(at_root.get(f"/django-admin/{name}/"))
