"""The two private doors of TensorFlow's session that the model server stands on, on real SavedModels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorflow.core.protobuf import config_pb2

from serving.model_server.loader import SavedModelLoader
from serving.model_server.servable import Servable, ServableId
from serving.model_server.status import Code, StatusError
from tests import tiny_models

Load = Callable[[Callable[[Path], Path]], Servable]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_model(write: Callable[[Path], Path]) -> Servable:
        path = write(tmp_path / "1")
        loader = SavedModelLoader(
            ServableId("m", 1), path, ["serve"], config_pb2.ConfigProto(), lambda *_: None, lambda runner, _: runner
        )
        return loader.load()

    return load_model


def names(servable: Servable, signature: str = "serving_default") -> tuple[list[str], list[str]]:
    found = servable.signatures[signature]
    return sorted(info.name for info in found.inputs.values()), [info.name for info in found.outputs.values()]


# No limit takes the callable. A limit takes `_call_tf_sessionrun`, for the first run's duration is not known yet.
@pytest.mark.parametrize("timeout_s", [None, 60.0])
class TestBothDoors:
    def test_shapes_are_not_checked(self, load: Load, timeout_s: float | None) -> None:
        servable = load(tiny_models.half_plus_two)
        (x,), fetches = names(servable)
        for array in (np.float32(2), np.full((1, 1), 2, np.float32)):
            (y,) = servable.runner.run({x: np.asarray(array)}, fetches, timeout_s)
            assert (y.shape, y.ravel().tolist()) == (np.shape(array), [3.0])

    def test_a_scalar_string_is_an_array(self, load: Load, timeout_s: float | None) -> None:
        servable = load(tiny_models.shout)
        (s,), fetches = names(servable)
        loud = servable.runner.run({s: np.array(b"hi", object)}, fetches[:1], timeout_s)[0]
        assert (loud.shape, loud.item()) == ((), b"hi!")

    def test_reference_variables_keep_their_value(self, load: Load, timeout_s: float | None) -> None:
        servable = load(tiny_models.counter)
        values = [servable.runner.run({}, names(servable, "incr_counter")[1], timeout_s)[0].item() for _ in range(3)]
        assert values == [1.0, 2.0, 3.0]

    def test_dtypes_are_refused_in_c_plus_plus_words(self, load: Load, timeout_s: float | None) -> None:
        servable = load(tiny_models.half_plus_two)
        (x,), fetches = names(servable)
        with pytest.raises(StatusError, match=r"Expects arg\[0\] to be float but string is provided"):
            servable.runner.run({x: np.array([b"a"], object)}, fetches, timeout_s)

    def test_the_graph_says_what_is_wrong(self, load: Load, timeout_s: float | None) -> None:
        servable = load(tiny_models.row_times_two)
        (x,), fetches = names(servable)
        with pytest.raises(StatusError, match=r"^INVALID_ARGUMENT: Matrix size-incompatible: In\[0\]: \[1,3\]"):
            servable.runner.run({x: np.ones((1, 3), np.float32)}, fetches, timeout_s)

    def test_what_the_graph_quotes_need_be_no_utf_8(self, load: Load, timeout_s: float | None) -> None:
        servable = load(tiny_models.shout)
        (s,), fetches = names(servable, "number")
        words = r"^INVALID_ARGUMENT: StringToNumberOp could not correctly convert string: caf\\xe9\n"
        with pytest.raises(StatusError, match=words):
            servable.runner.run({s: np.array([b"caf\xe9"], object)}, fetches, timeout_s)


def test_a_run_is_cut_off_at_its_limit(load: Load) -> None:
    servable = load(tiny_models.wait)
    (seconds,), fetches = names(servable)
    for limit_s in (0.2, -1.0):
        with pytest.raises(StatusError) as caught:
            servable.runner.run({seconds: np.array([600], np.float32)}, fetches, limit_s)
        assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_a_limit_that_is_near_for_this_graph_is_kept_however_quick_others_are(load: Load) -> None:
    servable = load(tiny_models.wait)
    (seconds,), fetches = names(servable)
    servable.runner.run({seconds: np.array([0.5], np.float32)}, fetches, None)
    with pytest.raises(StatusError, match="DEADLINE_EXCEEDED"):
        servable.runner.run({seconds: np.array([600], np.float32)}, fetches, 1.0)
