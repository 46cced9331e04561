"""What a change of tables does to codes that are there, and to an older version that still writes beside it."""

from __future__ import annotations

from pathlib import Path

from tests.databases import Database
from tests.migrated import migrate

OLD_ROW = (
    "INSERT INTO redemptions (user_id, key_digest, key_encrypted, status, name, quota, created_time, redeemed_time,"
    " used_by) VALUES (1, '{digest}', '', 1, 'spring', 300, 5, 0, 0)"
)


def write(database: Database, digest: str) -> None:
    """A code as the version before the columns writes it."""
    database.execute(OLD_ROW.format(digest=digest))


def test_codes_gain_batch_and_expiry_without_losing_anything(empty_database: Database, tmp_path: Path) -> None:
    migrate(empty_database, tmp_path, "redemptions", "0001")
    write(empty_database, "before")
    migrate(empty_database, tmp_path)
    write(empty_database, "meanwhile")

    rows = empty_database.rows("SELECT key_digest, quota, expires_at, batch, per_user FROM redemptions ORDER BY id")
    assert [tuple(row) for row in rows] == [("before", 300, 0, "", 0), ("meanwhile", 300, 0, "", 0)]
