import gzip
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from training.california_housing import CENSUS_COLUMNS, DIGEST, FEATURES, census_table, keras_census, sources
from training.sources import SourceUnavailable, arrays_digest


def test_the_packaged_table_gives_scikit_learn_s_arrays() -> None:
    arrays = sources()[0].fetch()
    assert arrays["features"].shape == (20_640, 8)
    # The first row and target of sklearn.datasets.fetch_california_housing, from its documentation.
    first = dict(zip(FEATURES, arrays["features"][0], strict=True))
    assert first["MedInc"] == pytest.approx(8.3252)
    assert first["AveRooms"] == pytest.approx(6.98412698)
    assert first["AveBedrms"] == pytest.approx(1.02380952)
    assert first["AveOccup"] == pytest.approx(2.55555556)
    assert (first["HouseAge"], first["Population"]) == (41, 322)
    assert (first["Latitude"], first["Longitude"]) == (pytest.approx(37.88), pytest.approx(-122.23))
    np.testing.assert_allclose(arrays["targets"][:3], [4.526, 3.585, 3.521])
    assert arrays_digest(arrays) == DIGEST


def test_undoes_the_shuffle_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.arange(45.0, dtype=np.float32).reshape(5, 9)

    def load_data(test_split: float, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], None]:
        """What keras.datasets.california_housing does (Keras 3.15), without the download."""
        assert test_split == 0
        order = np.arange(5)
        np.random.RandomState(seed).shuffle(order)
        return (table[order, :8], table[order, 8]), None

    california_housing = SimpleNamespace(load_data=load_data)
    keras = SimpleNamespace(datasets=SimpleNamespace(california_housing=california_housing))
    monkeypatch.setitem(sys.modules, "keras", keras)
    columns = keras_census()
    assert tuple(columns) == CENSUS_COLUMNS
    np.testing.assert_array_equal(np.column_stack(list(columns.values())), table)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no gzip", "cannot be read"), (gzip.compress(b"a,b\n1,2\n"), "expected the columns longitude.*got a, b")],
)
def test_names_a_table_that_is_broken(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(content)
    with pytest.raises(SourceUnavailable, match=words):
        census_table(path)
