"""Draws the map of where the instances of training are, from these themselves: cells, and what lies in them.

Read by a page that lets people pick a place; a few kilobytes, whatever the number of rows.
"""

import numpy as np
import numpy.typing as npt

from serving.contract import NOWHERE, Place

# Of the map's longer side: fine enough to tell a coast, coarse enough for 9 kB.
_CELLS = 96
_PARTS = 10


def draw_place(features: tuple[str, str], places: npt.NDArray[np.floating], targets: npt.NDArray[np.floating]) -> Place:
    """The map of places (n, 2), latitude and longitude in degrees; a cell's digit is its median target's tenth.

    Args:
        features: the names of the two.
    """
    south, west = (float(low) for low in places.min(axis=0))
    north, east = (float(high) for high in places.max(axis=0))
    # A degree of longitude is shorter than one of latitude: cells are square on the ground.
    shorter = float(np.cos(np.radians((south + north) / 2)))
    height = round(max(north - south, (east - west) * shorter) / (_CELLS - 1) or 1.0, 6)
    width = round(height / shorter, 6)
    north, west = round(north, 4), round(west, 4)
    rows = np.floor((north - places[:, 0]) / height).astype(int).clip(0)
    columns = np.floor((places[:, 1] - west) / width).astype(int).clip(0)
    levels = np.unique(np.quantile(targets, np.arange(1, _PARTS) / _PARTS))
    cells = np.full((rows.max() + 1, columns.max() + 1), NOWHERE)
    for row, column in {*zip(rows.tolist(), columns.tolist(), strict=True)}:
        inside = (rows == row) & (columns == column)
        cells[row, column] = str(np.searchsorted(levels, np.median(targets[inside]), side="right"))
    return Place(
        latitude=features[0],
        longitude=features[1],
        north=north,
        west=west,
        cell_height=height,
        cell_width=width,
        cells=tuple("".join(line) for line in cells),
        levels=tuple(float(f"{level:.4g}") for level in levels),
    )
