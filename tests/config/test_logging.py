import logging

import pytest

from config.logging import LINE, DailyFile, Line, mask, prepare_folder, request_id


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-abcdefgh12345678 refused", "key sk-*** refused"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("GET /v1?key=AIza123&x=1", "GET /v1?key=***&x=1"),
        ("postgres://u:p4ss@h/d", "postgres://u:***@h/d"),
        ("redis://:p4ss@h", "redis://:***@h"),
        ("risk-averse text stays", "risk-averse text stays"),
    ],
)
def test_credentials_are_masked(text, shown):
    assert mask(text) == shown


def record(text: str, moment: float = 0.0) -> logging.LogRecord:
    made = logging.LogRecord("relay", logging.INFO, "", 0, text, None, None)
    made.created = moment
    return made


def test_a_line_names_its_request():
    for number, shown in (("42", "INFO relay [42] hello"), ("", "INFO relay hello")):
        token = request_id.set(number)
        try:
            assert Line(LINE).format(record("hello")).endswith(shown)
        finally:
            request_id.reset(token)


def test_every_day_has_its_file(tmp_path):
    handler = DailyFile(str(tmp_path), one_file=False)
    for day in (1, 1, 2):
        handler.emit(record("x", day * 86400.0))
    handler.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["oneapi-19700102.log", "oneapi-19700103.log"]
    assert (tmp_path / "oneapi-19700102.log").read_text() == "x\nx\n"


def test_one_file_may_take_it_all(tmp_path):
    handler = DailyFile(str(tmp_path / "new"), one_file=True)
    handler.emit(record("x"))
    handler.close()

    assert (tmp_path / "new" / "oneapi.log").read_text() == "x\n"


def test_the_folder_is_closed_to_strangers(tmp_path):
    prepare_folder(str(tmp_path / "a" / "logs"))

    assert (tmp_path / "a" / "logs").stat().st_mode & 0o007 == 0
    assert list((tmp_path / "a" / "logs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        prepare_folder(str(tmp_path / "file" / "logs"))
