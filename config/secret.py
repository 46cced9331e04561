"""The deployment's root secret: what SESSION_SECRET says, else made once and kept beside the database."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FILE = "one-api.secret"
PLACEHOLDER = "random_string"  # what sample files give; a secret that everybody knows is none
LENGTH = 48  # bytes of randomness


class CannotKeepSecret(OSError):
    """There is no secret and none can be stored; the message says where it was tried."""


def load_or_create(folder: Path) -> str:
    """The secret of the folder. Of several processes that start at once, one makes it and all read the same."""
    path = folder / FILE
    try:
        if not path.exists():
            _create(path)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotKeepSecret(f"it is not set, and {path} cannot be used ({error})") from None
    if not secret:
        raise CannotKeepSecret(f"it is not set, and {path} is empty; delete that file or put the secret into it")
    return secret


def _create(path: Path) -> None:
    """Write a file of its own and give it the name, which fails where the name is taken: nobody reads half a secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(LENGTH) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
