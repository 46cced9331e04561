"""Putting an archive in the place of the databases. What was there is kept beside, under another name."""

from __future__ import annotations

import hmac
import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from django.db.migrations.loader import MigrationLoader

from backups import archive, lock
from backups.archive import DATABASES, Manifest
from backups.refusals import OtherSecret, Refused
from config.secret import FILE as SECRET
from config.startup import SECRET_CHECK, digest_under

LOGS = ("-wal", "-shm")  # beside a database in a file


def known_migrations() -> set[str]:
    """This version's, as `app.name`."""
    return {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}


def restore(source: Path, databases: Mapping[str, Path], secret_of_environment: str) -> tuple[Manifest, list[Path]]:
    """Returns what was restored, and where that which stood there is now.

    `secret_of_environment`: SESSION_SECRET, "" where the secret is the file beside the database. Raises Refused,
    OSError. A break in between leaves old and new files, each whole: the same command again ends it.
    """
    target = databases["default"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for path in databases.values():
            stack.enter_context(lock.alone(path))
        manifest, folder = stack.enter_context(archive.unpacked(source, target.parent))
        archive.check(manifest, folder, known_migrations())
        _check_places(manifest, databases)
        _check_secret(folder, target.parent / SECRET, secret_of_environment)
        for path in databases.values():
            lock.close_log(path)
        moves = [(folder / name, databases[alias]) for alias, name in reversed(DATABASES.items()) if alias in databases]
        if SECRET in manifest.files and not secret_of_environment:
            moves.insert(0, (folder / SECRET, target.parent / SECRET))
        moves = [(new, old.resolve()) for new, old in moves]  # a symbolic link stays, and the volume it leads to
        moves = [(_brought(new, old.parent, stack), old) for new, old in moves]
        mark = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return manifest, [kept for new, old in moves for kept in _replace(new, old, mark)]


def _check_places(manifest: Manifest, databases: Mapping[str, Path]) -> None:
    there = {alias for alias, name in DATABASES.items() if name in manifest.files}
    if there == set(databases):
        return
    if "logs" in there:
        raise Refused("the archive holds a log database of its own: set LOG_SQL_DSN to the file that it shall become")
    raise Refused("the archive holds no log database, but LOG_SQL_DSN names one in a file: unset it")


def _check_secret(folder: Path, beside: Path, secret_of_environment: str) -> None:
    """The databases can be read under the secret that the server will have. Raises OtherSecret."""
    with closing(sqlite3.connect(folder / DATABASES["default"])) as connection:
        try:
            found = connection.execute('SELECT value FROM options WHERE "key" = ?', (SECRET_CHECK,)).fetchone()
        except sqlite3.OperationalError:
            return  # no server has ever used it
    if found is None:
        return
    secret = secret_of_environment
    if not secret:
        file = folder / SECRET if (folder / SECRET).exists() else beside
        secret = file.read_text(encoding="ascii").strip() if file.exists() else ""
    if not secret or not hmac.compare_digest(str(found[0]), digest_under(secret)):
        where = "SESSION_SECRET" if secret_of_environment else str(beside)
        raise OtherSecret(
            f"the archive was written under another secret than {where} holds; without it no key and no password of a "
            "channel could be read. Set SESSION_SECRET to that one"
        )


def _brought(new: Path, folder: Path, stack: ExitStack) -> Path:
    """On the file system of `folder`, so that it can be put in place in one step. Before anything is put in place."""
    folder.mkdir(parents=True, exist_ok=True)
    if new.stat().st_dev == folder.stat().st_dev:
        return new
    beside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".restore.", dir=folder))) / new.name
    with new.open("rb") as source:
        archive.write(source, beside)
    return beside


def _replace(new: Path, old: Path, mark: str) -> list[Path]:
    """`old` is there at every moment, as it was or as it will be."""
    kept: list[Path] = []
    if old.exists():
        for suffix in ("", *LOGS):
            there = old.with_name(old.name + suffix)
            if there.exists():
                aside = there.with_name(f"{old.name}.before-{mark}{suffix}")
                if suffix:
                    there.rename(aside)
                else:
                    os.link(there, aside)
                    kept.append(aside)
    _dress(new, old if old.exists() else old.parent)
    new.replace(old)
    return kept


def _dress(new: Path, like: Path) -> None:
    """Owned as what it replaces (else as the folder): what root restores, the server must be able to write."""
    stat = like.stat()
    if os.geteuid() == 0:
        os.chown(new, stat.st_uid, stat.st_gid)
    new.chmod(stat.st_mode & 0o660 if like.is_file() else 0o600)
