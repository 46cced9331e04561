"""Writing a proposal, the history of what was written, and the way back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import transaction

from audit.services import Actor
from billing.price_editing.table import OPTION_OF, Proposal, book
from options import services as option_services
from options import versions
from options.models import OptionChange
from options.registry import ratios_text


class PricesChanged(Exception):
    """Somebody changed prices since the preview was drawn; nothing was written."""


@transaction.atomic
def apply(actor: Actor, proposal: Proposal, *, digest: str, note: str) -> int:
    """Write the entries, all or none; returns how many entries changed. Raises PricesChanged, options.BadOptions."""
    versions.lock(versions.ROUTING)
    current = book(option_services.load())
    if current.digest != digest:
        raise PricesChanged
    then = current.changed(proposal)
    changes = {option: ratios_text(dict(then.own[option])) for option in proposal}
    option_services.set_options(actor, changes, note=note)
    return sum(len(table) for table in proposal.values())


@dataclass(frozen=True)
class Save:
    """One save of prices, whoever made it and by which way."""

    save_id: str
    created_at: int
    actor_name: str
    note: str
    entries: list[tuple[str, str, str, str]] = field(default_factory=list)  # option, name, before, after ("": none)


def history(saves: int = 50) -> list[Save]:
    """The latest saves, newest first. Two queries."""
    rows = OptionChange.objects.filter(key__in=OPTION_OF.values()).order_by("-pk")
    ids = list(dict.fromkeys(rows.values_list("save_id", flat=True)[: saves * len(OPTION_OF)]))[:saves]
    found: dict[str, Save] = {}
    for change in rows.filter(save_id__in=ids):
        save = found.setdefault(change.save_id, Save(change.save_id, change.created_at, change.actor_name, change.note))
        old, new = _table(change.before), _table(change.after)
        save.entries.extend(
            (change.key, name, _figure(old.get(name)), _figure(new.get(name)))
            for name in sorted(old.keys() | new.keys())
        )
    return list(found.values())


def undo(save_id: str) -> Proposal:
    """The entries as they were before this save: it and all later ones are undone. Empty for a save nobody knows."""
    mine = OptionChange.objects.filter(save_id=save_id, key__in=OPTION_OF.values()).order_by("pk").first()
    proposal: Proposal = {}
    if mine is None:
        return proposal
    for change in OptionChange.objects.filter(pk__gte=mine.pk, key__in=OPTION_OF.values()).order_by("-pk"):
        for name, ratio in _table(change.before).items():  # older ones come later, and win
            proposal.setdefault(change.key, {})[name] = ratio
    current = book(option_services.load())
    return {
        option: differing
        for option, table in proposal.items()
        if (differing := {name: ratio for name, ratio in table.items() if current.own[option].get(name) != ratio})
    }


def _table(text: str | None) -> dict[str, Decimal | None]:
    found: dict[str, Decimal | None] = json.loads(text or "{}", parse_float=Decimal, parse_int=Decimal)
    return found


def _figure(ratio: Decimal | None) -> str:
    return "" if ratio is None else f"{ratio:f}"
