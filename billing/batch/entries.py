"""What can be posted, and what may become of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


@dataclass(slots=True)
class Hold:
    """Set aside `amount` for a call, or as much as there is but at least `least` (points).

    `patient`: if other open holds stand in the way, say BUSY instead of refusing, so that it can be tried again.
    The rest describes the call for a sweeper that may have to finish it.
    """

    request_id: str
    user_id: int
    token_id: int
    limited: bool  # the token has a quota of its own
    amount: int
    least: int
    worker: str
    patient: bool = True
    channel_id: int = 0
    username: str = ""
    token_name: str = ""
    model_name: str = ""
    prompt_tokens: int = 0
    content: str = ""
    outcome: Outcome | None = None  # what was decided; written and read by the books' thread alone


@dataclass(slots=True)
class Progress:
    """What a stream has generated so far; raises its hold to `amount` where the balance allows.

    `held` is the amount held until now.
    """

    request_id: str
    user_id: int
    token_id: int
    limited: bool
    held: int
    amount: int
    completion_tokens: int
    charge: int
    channel_id: int
    model_name: str
    content: str


@dataclass(slots=True)
class Keyed:
    """What becomes of the Idempotency-Key of a call that is settled (billing.batch.keyed, idempotency.models).

    `state` None: the caller has no whole answer, and the key is free again. `answer` is sealed.
    """

    digest: str
    state: int | None = None
    answer: bytes | None = None


@dataclass(slots=True)
class Settlement:
    """End an open call: take `charge` points (None: release, the call cost nothing and leaves no log).

    `log` holds further columns of the log row; `logged` False keeps the row out (LogConsumeEnabled off).
    `hold`: the call's hold where it was not known to be durable yet. What refuses the hold refuses the settlement.
    """

    request_id: str
    user_id: int
    token_id: int
    limited: bool
    charge: int | None
    channel_id: int = 0
    log: dict[str, Any] = field(default_factory=dict)
    logged: bool = True
    hold: Hold | None = None
    keyed: Keyed | None = None


@dataclass(slots=True)
class Failure:
    """A call of a known caller that failed: an error that costs nothing and that nobody waits for.

    `log` as in a settlement; `logged` False keeps the row out. `model_name` is "" for a name that nothing carries.
    """

    request_id: str
    user_id: int
    token_id: int
    channel_id: int = 0
    model_name: str = ""
    log: dict[str, Any] = field(default_factory=dict)
    logged: bool = True


Entry = Hold | Progress | Settlement | Failure


class Verdict(Enum):
    GRANTED = "granted"
    BUSY = "busy"  # the balance would bear it, but other open calls hold it
    USER_SHORT = "user_short"
    TOKEN_SHORT = "token_short"  # noqa: S105
    TOKEN_EMPTY = "token_empty"  # noqa: S105
    USER_GONE = "user_gone"  # deleted or disabled since it was looked up
    TOKEN_GONE = "token_gone"  # noqa: S105
    KEY_LOST = "key_lost"  # a repeat has taken the Idempotency-Key over; nothing was charged


class Outcome(NamedTuple):
    """What became of an entry. `amount`: points held (Hold, Progress) or collected (Settlement)."""

    verdict: Verdict
    amount: int = 0
    uncollected: int = 0
