import pytest
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from serving.errors import InvalidInput
from serving.gateway import csv_rows
from serving.gateway.csv_rows import read_csv


def instances(text: str | bytes) -> object:
    return read_csv(text if isinstance(text, bytes) else text.encode(), {})["instances"]


@pytest.mark.parametrize(
    "text",
    [
        "rooms,age\n3,4\n5,6.5",
        "rooms,age\r\n3,4\r\n5,6.5\r\n",
        "\ufeffrooms,age\n\n3,4\n\n5,6.5\n\n",
        '"rooms",age\n3,"4"\n5,6.5',
    ],
)
def test_each_line_is_an_instance_by_the_names_of_the_first(text):
    assert instances(text) == [{"rooms": 3.0, "age": 4.0}, {"rooms": 5.0, "age": 6.5}]


def test_a_header_alone_has_no_instances():
    assert instances("rooms,age\n") == []


@pytest.mark.parametrize("cell", ["west", "", "1_000", "٣", "0x10", "1,5"])
def test_what_is_no_number_stays_text(cell):
    assert instances(f'rooms,age\n3,"{cell}"') == [{"rooms": 3.0, "age": cell}]


@pytest.mark.parametrize(("line", "got"), [("3", 1), ("3,4,5", 3)])
def test_a_line_of_another_length_is_refused_with_its_place(line, got):
    with pytest.raises(InvalidInput, match=f"/instances/1: expected 2 values, as the first line has, got {got}"):
        instances(f"rooms,age\n3,4\n{line}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\n", "has no line with the names"),
        ("rooms,rooms\n3,4", "names a column twice"),
        (b"rooms,age\n3,\xff", "not UTF-8"),
        ('rooms,age\n3,"4', "cannot be read"),
        ("rooms,age\n3," + "4" * 200_000, "cannot be read"),
    ],
)
def test_what_is_no_csv_is_refused(text, words):
    with pytest.raises(BadRequest) as caught:
        instances(text)

    assert words in str(caught.value.description)


def test_too_many_values_are_too_large(monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_VALUES", 6)
    assert instances("rooms,age\n1,2\n3,4")

    with pytest.raises(RequestEntityTooLarge, match="at most 6 values"):
        instances("rooms,age\n1,2\n3,4\n5,6")
