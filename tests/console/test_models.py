"""Models and prices (console reference, 4.7 and 10.6): who sees them, and that they are those of the bill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from audit.services import SYSTEM
from billing import rates
from billing.pricing import Price, Usage, image_charge, text_charge
from channels_app import offers
from channels_app.services import create_channels, set_status
from channels_app.snapshot import price_table
from console.formats import rate
from console.models.kinds import kind_of
from options import services as option_services
from options.services import set_option
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def names(answer: Any) -> list[str]:
    return [row.name for row in answer.context["list"].rows]


def channel(models: str, channel_type: int = 1, **fields: Any) -> int:
    base = {"type": channel_type, "name": "one", "models": models, **fields}
    return create_channels(SYSTEM, base, ["sk-upstream"])[0]


@pytest.fixture(autouse=True)
def served() -> None:
    channel("gpt-4o,gpt-4o-mini,dall-e-3,tts-1,text-embedding-3-small")
    channel("claude-3-opus-20240229", 14)
    channel("gpt-secret", group="vip")


def test_one_sees_the_models_of_ones_own_group_by_name(alice: User) -> None:
    answer = signed_in(alice).get("/models")

    assert names(answer) == [
        "claude-3-opus-20240229", "dall-e-3", "gpt-4o", "gpt-4o-mini", "text-embedding-3-small", "tts-1",
    ]  # fmt: skip
    assert "gpt-secret" not in text_of(answer)
    User.objects.update(group="vip")
    assert names(signed_in(alice).get("/models")) == ["gpt-secret"]


def test_prices_are_dollars_for_a_million_tokens_in_ones_group(alice: User) -> None:
    set_option(SYSTEM, "GroupRatio", '{"default": 1, "vip": 2}')
    channel("gpt-4o", group="vip")
    of_default = {row.name: row for row in signed_in(alice).get("/models").context["list"].rows}
    User.objects.update(group="vip")
    of_vip = {row.name: row for row in signed_in(alice).get("/models").context["list"].rows}

    assert (of_default["gpt-4o"].shown_prompt, of_default["gpt-4o"].shown_completion) == ("$5.00", "$20.00")
    assert of_default["gpt-4o"].shown_cached == "$2.50"
    assert (of_vip["gpt-4o"].shown_prompt, of_vip["gpt-4o"].shown_completion) == ("$10.00", "$40.00")


def test_the_price_shown_is_the_price_billed() -> None:
    price = Price(Decimal("1.25"), Decimal(4), Decimal("0.8"))

    dollars = rates.of_tokens(price, Decimal(500_000))
    points = text_charge(price, Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000))

    assert (dollars.prompt, dollars.completion) == (Decimal(2), Decimal(8))
    assert Decimal(points) / 500_000 == dollars.prompt + dollars.completion
    assert rates.of_image(price, "dall-e-3", Decimal(500_000)) == (Decimal("0.002"), Decimal("0.006"))
    assert image_charge(price, "dall-e-3", "1024x1024", "hd", 1) == Decimal("0.004") * 500_000


def test_images_and_speech_are_priced_by_what_they_are_billed_by(alice: User) -> None:
    rows = {row.name: row for row in signed_in(alice).get("/models").context["list"].rows}

    assert (rows["dall-e-3"].shown_prompt, rows["dall-e-3"].others) == ("–", [("an image", "$0.04 – $0.12")])
    assert (rows["tts-1"].shown_prompt, rows["tts-1"].others) == ("–", [("1M characters", "$15.00")])
    assert rows["text-embedding-3-small"].shown_completion == "–"


def test_a_model_of_two_channels_shows_the_range_of_their_prices(alice: User) -> None:
    set_option(SYSTEM, "ModelRatio", '{"here": 1, "there": 3}')
    channel("mine", model_mapping='{"mine": "here"}')
    channel("mine", model_mapping='{"mine": "there"}')

    row = next(row for row in signed_in(alice).get("/models").context["list"].rows if row.name == "mine")

    assert row.shown_prompt == "$2.00 – $6.00"
    assert row.prompt == 2


def test_a_model_without_a_price_says_so(alice: User) -> None:
    channel("nobody-knows-this")

    answer = signed_in(alice).get("/models?q=nobody")

    assert text_of(answer).count("not priced") == 1
    assert answer.context["list"].rows[0].shown_prompt == "$60.00"  # 30 points a token


def test_what_no_enabled_channel_serves_is_not_shown(alice: User) -> None:
    set_status(SYSTEM, channel("gone"), 2)

    assert "gone" not in names(signed_in(alice).get("/models"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=GPT mini", ["gpt-4o-mini"]),
        ("provider=anthropic", ["claude-3-opus-20240229"]),
        ("kind=image", ["dall-e-3"]),
        ("kind=chat&q=4o", ["gpt-4o", "gpt-4o-mini"]),
        ("kind=chat&sort=-prompt", ["claude-3-opus-20240229", "gpt-4o", "gpt-4o-mini"]),
        ("kind=chat&sort=completion", ["gpt-4o-mini", "gpt-4o", "claude-3-opus-20240229"]),
        ("q=nothing-like-it", []),
        ("provider=nobody&kind=x", ["claude-3-opus-20240229", "dall-e-3", "gpt-4o", "gpt-4o-mini"]),
    ],
)
def test_the_list_is_searched_filtered_and_sorted(alice: User, query: str, found: list[str]) -> None:
    assert names(signed_in(alice).get(f"/models?{query}"))[:4] == found


def test_htmx_gets_the_table_alone(alice: User) -> None:
    answer = signed_in(alice).get("/models", headers={"hx-request": "true", "hx-target": "list"})

    assert "<html" not in text_of(answer)
    assert "gpt-4o-mini" in text_of(answer)


def test_only_administrators_see_the_types_of_channels(alice: User, adam: User) -> None:
    client = signed_in(adam)
    client.cookies["columns_models"] = "."
    other = signed_in(alice)
    other.cookies["columns_models"] = "."

    assert "Channels of" in text_of(client.get("/models"))
    assert "Channels of" not in text_of(other.get("/models"))


@pytest.mark.parametrize(
    ("option", "guest", "user", "admin"),
    [("private", 302, 403, 200), ("signed-in", 302, 200, 200), ("public", 200, 200, 200)],
)
def test_who_sees_the_page_is_the_operators_choice(
    alice: User, adam: User, option: str, guest: int, user: int, admin: int
) -> None:
    set_option(SYSTEM, "ModelsPagePublic", option)

    answers = [client.get("/models") for client in (Client(), signed_in(alice), signed_in(adam))]

    assert [one.status_code for one in answers] == [guest, user, admin]
    menu = text_of(signed_in(alice).get("/token"))
    assert ('href="/models"' in menu) is (user == 200)
    assert ('href="/models"' in text_of(Client().get("/about"))) is (guest == 200)


def test_guests_see_the_prices_of_group_default_and_no_way_to_try() -> None:
    set_option(SYSTEM, "ModelsPagePublic", "public")

    answer = Client().get("/models")

    assert "gpt-4o" in names(answer)
    assert "gpt-secret" not in names(answer)
    assert "/playground" not in text_of(answer)


@pytest.mark.parametrize("count", [10, 60])
def test_the_queries_do_not_grow_with_the_models(alice: User, count: int) -> None:
    for number in range(count):
        channel(f"extra-{number:03}")
    client = signed_in(alice)
    client.get("/models")

    with CaptureQueriesContext(connection) as known:
        client.get("/models?size=100")
    offers.forget()
    with CaptureQueriesContext(connection) as anew:
        client.get("/models?size=100")

    assert (len(known), len(anew)) == (5, 8)


def test_offers_tell_the_owner_of_the_catalogue_else_of_the_channel() -> None:
    found = {offer.model: offer for offer in offers.of_group("default", price_table(option_services.load()))}

    assert found["claude-3-opus-20240229"].owner == "anthropic"
    assert found["gpt-4o"].types == (1,)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("gpt-4o", "chat"),
        ("gpt-4o-mini-tts", "speech"),
        ("gpt-4o-transcribe", "transcription"),
        ("BAAI/bge-reranker-v2-m3", "rerank"),
        ("bge-large-zh", "embedding"),
        ("omni-moderation-latest", "moderation"),
        ("gpt-image-1", "image"),
        ("deepseek-chat", "chat"),
    ],
)
def test_what_a_model_is_for_is_read_from_its_name(model: str, kind: str) -> None:
    assert kind_of(model) == kind


@pytest.mark.parametrize(
    ("dollars", "shown"),
    [
        ("0", "$0.00"),
        ("2.5", "$2.50"),
        ("0.0375", "$0.0375"),
        ("0.2857142", "$0.2857"),
        ("0.3", "$0.30"),
        ("75", "$75.00"),
    ],
)
def test_a_rate_keeps_the_digits_that_count(dollars: str, shown: str) -> None:
    assert rate(Decimal(dollars)) == shown


def test_a_model_that_came_meanwhile_is_there_at_once(alice: User) -> None:
    client = signed_in(alice)
    assert "fresh" not in names(client.get("/models"))

    channel("fresh")

    assert "fresh" in names(client.get("/models"))
