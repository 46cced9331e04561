"""What must be true before the first request: databases reachable and migrated, the right secret, a root user."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, OperationalError, connections

from accounts import services as accounts
from accounts.names import PASSWORD_LENGTHS
from accounts.refusals import BadPassword, BadRootToken
from billing import standing
from config.checks import TAG
from config.logging import mask
from config.migrating import StillMigrating, locked, migrate, pending
from options.models import Option
from vault.keys import derive, digest

log = logging.getLogger(__name__)

DATABASE_WAIT = 30  # seconds; in a composition of containers the database may start after us
MASTER_WAIT = 60  # seconds a slave waits for the master to migrate
REFUSALS = ("authentication failed", "Access denied", "does not exist", "Unknown database")
SECRET_CHECK = "_secret_check"  # noqa: S105  the row in the option table; the registry of options does not know it
BUSY = "Another process has been preparing the database for ten minutes; look at that one first."
VARIABLES = {"default": "SQL_DSN", "logs": "LOG_SQL_DSN"}


class CannotStart(Exception):
    """The message is one line that says what to do."""


def prepare() -> None:
    """All of it, in order. Raises CannotStart."""
    _run_checks()
    for alias in connections:
        _reach(alias)
    if settings.IS_MASTER:
        for alias in connections:
            _migrate(alias)
        _keep_secret_check()
    else:
        _wait_for_master()
    _check_secret()
    _greet_redis()


def let_go() -> None:
    """Leave nothing that the processes forked from this one would share: each makes connections of its own."""
    for alias in connections:
        connections[alias].close()
        del connections[alias]
    if settings.REDIS is not None:
        settings.REDIS.let_go()


def _run_checks() -> None:
    found = checks.run_checks(tags=[TAG])  # the other checks are about code, and import every view
    for message in found:
        if not message.is_serious():
            log.warning("%s %s", message.msg, message.hint or "")
    serious = [message for message in found if message.is_serious()]
    if serious:
        raise CannotStart(" ".join(f"{message.msg} {message.hint or ''}".strip() for message in serious))


def _reach(alias: str) -> None:
    """Wait for the database to answer. Without the pool here, whose time limit hides why a connection failed."""
    connection = connections[alias]
    standing.out_of_pool(connection)
    deadline = time.monotonic() + DATABASE_WAIT
    told = False
    while True:
        try:
            connection.ensure_connection()
            return
        except DatabaseError as error:
            reason = mask(" ".join(str(error).split()))
            if connection.vendor == "sqlite" or _is_refusal(reason) or time.monotonic() > deadline:
                variable = VARIABLES[alias] if connection.vendor != "sqlite" else "SQLITE_PATH"
                raise CannotStart(f"{variable}: the database cannot be used: {reason}") from None
            if not told:
                log.warning("The database does not answer yet; trying for %d s: %s", DATABASE_WAIT, reason)
                told = True
            time.sleep(1)


def _is_refusal(reason: str) -> bool:
    """The server is there and says no: waiting will not help."""
    return any(
        word in reason for word in ("authentication failed", "Access denied", "does not exist", "Unknown database")
    )


def _migrate(alias: str) -> None:
    try:
        applied = migrate(alias)
    except StillMigrating:
        raise CannotStart(BUSY) from None
    if applied:
        log.info("Database %s: %d migrations applied.", alias, len(applied))


def _wait_for_master() -> None:
    """A slave never migrates: until the master has, it waits, and in the end it refuses."""
    deadline = time.monotonic() + MASTER_WAIT
    while True:
        missing = [name for alias in connections for name in _pending(alias)]
        if not missing and Option.objects.filter(pk=SECRET_CHECK).exists():
            return
        if time.monotonic() > deadline:
            first = f"{len(missing)} migrations are missing ({missing[0]} …)" if missing else "it was never started"
            raise CannotStart(f"This is a slave, and the master has not prepared the database: {first}.")
        time.sleep(1)


def _pending(alias: str) -> list[str]:
    try:
        return pending(alias)
    except OperationalError:  # the master is at work on the table of migrations
        return ["?"]


def _keep_secret_check() -> None:
    Option.objects.get_or_create(pk=SECRET_CHECK, defaults={"value": digest(SECRET_CHECK, "")})


def _check_secret() -> None:
    """Under another secret nothing stored could be decrypted and no token found; better not to start at all."""
    stored = Option.objects.values_list("value", flat=True).get(pk=SECRET_CHECK)
    if stored == digest(SECRET_CHECK, ""):
        return
    if any(stored == digest_under(secret) for secret in settings.SECRET_KEY_FALLBACKS):
        log.warning("The database was written under an older secret, found in SESSION_SECRET_FALLBACKS.")
        return
    raise CannotStart(
        "SESSION_SECRET: the database was written under another secret; set SESSION_SECRET (or the file "
        f"{settings.DATA_DIR / 'one-api.secret'}) to that one."
    )


def digest_under(secret: str) -> str:
    """What SECRET_CHECK holds in a database that is written under this secret."""
    return hmac.new(derive(secret, SECRET_CHECK), b"", hashlib.sha256).hexdigest()


def _greet_redis() -> None:
    if settings.REDIS is None:
        return
    from redis.exceptions import RedisError

    try:
        settings.REDIS.client().ping()
    except (RedisError, OSError) as error:
        log.warning("Redis does not answer; going on without it until it does: %s", mask(str(error)))


def seed_root() -> str:
    """Make the first account where there is none; returns the lines to show once, or "" where nothing was made."""
    try:
        with locked("default"):
            made = accounts.seed_root(
                settings.INITIAL_ROOT_PASSWORD or None, settings.INITIAL_ROOT_TOKEN, settings.INITIAL_ROOT_ACCESS_TOKEN
            )
    except BadPassword:
        least, most = PASSWORD_LENGTHS
        raise CannotStart(f"INITIAL_ROOT_PASSWORD: a password has {least} to {most} characters.") from None
    except BadRootToken as error:
        raise CannotStart(str(error)) from None
    except StillMigrating:
        raise CannotStart(BUSY) from None
    if made is None:
        return ""
    lines = [f"The first account was made: {made.username}"]
    if made.password:
        lines += [f"Password: {made.password}", "It is shown this once, and must be changed at the first sign-in."]
    width = max(map(len, lines))
    rule = "=" * (width + 4)
    return "\n".join([rule, *(f"  {line}" for line in lines), rule])
