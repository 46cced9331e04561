"""Databases with this version's tables in them: migrated once in a run of the tests, and a test gets a copy.

Migrating takes a third of what the rest of a server's start does. What a copy holds is what `manage.py migrate`
leaves, no row of ours: the server that starts on it finds nothing to migrate, and makes root. Servers that start on
nothing at all are in tests/config/test_several_nodes.py, tests/relay/test_two_engines.py and tests/telemetry.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases import MARK, Database, Server, fresh, make
from tests.server import ENVIRONMENT, INHERITED, ROOT

# Names the folder by which a run's processes, which inherit it, share what was migrated: of each kind a lock, and files
# that say how far it is.
VARIABLE = "TEST_TEMPLATES"


def begin() -> bool:
    """Whether this is the run's first process, which has to call `end`."""
    if VARIABLE in os.environ:
        return False
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix="gateway-templates-")
    return True


def end() -> None:
    shared = Path(os.environ.pop(VARIABLE))
    for made in shared.glob("*.made"):
        template = _template(made.stem, shared)
        if template.kind != "sqlite":
            template.server.drop(template.name)
    shutil.rmtree(shared)


@contextmanager
def copy(kind: str, folder: Path) -> Iterator[Database]:
    """A migrated database, dropped at the exit; on SQLite a file in `folder`."""
    shared = Path(os.environ[VARIABLE])
    template = _template(kind, shared)
    with (shared / f"{kind}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / f"{kind}.made").exists():
            if kind != "sqlite":
                make(template.name, template.server)
            (shared / f"{kind}.made").touch()
        if not (shared / f"{kind}.migrated").exists():
            migrate(template, shared)
            (shared / f"{kind}.migrated").touch()
    with fresh(kind, folder, template=template) as made:
        yield made


def migrate(database: Database, folder: Path, *target: str) -> None:
    """To this version's tables, or as far as `target` says: an app, or an app and one of its migrations."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0", "--skip-checks", *target],
        cwd=folder,
        env={**inherited, **ENVIRONMENT, **database.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]


def _template(kind: str, shared: Path) -> Database:
    name = str(shared / "migrated.db") if kind == "sqlite" else f"{MARK}_{shared.name.replace('-', '_').lower()}"
    return Database(kind, name, Server.of(kind))
