from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.dsn import BadDsn, Pool, database
from config.dsn.postgres import POOL_CAP

POOL = Pool()


def parts(dsn: str) -> tuple[str, ...]:
    entry = database(dsn, POOL)
    engine = entry["ENGINE"].rpartition(".")[2]
    return (engine, entry["USER"], entry["PASSWORD"], entry["HOST"], entry["PORT"], entry["NAME"])


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("root:123456@tcp(localhost:3306)/oneapi", ("mysql", "root", "123456", "localhost", "3306", "oneapi")),
        ("root:p@w:/x?#@tcp(db:33)/one", ("mysql", "root", "p@w:/x?#", "db", "33", "one")),
        ("root@tcp(db)/one", ("mysql", "root", "", "db", "3306", "one")),
        ("root:x@/one", ("mysql", "root", "x", "127.0.0.1", "3306", "one")),
        ("root:x@tcp([::1]:3307)/one", ("mysql", "root", "x", "::1", "3307", "one")),
        ("root:x@unix(/run/mysqld/mysqld.sock)/one", ("mysql", "root", "x", "/run/mysqld/mysqld.sock", "", "one")),
        ("u:p@tcp(h:1)/d?loc=Asia/Shanghai&parseTime=true", ("mysql", "u", "p", "h", "1", "d")),
        ("u:p@tcp(h:1)/d?charset=utf8mb4&loc=Local", ("mysql", "u", "p", "h", "1", "d")),
        ("mysql://u:p%40ss@h/d", ("mysql", "u", "p@ss", "h", "3306", "d")),
        ("mysql://u:p@[::1]:3307/d", ("mysql", "u", "p", "::1", "3307", "d")),
        ("mysql://u:p@/d?unix_socket=/run/my.sock", ("mysql", "u", "p", "/run/my.sock", "", "d")),
        ("postgres://u:p@h:5433/d", ("postgresql", "u", "p", "h", "5433", "d")),
        ("postgresql://u:p@h/d", ("postgresql", "u", "p", "h", "5432", "d")),
        ("POSTGRES://u:p@h/d", ("postgresql", "u", "p", "h", "5432", "d")),
        ("postgres://u:p@ss@h/d", ("postgresql", "u", "p@ss", "h", "5432", "d")),
        ("postgres://u:p#s/s@h/d", ("postgresql", "u", "p#s/s", "h", "5432", "d")),
        ("postgres://u:p@/d?host=/var/run/postgresql", ("postgresql", "u", "p", "/var/run/postgresql", "5432", "d")),
        ("postgres://u:p@%2Fvar%2Frun/d", ("postgresql", "u", "p", "/var/run", "5432", "d")),
        ("postgres://u:p@a:1,b:2/d", ("postgresql", "u", "p", "a,b", "1,2", "d")),
        ("postgres://h/d?user=u&password=p", ("postgresql", "u", "p", "h", "5432", "d")),
    ],
)
def test_addresses_are_taken_apart(dsn, expected):
    assert parts(dsn) == expected


@pytest.mark.parametrize(
    ("dsn", "path"),
    [
        ("sqlite:///one.db", "one.db"),
        ("sqlite:///data/one.db", "data/one.db"),
        ("sqlite:////data/one.db", "/data/one.db"),
        ("sqlite:////data/with%20space.db", "/data/with space.db"),
    ],
)
def test_sqlite_paths_have_three_slashes_or_four(dsn, path):
    assert database(dsn, POOL)["NAME"] == str(Path(path))


def test_sqlite_is_durable_and_takes_the_write_lock_first():
    options = database("sqlite:///one.db", Pool(busy_timeout=1500))["OPTIONS"]

    assert options["timeout"] == 1.5
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]
    assert "synchronous=FULL" in options["init_command"]


@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("oneapi", "neither a URL"),
        ("root:secret@tcp(localhost:3306)", "neither a URL"),
        ("root:secret@tcp(localhost:port)/d", "the port"),
        ("root:secret@udp(localhost:1)/d", "unknown protocol 'udp'"),
        ("root:secret@unix(socket)/d", "absolute path"),
        ("root:secret@tcp(localhost:1)/", "names no database"),
        ("root:secret@tcp(h)/d?tls=custom", "tls is 'custom'"),
        ("root:secret@tcp(h)/d?color=red", "unknown parameter 'color'"),
        ("root:secret@tcp(h)/d?timeout=soon", "timeout must be a duration"),
        ("localhost/d", "before the / must stand"),
        ("postgres://u:secret@h:99999/d", "the port"),
        ("postgres://u:secret@h", "names no database"),
        ("postgres://u:secret@h/d?color=red", "unknown parameter 'color'"),
        ("postgres://u:secret@h/d?sslmode", "name=value"),
        ("postgres://u:p@secret/w@h/d", "write @ / ? # in the password"),
        ("oracle://u:secret@h/d", "oracle:// is not a database"),
        ("sqlite:///", "names no file"),
        ("sqlite://one.db", "three slashes"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///one.db?mode=ro", "no parameters"),
    ],
)
def test_a_bad_address_says_what_is_wrong_and_not_the_password(dsn, problem):
    with pytest.raises(BadDsn) as refused:
        database(dsn, POOL)

    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("", {"ssl_disabled": True}),
        ("?tls=false", {"ssl_disabled": True}),
        ("?tls=preferred", {}),
        ("?tls=skip-verify", {"ssl": {"check_hostname": False, "verify_mode": "none"}}),
        ("?ssl-mode=REQUIRED", {"ssl": {"check_hostname": False, "verify_mode": "none"}}),
        ("?tls=true&ssl_ca=/ca.pem", {"ssl_ca": "/ca.pem", "ssl_verify_cert": True, "ssl_verify_identity": True}),
    ],
)
def test_tls_of_mysql(tls, expected):
    options = database(f"mysql://u:p@h/d{tls}", POOL)["OPTIONS"]
    assert {name: value for name, value in options.items() if name.startswith("ssl")} == expected


def test_verified_tls_always_has_an_authority_to_verify_by():
    assert Path(database("u:p@tcp(h)/d?tls=true", POOL)["OPTIONS"]["ssl_ca"]).exists()


def test_mysql_is_strict_and_reads_what_is_committed():
    options = database("u:p@tcp(h)/d?timeout=1m30s&readTimeout=500ms", POOL)["OPTIONS"]

    assert options["isolation_level"] == "read committed"
    assert options["sql_mode"].startswith("STRICT_TRANS_TABLES")
    assert options["charset"] == "utf8mb4"
    assert (options["connect_timeout"], options["read_timeout"]) == (90, 1)


@pytest.mark.parametrize(("most", "expected"), [(1000, POOL_CAP), (5, 5), (1, 1), (0, POOL_CAP)])
def test_the_pool_of_a_process_is_bounded(most, expected):
    pool = database("postgres://u:p@h/d", Pool(open=most))["OPTIONS"]["pool"]

    assert pool["max_size"] == expected
    assert pool["max_lifetime"] == 60


def test_no_idle_connections_means_no_pool():
    entry = database("postgres://u:p@h/d", Pool(idle=0))

    assert "pool" not in entry["OPTIONS"]
    assert entry["DISABLE_SERVER_SIDE_CURSORS"] is True


def test_parameters_of_libpq_are_handed_on():
    options = database("postgres://u:p@h/d?sslmode=verify-full&application_name=x&TimeZone=UTC", POOL)["OPTIONS"]

    assert (options["sslmode"], options["application_name"]) == ("verify-full", "x")
    assert "TimeZone" not in options


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@given(password=TEXT, user=st.text("abcXYZ09_.-", min_size=1, max_size=8))
def test_any_password_survives_a_url(password, user):
    for scheme in ("postgres", "mysql"):
        assert parts(f"{scheme}://{user}:{quote(password, safe='')}@h/d")[1:3] == (user, password)


@given(password=TEXT)
def test_any_password_survives_the_notation_of_go(password):
    assert parts(f"root:{password}@tcp(h:3306)/d?parseTime=true") == ("mysql", "root", password, "h", "3306", "d")


@given(st.text(max_size=60))
def test_nonsense_is_refused_and_never_crashes(text):
    try:
        database(text, POOL)
    except BadDsn:
        return
