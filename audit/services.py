"""Recording an administrative act in the transaction that performs it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from audit.models import AuditEntry


@dataclass(frozen=True)
class Actor:
    """Who acts: `user_id` 0 is the system (a job, a command)."""

    user_id: int = 0
    name: str = "system"
    ip: str = ""
    request_id: str = ""


SYSTEM = Actor()


def record(actor: Actor, action: str, target: str, **detail: Any) -> None:
    """Write one entry. `detail` must hold no secret: name the fields that changed, not their values, where in doubt."""
    AuditEntry.objects.create(
        created_at=int(time.time()),
        actor_id=actor.user_id,
        actor_name=actor.name[:64],
        action=action,
        target=target[:128],
        detail=detail,
        ip=actor.ip,
        request_id=actor.request_id,
    )
