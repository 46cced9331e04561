"""A snapshot in use stays as it was read, whatever is changed meanwhile, and nobody can change it by accident."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from audit.services import SYSTEM
from channels_app import services, snapshot
from options.services import set_option
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db


def read(seen: snapshot.Snapshot, channel_id: int) -> Any:
    price = seen.prices.price("gpt-4o", 1, "default")
    return (
        seen.options["RetryTimes"],
        dict(seen.options["GroupRatio"]),
        (price.model_ratio, price.group_ratio),
        seen.channels[channel_id].base_url,
        seen.models["default"],
        [route.channel_id for tier in seen.tiers("default", "gpt-4o") for route in tier.routes],
    )


def test_a_call_under_way_sees_no_half_of_a_change() -> None:
    channel = made(base_url="http://before")
    seen = snapshot.load()
    before = read(seen, channel.pk)

    for key, value in (
        ("RetryTimes", "7"),
        ("GroupRatio", '{"default": 9}'),
        ("ModelRatio", '{"gpt-4o": 8}'),
        ("CompletionRatio", '{"gpt-4o": 6}'),
    ):
        set_option(SYSTEM, key, value)
    services.update_channel(SYSTEM, channel.pk, {"base_url": "http://after", "models": "gpt-4o,o1", "status": 2})

    after = snapshot.load()
    assert read(seen, channel.pk) == before
    assert after.options["GroupRatio"] == {"default": Decimal(9)}
    assert (after.channels[channel.pk].base_url, dict(after.models)) == ("http://after", {})


def test_no_part_of_a_snapshot_can_be_written_to() -> None:
    channel = made(model_mapping='{"gpt-4": "gpt-4o"}')
    seen = snapshot.load()
    route, (tier,) = seen.channels[channel.pk], seen.tiers("default", "gpt-4o")

    tables: list[Any] = [
        seen.channels,
        seen.abilities,
        seen.carried,
        seen.models,
        seen.options,
        seen.options.texts,
        seen.options["GroupRatio"],
        seen.options["ModelRatio"],
        seen.prices.model_ratio,
        seen.prices.completion_ratio,
        seen.prices.group_ratio,
        route.model_mapping,
        route.config,
    ]
    for table in tables:
        with pytest.raises(TypeError):
            table["gpt-4o"] = Decimal(0)
    for thing, name in ((seen, "options"), (route, "enabled"), (tier, "routes")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, None)


def test_ratios_handed_over_are_copied() -> None:
    from billing.tables import PriceTable

    mine = {"gpt-4o": Decimal(1)}
    table = PriceTable(mine, {}, {"default": Decimal(1)})
    mine["gpt-4o"] = Decimal(100)

    assert table.price("gpt-4o", 1, "default").model_ratio == 1
