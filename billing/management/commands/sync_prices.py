"""manage.py sync_prices SOURCE: take prices from a JSON address or file; --dry-run shows what would change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services import SYSTEM
from billing import price_sheets, price_sources
from billing.default_prices import ModelRatios
from billing.price_forms import Sheet
from billing.price_sheets import Changes
from billing.price_sources import MOST, NoPrices


class Command(BaseCommand):
    help = (
        "Fetch prices (our own JSON form, or LiteLLM's model_prices_and_context_window.json) and put them between the"
        " built-in prices and the ratios of the options, which always win. Nothing is written when anything is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", nargs="?", default="", help="an https:// address or a file")
        parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
        parser.add_argument("--clear", action="store_true", help="forget all prices that were fetched")

    def handle(self, *_: Any, **options: Any) -> None:
        source = options["source"]
        if bool(source) == options["clear"]:
            raise CommandError("Give an address or a file, or --clear.")
        sheet = Sheet({}) if options["clear"] else _prices(source)
        shown = "nothing" if options["clear"] else _shown(source)
        old = price_sheets.stored()
        changes = price_sheets.compare(old, sheet.models)
        self._show(changes, old, sheet)
        if options["dry_run"]:
            self.stdout.write("Nothing was written.")
            return
        price_sheets.store(SYSTEM, shown, sheet.models)
        self.stdout.write(f"{len(sheet.models):,} prices from {shown} are in force.")

    def _show(self, changes: Changes, old: Mapping[str, ModelRatios], sheet: Sheet) -> None:
        for name in changes.removed:
            self.stdout.write(f"- {name}: {_told(old[name])}")
        for name in changes.changed:
            self.stdout.write(f"~ {name}: {_told(old[name])} -> {_told(sheet.models[name])}")
        for name in changes.added:
            self.stdout.write(f"+ {name}: {_told(sheet.models[name])}")
        for reason, count in sorted(sheet.left_out.items()):
            self.stdout.write(f"Left out: {count:,} {reason}.")
        self.stdout.write(
            f"{len(changes.added):,} new, {len(changes.changed):,} changed, {len(changes.removed):,} gone."
        )


def _told(ratios: ModelRatios) -> str:
    text = f"{ratios.model:f}"
    if ratios.completion is not None:
        text += f" x {ratios.completion:f}"
    return ", ".join([text, *(f"{part} {ratio:f}" for part, ratio in sorted(ratios.parts.items()))])


def _shown(source: str) -> str:
    """The source without what may be secret in an address: user, password, query."""
    if "://" not in source:
        return source
    url = urlsplit(source)
    return f"{url.scheme}://{url.hostname or ''}{f':{url.port}' if url.port else ''}{url.path}"


def _prices(source: str) -> Sheet:
    try:
        return price_sources.fetched(source) if "://" in source else price_sources.of_bytes(_file(source))
    except NoPrices as problem:
        raise CommandError(str(problem)) from None


def _file(source: str) -> bytes:
    try:
        with Path(source).open("rb") as file:
            return file.read(MOST + 1)
    except OSError as problem:
        raise CommandError(f"The file cannot be read: {problem.strerror}") from None
