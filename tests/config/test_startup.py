import pytest
from django.db import connection

from accounts.models import User
from config import checks, startup
from config.migrating import locked, pending
from config.redis import parse
from options.models import Option


@pytest.fixture
def prepared(db):
    startup._keep_secret_check()


def test_the_secret_the_database_was_written_under_is_accepted(prepared):
    startup._check_secret()


def test_another_secret_is_refused_in_one_line(prepared, settings):
    settings.SECRET_KEY = "another secret"

    with pytest.raises(startup.CannotStart, match=r"^SESSION_SECRET: the database was written under another secret"):
        startup._check_secret()


def test_an_older_secret_among_the_fallbacks_is_accepted(prepared, settings):
    settings.SECRET_KEY_FALLBACKS = ["one", settings.SECRET_KEY]
    settings.SECRET_KEY = "a new secret"

    startup._check_secret()


def test_the_check_value_is_not_the_secret(prepared, settings):
    stored = Option.objects.get(pk=startup.SECRET_CHECK).value
    assert settings.SECRET_KEY not in stored
    assert len(stored) == 64


@pytest.mark.django_db
def test_root_is_made_once(settings):
    settings.INITIAL_ROOT_PASSWORD = ""
    settings.INITIAL_ROOT_TOKEN = settings.INITIAL_ROOT_ACCESS_TOKEN = ""

    told = startup.seed_root()
    root = User.objects.get()

    password = told.partition("Password: ")[2].split()[0]
    assert root.check_password(password)
    assert root.must_change_password
    assert startup.seed_root() == ""


@pytest.mark.django_db
def test_a_given_password_is_not_printed(settings):
    settings.INITIAL_ROOT_PASSWORD = "correct horse"

    assert "correct horse" not in startup.seed_root()
    assert not User.objects.get().must_change_password


@pytest.mark.django_db
def test_a_password_that_is_too_short_stops_the_start(settings):
    settings.INITIAL_ROOT_PASSWORD = "short"

    with pytest.raises(startup.CannotStart, match=r"^INITIAL_ROOT_PASSWORD: a password has \d+ to \d+ characters\.$"):
        startup.seed_root()


@pytest.mark.django_db
def test_nothing_is_pending_after_migrate():
    assert pending("default") == []


@pytest.mark.django_db
def test_the_lock_can_be_taken_again_after_it_was_left():
    for _ in range(2):
        with locked("default"), connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def test_a_slave_needs_a_shared_database_and_the_masters_secret(settings, monkeypatch):
    settings.IS_MASTER = False
    settings.SESSION_SECRET = ""
    monkeypatch.setattr(checks, "_on_files", lambda: True)

    assert [found.id for found in checks.slave_shares_a_database()] == ["config.E001", "config.E002"]


def test_redis_variables_without_redis_are_told(settings):
    settings.REDIS, settings.REDIS_PASSWORD = None, "pw"
    assert [found.id for found in checks.redis_variables_belong_together()] == ["config.W003"]

    settings.REDIS = parse("redis://h", "", "")
    assert [found.id for found in checks.redis_variables_belong_together()] == ["config.W004"]


@pytest.mark.parametrize(("token", "fits"), [("a" * 48, True), ("sk-abc", True), ("a" * 49, False), ("a-b", False)])
def test_the_root_token_must_be_a_key(settings, token, fits):
    settings.INITIAL_ROOT_TOKEN, settings.INITIAL_ROOT_ACCESS_TOKEN = token, ""
    assert (checks.initial_values_fit() == []) is fits
