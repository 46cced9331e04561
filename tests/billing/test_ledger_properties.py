"""Any sequence of batches, credits, corrections, deletions, sweeps and replays leaves the money in order.

Hypothesis draws the sequences; after every step the invariants are asked of the tables. LEDGER_EXAMPLES=500 looks long.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import Token, TokenStatus, User, UserStatus
from accounts.tokens import update_token
from billing.batch import Entry, Hold, Settlement, Verdict, post
from billing.models import EntryKind, LedgerEntry, Log
from billing.models import Hold as HoldRow
from billing.services import QuotaOutOfRange, credit, set_quota
from tests.billing.money import (
    TRANSACTIONS,
    channel,
    check,
    empty_tables,
    everything,
    expired,
    hold,
    key_of,
    person,
    progress,
    settlement,
)

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "25"))
STEPS = 25
POINTS = st.sampled_from([0, 1, 2, 3, 7, 20, 50, 99, 100, 101, 250, 1_000, 10**6, 10**15])
# Most calls are of a size that some fit into a balance and then no more do: there the decisions are.
BALANCES = st.one_of(st.integers(100, 400), st.integers(100, 400), POINTS)
AMOUNTS = st.one_of(st.integers(0, 250), st.integers(20, 120), POINTS)


@dataclass(frozen=True)
class Wish:
    """A batch's entry before it is known which of the calls and tokens it will be about."""

    what: str
    whose: int
    amount: int
    least: int
    charge: int | None
    patient: bool


WISHES = st.builds(
    Wish,
    what=st.sampled_from(["hold", "hold", "hold", "progress", "settle", "settle", "settle", "unheld"]),
    whose=st.integers(0, 50),
    amount=AMOUNTS,
    least=AMOUNTS,
    charge=st.one_of(st.none(), AMOUNTS, st.just(0)),
    patient=st.booleans(),
)


class Ledger(RuleBasedStateMachine):
    @initialize(balances=st.lists(BALANCES, min_size=2, max_size=2), limits=st.lists(BALANCES, min_size=3, max_size=3))
    def people(self, balances: list[int], limits: list[int]) -> None:
        empty_tables()
        self.users = [person(balance) for balance in balances]
        self.tokens = [key_of(self.users[i % len(self.users)], limit) for i, limit in enumerate(limits)]
        self.tokens += [key_of(user) for user in self.users]
        self.channels = [channel() for _ in range(2)]
        self.calls: list[Hold] = []  # every call that was ever granted a hold
        self.asked: dict[str, int] = {}  # what was first asked for a call, by request id
        self.swept: set[str] = set()

    # --- what the relay does

    @rule(several=st.lists(st.tuples(st.lists(WISHES, min_size=1, max_size=6), st.booleans()), min_size=1, max_size=4))
    def batches(self, several: list[tuple[list[Wish], bool]]) -> None:
        for wishes, replayed in several:
            self._batch(wishes, replayed)
            check()

    def _batch(self, wishes: list[Wish], replayed: bool) -> None:
        entries = self._entries(wishes)
        free = self._free()
        alone = len(entries) == 1 and entries[0].request_id not in self.asked
        outcomes = post(entries)
        self._believe(entries, outcomes)
        self._nothing_is_promised_twice(free)
        if alone and outcomes[0].uncollected:
            assert self._exhausted(entries[0]), "something was left uncollected that was there"
        if replayed:  # the answer to the commit was lost
            before = everything()
            post([e for e, o in zip(entries, outcomes, strict=True) if o.verdict is not Verdict.BUSY], again=True)
            assert everything() == before, "a replay changed something"

    def _free(self) -> dict[tuple[str, int], int]:
        """What may still be spent, of each user and limited token."""
        users = {("user", pk): quota - held for pk, quota, held in User.objects.values_list("pk", "quota", "held")}
        tokens = Token.objects.filter(unlimited_quota=False).values_list("pk", "remain_quota", "held")
        return users | {("token", pk): remain - held for pk, remain, held in tokens}

    def _nothing_is_promised_twice(self, before: dict[tuple[str, int], int]) -> None:
        """A batch never holds or takes what others hold; only a correction by hand leads below."""
        for purse, free in self._free().items():
            assert free >= min(0, before[purse]), (purse, before[purse], free)

    def _exhausted(self, entry: Entry) -> bool:
        free = self._free()
        return free[("user", entry.user_id)] <= 0 or free.get(("token", entry.token_id), 1) <= 0

    def _entries(self, wishes: list[Wish]) -> list[Entry]:
        entries: list[Entry] = []
        taken: set[str] = set()  # one entry a call and batch, as the relay has it
        for wish in wishes:
            place = self.channels[wish.amount % 2].pk
            call = self.calls[wish.whose % len(self.calls)] if self.calls else None
            if wish.what in ("hold", "unheld") or call is None:
                token = self.tokens[wish.whose % len(self.tokens)]
                asked = hold(token, wish.amount, min(wish.least, wish.amount), patient=wish.patient, channel_id=place)
                if wish.what == "unheld":
                    entries.append(settlement(asked, wish.charge))
                else:
                    entries.append(asked)
            elif call.request_id in taken:
                continue
            elif wish.what == "progress":
                entries.append(progress(call, wish.amount, charge=wish.least))
            else:
                entries.append(settlement(call, wish.charge, channel_id=place))
            taken.add(entries[-1].request_id)
        return entries

    def _believe(self, entries, outcomes) -> None:
        for entry, outcome in zip(entries, outcomes, strict=True):
            if isinstance(entry, Hold):
                assert outcome.verdict is not Verdict.BUSY or entry.patient
                if outcome.verdict is Verdict.GRANTED:
                    assert entry.least <= outcome.amount <= entry.amount
                    self.calls.append(entry)
                else:
                    assert outcome.amount == 0
            elif isinstance(entry, Settlement) and entry.charge is not None:
                self.asked.setdefault(entry.request_id, entry.charge)

    @rule(count=st.integers(1, 4), dead=st.data())
    @precondition(lambda self: self.calls)
    def sweep(self, count: int, dead: st.DataObject) -> None:
        """The process of some calls has died."""
        for _ in range(count):
            call = dead.draw(st.sampled_from(self.calls), label="dead")
            HoldRow.objects.filter(pk=call.request_id).update(expires_at=int(time.time()) - 1)
        found = expired()
        for one in found:
            if one.charge is not None:
                self.asked.setdefault(one.request_id, one.charge)
        outcomes = post(found)
        assert len(outcomes) == len(found)
        post(found)  # another sweeper saw the same rows
        assert not expired()

    # --- what people do meanwhile

    @rule(who=st.integers(0, 5), amount=st.integers(-500, 500))
    def credit(self, who: int, amount: int) -> None:
        user = User.objects.get(pk=self.users[who % len(self.users)].pk)
        try:
            assert credit(user.pk, amount, kind=EntryKind.TOP_UP) == user.quota + amount
        except QuotaOutOfRange:
            assert user.quota + amount < user.held or user.quota + amount > 10**15

    @rule(who=st.integers(0, 5), quota=AMOUNTS)
    def correct(self, who: int, quota: int) -> None:
        set_quota(self.users[who % len(self.users)].pk, quota, actor_id=1)

    @rule(which=st.integers(0, 10), status=st.sampled_from([TokenStatus.ENABLED] * 5 + TokenStatus.values))
    def token_status(self, which: int, status: int) -> None:
        Token.objects.filter(pk=self.tokens[which % len(self.tokens)].pk).update(status=status)

    @rule(who=st.integers(0, 5), status=st.sampled_from([UserStatus.ENABLED] * 5 + UserStatus.values))
    def user_status(self, who: int, status: int) -> None:
        User.objects.filter(pk=self.users[who % len(self.users)].pk).update(status=status)

    @rule(which=st.integers(0, 2), remain=AMOUNTS)
    def token_quota(self, which: int, remain: int) -> None:
        token = Token.objects.filter(pk=self.tokens[which].pk).first()
        if token:
            update_token(token.user_id, token.pk, {"remain_quota": remain})

    @rule(which=st.integers(0, 10))
    def delete_token(self, which: int) -> None:
        """Calls of the token that are under way still carry its id, and new ones may for a moment."""
        Token.objects.filter(pk=self.tokens[which % len(self.tokens)].pk).delete()

    @rule(who=st.integers(0, 5), limit=st.one_of(st.none(), AMOUNTS))
    def new_token(self, who: int, limit: int | None) -> None:
        self.tokens.append(key_of(self.users[who % len(self.users)], limit))

    # --- what must hold after each of these

    @invariant()
    def in_order(self) -> None:
        check()

    @invariant()
    def what_was_asked_is_collected_or_named(self) -> None:
        logs = {log.request_id: log for log in Log.objects.all()}
        ledger = {e.reference: e.amount for e in LedgerEntry.objects.filter(kind=EntryKind.CHARGE)}
        assert ledger.keys() == logs.keys() == self.asked.keys()
        for request_id, charge in self.asked.items():
            log = logs[request_id]
            assert log.uncollected >= 0
            assert log.quota + log.uncollected == charge, (request_id, charge)
            assert -ledger[request_id] == log.quota

    def teardown(self) -> None:
        """In the end every call is settled, and nothing stays set aside."""
        if not hasattr(self, "calls"):
            return
        post([settlement(call, None) for call in self.calls])
        assert not HoldRow.objects.exists()
        assert not User.objects.exclude(held=0).exists()
        assert not Token.objects.exclude(held=0).exists()
        check()


@TRANSACTIONS
@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_the_books_stay_in_order_whatever_happens():
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            database=None,
        ),
    )
