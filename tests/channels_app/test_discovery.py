"""Models of an upstream beside those chosen, and which have no price."""

from __future__ import annotations

import pytest

from audit.services import SYSTEM
from channels_app import discovery
from channels_app.discovery import compare
from options.services import set_option
from tests.channels_app.test_balances import answering
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db


def test_tells_new_chosen_and_gone_apart() -> None:
    found = compare(["b", "gpt-4o", "new"], ["gpt-4o", "left"], "", 1)

    assert (found.new, found.chosen, found.gone) == (("b", "new"), ("gpt-4o",), ("left",))
    assert found.unpriced == {"b", "new", "left"}


def test_a_mapped_name_counts_by_what_the_upstream_is_asked_for() -> None:
    found = compare(["up-1", "up-2"], ["mine", "other"], '{"mine": "up-1", "other": "nowhere"}', 1)

    assert (found.new, found.chosen, found.gone) == (("up-2",), ("mine",), ("other",))


@pytest.mark.parametrize("mapping", ["{", "[]", '{"mine": 5}', "null"])
def test_a_mapping_that_is_still_typed_counts_as_empty(mapping: str) -> None:
    assert compare(["mine"], ["mine"], mapping, 1).chosen == ("mine",)


def test_a_price_is_looked_up_by_the_mapped_name_as_calls_are_billed() -> None:
    assert discovery.unpriced(["mine", "gpt-4o"], '{"mine": "gpt-4o"}', 1) == []
    assert discovery.unpriced(["mine"], "", 1) == ["mine"]
    set_option(SYSTEM, "ModelRatio", '{"mine": 2}')
    assert discovery.unpriced(["mine"], "", 1) == []


def test_of_a_stored_and_of_a_typed_channel() -> None:
    with answering({"/v1/models": {"data": [{"id": "a"}, {"id": "b"}]}}) as (base_url, seen):
        channel = made(base_url=base_url, key="sk-stored", models="b,c")
        stored = discovery.of_channel(channel.pk, ["b", "c"], "", 1)
        typed = discovery.of_draft({"type": 1, "base_url": base_url}, "sk-typed", ["a"], "")

    assert (stored.new, stored.chosen, stored.gone) == (("a",), ("b",), ("c",))
    assert (typed.new, typed.chosen, typed.gone) == (("b",), ("a",), ())
    assert [headers["authorization"] for _, headers in seen] == ["Bearer sk-stored", "Bearer sk-typed"]
