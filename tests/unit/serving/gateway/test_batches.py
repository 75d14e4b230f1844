import numpy as np
import pytest

from serving.errors import ModelServerFault
from serving.gateway.batches import count_rows, cut, join, pieces


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@pytest.mark.parametrize(
    ("shapes", "rows"),
    [([(3, 2)], 3), ([(3, 2), (3,)], 3), ([(0, 2)], 0), ([(3, 2), (2, 2)], None), ([()], None), ([], None)],
)
def test_rows_are_the_first_dimension_that_all_inputs_share(shapes, rows):
    assert count_rows({str(i): np.zeros(shape) for i, shape in enumerate(shapes)}) == rows


@pytest.mark.parametrize("most", [1, 2, 3, 5, 6, 100])
def test_pieces_joined_again_are_the_whole_in_order(most):
    whole = {"a": column(1, 2, 3, 4, 5), "b": np.arange(5)}

    parts = list(pieces(whole, 5, most))

    assert max(len(piece["a"]) for piece in parts) <= most
    for name, tensor in join(parts).items():
        np.testing.assert_array_equal(tensor, whole[name])


def test_everybody_gets_the_rows_they_sent():
    first, second = cut({"y": column(1, 2, 3), "z": np.arange(3)}, [2, 1])

    assert first["y"].tolist() == [[1], [2]]
    assert second["z"].tolist() == [2]


@pytest.mark.parametrize("output", [np.float32(1), column(1, 2), column(1, 2, 3, 4)])
def test_outputs_that_are_not_one_row_for_each_are_a_fault(output):
    with pytest.raises(ModelServerFault, match="expected 3 rows of the output 'y'"):
        cut({"y": np.asarray(output)}, [2, 1])
