"""Which instances a file holds, for which model."""

import json
from pathlib import Path

import numpy as np
import pytest

from serving.gateway.csv_rows import read_csv
from serving.instance_files import UnreadableFile, instances_for, name_instances, read_file
from tests.fakes import house_contract, picture_contract
from tests.image_files import png

PICTURES, HOUSES = picture_contract(), house_contract()
FLAT, NESTED, HOUSE = [9, 0, 0, 255, 0, 0], [[9, 0, 0], [255, 0, 0]], {"rooms": 3, "age": 4}


def write(folder: Path, name: str, content: object) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("document", [FLAT, NESTED, [FLAT], [NESTED], {"instances": [FLAT]}, {"instances": [NESTED]}])
def test_arrays_of_a_pictures_size_are_pictures(tmp_path: Path, document: object):
    source = read_file(write(tmp_path, "picture.json", document))

    [picture] = instances_for(PICTURES, source) or []
    assert picture.value in (FLAT, NESTED)
    assert picture.name == str(tmp_path / "picture.json")
    assert instances_for(HOUSES, source) is None


@pytest.mark.parametrize("document", [HOUSE, [3, 4], [HOUSE], [[3, 4]], {"instances": [HOUSE]}, {"rooms": 3}])
def test_objects_and_rows_of_as_many_numbers_are_houses(tmp_path: Path, document: object):
    source = read_file(write(tmp_path, "house.json", document))

    assert len(instances_for(HOUSES, source) or []) == 1
    assert instances_for(PICTURES, source) is None


def test_a_picture_is_known_by_its_content(tmp_path: Path):
    file = png(np.array(NESTED, np.uint8))
    (tmp_path / "picture").write_bytes(file)

    [picture] = instances_for(PICTURES, read_file(tmp_path / "picture")) or []

    assert picture.value == file


def test_rows_of_a_csv_are_named_by_their_lines(tmp_path: Path):
    source = read_file(write(tmp_path, "houses.csv", "\ufeffrooms, age\n3,4\n\n5,old\n"))

    rows = instances_for(HOUSES, source) or []

    assert [row.value for row in rows] == [{"rooms": 3, "age": 4}, {"rooms": 5, "age": "old"}]
    assert [row.name.rpartition(", ")[2] for row in rows] == ["line 2", "line 4"]


def test_a_csv_has_the_numbers_that_the_gateway_reads_in_it(tmp_path: Path):
    texts = ("1.5e3", " 7 ", "3_2_2", "٣", "three", "")
    source = read_file(write(tmp_path, "houses.csv", "rooms,age\n" + "".join(f"{text},4\n" for text in texts)))

    as_here = [value["rooms"] for value in source.document]

    body = (tmp_path / "houses.csv").read_bytes()
    assert as_here == [value["rooms"] for value in read_csv(body, {})["instances"]]
    assert as_here == [1500, 7, "3_2_2", "٣", "three", ""]


def test_arrays_in_one_another_fit_no_model_however_many_there_are(tmp_path: Path):
    source = read_file(write(tmp_path, "deep.json", []))
    for _ in range(100_000):
        source.document[:] = [source.document.copy()]

    assert instances_for(HOUSES, source) is instances_for(PICTURES, source) is None


def test_what_fits_no_model_can_still_be_sent(tmp_path: Path):
    source = read_file(write(tmp_path, "odd.json", [1, 2, 3]))

    assert instances_for(HOUSES, source) is instances_for(PICTURES, source) is None
    assert [instance.value for instance in name_instances(source)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.png", "boot", "expected a PNG or JPEG picture, JSON, or CSV"),
        ("a.json", "{", "expected a PNG or JPEG picture, JSON, or CSV"),
        ("a.csv", "", "expected a line of feature names, then a line a row"),
        ("a.csv", "rooms,age\n", "expected a line of feature names, then a line a row"),
        ("a.csv", "rooms,age\n1\n", "line 2: expected 2 values, got 1"),
        ("a.csv", "rooms,age, rooms\n1,2,3\n", "expected each feature once in the line of names, got one twice"),
        ("a.json", "[" * 200_000, "expected a PNG or JPEG picture, JSON, or CSV"),
        ("a.csv", 'rooms\n"1', "expected a PNG or JPEG picture, JSON, or CSV"),
    ],
)
def test_a_file_without_instances_is_named(tmp_path: Path, name: str, content: str, words: str):
    with pytest.raises(UnreadableFile, match=words) as unreadable:
        read_file(write(tmp_path, name, content))

    assert str(tmp_path / name) in str(unreadable.value)
