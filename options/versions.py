"""Raising and reading configuration versions.

`ROUTING` covers channels, abilities and options; `IDENTITIES` covers users and tokens; `HEALTH` what a worker has seen
of a channel that others should know. A writer raises the version inside its own transaction, so whoever sees the new
number also sees the change.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from options import announcing
from options.models import Version

ROUTING = "routing"
IDENTITIES = "identities"
HEALTH = "health"
NAMES = (ROUTING, IDENTITIES)  # of what is configured


def bump(name: str) -> None:
    """Raise one version; call it last in the transaction, since the row is locked until commit."""
    if not Version.objects.filter(pk=name).update(number=F("number") + 1):
        Version.objects.get_or_create(pk=name, defaults={"number": 1})
    transaction.on_commit(announcing.announce)


def lock(name: str) -> None:
    """Until commit, nobody else who asks for this lock goes on: for changes that depend on what they have read."""
    Version.objects.get_or_create(pk=name)
    Version.objects.select_for_update().get(pk=name)


def read() -> dict[str, int]:
    """All versions in one query; a name never raised is 0."""
    found = dict(Version.objects.values_list("name", "number"))
    return {name: found.get(name, 0) for name in (*NAMES, HEALTH)}
