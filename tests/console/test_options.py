"""The tabs of settings, for root: every option of section 6, one form a group (defects D34–D41)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from audit.models import AuditEntry
from audit.services import SYSTEM
from billing.models import Log, LogType
from console.options.table import TABS
from notices.mail import MailError
from options.models import Option
from options.registry import SPECS
from options.services import load, set_option, set_options
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def post(client: Client, where: str, data: dict[str, str], **headers: str) -> Any:
    return client.post(f"/setting/{where}", data, headers=headers)


def values(client: Client, tab: str, group: str) -> dict[str, str]:
    """What a browser would send for a group nobody touched."""
    shown = client.get(f"/setting/{tab}").context["groups"]
    form = next(one.form for one in shown if one.group.name == group)
    sent: dict[str, str] = {}
    for field in form:
        value = field.value()
        if field.widget_type == "quota":
            sent |= {f"{field.html_name}_0": str(value), f"{field.html_name}_1": "points"}
        elif value is True or (value and field.widget_type != "checkbox"):
            sent[field.html_name] = "on" if value is True else str(value)
    return sent


def test_every_option_stands_on_exactly_one_tab() -> None:
    keys = [item.key for tab in TABS.values() for group in tab.groups for item in group.items if item.key in SPECS]

    assert sorted(keys) == sorted(SPECS)


@pytest.mark.parametrize("tab", TABS)
def test_a_group_nobody_touched_changes_nothing(at_root: Client, tab: str) -> None:
    set_options(SYSTEM, {"ModelRatio": '{"a": 1.50}', "SMTPToken": "stored", "QuotaPerUnit": "500000"})
    before = dict(load().texts)

    for group in TABS[tab].groups:
        answer = post(at_root, f"{tab}/{group.name}", values(at_root, tab, group.name))
        assert (answer.status_code, answer["Location"].endswith(f"#group-{group.name}")) == (302, True), group.name

    assert dict(load().texts) == before


def test_a_group_is_saved_whole(at_root: Client) -> None:
    data = values(at_root, "operation", "quota") | {"QuotaForNewUser_0": "1.5", "QuotaForNewUser_1": "dollars"}
    data["QuotaForInviter_0"] = "200"

    assert post(at_root, "operation/quota", data).status_code == 302

    assert (load()["QuotaForNewUser"], load()["QuotaForInviter"]) == (750_000, 200)
    entry = AuditEntry.objects.get(action="option.update")
    assert (entry.actor_name, entry.detail["after"]) == (
        "root",
        {"QuotaForNewUser": "750000", "QuotaForInviter": "200"},
    )


def test_a_group_with_one_bad_field_is_not_saved_at_all(at_root: Client) -> None:
    """D35. The error stands at the field."""
    data = values(at_root, "operation", "general") | {"TopUpLink": "https://shop.example", "RetryTimes": "101"}

    answer = post(at_root, "operation/general", data)

    assert answer.status_code == 422
    assert "must be between 0 and 100" in text_of(answer)
    assert 'id="id_general_RetryTimes_error"' in text_of(answer)
    assert not Option.objects.exists()


@pytest.mark.parametrize("bad", ["x", "1e400", "nan", ""])
def test_a_number_that_is_none_is_refused_and_does_not_become_zero(at_root: Client, bad: str) -> None:
    answer = post(at_root, "operation/general", values(at_root, "operation", "general") | {"QuotaPerUnit": bad})

    assert answer.status_code == 422
    assert load().texts["QuotaPerUnit"] == "500000"


def test_htmx_gets_the_group_alone(at_root: Client) -> None:
    answer = post(at_root, "system/server", {"ServerAddress": "https://one.example/"}, **HTMX)

    assert (answer.status_code, "<html" in text_of(answer)) == (200, False)
    assert "Saved." in text_of(answer)
    assert load()["ServerAddress"] == "https://one.example"  # the slash is cut


def test_invalid_ratios_are_refused_and_stored_nowhere(at_root: Client) -> None:
    """D39."""
    data = values(at_root, "operation", "ratios") | {"ModelRatio": '{"gpt-4o": 1.25'}

    answer = post(at_root, "operation/ratios", data)

    assert answer.status_code == 422
    assert "not valid JSON" in text_of(answer)
    assert "gpt-4o" not in load()["ModelRatio"]


def test_domains_can_be_edited(at_root: Client) -> None:
    """D34."""
    data = {"EmailDomainRestrictionEnabled": "on", "EmailDomainWhitelist": "Corp.example\n@our.example, corp.example"}

    assert post(at_root, "system/domains", data).status_code == 302

    assert load()["EmailDomainWhitelist"] == ("corp.example", "our.example")
    assert load()["EmailDomainRestrictionEnabled"] is True


@pytest.mark.parametrize(
    ("domains", "says"),
    [("nonsense", "Not a domain: nonsense."), ("", "Fill in first: Allowed domains.")],
)
def test_domains_that_make_no_sense_are_refused(at_root: Client, domains: str, says: str) -> None:
    data = {"EmailDomainRestrictionEnabled": "on", "EmailDomainWhitelist": domains}

    assert says in text_of(post(at_root, "system/domains", data))
    assert load()["EmailDomainRestrictionEnabled"] is False


def test_secrets_are_never_shown_replaced_when_typed_and_cleared_on_request(at_root: Client) -> None:
    """D36, D40, D41: all of them, the Turnstile one too, on one page with OIDC and Message Pusher."""
    for spec in SPECS.values():
        if spec.secret:
            set_option(SYSTEM, spec.key, f"canary-{spec.key}")

    page = text_of(at_root.get("/setting/system"))
    assert "canary" not in page
    assert page.count("Clear the stored value") == len([spec for spec in SPECS.values() if spec.secret])

    data = values(at_root, "system", "turnstile")
    post(at_root, "system/turnstile", data)
    assert load()["TurnstileSecretKey"] == "canary-TurnstileSecretKey"  # blank is unchanged
    post(at_root, "system/turnstile", data | {"TurnstileSecretKey": "new"})
    assert load()["TurnstileSecretKey"] == "new"
    post(at_root, "system/turnstile", data | {"clear_TurnstileSecretKey": "on"})
    assert load()["TurnstileSecretKey"] == ""
    assert "canary" not in str(list(AuditEntry.objects.values()))


def test_a_switch_without_what_it_needs_says_what(at_root: Client) -> None:
    answer = post(at_root, "system/github", {"GitHubOAuthEnabled": "on", "GitHubClientId": "id"})

    assert answer.status_code == 422
    assert "Fill in first: Client secret." in text_of(answer)


def test_a_secret_cannot_be_cleared_under_a_switch_that_needs_it(at_root: Client) -> None:
    set_options(SYSTEM, {"GitHubClientId": "id", "GitHubClientSecret": "s", "GitHubOAuthEnabled": "true"})

    data = values(at_root, "system", "github") | {"clear_GitHubClientSecret": "on"}

    assert post(at_root, "system/github", data).status_code == 422
    assert load()["GitHubClientSecret"] == "s"


def test_an_option_is_reset_to_its_default_alone(at_root: Client) -> None:
    set_options(SYSTEM, {"RetryTimes": "7", "TopUpLink": "https://shop.example"})

    post(at_root, "operation/general", {"reset": "RetryTimes", "TopUpLink": "https://typed.example"})

    assert (load()["RetryTimes"], load()["TopUpLink"]) == (0, "https://shop.example")


def test_who_changed_an_option_is_told(at_root: Client) -> None:
    post(at_root, "other/look", values(at_root, "other", "look") | {"SystemName": "Ours"})

    page = text_of(at_root.get("/setting/other"))

    assert "Changed by root <time" in page
    assert "Default: One API" in page


def test_roots_last_way_in_cannot_be_switched_off(at_root: Client) -> None:
    answer = post(at_root, "system/login", {"confirm_password_off": "yes", "RegisterEnabled": "on"})

    assert answer.status_code == 422
    assert "root could not log in any more" in text_of(answer)
    assert load()["PasswordLoginEnabled"] is True


def test_a_provider_that_is_roots_last_way_in_cannot_be_switched_off(at_root: Client, root: User) -> None:
    set_options(SYSTEM, {"GitHubClientId": "id", "GitHubClientSecret": "s", "GitHubOAuthEnabled": "true"})
    set_options(SYSTEM, {"PasswordLoginEnabled": "false"})
    User.objects.filter(pk=root.pk).update(github_id="77")

    answer = post(at_root, "system/github", {"GitHubClientId": "id"})

    assert "root could not log in any more" in text_of(answer)
    assert load()["GitHubOAuthEnabled"] is True


def test_switching_passwords_off_asks_and_tells_how_many_are_kept_out(at_root: Client, root: User, alice: User) -> None:
    set_options(SYSTEM, {"GitHubClientId": "id", "GitHubClientSecret": "s", "GitHubOAuthEnabled": "true"})
    User.objects.filter(pk=root.pk).update(github_id="77")
    data = {"RegisterEnabled": "on", "PasswordRegisterEnabled": "on"}

    asked = post(at_root, "system/login", data)

    assert asked.status_code == 422
    assert "1 person has no other way to log in" in text_of(asked)
    assert load()["PasswordLoginEnabled"] is True
    assert post(at_root, "system/login", data | {"confirm_password_off": "yes"}).status_code == 302
    assert load()["PasswordLoginEnabled"] is False


def test_the_number_of_queries_does_not_grow_with_changes(at_root: Client, django_assert_num_queries) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    set_option(SYSTEM, "RetryTimes", "1")
    at_root.get("/setting/operation")
    with CaptureQueriesContext(connection) as few:
        at_root.get("/setting/operation")
    for number in range(2, 12):
        set_options(SYSTEM, {"RetryTimes": str(number), "QuotaForNewUser": str(number)})

    with django_assert_num_queries(len(few)):
        at_root.get("/setting/operation")


def test_a_mail_on_trial_goes_to_oneself(at_root: Client, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.filter(pk=root.pk).update(email="root@example.com")
    sent: list[str] = []
    monkeypatch.setattr("notices.trial.send_mail", lambda options, address: sent.append(address))

    answer = post(at_root, "check/mail", {}, **HTMX)

    assert sent == ["root@example.com"]
    assert "A mail is on its way to root@example.com." in text_of(answer)


def test_a_mail_that_is_not_taken_says_why(at_root: Client, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.filter(pk=root.pk).update(email="root@example.com")

    def refuse(options: Any, address: str) -> None:
        raise MailError("SMTPAuthenticationError: 535 bad password")

    monkeypatch.setattr("notices.trial.send_mail", refuse)

    assert "The mail was not sent: SMTPAuthenticationError: 535 bad password" in text_of(
        post(at_root, "check/mail", {}, **HTMX)
    )


def test_discovery_fills_the_endpoints_in_without_saving(at_root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {
        "issuer": "https://id.example",
        "authorization_endpoint": "https://id.example/authorize",
        "token_endpoint": "https://id.example/token",
        "userinfo_endpoint": "https://id.example/userinfo",
    }
    monkeypatch.setattr("accounts.external.issuer.discovered", lambda address, fresh: document)

    answer = post(at_root, "check/oidc", {"OidcWellKnown": "https://id.example/x", "OidcClientId": "typed"}, **HTMX)

    assert 'value="https://id.example/token"' in text_of(answer)
    assert 'value="typed"' in text_of(answer)
    assert load()["OidcTokenEndpoint"] == ""


def test_discovery_that_fails_says_so(at_root: Client) -> None:
    answer = post(at_root, "check/oidc", {"OidcWellKnown": "http://127.0.0.1:9/none"}, **HTMX)

    assert "Nothing that could be read is at the discovery address." in text_of(answer)


def test_callback_addresses_are_those_the_providers_are_told(at_root: Client) -> None:
    set_option(SYSTEM, "ServerAddress", "https://one.example")

    page = text_of(at_root.get("/setting/system"))

    for name in ("github", "lark", "oidc"):
        assert f'value="https://one.example/oauth/{name}"' in page


def test_a_preview_is_harmless_and_saves_nothing(at_root: Client) -> None:
    answer = at_root.post(
        "/setting/preview/About",
        {"About": "# Hello\n<script>alert(1)</script>"},
        headers={**HTMX, "HX-Target": "preview-About"},
    )

    assert "<h1>Hello</h1>" in text_of(answer)
    assert "alert" not in text_of(answer)
    assert "<html" not in text_of(answer)
    assert load()["About"] == ""


def lines(count: int, age: int) -> None:
    moment = int(time.time()) - age
    Log.objects.bulk_create(Log(type=LogType.CONSUME, created_at=moment) for _ in range(count))


def test_logs_are_purged_after_a_count_and_a_typed_confirmation(at_root: Client) -> None:
    """D37."""
    lines(3, age=40 * 86_400)
    lines(2, age=60)
    moment = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - 30 * 86_400))

    counted = post(at_root, "operation/logs/purge", {"before": moment})
    assert "Delete 3 log lines?" in text_of(counted)
    assert Log.objects.count() == 5

    wrong = post(at_root, "operation/logs/purge", {"before": moment, "typed": "4"})
    assert (wrong.status_code, Log.objects.count()) == (422, 5)

    done = post(at_root, "operation/logs/purge", {"before": moment, "typed": "3"})
    assert (done.status_code, Log.objects.count()) == (302, 2)
    assert AuditEntry.objects.get(action="log.purge").detail["rows"] == 3


@pytest.mark.parametrize("address", ["/setting/operation", "/setting/system", "/setting/other"])
def test_nobody_below_root_sees_them(adam: User, address: str) -> None:
    assert signed_in(adam).get(address).status_code == 403
