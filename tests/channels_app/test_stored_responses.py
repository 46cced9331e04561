"""Where responses are kept: noted, found by their user alone, forgotten after thirty days."""

from __future__ import annotations

import time

import pytest

from channels_app import stored_responses
from channels_app.models import StoredResponse
from channels_app.stored_responses import BATCH, DAY

pytestmark = pytest.mark.django_db


def aged(days: float, response_id: str = "resp_1") -> None:
    stored_responses.remember(1, response_id, 7)
    key = stored_responses._key(1, response_id)
    StoredResponse.objects.filter(pk=key).update(created_at=int(time.time() - days * DAY))


def test_a_response_is_found_by_its_user_alone() -> None:
    stored_responses.remember(1, "resp_1", 7)

    assert stored_responses.channel_of(1, "resp_1") == 7
    assert stored_responses.channel_of(2, "resp_1") is None
    assert stored_responses.channel_of(1, "resp_2") is None


def test_two_users_may_have_responses_of_one_id() -> None:
    stored_responses.remember(1, "resp_1", 7)
    stored_responses.remember(2, "resp_1", 8)

    assert (stored_responses.channel_of(1, "resp_1"), stored_responses.channel_of(2, "resp_1")) == (7, 8)


def test_noted_again_the_newest_counts() -> None:
    aged(29)
    stored_responses.remember(1, "resp_1", 8)

    assert stored_responses.channel_of(1, "resp_1") == 8
    assert StoredResponse.objects.get().created_at > time.time() - DAY


def test_what_is_too_old_is_not_found_and_what_is_not_is() -> None:
    aged(29.9)
    assert stored_responses.channel_of(1, "resp_1") == 7
    aged(30.1)
    assert stored_responses.channel_of(1, "resp_1") is None


def test_a_purge_takes_all_that_is_old_and_nothing_else() -> None:
    old = int(time.time()) - 31 * DAY
    StoredResponse.objects.bulk_create(
        StoredResponse(digest=f"{n}", user_id=1, channel_id=7, created_at=old) for n in range(BATCH + 1)
    )
    stored_responses.remember(1, "resp_1", 7)

    assert stored_responses.purge(int(time.time()) - stored_responses.KEPT) == BATCH + 1
    assert stored_responses.channel_of(1, "resp_1") == 7


def test_a_purge_that_is_asked_to_stop_goes_on_the_next_time() -> None:
    old = int(time.time()) - 31 * DAY
    StoredResponse.objects.bulk_create(
        StoredResponse(digest=f"{n}", user_id=1, channel_id=7, created_at=old) for n in range(BATCH + 1)
    )

    assert stored_responses.purge(int(time.time()), pause=lambda _: True) == BATCH
    assert StoredResponse.objects.count() == 1
