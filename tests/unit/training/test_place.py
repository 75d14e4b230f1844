import numpy as np
import pytest

from serving.contract import NOWHERE
from training.place import draw_place

NAMES = ("Latitude", "Longitude")


def test_a_cell_has_the_tenth_of_its_median_target():
    # A square of four corners, one degree apart, on the equator; three rows in the north-west corner.
    places = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 1.5], [-0.5, 0.5], [-0.5, 1.5]])
    targets = np.array([0.0, 9.0, 9.0, 3.0, 1.0, -5.0])

    place = draw_place(NAMES, places, targets)

    assert (place.latitude, place.longitude, place.north, place.west) == (*NAMES, 0.5, 0.5)
    drawn = {(row, i): cell for row, line in enumerate(place.cells) for i, cell in enumerate(line) if cell != NOWHERE}
    last = len(place.cells) - 1
    assert set(drawn) == {(0, 0), (0, last), (last, 0), (last, last)}
    assert drawn[0, 0] > drawn[0, last] > drawn[last, 0] > drawn[last, last] == "0"


def test_every_row_lies_in_a_cell_that_is_drawn():
    random = np.random.default_rng(0)
    places = random.uniform([32, -124], [42, -114], (500, 2)).astype(np.float32)

    place = draw_place(NAMES, places, random.uniform(0, 5, 500))

    rows = np.floor((place.north - places[:, 0]) / place.cell_height).astype(int).clip(0)
    columns = np.floor((places[:, 1] - place.west) / place.cell_width).astype(int).clip(0)
    assert all(place.cells[row][column] != NOWHERE for row, column in zip(rows, columns, strict=True))
    assert len({len(line) for line in place.cells}) == 1
    assert sum(len(line) for line in place.cells) < 10_000


def test_cells_are_square_on_the_ground():
    places = np.array([[59.0, 0.0], [61.0, 10.0]])  # at 60 degrees north a degree of longitude is half as long

    place = draw_place(NAMES, places, np.array([1.0, 2.0]))

    assert place.cell_width == pytest.approx(2 * place.cell_height, rel=1e-4)


def test_one_place_alone_is_a_map_of_one_cell():
    place = draw_place(NAMES, np.array([[10.0, 20.0]] * 3), np.array([1.0, 1.0, 1.0]))

    assert len(place.cells) == 1
    assert len(place.cells[0]) == 1
