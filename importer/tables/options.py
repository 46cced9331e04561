"""Options: each is checked as if it were typed here. One that was set here keeps its value."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from audit.services import SYSTEM
from importer.tables.base import Context, rows
from options import services
from options.models import Option
from options.registry import SPECS, BadOption, Spec
from vault.keys import CannotDecrypt, decrypt

COLUMNS = ("key", "value")


class Options:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.table = context.report.table("options")
        self.new: dict[str, str] = {}

    def plan(self) -> None:
        stored = _stored()
        current = services.load().texts
        found: dict[str, str] = {}
        for row in rows(self.context, self.table, COLUMNS):
            key = row.text("key")
            value = row.text("value")
            if key not in SPECS:
                self.table.leave_out(key, "there is no such option here")
            elif key not in stored:
                found[key] = value
            elif stored[key] == value:
                self.table.unchanged += 1
            else:
                self.table.differ(key, ["value"])
        # Switches last: some can only be on once what they need is there.
        for key in sorted(found, key=lambda name: (SPECS[name].kind == "bool", name)):
            if refusal := _refusal(SPECS[key], found[key], {**current, **self.new}):
                self._refuse(key, refusal)
            else:
                self.new[key] = found[key]
        self.table.imported = len(self.new)

    def write(self) -> None:
        with transaction.atomic():
            for key, value in self.new.items():
                try:
                    services.set_option(SYSTEM, key, value)
                except BadOption as refusal:
                    self.table.imported -= 1
                    self._refuse(key, str(refusal))

    def account(self) -> None:
        """Texts have no sum."""

    def _refuse(self, key: str, refusal: str) -> None:
        self.table.left_out["its value is refused"] += 1
        self.table.note(key, "left out: its value is refused" + ("" if SPECS[key].secret else f" ({refusal})"))


def _refusal(spec: Spec, value: str, others: Mapping[str, str]) -> str:
    """Why the value could not be stored beside the others; "" where it can."""
    try:
        spec.check(value)
    except BadOption as error:
        return str(error)
    lacking = value == "true" and any(not others[need] for need in spec.needs)
    return spec.refusal if lacking else ""


def _stored() -> dict[str, str | None]:
    """The options set here; None for a secret that can no longer be decrypted."""
    found: dict[str, str | None] = {}
    for row in Option.objects.filter(key__in=list(SPECS)):
        try:
            found[row.key] = decrypt(row.value) if SPECS[row.key].secret else row.value
        except CannotDecrypt:
            found[row.key] = None
    return found
