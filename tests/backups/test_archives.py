"""Archives of databases in files: what is in them, when they are refused, and what a restore leaves."""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import stat
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from backups import archive, commands, lock, places, restoring
from backups.refusals import AlreadyThere, BadArchive, InUse, NewerSchema, OtherSecret, Refused
from config.startup import SECRET_CHECK, digest_under

ROWS = 300


def database(path: Path, secret: str = "the secret", migration: str = "0001_initial") -> Path:
    """A small database in WAL mode, as a server leaves it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("BEGIN")
        made.execute("CREATE TABLE django_migrations (app TEXT, name TEXT)")
        made.execute("INSERT INTO django_migrations VALUES ('options', ?)", (migration,))
        made.execute('CREATE TABLE options ("key" TEXT, value TEXT)')
        made.execute("INSERT INTO options VALUES (?, ?)", (SECRET_CHECK, digest_under(secret)))
        made.execute("CREATE TABLE told (text TEXT)")
        made.executemany("INSERT INTO told VALUES (?)", [(f"row {i} " + "x" * 500,) for i in range(ROWS)])
        made.execute("COMMIT")
    return path


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as read:
        (count,) = read.execute("SELECT COUNT(*) FROM told").fetchone()
        return int(count)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    database(folder / "one-api.db")
    (folder / "one-api.secret").write_text("the secret\n")
    return folder


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def backup(here: Path, name: str = "backup.tar.gz", *, force: bool = False, **databases: Path) -> Path:
    files = {"default": here / "one-api.db", **databases}
    archive.make(here / name, files, here / "one-api.secret", note="file", force=force)
    return here / name


def test_an_archive_holds_database_secret_and_manifest_and_is_its_owners_alone(here: Path) -> None:
    made = backup(here)

    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    with tarfile.open(made) as tar:
        assert tar.getnames() == ["manifest.json", "one-api.db", "one-api.secret"]
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
    assert (manifest["format"], manifest["secret"]) == (1, "file")
    assert manifest["migrations"] == {"default": ["options.0001_initial"]}
    assert manifest["files"]["one-api.secret"]["bytes"] == len("the secret\n")
    assert sorted(one.name for one in here.iterdir()) == ["backup.tar.gz", "one-api.db", "one-api.secret"]


def test_a_file_that_exists_is_replaced_only_by_force(here: Path) -> None:
    made = backup(here)
    before = made.read_bytes()
    with pytest.raises(AlreadyThere, match="--force"):
        backup(here)
    assert made.read_bytes() == before

    database(here / "second.db")
    backup(here, force=True, logs=here / "second.db")
    with tarfile.open(made) as tar:
        assert "logs.db" in tar.getnames()


def test_a_backup_that_fails_leaves_the_old_one_and_nothing_else(here: Path) -> None:
    made = backup(here)
    before = made.read_bytes()
    (here / "one-api.secret").unlink()
    with pytest.raises(FileNotFoundError):
        backup(here, force=True)

    assert made.read_bytes() == before
    assert sorted(one.name for one in here.iterdir()) == ["backup.tar.gz", "one-api.db"]


def test_a_restore_brings_all_back_and_keeps_what_was_there(here: Path, there: Path) -> None:
    made = backup(here)
    database(there / "one-api.db", secret="another")
    (there / "one-api.secret").write_text("another\n")
    with closing(sqlite3.connect(there / "one-api.db")) as other:
        other.execute("DELETE FROM told")
        other.commit()

    manifest, kept = restoring.restore(made, {"default": there / "one-api.db"}, "")

    assert rows(there / "one-api.db") == ROWS
    assert (there / "one-api.secret").read_text() == "the secret\n"
    assert manifest.files.keys() == {"one-api.db", "one-api.secret"}
    old_secret, old_database = kept
    assert (old_secret.read_text(), rows(old_database)) == ("another\n", 0)
    assert not list(there.glob("*-wal"))
    assert not list(there.glob(".restore*"))


def test_a_restore_into_an_empty_folder(here: Path, there: Path) -> None:
    _, kept = restoring.restore(backup(here), {"default": there / "deep" / "one-api.db"}, "")

    assert (rows(there / "deep" / "one-api.db"), kept) == (ROWS, [])


def test_a_database_that_is_no_database_any_more_can_be_replaced(here: Path, there: Path) -> None:
    (there / "one-api.db").write_bytes(b"not a database" * 1000)
    restoring.restore(backup(here), {"default": there / "one-api.db"}, "")

    assert rows(there / "one-api.db") == ROWS


def test_a_log_database_on_another_file_system_is_restored_with_the_rest(here: Path, there: Path) -> None:
    made = backup(here, logs=database(here / "logs.db"))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as mounted:
        if os.stat(mounted).st_dev == there.stat().st_dev:
            pytest.skip("there is one file system only")
        logs = Path(mounted, "logs.db")
        with closing(sqlite3.connect(database(logs))) as other:
            other.execute("DELETE FROM told")
            other.commit()

        _, kept = restoring.restore(made, {"default": there / "one-api.db", "logs": logs}, "")

        assert (rows(there / "one-api.db"), rows(logs)) == (ROWS, ROWS)
        assert [(path.parent, rows(path)) for path in kept] == [(Path(mounted), 0)]
        assert {path.name for path in Path(mounted).iterdir()} <= {"logs.db", "logs.db.serve.lock", kept[0].name}


def test_a_symbolic_link_stays_and_what_it_leads_to_is_replaced(here: Path, there: Path, tmp_path: Path) -> None:
    made, volume = backup(here), tmp_path / "volume"
    volume.mkdir()
    (there / "one-api.db").symlink_to(database(volume / "one-api.db", secret="another"))
    with closing(sqlite3.connect(volume / "one-api.db")) as other:
        other.execute("DELETE FROM told")
        other.commit()

    _, kept = restoring.restore(made, {"default": there / "one-api.db"}, "")

    assert (there / "one-api.db").readlink() == volume / "one-api.db"
    assert rows(volume / "one-api.db") == ROWS
    assert [(path.parent, rows(path)) for path in kept] == [(volume, 0)]


def test_a_restore_is_refused_while_a_server_has_the_lock_or_anybody_the_database(here: Path, there: Path) -> None:
    made = backup(here)
    target = database(there / "one-api.db", secret="another")
    descriptor = lock.serve(target)
    second = lock.serve(target)  # servers do not exclude each other
    with pytest.raises(InUse, match="a server runs on"):
        restoring.restore(made, {"default": target}, "")
    os.close(descriptor)
    os.close(second)

    with closing(sqlite3.connect(target)) as other:
        other.execute("SELECT * FROM told").fetchone()
        with pytest.raises(InUse, match="open in another process"):
            restoring.restore(made, {"default": target}, "")
    assert not list(there.glob("*before*"))
    restoring.restore(made, {"default": target}, "")


def test_no_server_starts_on_a_database_that_is_being_restored(there: Path) -> None:
    with lock.alone(there / "one-api.db"), pytest.raises(InUse, match="is being restored"):
        lock.serve(there / "one-api.db")
    os.close(lock.serve(there / "one-api.db"))


def test_the_secret_must_be_the_one_the_database_was_written_under(here: Path, there: Path) -> None:
    made = here / "without.tar.gz"
    archive.make(made, {"default": here / "one-api.db"}, None, note="left out", force=False)
    target = {"default": there / "one-api.db"}

    with pytest.raises(OtherSecret):
        restoring.restore(made, target, "")
    with pytest.raises(OtherSecret, match="than SESSION_SECRET holds"):
        restoring.restore(backup(here), target, "another")
    assert not (there / "one-api.db").exists()
    restoring.restore(made, target, "the secret")
    assert not (there / "one-api.secret").exists()


def test_an_archive_of_a_newer_schema_is_refused(here: Path, there: Path) -> None:
    database(here / "newer.db", migration="9999_of_tomorrow")
    made = here / "newer.tar.gz"
    archive.make(made, {"default": here / "newer.db"}, None, note="left out", force=False)

    with pytest.raises(NewerSchema, match=r"options\.9999_of_tomorrow"):
        restoring.restore(made, {"default": there / "one-api.db"}, "the secret")


@pytest.mark.parametrize("of_a_log_database", [True, False])
def test_log_databases_must_be_on_both_sides(here: Path, there: Path, of_a_log_database: bool) -> None:
    made = backup(here, logs=database(here / "logs.db")) if of_a_log_database else backup(here)
    both = {"default": there / "one-api.db", "logs": there / "elsewhere.db"}
    wrong = {"default": both["default"]} if of_a_log_database else both

    with pytest.raises(Refused, match="LOG_SQL_DSN"):
        restoring.restore(made, wrong, "")
    if of_a_log_database:
        restoring.restore(made, both, "")
        assert rows(both["logs"]) == ROWS


def rebuilt(made: Path, target: Path, **changed: bytes) -> Path:
    """The archive with other bytes under some names; a name that is not in it is added."""
    with tarfile.open(made) as tar:
        members = {one.name: (tar.extractfile(one) or io.BytesIO()).read() for one in tar}
    names = {name.replace("__", "-").replace("_dot_", "."): raw for name, raw in changed.items()}
    with tarfile.open(target, "w:gz") as tar:
        for name, raw in (members | names).items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return target


def test_damage_is_found(here: Path, there: Path) -> None:
    made = backup(here)
    with tarfile.open(made) as tar:
        whole = (tar.extractfile("one-api.db") or io.BytesIO()).read()
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
    turned = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
    cut = here / "cut.tar.gz"
    cut.write_bytes(made.read_bytes()[:-2000])
    odd = here / "odd.tar.gz"
    odd.write_bytes(gzip.compress(b"not a tar" * 100))
    escaping = {**manifest, "files": {**manifest["files"], "../one-api.db": manifest["files"]["one-api.db"]}}
    refused: dict[str, tuple[Path, str]] = {
        "a bit": (rebuilt(made, here / "a", one__api_dot_db=turned), "checksum"),
        "an end": (cut, "not a whole archive"),
        "no tar": (odd, "not a whole archive|does not begin"),
        "a guest": (rebuilt(made, here / "b", guest=b"x"), "guest is not what"),
        "a way out": (
            rebuilt(made, here / "c", manifest_dot_json=json.dumps(escaping).encode()),
            "what a backup holds",
        ),
        "no manifest": (rebuilt(made, here / "d", manifest_dot_json=b"{}"), "cannot be read"),
    }
    for name, (path, message) in refused.items():
        with pytest.raises(BadArchive, match=message):
            restoring.restore(path, {"default": there / "one-api.db"}, "")
        assert not (there / "one-api.db").exists(), name


def test_a_turned_byte_is_told_as_damage_wherever_it_is(here: Path, there: Path) -> None:
    """But in the few that fill up, where the files are what they were."""
    made = backup(here)
    raw = made.read_bytes()
    told: list[type[Exception]] = []
    for place in range(40, len(raw) - 400, len(raw) // 80):
        for turned in (0xFF, 0x10):
            made.write_bytes(raw[:place] + bytes([raw[place] ^ turned]) + raw[place + 1 :])
            try:
                with archive.unpacked(made, there) as (manifest, folder):
                    archive.check(manifest, folder, {"options.0001_initial"})
            except Exception as error:  # noqa: BLE001  which it is, is what is looked at
                told.append(type(error))

    assert set(told) == {BadArchive}
    assert len(told) > 100
    assert list(there.iterdir()) == []


def test_pages_that_contradict_each_other_are_found(here: Path, there: Path) -> None:
    """The checksum says that the archive is what was written, not that what was written was sound."""
    with closing(sqlite3.connect(here / "one-api.db", isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode = DELETE")
    raw = bytearray((here / "one-api.db").read_bytes())
    raw[-3000:-2000] = b"\xff" * 1000
    (here / "one-api.db").write_bytes(bytes(raw))

    with pytest.raises(BadArchive, match="damaged"):
        restoring.restore(backup(here), {"default": there / "one-api.db"}, "")


def test_other_databases_are_told_their_own_commands() -> None:
    address = {"NAME": "oneapi", "USER": "u", "PASSWORD": "never shown", "HOST": "db"}
    postgres = {**address, "ENGINE": "django.db.backends.postgresql", "PORT": "5432"}
    mysql = {**address, "ENGINE": "django.db.backends.mysql", "PORT": "3306"}

    assert commands.dump(postgres, "a file.dump") == (
        "pg_dump --format=custom --no-owner --host=db --port=5432 --username=u '--file=a file.dump' oneapi"
    )
    assert commands.load(postgres, "default.dump") == (
        "pg_restore --clean --if-exists --no-owner --single-transaction --host=db --port=5432 --username=u"
        " --dbname=oneapi default.dump"
    )
    assert commands.dump(mysql, "default.dump") == (
        "mariadb-dump --single-transaction --quick --hex-blob --default-character-set=utf8mb4 --host=db --port=3306"
        " --user=u --password oneapi > default.dump"
    )
    assert commands.load({**mysql, "HOST": "/run/mysqld.sock"}, "default.dump") == (
        "mariadb --default-character-set=utf8mb4 --socket=/run/mysqld.sock --user=u --password oneapi < default.dump"
    )


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_the_commands_leave_other_databases_to_their_tools(
    monkeypatch: pytest.MonkeyPatch, command: str, there: Path
) -> None:
    entry = {"NAME": "oneapi", "USER": "u", "PASSWORD": "never shown", "HOST": "db", "PORT": "5432"}
    entry["ENGINE"] = "django.db.backends.postgresql"
    monkeypatch.setattr(places, "files", dict)
    monkeypatch.setattr(places, "elsewhere", lambda: {"default": entry})
    told = io.StringIO()

    with pytest.raises(CommandError, match=r"this command is for SQLite \(docs/operations.md") as refused:
        call_command(command, str(there / "file.tar.gz"), stderr=told)

    assert refused.value.returncode == 1
    assert f"pg_{'dump' if command == 'backup' else 'restore'} --" in told.getvalue()
    assert "never shown" not in told.getvalue()
    assert list(there.iterdir()) == []


def test_the_commands_tell_what_they_did(monkeypatch: pytest.MonkeyPatch, settings: Any, here: Path) -> None:
    monkeypatch.setattr(places, "files", lambda: {"default": here / "one-api.db"})
    monkeypatch.setattr(places, "elsewhere", dict)
    settings.DATA_DIR, settings.SESSION_SECRET = here, ""
    file, told = str(here / "backup.tar.gz"), io.StringIO()

    call_command("backup", file, stdout=told)
    call_command("backup", file, check=True, stdout=told)
    call_command("restore", file, stdout=told)
    call_command("backup", file, force=True, without_secret=True, stdout=told)
    settings.SESSION_SECRET = "the secret"
    call_command("backup", file, force=True, stdout=told)

    lines = told.getvalue().splitlines()
    assert lines[0].startswith(f"{file}: version ")
    assert "one-api.secret (11 bytes)" in lines[0]
    assert lines[1].startswith(f"{file} is whole: ")
    assert [line for line in lines if line.startswith("What was there is now ")]
    without = [line for line in lines if line.startswith("The secret is not in it.")]
    assert ["SESSION_SECRET" in line for line in without] == [False, True]
    with pytest.raises(CommandError, match="--force"):
        call_command("backup", file)
