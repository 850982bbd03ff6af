"""Every row of `malformed.py`: S3's answer, nothing stored or changed, and a server that goes on."""

from pathlib import Path

import pytest

from malformed import ELSEWHERE, ROWS, Place

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(raw):
    raw.put("/malformed").ok()
    return Place(raw, "malformed")


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_malformed(server, place, row):
    _, status, codes, send = row
    before = server.log.stat().st_size
    answer = send(place)
    place.assert_unchanged()
    assert server.process.poll() is None
    logged = server.log.read_bytes()[before:].decode()
    assert "panicked" not in logged, logged
    if status is None:  # the client has broken off: it may get an answer, but no success
        assert answer.status is None or answer.status >= 400, answer
        return
    assert answer.status == status, answer
    if codes is not None:
        assert answer.one("Code") in codes.split(), answer


def test_every_row_has_a_name_of_its_own():
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ELSEWHERE)
def test_what_is_shown_elsewhere_is_there(row):
    path, name = ELSEWHERE[row].split("::")
    assert f" {name}(" in (REPOSITORY / path).read_text(), f"{path} has no test {name}"
