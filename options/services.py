"""Reading and changing options. Every change is checked first, audited, and raises the routing version."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from audit.services import Actor, record
from options import versions
from options.models import Option
from options.registry import SPECS, BadOption, Options
from vault.keys import CannotDecrypt, decrypt, encrypt


def load() -> Options:
    """The options as stored now (one query). THEME from the environment is the default of option Theme.

    A secret encrypted under a lost SESSION_SECRET counts as unset and is named in `rejected`.
    """
    stored: dict[str, str] = {}
    lost: list[str] = []
    for row in Option.objects.filter(key__in=list(SPECS)):
        try:
            stored[row.key] = decrypt(row.value) if SPECS[row.key].secret else row.value
        except CannotDecrypt:
            lost.append(row.key)
    options = Options(stored, {"Theme": settings.THEME})
    options.rejected += lost
    return options


@transaction.atomic
def set_option(actor: Actor, key: str, value: str) -> None:
    """Store one option. Raises BadOption for an unknown key, a refused value, or an unmet dependency."""
    spec = SPECS.get(key)
    if spec is None:
        raise BadOption("无效的参数")
    spec.check(value)
    if spec.needs and value == "true":
        current = load()
        if any(not current.texts[needed] for needed in spec.needs):
            raise BadOption(spec.refusal)
    Option.objects.update_or_create(key=key, defaults={"value": encrypt(value) if spec.secret else value})
    record(actor, "option.update", f"option:{key}", **({} if spec.secret else {"value": value[:500]}))
    versions.bump(versions.ROUTING)
