"""Tokens: their keys go on working; stored as a digest to find them and encrypted to show them."""

from __future__ import annotations

from django.db import transaction

from accounts.models import NEVER, Token, TokenStatus
from accounts.tokens import MAX_TIME, UNLIMITED, token_digest
from importer.tables.base import BATCH, Context, add_sums, batches, reset_sequence, rows
from importer.values import Row, differing
from options import versions
from options.registry import MAX_QUOTA

COLUMNS = (
    *("id", "user_id", "key", "status", "name", "created_time", "accessed_time", "expired_time", "remain_quota"),
    *("unlimited_quota", "used_quota", "models", "subnet"),
)
COMPARED = (
    *("user_id", "status", "name", "created_time", "accessed_time", "expired_time", "remain_quota"),
    *("unlimited_quota", "used_quota", "model_names", "subnet"),
)
SUMMED = ("remain_quota", "used_quota")


class Tokens:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.report = context.report
        self.table = context.report.table("tokens")
        self.new: list[Token] = []
        self.ids: set[int] = set()

    def plan(self) -> None:
        here = {row["id"]: row for row in Token.objects.values("id", "key_digest", *COMPARED)}
        if (replaced := self.context.replaced) is not None:
            here = {pk: row for pk, row in here.items() if row["user_id"] != replaced.id}
        digests = {row["key_digest"]: pk for pk, row in here.items()}
        for row in rows(self.context, self.table, COLUMNS):
            self.context.top_token_id = max(self.context.top_token_id, row.id)
            token = self._token(row)
            if token is None:
                continue
            self.ids.add(row.id)
            stored, owner = here.get(row.id), digests.get(token.key_digest)
            if stored is not None and owner == row.id:
                if names := differing(token, stored, COMPARED):
                    self.table.differ(row.id, names)
                else:
                    self.table.unchanged += 1
                continue
            if stored is not None:
                self.report.clash("tokens", row.id, f"the id is taken here by a token of user {stored['user_id']}")
            if owner is not None:
                self.report.clash("tokens", row.id, f"its key belongs to token {owner} here")
            self.new.append(token)
        self.table.imported = len(self.new)

    def write(self) -> None:
        for batch in batches(self.new):
            with transaction.atomic():
                Token.objects.bulk_create(batch, batch_size=BATCH)
                versions.bump(versions.IDENTITIES)
        if self.new:
            reset_sequence(Token)

    def account(self) -> None:
        replaced = self.context.replaced
        stored = (
            row
            for row in Token.objects.values("id", "user_id", *SUMMED)
            if row["id"] in self.ids and (replaced is None or row["user_id"] != replaced.id)
        )
        add_sums(self.context, self.table, SUMMED, stored, self.new)

    def _token(self, row: Row) -> Token | None:
        """None, with the reason noted, for a token that could not be used here."""
        user_id, key = row.integer("user_id"), row.credential("key")
        token_hash = token_digest(key)
        if user_id in self.context.deleted:
            reason = "its owner was deleted"
        elif user_id not in self.context.owners:
            reason = "it has no owner"
        elif not key:
            reason = "it has no key"
        elif token_hash in self.context.token_keys:
            reason = "its key is another token's too"
        else:
            self.context.token_keys[token_hash] = row.id
            return self._read(row, user_id, key, token_hash)
        self.table.leave_out(row.id, reason)
        for name in SUMMED:
            self.table.left_out_sums[name] += row.plain(name)
        return None

    def _read(self, row: Row, user_id: int, key: str, token_hash: str) -> Token:
        unlimited = row.flag("unlimited_quota")
        return Token(
            id=row.id,
            user_id=user_id,
            key=key,
            key_digest=token_hash,
            status=row.one_of("status", TokenStatus.values, TokenStatus.ENABLED, TokenStatus.DISABLED),
            name=row.text("name", 64),
            created_time=row.integer("created_time", 0, 0, MAX_TIME),
            accessed_time=row.integer("accessed_time", 0, 0, MAX_TIME),
            expired_time=row.integer("expired_time", NEVER, NEVER, MAX_TIME),
            remain_quota=row.integer("remain_quota", 0, UNLIMITED if unlimited else 0, MAX_QUOTA),
            unlimited_quota=unlimited,
            used_quota=row.integer("used_quota", 0, 0),
            model_names=",".join(part.strip() for part in row.text("models").split(",") if part.strip()),
            subnet=row.text("subnet").strip(),
        )
