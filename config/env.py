"""Typed readers over the environment; the only module that reads or writes it.

A variable that is unset and one that is empty are the same: compose files hand on empty values. Values come from
the process's environment, then from a `.env` file in the working directory; a secret may also come from the file
that `<NAME>_FILE` names. A value that cannot be used raises BadVariable, which, uncaught, ends the process with
one line on stderr and exit code 1.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import environ

T = TypeVar("T")

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})
SHOWN = 60  # characters of a refused value that its message repeats

NAMES: dict[
    str, str
] = {}  # every variable that was asked for, and its example; what the documentation is checked against
SECRETS: set[str] = set()  # those among them that have a `_FILE` form
DOTENV = "ONE_API_DOTENV"  # names that came from .env, for the processes that inherit them


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as it was read. `source`: "environment", ".env", "serve", "file" (named by NAME_FILE), "" where unset.

    `value` is as written, "" of a hidden one; `default` is what holds instead where it is unset.
    """

    name: str
    source: str
    value: str
    default: str
    hidden: bool


READ: dict[str, Variable] = {}  # what was read last, by name


class BadVariable(SystemExit):
    """A variable cannot be used. Raised while settings load; as a SystemExit it prints its line and nothing else."""

    def __init__(self, name: str, problem: str, example: str) -> None:
        line = f"{name}: {problem}. Example: {name}={example}"
        super().__init__(" ".join(line.split()))


def load_file(folder: Path | None = None) -> None:
    """Take over what `.env` in the folder (the working directory) sets and the environment does not."""
    path = (folder or Path.cwd()) / ".env"
    if path.is_file():
        blank = {name: os.environ.pop(name) for name in list(os.environ) if not os.environ[name].strip()}
        before = set(os.environ)
        environ.Env.read_env(path)
        names = {*_listed(DOTENV), *(set(os.environ) - before)}
        for name, value in blank.items():
            os.environ.setdefault(name, value)
        os.environ[DOTENV] = ",".join(sorted(names))


def _listed(name: str) -> list[str]:
    return [part for part in os.environ.get(name, "").split(",") if part]


def _raw(name: str, example: str, default: object = "", *, hidden: bool = False) -> str:
    NAMES[name] = example
    value = os.environ.get(name, "").strip()
    source = ""
    if value:
        source = ".env" if name in _listed(DOTENV) else "environment"
    READ[name] = Variable(name, source, "" if hidden else value, "" if default is None else str(default), hidden)
    return value


def text(name: str, default: str = "", *, example: str) -> str:
    return _raw(name, example, default) or default


def secret(name: str, default: str = "", *, example: str) -> str:
    """The variable, or the content of the file that `<name>_FILE` names, without its last line break."""
    SECRETS.add(name)
    value = _raw(name, example, default, hidden=True)
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return value or default
    if value:
        raise BadVariable(f"{name}_FILE", f"{name} is set as well; set one of the two", "/run/secrets/one-api")
    try:
        found = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        READ[name] = Variable(name, "file" if found else "", "", default, True)
        return found or default
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadVariable(f"{name}_FILE", f"cannot read {path}: {reason}", "/run/secrets/one-api") from None


def flag(name: str, default: bool = False, *, example: str = "true") -> bool:
    value = _raw(name, example, str(default).lower()).lower()
    if not value:
        return default
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise BadVariable(name, f"{_shown(value)} is neither true nor false", example)


def integer(name: str, default: int, *, low: int = 0, high: int = 2**31 - 1, example: str) -> int:
    found = optional_integer(name, low=low, high=high, example=example, default=default)
    return default if found is None else found


def optional_integer(
    name: str, *, low: int = 0, high: int = 2**31 - 1, example: str, default: int | None = None
) -> int | None:
    """None where the variable is not set; `default` is only told."""
    value = _raw(name, example, default)
    if not value:
        return None
    try:
        number = int(value)
    except ValueError:
        raise BadVariable(name, f"{_shown(value)} is not a whole number", example) from None
    if not low <= number <= high:
        raise BadVariable(name, f"{number} is not between {low} and {high}", example)
    return number


def number(name: str, default: float, *, low: float, high: float, example: str) -> float:
    value = _raw(name, example, f"{default:g}")
    if not value:
        return default
    try:
        parsed = float(value)
    except ValueError:
        raise BadVariable(name, f"{_shown(value)} is not a number", example) from None
    if not (math.isfinite(parsed) and low <= parsed <= high):
        raise BadVariable(name, f"{value} is not between {low} and {high}", example)
    return parsed


def address(name: str, *, schemes: tuple[str, ...], example: str, hidden: bool = False) -> str:
    """A URL of one of the schemes, or "". `hidden`: it may hold a password, so messages do not repeat it."""
    value = secret(name, example=example) if hidden else _raw(name, example)
    if not value:
        return ""
    shown = "the value" if hidden else _shown(value)
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise BadVariable(name, f"{shown} is not a valid address", example) from None
    if parts.scheme not in schemes or not host:
        raise BadVariable(name, f"{shown} is not an address that begins with {' or '.join(schemes)}://", example)
    return value


def parsed(name: str, parse: Callable[[str], T], *, example: str, hidden: bool = False) -> T | None:
    """What `parse` makes of the variable; None where it is not set.

    `parse` refuses with a ValueError whose text says what is wrong; for a hidden variable that text must not
    repeat the value.
    """
    value = secret(name, example=example) if hidden else _raw(name, example)
    if not value:
        return None
    try:
        return parse(value)
    except ValueError as error:
        raise BadVariable(name, str(error), example) from None


def chosen(name: str, value: str) -> None:
    """`manage.py serve` takes this value for a variable, wherever it has it from."""
    read = READ[name]
    if value != read.value:
        READ[name] = replace(read, source="serve", value=value)


def _shown(value: str) -> str:
    return repr(value if len(value) <= SHOWN else value[:SHOWN] + "…")
