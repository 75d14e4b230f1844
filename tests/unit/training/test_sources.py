from collections.abc import Callable

import numpy as np
import pytest

from training.errors import DatasetUnavailable
from training.sources import Arrays, Source, SourceUnavailable, arrays_digest, first_right, keras_download

RIGHT = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array([1, 2], np.uint8)}
WRONG = {"x": RIGHT["x"] + 1, "y": RIGHT["y"]}


def gives(arrays: Arrays) -> Callable[[], Arrays]:
    return lambda: arrays


def fails() -> Arrays:
    raise SourceUnavailable("the lake is frozen")


def test_the_first_source_with_the_right_arrays_wins_and_the_rest_are_not_asked() -> None:
    said: list[str] = []
    sources = [
        Source("frozen", fails),
        Source("false", gives(WRONG)),
        Source("good", gives(RIGHT)),
        Source("late", fails),
    ]
    name, arrays = first_right("lake", sources, arrays_digest(RIGHT), "advice", said.append)
    assert name == "good"
    assert arrays is RIGHT
    assert said[0] == "lake: not from frozen: the lake is frozen"
    assert said[1].startswith("lake: not from false: it holds other data: expected sha256:")
    assert len(said) == 2


def test_when_none_is_left_the_error_lists_every_source_with_its_reason_and_the_advice() -> None:
    with pytest.raises(DatasetUnavailable) as failed:
        first_right("lake", [Source("a", fails), Source("b", gives(WRONG))], "sha256:0", "Take skates.", lambda _: None)
    lines = str(failed.value).splitlines()
    assert lines[0] == "lake: no source gave the data."
    assert lines[1] == "  - a: the lake is frozen"
    assert lines[2].startswith("  - b: it holds other data: expected sha256:0, got sha256:")
    assert lines[3] == "Take skates."


@pytest.mark.parametrize(
    "other",
    [
        {"x": RIGHT["x"].reshape(3, 2), "y": RIGHT["y"]},
        {"x": RIGHT["x"].astype(np.float64), "y": RIGHT["y"]},
        {"z": RIGHT["x"], "y": RIGHT["y"]},
        {"x": RIGHT["x"][::-1], "y": RIGHT["y"]},
    ],
    ids=["shape", "dtype", "name", "order"],
)
def test_the_digest_sees_shape_dtype_name_and_order(other: Arrays) -> None:
    assert arrays_digest(other) != arrays_digest(RIGHT)


def test_the_digest_does_not_see_memory_layout_or_byte_order() -> None:
    laid_out_otherwise = {"x": np.asfortranarray(RIGHT["x"]).astype(">f4"), "y": RIGHT["y"]}
    assert arrays_digest(laid_out_otherwise) == arrays_digest(RIGHT)


def test_a_failed_keras_download_is_an_unavailable_source_without_noise(capsys: pytest.CaptureFixture[str]) -> None:
    def download() -> None:
        with keras_download():
            print("Downloading data from …")
            raise Exception("URL fetch failure")  # noqa: TRY002 (what keras.utils.get_file raises)

    with pytest.raises(SourceUnavailable, match="URL fetch failure"):
        download()
    assert capsys.readouterr().out == ""
