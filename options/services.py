"""Reading and changing options. Every change is checked first, audited, and raises the routing version."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from audit.services import Actor, record
from options import versions
from options.models import Option, OptionChange
from options.registry import SPECS, BadOption, Options, Spec, as_table, ratios_text
from vault.keys import CannotDecrypt, decrypt, encrypt

SHOWN = 500  # characters of a value that its audit entry repeats

Changes = Mapping[str, str | None]  # None: no value of its own any more, so the default


class BadOptions(ValueError):
    """Nothing was stored. `problems`: by key, a text for the operator."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems.items()))
        self.problems = problems


def load() -> Options:
    """The options as stored now (one query). THEME from the environment is the default of option Theme.

    A secret encrypted under a lost SESSION_SECRET counts as unset and is named in `rejected`.
    """
    stored, lost = _stored(SPECS)
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
    _write(actor, {key: value}, "")


@transaction.atomic
def set_options(actor: Actor, changes: Changes, *, note: str = "") -> list[str]:
    """Store several options, all or none; returns the keys that really changed. Raises BadOptions.

    Stricter than `set_option`, whose refusals are a contract: a switch that stays on keeps what it needs. `note` says
    where the change comes from, in the history.
    """
    problems: dict[str, str] = {}
    for key, value in changes.items():
        spec = SPECS.get(key)
        if spec is None:
            problems[key] = _("There is no such option.")
        elif value is not None:
            try:
                spec.check(value)
            except BadOption as error:
                problems[key] = str(error)
    if not problems:
        problems = _unmet(changes)
    if problems:
        raise BadOptions(problems)
    return _write(actor, changes, note)


def last_changes(keys: Collection[str]) -> dict[str, OptionChange]:
    """The latest change of each key that has one (two queries)."""
    latest = OptionChange.objects.filter(key__in=keys).values("key").annotate(last=Max("id")).order_by()
    found = OptionChange.objects.filter(pk__in=[row["last"] for row in latest]).defer("before", "after")
    return {change.key: change for change in found}


def _unmet(changes: Changes) -> dict[str, str]:
    """Switches that would be on without what they need, told at the field that was changed."""
    current = load()
    after = {key: changes[key] if key in changes else current.texts[key] for key in SPECS}
    problems: dict[str, str] = {}
    for spec in SPECS.values():
        if after[spec.key] != "true":
            continue
        missing = [key for key in spec.needs if not _text(after[key], key)]
        if missing and spec.key in changes:
            problems[spec.key] = _("Fill in first: %s.") % ", ".join(missing)
        for key in missing:
            if key in changes and spec.key not in changes:
                problems[key] = _("%s is on and needs this. Switch it off first.") % spec.key
    return problems


def _text(value: str | None, key: str) -> str:
    return SPECS[key].default if value is None else value


def _write(actor: Actor, changes: Changes, note: str) -> list[str]:
    """The one place that stores. Values that are stored already are no change; without any, nothing is recorded."""
    before, lost = _stored(changes)
    changed = [key for key, value in changes.items() if before.get(key) != value or key in lost]
    if not changed:
        return []
    now, save_id = int(time.time()), secrets.token_hex(8)
    told: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    for key in changed:
        spec, value = SPECS[key], changes[key]
        if value is None:
            Option.objects.filter(pk=key).delete()
        else:
            stored = encrypt(value) if spec.secret else value
            Option.objects.update_or_create(key=key, defaults={"value": stored})
        was, became = _difference(spec, before.get(key), value)
        OptionChange.objects.create(
            save_id=save_id,
            key=key,
            created_at=now,
            actor_id=actor.user_id,
            actor_name=actor.name[:64],
            note=note[:255],
            before=was,
            after=became,
        )
        if spec.secret:
            told["after"][key] = "changed" if value else "cleared"
        else:
            told["before"][key] = was[:SHOWN] if was is not None else None
            told["after"][key] = became[:SHOWN] if became is not None else None
    target = f"option:{changed[0]}" if len(changed) == 1 else "options"
    record(actor, "option.update", target, **told, **({"note": note} if note else {}))
    versions.bump(versions.ROUTING)
    return changed


def _difference(spec: Spec, before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """What the history keeps of a change: see OptionChange."""
    if spec.secret:
        return "", ""
    if spec.kind != "json":
        return before, after
    old, new = as_table(spec, before), as_table(spec, after)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return _entries(names, old), _entries(names, new)


def _entries(names: list[str], table: Mapping[str, Any]) -> str:
    there = ratios_text({name: table[name] for name in names if name in table})
    gone = json.dumps({name: None for name in names if name not in table}, ensure_ascii=False)
    inner = [part for part in (there[1:-1], gone[1:-1]) if part]
    return "{" + ",".join(inner) + "}"


def _stored(keys: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Texts of the rows there are, and the keys whose secrets cannot be read any more."""
    stored: dict[str, str] = {}
    lost: list[str] = []
    for row in Option.objects.filter(key__in=list(keys)):
        try:
            stored[row.key] = decrypt(row.value) if SPECS[row.key].secret else row.value
        except CannotDecrypt:
            lost.append(row.key)
    return stored, lost
