import os

import pytest
import redis as redis_library

from config.redis import parse
from tests import databases

SERVER = os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379/15")


def test_one_server():
    found = parse("redis://:pw@h:6380/2", "", "")

    assert (found.urls, found.cluster, found.sentinels) == (("redis://:pw@h:6380/2",), False, ())


def test_sentinels_are_a_list_of_hosts():
    found = parse("a:1, b", "mymaster", "pw")

    assert (found.sentinels, found.master, found.password) == ((("a", 1), ("b", 26379)), "mymaster", "pw")


@pytest.mark.parametrize(
    "value", ["redis://u:pw@a:1,redis://u:pw@b:2", "redis://u:pw@a:1,b:2", "redis+cluster://u:pw@a:1,b:2"]
)
def test_several_addresses_are_a_cluster(value):
    found = parse(value, "", "")

    assert found.cluster
    assert [url.rpartition("@")[2] for url in found.urls] == ["a:1", "b:2"]


def test_one_node_is_enough_to_name_a_cluster():
    assert parse("redis+cluster://a:1", "", "").cluster


@pytest.mark.parametrize(
    ("value", "master", "problem"),
    [
        ("http://:secret@h", "", "must begin with redis://"),
        ("h:6379", "", "must begin with redis://"),
        ("redis://", "", "names no host"),
        ("redis://:secret@h:port", "", "not a valid address"),
        ("redis://:secret@h/name", "", "number of a database"),
        (",", "mymaster", "must list the sentinels"),
        ("h:port", "mymaster", "must list the sentinels"),
        (",", "", "must begin with redis://|names no server"),
    ],
)
def test_a_bad_address_says_what_is_wrong_and_not_the_password(value, master, problem):
    with pytest.raises(ValueError, match=problem) as refused:
        parse(value, master, "secret")

    assert "secret" not in str(refused.value)


def test_no_password_in_the_text_of_the_object():
    assert "secret" not in repr(parse("redis://:secret@h", "", "secret"))


def test_the_client_talks_to_a_server():
    client = parse(SERVER, "", "").client()
    try:
        client.ping()
    except redis_library.ConnectionError:
        databases.missing("Redis does not answer")
    client.set("tests:house", "1", ex=5)
    assert client.get("tests:house") == b"1"
    assert parse(SERVER, "", "").client() is client
