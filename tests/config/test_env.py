import os
import subprocess
import sys
from pathlib import Path

import environ
import pytest

from config import env

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _names(monkeypatch):
    monkeypatch.setattr(env, "NAMES", {})
    monkeypatch.setattr(env, "SECRETS", set())


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("SIZE", " ")

    assert env.integer("SIZE", 5, example="1") == 5
    assert env.optional_integer("SIZE", example="1") is None
    assert env.flag("SIZE", True) is True
    assert env.text("SIZE", "x", example="") == "x"


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes", "On"])
def test_many_words_are_true(monkeypatch, value):
    monkeypatch.setenv("FLAG", value)
    assert env.flag("FLAG") is True


@pytest.mark.parametrize("value", ["false", "0", "NO", "off"])
def test_many_words_are_false(monkeypatch, value):
    monkeypatch.setenv("FLAG", value)
    assert env.flag("FLAG", True) is False


@pytest.mark.parametrize(
    ("read", "value", "problem"),
    [
        (lambda: env.flag("IT"), "maybe", "'maybe' is neither true nor false"),
        (lambda: env.integer("IT", 1, example="1"), "1.5", "'1.5' is not a whole number"),
        (lambda: env.integer("IT", 1, high=9, example="1"), "10", "10 is not between 0 and 9"),
        (lambda: env.number("IT", 1, low=0, high=1, example="1"), "nan", "nan is not between 0 and 1"),
        (lambda: env.number("IT", 1, low=0, high=1, example="1"), "x", "'x' is not a number"),
        (lambda: env.address("IT", schemes=("http",), example="1"), "ftp://x", "is not an address"),
        (lambda: env.address("IT", schemes=("http",), example="1"), "http://[x", "is not a valid address"),
        (lambda: env.parsed("IT", int, example="1"), "z", "invalid literal"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_an_example(monkeypatch, read, value, problem):
    monkeypatch.setenv("IT", value)

    with pytest.raises(env.BadVariable) as refused:
        read()

    assert str(refused.value).startswith("IT: ")
    assert problem in str(refused.value)
    assert "Example: IT=" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_hidden_value_is_not_repeated(monkeypatch):
    monkeypatch.setenv("IT", "ftp://user:hunter2@host")

    with pytest.raises(env.BadVariable) as refused:
        env.address("IT", schemes=("http",), example="http://x", hidden=True)

    assert "hunter2" not in str(refused.value)


def test_a_secret_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("IT_FILE", str(tmp_path / "secret"))

    assert env.secret("IT", example="x") == "from the file"


def test_a_secret_from_two_places_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("IT_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("IT", "x")

    with pytest.raises(env.BadVariable, match="IT is set as well"):
        env.secret("IT", example="x")


def test_a_secret_file_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("IT_FILE", str(tmp_path / "absent"))

    with pytest.raises(env.BadVariable, match="absent: No such file"):
        env.secret("IT", example="x")


def test_the_real_environment_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text('ONE=file\nTWO=file\nHASH="a#b$c"\n')
    monkeypatch.setattr(environ.Env, "ENVIRON", {**os.environ, "ONE": "real"})

    env.load_file(tmp_path)

    found = environ.Env.ENVIRON
    assert (found["ONE"], found["TWO"], found["HASH"]) == ("real", "file", "a#b$c")


def start(folder: Path, module: str = "manage", **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["manage.py", "check"] if module == "manage" else ["-c", f"import {module}"]
    if module == "manage":
        command[0] = str(ROOT / "manage.py")
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.run(  # the command is ours
        [sys.executable, *command],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("module", ["manage", "config.asgi"])
def test_a_bad_value_ends_the_start_with_one_line(tmp_path, module):
    ended = start(tmp_path, module, PORT="http")

    assert ended.returncode == 1
    assert ended.stderr == "PORT: 'http' is not a whole number. Example: PORT=3000\n"


def test_a_start_in_an_empty_folder_makes_one_secret_and_keeps_it(tmp_path):
    assert start(tmp_path).returncode == 0
    first = (tmp_path / "one-api.secret").read_text()
    assert start(tmp_path).returncode == 0

    assert len(first.strip()) >= 48
    assert (tmp_path / "one-api.secret").read_text() == first
    assert (tmp_path / "one-api.secret").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one-api.secret"]


def test_the_secret_everybody_knows_counts_as_none(tmp_path):
    ended = start(tmp_path, SESSION_SECRET="random_string")

    assert "counts as not set" in ended.stderr
    assert (tmp_path / "one-api.secret").exists()


def test_an_empty_variable_leaves_the_one_in_the_file(tmp_path):
    (tmp_path / ".env").write_text("SESSION_SECRET=a secret that is long enough to be taken seriously\nPORT=http\n")

    ended = start(tmp_path, SESSION_SECRET="", PORT=" ")
    assert ended.stderr == "PORT: 'http' is not a whole number. Example: PORT=3000\n"

    ended = start(tmp_path, SESSION_SECRET="", PORT="3000")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env"]
