"""The project's settings on the database that TEST_DATABASE names (sqlite, postgres or mysql; default sqlite).

Everything else is what production reads, from a clean environment: a developer's variables and .env do not count.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests import databases

FOLDER = Path(tempfile.mkdtemp(prefix="gateway-tests-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
KIND = os.environ.get("TEST_DATABASE", "sqlite")
if KIND not in databases.NAMES:
    raise SystemExit(f"TEST_DATABASE must be one of {', '.join(databases.NAMES)}; example: TEST_DATABASE=postgres")
SERVER = databases.Server.of(KIND)

os.environ.pop("LOG_SQL_DSN", None)
os.environ.pop("REDIS_CONN_STRING", None)
os.environ.update(
    SQL_DSN="" if KIND == "sqlite" else SERVER.dsn,
    SQLITE_PATH=str(FOLDER / "one-api.db"),
    SESSION_SECRET="a secret of the tests, long enough to be taken seriously",
)

from config.settings import *  # noqa: E402,F403
from config.settings import DATABASES  # noqa: E402

# A file and not Django's database in memory: locking, WAL and threads of their own are part of what is tested.
_default = DATABASES["default"]
_default["TEST"] = {
    **_default.get("TEST", {}),
    "NAME": str(FOLDER / "test.db") if KIND == "sqlite" else f"{databases.MARK}_django_{os.getpid()}",
}
# A hash as slow as it should be makes a suite slow; that the real one is used is its own test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PASSWORD_HASHERS]  # noqa: F405
