"""California housing's raw arrays: the 20,640 block groups of the 1990 census, as StatLib has them.

Every source gives the nine census columns; one function turns them into scikit-learn's features and target.
"""

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from training.notes import Notes
from training.regions import Region
from training.sources import Arrays, Source, SourceUnavailable, keras_download

# Over the float32 features (20640, 8) and targets (20640,), in StatLib's order of rows.
DIGEST = "sha256:e022a16952a03389ca132037c16e0c3c1c578645051abf6049af095f450241e8"

CENSUS_COLUMNS = (
    "longitude",
    "latitude",
    "housing_median_age",
    "total_rooms",
    "total_bedrooms",
    "population",
    "households",
    "median_income",
    "median_house_value",
)

# name -> (unit, description), in scikit-learn's order: sklearn.datasets.fetch_california_housing
FEATURES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "MedInc": ("10k USD", "median household income in the block group"),
        "HouseAge": ("years", "median age of the houses in the block group"),
        "AveRooms": ("rooms", "average number of rooms a household"),
        "AveBedrms": ("rooms", "average number of bedrooms a household"),
        "Population": ("people", "people in the block group"),
        "AveOccup": ("people", "average number of people a household"),
        "Latitude": ("degrees north", "latitude of the block group"),
        "Longitude": ("degrees east", "longitude of the block group, negative west of Greenwich"),
    }
)
TARGET_UNIT = "100k USD"
CAP = 5.00001  # in TARGET_UNIT: the census wrote $500,001 for every median above $500,000
PLACE = ("Latitude", "Longitude")  # of FEATURES
REGIONS = (  # two thirds of the block groups are in the south; the Bay has the steepest prices
    Region("South", "latitude below 35", ((-90, 35), (-180, 180))),
    Region("San Francisco Bay", "latitude 37 to 38.5, longitude below -121.5", ((37, 38.5), (-180, -121.5))),
)

NOTES = Notes(
    intended_use=(
        "Learning and teaching; benchmarks of regressors; trying out how a served model behaves.",
        "Not for appraisals, lending, insurance or taxes: the prices are of 1990, of block groups, and cut off at "
        "$500,000. No figure here says what a house is worth today.",
    ),
    data=(
        "The United States census of 1990: 20,640 Californian block groups of typically 600 to 3,000 people each, by "
        "Pace and Barry (1997). Public domain.",
        "965 medians are recorded as $500,001, which means above $500,000. Averages a household are extreme where few "
        "people live (holiday resorts).",
        "A fifth is held out at random, so that test rows lie among training rows on the map: figures for a region "
        "that training never saw would be worse.",
    ),
    ethics=(
        "Where people live, how crowded and how old their houses are follows lines of income and, in the United "
        "States, of race: a model of prices by place and income repeats the segregation of 1990. Used on people, it "
        "would carry that on.",
        "Errors are not spread evenly: see the regions. No row is a person or a household.",
    ),
)

_PACKAGED_TABLE = Path(__file__).parent / "data" / "california_housing.csv.gz"


def sources() -> tuple[Source, ...]:
    """The table that comes with the project first: it is small, and so needs no network."""
    return (
        Source("the 1990 census table that comes with Atelier", lambda: from_census(census_table(_PACKAGED_TABLE))),
        Source("keras.datasets.california_housing", lambda: from_census(keras_census())),
    )


def from_census(columns: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Scikit-learn's eight features (n, 8) and MedHouseVal in 100k USD (n,); computed in float64, kept as float32."""
    census = {name: column.astype(np.float64) for name, column in columns.items()}
    households = census["households"]
    features = {
        "MedInc": census["median_income"],
        "HouseAge": census["housing_median_age"],
        "AveRooms": census["total_rooms"] / households,
        "AveBedrms": census["total_bedrooms"] / households,
        "Population": census["population"],
        "AveOccup": census["population"] / households,
        "Latitude": census["latitude"],
        "Longitude": census["longitude"],
    }
    return {
        "features": np.column_stack([features[name] for name in FEATURES]).astype(np.float32),
        "targets": (census["median_house_value"] / 100_000).astype(np.float32),
    }


def census_table(path: Path) -> Mapping[str, npt.NDArray[np.float64]]:
    """The columns of a gzipped CSV, each (n,)."""
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, ValueError) as error:
        raise SourceUnavailable(f"{path} cannot be read: {error}") from error
    header = next(csv.reader(io.StringIO(text)), [])
    if tuple(header) != CENSUS_COLUMNS:
        raise SourceUnavailable(f"{path}: expected the columns {', '.join(CENSUS_COLUMNS)}, got {', '.join(header)}")
    table = np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1, dtype=np.float64)
    return dict(zip(CENSUS_COLUMNS, table.T, strict=True))


def keras_census() -> Mapping[str, npt.NDArray[np.float64]]:
    """The columns of keras.datasets.california_housing, back in the order of its file."""
    with keras_download():
        import keras

        # test_split 0 puts every row into the first pair, shuffled by RandomState(seed).
        (features, prices), _ = keras.datasets.california_housing.load_data(test_split=0.0, seed=0)
    order = np.arange(len(prices))
    np.random.RandomState(0).shuffle(order)  # the same shuffle: shuffled[i] is row order[i] of the file
    table = np.empty((len(prices), len(CENSUS_COLUMNS)), np.float64)
    table[order] = np.column_stack([features, prices])
    return dict(zip(CENSUS_COLUMNS, table.T, strict=True))
