"""Claims of keys, and what the books do with them: who makes the call, who is billed, what is kept and how long."""

from __future__ import annotations

import time
from typing import Any

import pytest

from accounts.models import Token, User, UserStatus
from audit.services import SYSTEM
from billing.batch import Entry, Keyed, Outcome, Verdict, post
from idempotency import services
from idempotency.models import KeyedCall, State
from idempotency.services import AnswerTooLarge, OtherRequest, StillRunning, Wanted, claim
from relay.idempotent import fingerprint
from relay.keeping import Keeping, Kept
from relay.types import Head
from tests.billing.money import (
    APPS,
    charges,
    check,
    forget_connections,
    hold,
    in_threads,
    key_of,
    new_id,
    now_holds,
    person,
    quota,
    settlement,
)
from vault.keys import CannotDecrypt

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[*APPS, "idempotency"])

ANSWER = b"sealed " * 50
DAY = 86_400


def wanted(token: Token, key: str = "key", request: str = "request") -> Wanted:
    return Wanted.of(token_id=token.pk, user_id=token.user_id, key=key, request=request)


def kept(which: Wanted, answer: bytes = ANSWER) -> Keyed:
    return Keyed(which.digests[0], State.KEPT, answer)


@pytest.fixture
def token() -> Any:
    """Of a person with 1,000 points; the books are in order at the end."""
    yield key_of(person(1_000))
    forget_connections()
    check()


def test_the_answer_is_kept_in_the_transaction_that_bills_it(token: Token) -> None:
    which, one = wanted(token), hold(token, 60)
    assert claim(which, one.request_id) is None
    with pytest.raises(StillRunning):
        claim(which, new_id())

    post([one, settlement(one, 50, keyed=kept(which))])

    found = claim(which, new_id())
    assert found is not None
    assert (bytes(found.answer or b""), found.request_id) == (ANSWER, one.request_id)
    assert charges() == {one.request_id: 50}


def test_a_settlement_that_fails_keeps_nothing(token: Token) -> None:
    which, one = wanted(token), hold(token, 60)
    claim(which, one.request_id)
    post([one])
    with pytest.raises(Exception, match=r"(?i)out of range|overflow|too large"):
        post([settlement(one, 50, channel_id=2**70, keyed=kept(which))])

    assert charges() == {}
    assert KeyedCall.objects.get().state == State.RUNNING


def test_a_settlement_written_twice_is_the_same(token: Token) -> None:
    which, one = wanted(token), hold(token, 60)
    claim(which, one.request_id)
    entries: list[Entry] = [one, settlement(one, 50, keyed=kept(which))]

    assert post(entries) == post(entries, again=True) == [Outcome(Verdict.GRANTED, 60), Outcome(Verdict.GRANTED, 50)]
    assert charges() == {one.request_id: 50}


def test_a_call_without_a_whole_answer_is_billed_and_frees_its_key(token: Token) -> None:
    which, one = wanted(token), hold(token, 60)
    claim(which, one.request_id)
    post([one, settlement(one, 20, keyed=Keyed(which.digests[0]))])

    assert claim(which, new_id()) is None
    assert charges() == {one.request_id: 20}


@pytest.mark.parametrize("open_hold", [True, False])
def test_a_dead_call_is_taken_over_and_not_charged_should_it_wake_up(
    token: Token, settings: Any, open_hold: bool
) -> None:
    which, dead, second = wanted(token), hold(token, 60), hold(token, 60)
    claim(which, dead.request_id)
    KeyedCall.objects.update(claimed_at=int(time.time()) - settings.HOLD_TTL - 1)
    if open_hold:
        post([dead])
        with pytest.raises(StillRunning):  # somebody has to decide about its hold first
            claim(which, second.request_id)
        post([settlement(dead, None)])  # the sweeper
    assert claim(which, second.request_id) is None

    late = settlement(dead, 50, keyed=kept(which, b"late"))
    late_outcome = post([late] if open_hold else [dead, late])[-1]
    post([second, settlement(second, 40, keyed=kept(which))])

    assert late_outcome == Outcome(Verdict.KEY_LOST)
    assert charges() == {second.request_id: 40}
    assert now_holds(User.objects.get(pk=token.user_id)) == 0
    found = claim(which, new_id())
    assert found is not None
    assert bytes(found.answer or b"") == ANSWER


def test_a_call_that_ends_while_it_is_taken_for_dead_is_not_taken_over(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    which, one = wanted(token), hold(token, 60)
    claim(which, one.request_id)

    def ends_meanwhile(_: KeyedCall) -> bool:
        post([one, settlement(one, 50, keyed=kept(which))])
        return False

    monkeypatch.setattr(services, "_lives", ends_meanwhile)
    found = claim(which, new_id())

    assert found is not None
    assert found.request_id == one.request_id


@pytest.mark.parametrize("least", [5_000, 0], ids=["refused", "busy"])
def test_a_call_whose_hold_is_refused_with_its_settlement_keeps_no_answer(token: Token, least: int) -> None:
    """Both come to the books in one batch, when the upstream was quicker than they: a repeat is a call of its own."""
    post([hold(token, 900)])
    which, one = wanted(token), hold(token, 5_000, least)
    assert claim(which, one.request_id) is None

    refused, settled = post([one, settlement(one, 5_000, keyed=kept(which))])

    assert refused.verdict is settled.verdict is (Verdict.USER_SHORT if least else Verdict.BUSY)
    with pytest.raises(StillRunning):
        claim(which, new_id())
    services.free(which.digests[0], one.request_id)
    assert claim(which, new_id()) is None


def test_a_claim_that_is_asked_for_again_after_its_commit_is_one_s_own(token: Token) -> None:
    """The connection broke before the answer to the commit came."""
    which = wanted(token)

    assert claim(which, "mine") is None
    assert claim(which, "mine") is None
    with pytest.raises(StillRunning):
        claim(which, "another")


def test_a_call_that_waits_for_its_hold_keeps_its_key(token: Token, settings: Any) -> None:
    """Until it is granted or refused, whatever the time to live of holds."""
    settings.HOLD_TTL, settings.HOLD_WAIT = 5, 30
    which = wanted(token)
    assert claim(which, "waiting") is None

    KeyedCall.objects.update(claimed_at=int(time.time()) - 29)
    with pytest.raises(StillRunning):
        claim(which, "repeat")
    KeyedCall.objects.update(claimed_at=int(time.time()) - 33)
    assert claim(which, "repeat") is None


def test_a_lost_key_touches_nobody_else_in_its_batch(token: Token) -> None:
    other = key_of(person(1_000))
    lost, fine, keyless = hold(token, 60), hold(other, 60), hold(token, 60)
    lost_key, fine_key = wanted(token, "lost"), wanted(other, "fine")
    claim(lost_key, new_id())
    claim(fine_key, fine.request_id)

    outcomes = post(
        [
            lost,
            fine,
            keyless,
            settlement(lost, 50, keyed=kept(lost_key)),
            settlement(fine, 30, keyed=kept(fine_key)),
            settlement(keyless, 20),
        ]
    )

    assert [one.verdict for one in outcomes[3:]] == [Verdict.KEY_LOST, Verdict.GRANTED, Verdict.GRANTED]
    assert charges() == {fine.request_id: 30, keyless.request_id: 20}
    assert quota(User.objects.get(pk=token.user_id)) == 1_000 - 20


def test_of_many_who_claim_at_once_one_gets_it(token: Token) -> None:
    which = wanted(token)
    found = in_threads([lambda: claim(which, new_id())] * 8)

    assert found.count(None) == 1
    assert [type(one) for one in found if one is not None] == [StillRunning] * 7


def test_of_many_who_take_a_dead_call_over_one_gets_it(token: Token) -> None:
    which = wanted(token)
    claim(which, new_id())
    KeyedCall.objects.update(claimed_at=0)
    found = in_threads([lambda: claim(which, new_id())] * 8)

    assert found.count(None) == 1
    assert [type(one) for one in found if one is not None] == [StillRunning] * 7


def test_keys_belong_to_their_token_and_their_request(token: Token) -> None:
    claim(wanted(token), new_id())
    colleague = key_of(User.objects.get(pk=token.user_id))

    with pytest.raises(OtherRequest):
        claim(wanted(token, request="another"), new_id())
    assert claim(wanted(token, "another key"), new_id()) is None
    assert claim(wanted(colleague), new_id()) is None


def test_an_answer_too_large_is_told_as_such(token: Token) -> None:
    which, one = wanted(token), hold(token, 60)
    claim(which, one.request_id)
    post([one, settlement(one, 50, keyed=Keyed(which.digests[0], State.TOO_LARGE))])

    with pytest.raises(AnswerTooLarge):
        claim(which, new_id())


def test_an_expired_key_is_anybody_s_again(token: Token) -> None:
    which, one = wanted(token), hold(token, 60)
    claim(which, one.request_id)
    post([one, settlement(one, 50, keyed=kept(which))])
    KeyedCall.objects.update(expires_at=int(time.time()))

    assert claim(wanted(token, request="another"), new_id()) is None


def test_what_is_freed_is_only_one_s_own_and_still_running(token: Token) -> None:
    which, one = wanted(token), hold(token, 60)
    claim(which, one.request_id)
    services.free(which.digests[0], new_id())
    assert KeyedCall.objects.count() == 1
    post([one, settlement(one, 50, keyed=kept(which))])
    services.free(which.digests[0], one.request_id)
    assert KeyedCall.objects.get().state == State.KEPT


def row(user_id: int, name: str, state: int, expires_at: int) -> None:
    columns = {"fingerprint": "f", "request_id": name, "claimed_at": 0, "state": state, "expires_at": expires_at}
    KeyedCall.objects.create(digest=name, user_id=user_id, **columns)


def test_the_job_deletes_what_is_past_its_time_and_what_the_deleted_were_answered() -> None:
    now = int(time.time())
    living, gone = person(0), person(0)
    User.objects.filter(pk=gone.pk).update(status=UserStatus.DELETED)
    row(living.pk, "fresh", State.KEPT, now + 5)
    row(living.pk, "old", State.KEPT, now - 5)
    row(living.pk, "large", State.TOO_LARGE, now - 5)
    row(living.pk, "long call", State.RUNNING, now - 5)
    row(living.pk, "lost call", State.RUNNING, now - DAY - 5)
    row(gone.pk, "of the deleted", State.KEPT, now + 5)
    row(gone.pk, "of the deleted, running", State.RUNNING, now + 5)

    assert services.purge(now) == 4
    left = set(KeyedCall.objects.values_list("pk", flat=True))
    assert left == {"fresh", "long call", "of the deleted, running"}


def test_who_is_deleted_takes_the_answers_along() -> None:
    from accounts.services import delete_self

    user, other = person(0), person(0)
    for one in (user, other):
        row(one.pk, f"of {one.pk}", State.KEPT, 2**40)
    delete_self(user, SYSTEM)

    assert [call.user_id for call in KeyedCall.objects.all()] == [other.pk]


# --- what needs no database


@pytest.mark.parametrize("size", [10, 100_000])
async def test_a_kept_answer_opens_only_under_its_own_key(size: int) -> None:
    keeping = Keeping("digest", "id", 1_000_000)
    keeping.started(200, [(b"content-type", b"text/event-stream")])
    keeping.said(b"x" * size)
    keeping.ends(b"data: [DONE]\n\n")
    keyed = await keeping.end()
    keeping.said(b"later")

    assert keyed.state == State.KEPT
    assert keyed.answer is not None
    opened = Kept.unsealed("digest", keyed.answer)
    assert opened == Kept("id", 200, [(b"content-type", b"text/event-stream")], True, b"x" * size + b"data: [DONE]\n\n")
    with pytest.raises(CannotDecrypt):
        Kept.unsealed("another", keyed.answer)


async def test_what_did_not_end_is_not_kept_and_what_is_too_long_is_dropped() -> None:
    broken, long = Keeping("digest", "id", 10), Keeping("digest", "id", 10)
    broken.said(b"half")
    long.said(b"12345678")
    long.ends(b"901")

    assert await broken.end() == Keyed("digest")
    assert await long.end() == Keyed("digest", State.TOO_LARGE)


def test_a_fingerprint_leaves_out_the_caller_s_key_and_a_form_s_boundary() -> None:
    def of(query: str = "", kind: str = "application/json", body: bytes = b"{}", model: str = "") -> str:
        return fingerprint(Head("POST", "/v1/x", "/v1/x", query, {"content-type": kind}, ""), model, body)

    assert of("alt=sse&key=one") == of("key=two&alt=sse") != of("")
    assert of(kind="multipart/form-data; boundary=aa", body=b"--aa x") == of(
        kind='multipart/form-data; boundary="bb"', body=b"--bb x"
    )
    assert of(kind="text/plain; boundary=aa", body=b"--aa") != of(kind="text/plain; boundary=bb", body=b"--bb")
    assert len({of(), of(body=b"[]"), of(model="m")}) == 3
