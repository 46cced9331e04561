"""The stored sheet of synced prices: between the defaults and the operator's own values (docs/pricing.md)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from django.db import transaction

from audit.services import Actor, record
from billing.default_prices import PARTS, ModelRatios
from billing.models import PriceSheet
from billing.pricing import readable
from billing.tables import Layer
from options import versions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a new sheet does to the stored one: names, sorted."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def stored() -> dict[str, ModelRatios]:
    """The sheet as stored now; empty where none was ever synced, or where the row cannot be read."""
    row = PriceSheet.objects.order_by("-pk").first()
    if row is None:
        return {}
    try:
        return dict(_read(row.prices))
    except ValueError as problem:
        log.error("the synced prices are left out: %s", problem)  # noqa: TRY400 (the message says all)
        return {}


def load() -> Layer | None:
    """The stored sheet for a price table; None where there is none."""
    sheet = stored()
    if not sheet:
        return None
    return Layer(
        {name: found.model for name, found in sheet.items()},
        {name: found.completion for name, found in sheet.items() if found.completion is not None},
        {part: {name: found.parts[part] for name, found in sheet.items() if part in found.parts} for part in PARTS},
    )


def compare(old: Mapping[str, ModelRatios], new: Mapping[str, ModelRatios]) -> Changes:
    return Changes(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name])),
        tuple(sorted(old.keys() - new.keys())),
    )


@transaction.atomic
def store(actor: Actor, source: str, sheet: Mapping[str, ModelRatios]) -> Changes:
    """Put the sheet in the place of the stored one; an empty one removes it. Every worker prices by it at once.

    `source` is shown and audited: it must hold no secret. Without a change only the sheet's date moves.
    """
    changes = compare(stored(), sheet)
    PriceSheet.objects.all().delete()
    if sheet:
        PriceSheet.objects.create(source=source[:255], synced_at=int(time.time()), prices=_written(sheet))
    if changes:
        counts = {"added": len(changes.added), "changed": len(changes.changed), "removed": len(changes.removed)}
        record(actor, "prices.sync", f"prices:{source}", models=len(sheet), **counts)
        versions.bump(versions.ROUTING)
    return changes


def _written(sheet: Mapping[str, ModelRatios]) -> str:
    rows = {
        name: {
            "model": f"{found.model:f}",
            **({} if found.completion is None else {"completion": f"{found.completion:f}"}),
            **{part: f"{ratio:f}" for part, ratio in found.parts.items()},
        }
        for name, found in sheet.items()
    }
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=1)
def _read(text: str) -> Mapping[str, ModelRatios]:
    """Remembered: workers look at every change of configuration, and the sheet is seldom what changed."""
    try:
        return {
            name: ModelRatios(
                readable(Decimal(row["model"])),
                readable(Decimal(row["completion"])) if "completion" in row else None,
                {part: readable(Decimal(row[part])) for part in PARTS if part in row},
            )
            for name, row in json.loads(text).items()
        }
    except (AttributeError, KeyError, TypeError, InvalidOperation) as error:
        raise ValueError(f"not a price sheet: {error}") from error
