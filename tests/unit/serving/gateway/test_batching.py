import numpy as np
import pytest

from serving.contract import DEFAULT_SIGNATURE
from serving.errors import DeadlineExceeded
from serving.gateway.batching import MAX_COALESCED_ROWS, Batching
from serving.gateway.model_server import Tensor, Tensors
from tests.fakes import Clock

ROWS = np.arange(10, dtype=np.float32)[:, None]


class Doubler:
    """Doubles x, and takes a second for it."""

    def __init__(self, clock: Clock) -> None:
        self.calls: list[tuple[int, float]] = []  # rows, timeout
        self._clock = clock

    def predict(
        self, model: str, version: int, inputs: Tensors, timeout_s: float, signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, Tensor]:
        assert (model, version, signature) == ("houses", 7, DEFAULT_SIGNATURE)
        self.calls.append((len(inputs["x"]), timeout_s))
        self._clock.now += 1
        return {"y": inputs["x"] * 2}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(clock):
    return Doubler(clock)


@pytest.mark.parametrize("coalesce", [True, False])
def test_a_batch_larger_than_the_model_server_takes_goes_in_pieces_and_comes_back_in_order(server, clock, coalesce):
    batching = Batching(server, max_rows=4, coalesce=coalesce, clock=clock)

    outputs = batching.predict("houses", 7, {"x": ROWS}, 10)

    np.testing.assert_array_equal(outputs["y"], ROWS * 2)
    assert server.calls == [(4, 10), (4, 9), (2, 8)]


def test_the_time_of_a_call_covers_all_its_pieces(server, clock):
    batching = Batching(server, max_rows=4, coalesce=True, clock=clock)

    with pytest.raises(DeadlineExceeded, match="between two pieces"):
        batching.predict("houses", 7, {"x": ROWS}, 2)
    assert server.calls == [(4, 2), (4, 1)]


@pytest.mark.parametrize("rows", [1, MAX_COALESCED_ROWS, MAX_COALESCED_ROWS + 1])
@pytest.mark.parametrize("coalesce", [True, False])
def test_a_call_that_is_alone_is_sent_as_it_is(server, clock, rows, coalesce):
    batching = Batching(server, max_rows=1000, coalesce=coalesce, clock=clock)

    batching.predict("houses", 7, {"x": ROWS[:rows]}, 10)

    assert server.calls == [(rows, 10)]


def test_inputs_that_share_no_first_dimension_are_sent_as_they_are(server, clock):
    batching = Batching(server, max_rows=4, coalesce=True, clock=clock)

    batching.predict("houses", 7, {"x": ROWS, "scale": np.float32([[1]])}, 10)

    assert server.calls == [(10, 10)]
