"""The archive: a tar.gz of a manifest, the databases in files, and the secret. Written whole or not at all.

manifest.json     format, version, time, migrations and SHA-256 of all that follows
one-api.db        the main database, as one moment saw it
logs.db           the log database, where it is a file of its own; taken after the main one, so that a line on its
                  way is in one of the two at least (billing.log_shipping makes no line twice)
one-api.secret    the secret beside the database, where it is not in the environment
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backups.refusals import AlreadyThere, BadArchive, NewerSchema
from config.secret import FILE as SECRET
from config.version import VERSION

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES = {"default": "one-api.db", "logs": "logs.db"}  # alias -> name in the archive
BIGGEST_MANIFEST = 1024 * 1024  # bytes
PART = 1024 * 1024  # bytes read at a time


@dataclass(frozen=True, slots=True)
class Content:
    """A file of the archive."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`migrations`: applied ones by alias, as `app.name`. `secret`: "file", "environment" or "left out"."""

    version: str
    made: str  # ISO 8601, UTC
    secret: str
    files: dict[str, Content]
    migrations: dict[str, list[str]]
    format: int = FORMAT
    program: str = "one-api"

    @classmethod
    def read(cls, raw: bytes) -> Manifest:
        """Raises BadArchive, NewerSchema."""
        try:
            told = json.loads(raw)
            if told["format"] > FORMAT:
                raise NewerSchema(f"the archive was made by version {told['version']}, whose form is not known here")
            files = {str(name): Content(**content) for name, content in told.pop("files").items()}
            return cls(files=files, **told)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadArchive(f"its {MANIFEST} cannot be read ({type(error).__name__})") from None

    def encode(self) -> bytes:
        return json.dumps(asdict(self), indent=2).encode()


def make(target: Path, databases: Mapping[str, Path], secret: Path | None, *, note: str, force: bool) -> Manifest:
    """Write the archive; `note` stands in the manifest where there is no secret. Raises AlreadyThere, OSError."""
    if target.exists() and not force:
        raise AlreadyThere(f"{target} exists; --force replaces it")
    made = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name:  # nobody else's to read
        folder = Path(name)
        migrations: dict[str, list[str]] = {}
        for alias, source in databases.items():
            copy(source, folder / DATABASES[alias])
            migrations[alias] = applied(folder / DATABASES[alias])
        if secret is not None:
            shutil.copyfile(secret, folder / SECRET)
        files = {one.name: Content(one.stat().st_size, checksum(one)) for one in sorted(folder.iterdir())}
        manifest = Manifest(VERSION, made, "file" if secret is not None else note, files, migrations)
        draft = folder / "draft"
        _pack(draft, folder, manifest)
        if force:
            draft.replace(target)
        else:
            _give_name(draft, target)
    _sync_folder(target.parent)
    return manifest


def copy(source: Path, target: Path) -> None:
    """The database as one moment saw it, while others write. One step: a longer copy would begin anew at each write.

    Nothing is written to the source; but who may only read leaves the files of its write-ahead log behind.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as read,
        closing(sqlite3.connect(target)) as written,
    ):
        read.backup(written, pages=-1)
        written.execute("PRAGMA journal_mode = DELETE").fetchone()


def applied(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        try:
            return [f"{app}.{name}" for app, name in connection.execute("SELECT app, name FROM django_migrations")]
        except sqlite3.OperationalError:  # nothing has ever been made in it
            return []


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pack(draft: Path, folder: Path, manifest: Manifest) -> None:
    told = folder / MANIFEST
    told.write_bytes(manifest.encode())
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=3) as tar:
            for name in (MANIFEST, *manifest.files):
                tar.add(folder / name, arcname=name, recursive=False, filter=_anonymous)
        file.flush()
        os.fsync(file.fileno())


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _give_name(draft: Path, target: Path) -> None:
    """Fails where the name is taken meanwhile, as a rename would not."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise AlreadyThere(f"{target} exists; --force replaces it") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def unpacked(archive: Path, beside: Path) -> Iterator[tuple[Manifest, Path]]:
    """The archive's files, checked against the manifest, in a folder that goes at the end.

    Only what the manifest names is written, under its own plain name. Raises BadArchive, NewerSchema, OSError.
    """
    with tempfile.TemporaryDirectory(prefix=".restore.", dir=beside) as name:
        folder = Path(name)
        try:
            with tarfile.open(archive, "r:gz") as tar:
                manifest = _unpack(tar, folder)
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BadArchive(f"{archive} is not a whole archive ({type(error).__name__})") from None
        yield manifest, folder


def _unpack(tar: tarfile.TarFile, folder: Path) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isfile() or first.size > BIGGEST_MANIFEST:
        raise BadArchive(f"it does not begin with a {MANIFEST}: this is no backup of this program")
    manifest = Manifest.read(_content(tar, first).read())
    known = {*DATABASES.values(), SECRET}
    if "one-api.db" not in manifest.files or not set(manifest.files) <= known:
        raise BadArchive("it does not hold what a backup holds")
    left = dict(manifest.files)
    while (member := tar.next()) is not None:
        content = left.pop(member.name, None)
        if content is None or not member.isfile() or member.size != content.bytes:
            raise BadArchive(f"{member.name} is not what the manifest says")
        write(_content(tar, member), folder / member.name)
        if checksum(folder / member.name) != content.sha256:
            raise BadArchive(f"{member.name} is damaged: its checksum is not the manifest's")
    if left:
        raise BadArchive(f"{', '.join(left)} is missing")
    return manifest


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = tar.extractfile(member)
    assert file is not None  # it is a file
    return file


def write(source: Any, path: Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        shutil.copyfileobj(source, file, PART)
        file.flush()
        os.fsync(file.fileno())


def check(manifest: Manifest, folder: Path, known: set[str]) -> None:
    """What the checksums do not tell. `known`: this version's migrations. Raises BadArchive, NewerSchema."""
    for alias, name in DATABASES.items():
        if name not in manifest.files:
            continue
        with closing(sqlite3.connect(folder / name)) as connection:
            try:
                said = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            except sqlite3.DatabaseError as error:
                said = [str(error)]
        if said != ["ok"]:
            raise BadArchive(f"{name} is damaged: {said[0]}")
        newer = sorted(set(applied(folder / name)) - known)
        if newer:
            raise NewerSchema(
                f"the archive's {alias} database was written by version {manifest.version} with {newer[0]}, which this "
                f"version ({VERSION}) does not know; restore it with that version or a newer one"
            )
