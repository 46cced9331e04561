import threading

import pytest

from config.secret import FILE, CannotKeepSecret, load_or_create


def test_a_race_of_many_makes_one_secret(tmp_path):
    barrier, found = threading.Barrier(12), []

    def race():
        barrier.wait()
        found.append(load_or_create(tmp_path))

    threads = [threading.Thread(target=race) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 12
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_file_is_its_owners_alone(tmp_path):
    load_or_create(tmp_path / "new")

    assert (tmp_path / "new" / FILE).stat().st_mode & 0o777 == 0o600


def test_what_stands_in_the_file_is_the_secret(tmp_path):
    (tmp_path / FILE).write_text("mine\n")

    assert load_or_create(tmp_path) == "mine"


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / FILE).touch()

    with pytest.raises(CannotKeepSecret, match="is empty"):
        load_or_create(tmp_path)


def test_a_place_where_nothing_can_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(CannotKeepSecret, match=FILE):
        load_or_create(tmp_path / "file")
