"""Finding codes, and what is done to many of them at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.matching import holds
from audit.services import Actor, record
from redemptions.models import Redemption, RedemptionStatus
from redemptions.services import code_digest

MOST = 10_000  # codes of one act
CODE_LENGTH = 32  # hex digits


class State(StrEnum):
    """What a code is good for now; `EXPIRED` is an unused one whose time is over."""

    UNUSED = "unused"
    EXPIRED = "expired"
    DISABLED = "disabled"
    USED = "used"


class BulkAction(StrEnum):
    ENABLE = "enable"
    DISABLE = "disable"
    DELETE = "delete"


@dataclass(frozen=True)
class CodeFilter:
    """`text`: part of name or batch, the number, or a whole code (found by its digest). `batch`: exactly."""

    text: str = ""
    state: str = ""
    batch: str = ""

    def rows(self) -> QuerySet[Redemption]:
        """Codes in no order."""
        rows = Redemption.objects.all()
        if text := self.text.strip():
            wanted = holds("name", text) | holds("batch", text)
            if text.isdecimal() and len(text) < 19:  # what a 64-bit number takes
                wanted |= Q(pk=int(text))
            if len(text) == CODE_LENGTH:
                wanted |= Q(key_digest=code_digest(text))
            rows = rows.filter(wanted)
        if self.state:
            rows = rows.filter(in_state(State(self.state)))
        if self.batch:
            rows = rows.filter(batch=self.batch)
        return rows


def in_state(state: State) -> Q:
    over = Q(expires_at__gt=0, expires_at__lte=int(time.time()))
    match state:
        case State.UNUSED:
            return Q(status=RedemptionStatus.ENABLED) & ~over
        case State.EXPIRED:
            return Q(status=RedemptionStatus.ENABLED) & over
        case State.DISABLED:
            return Q(status=RedemptionStatus.DISABLED)
        case State.USED:
            return Q(status=RedemptionStatus.USED)


def state_of(code: Redemption) -> State:
    if code.status == RedemptionStatus.ENABLED:
        return State.EXPIRED if 0 < code.expires_at <= time.time() else State.UNUSED
    return State.USED if code.status == RedemptionStatus.USED else State.DISABLED


def batches() -> list[str]:
    """The labels there are."""
    return list(Redemption.objects.exclude(batch="").order_by("batch").values_list("batch", flat=True).distinct()[:500])


def concerned(action: BulkAction, rows: QuerySet[Redemption]) -> list[int]:
    """Numbers of the codes among `rows` that the act would change, MOST at most: used ones are only ever deleted."""
    match action:
        case BulkAction.ENABLE:
            rows = rows.filter(status=RedemptionStatus.DISABLED)
        case BulkAction.DISABLE:
            rows = rows.filter(status=RedemptionStatus.ENABLED)
        case BulkAction.DELETE:
            pass
    return list(rows.order_by("-pk").values_list("pk", flat=True)[:MOST])


@transaction.atomic
def act_on_many(actor: Actor, action: BulkAction, code_ids: Sequence[int]) -> int:
    """Returns how many codes were changed. One that was redeemed meanwhile is neither enabled nor disabled."""
    done = 0
    for start in range(0, len(code_ids), 500):
        rows = Redemption.objects.filter(pk__in=list(code_ids)[start : start + 500])
        match action:
            case BulkAction.ENABLE:
                done += rows.filter(status=RedemptionStatus.DISABLED).update(status=RedemptionStatus.ENABLED)
            case BulkAction.DISABLE:
                done += rows.filter(status=RedemptionStatus.ENABLED).update(status=RedemptionStatus.DISABLED)
            case BulkAction.DELETE:
                done += rows.delete()[0]
    if done:
        record(actor, f"redemption.many.{action}", "redemptions", count=done, ids=list(code_ids)[:1000])
    return done
