"""Redemption codes, used ones too."""

from __future__ import annotations

from django.db import transaction

from importer.tables.base import BATCH, Context, add_sums, batches, reset_sequence, rows
from importer.values import Row, differing
from options.registry import MAX_QUOTA
from redemptions.models import Redemption, RedemptionStatus
from redemptions.services import code_digest

COLUMNS = ("id", "user_id", "key", "status", "name", "quota", "created_time", "redeemed_time")
COMPARED = ("user_id", "status", "name", "quota", "created_time", "redeemed_time")


class Redemptions:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.report = context.report
        self.table = context.report.table("redemptions")
        self.new: list[Redemption] = []
        self.ids: set[int] = set()

    def plan(self) -> None:
        here = {row["id"]: row for row in Redemption.objects.values("id", "key_digest", *COMPARED)}
        digests = {row["key_digest"]: pk for pk, row in here.items()}
        taken: dict[str, int] = {}
        for row in rows(self.context, self.table, COLUMNS):
            key = row.credential("key")
            hashed = code_digest(key)
            if not key or hashed in taken:
                self.table.leave_out(row.id, "its code is another's too" if key else "it has no code")
                self.table.left_out_sums["quota"] += row.plain("quota")
                continue
            taken[hashed] = row.id
            self.ids.add(row.id)
            code = self._code(row, key, hashed)
            stored, owner = here.get(row.id), digests.get(hashed)
            if stored is not None and owner == row.id:
                if names := differing(code, stored, COMPARED):
                    self.table.differ(row.id, names)
                else:
                    self.table.unchanged += 1
                continue
            if stored is not None:
                self.report.clash("redemptions", row.id, f"the id is taken here by {stored['name']!r}")
            if owner is not None:
                self.report.clash("redemptions", row.id, f"the code is number {owner} here")
            self.new.append(code)
        self.table.imported = len(self.new)

    def write(self) -> None:
        for batch in batches(self.new):
            with transaction.atomic():
                Redemption.objects.bulk_create(batch, batch_size=BATCH)
        if self.new:
            reset_sequence(Redemption)

    def account(self) -> None:
        stored = (row for row in Redemption.objects.values("id", "quota") if row["id"] in self.ids)
        add_sums(self.context, self.table, ("quota",), stored, self.new)

    def _code(self, row: Row, key: str, hashed: str) -> Redemption:
        quota = row.integer("quota", 0, 0, MAX_QUOTA)
        status = row.one_of("status", RedemptionStatus.values, RedemptionStatus.ENABLED, RedemptionStatus.DISABLED)
        if not quota and status == RedemptionStatus.ENABLED:
            status = RedemptionStatus.DISABLED
            self.table.adjust(row.id, "it is worth nothing; now disabled")
        return Redemption(
            id=row.id,
            user_id=row.integer("user_id"),
            key=key,
            key_digest=hashed,
            status=status,
            name=row.text("name", 64),
            quota=quota,
            created_time=row.integer("created_time"),
            redeemed_time=row.integer("redeemed_time"),
        )
