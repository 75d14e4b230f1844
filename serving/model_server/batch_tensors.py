"""Merging the inputs of several requests into one batch, and splitting its outputs again. Pure.

After BatchingSession::MergeInputTensors and SplitOutputTensors in tensorflow_serving/batching/batching_session.cc.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from serving.model_server.status import Code, StatusError, invalid_argument
from serving.model_server.tensors import Array

Feeds = Mapping[str, Array]


def batch_size(feeds: Feeds) -> int:
    """The first dimension, which all inputs of a request must share."""
    if not feeds:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in feeds.values()):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    sizes = {len(array) for array in feeds.values()}
    if len(sizes) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def merge(tasks: Sequence[Feeds], padding: int, *, pad_shapes: bool) -> dict[str, Array]:
    """One array an input.

    Args:
        padding: so many copies of the last request's first row go to the end.
        pad_shapes: fill inputs of smaller shape with zeros; without it unequal shapes are an error.
    """
    merged = {}
    for name in tasks[0]:
        arrays = [feeds[name] for feeds in tasks]
        if len({array.shape[1:] for array in arrays}) > 1:
            if not pad_shapes:
                raise StatusError(
                    Code.FAILED_PRECONDITION,
                    f"Tensors with name '{name}' from different tasks have different shapes and padding is turned "
                    "off. Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have "
                    "equal dimensions starting with the first dim.",
                )
            arrays = _same_shape(arrays)
        if padding:
            arrays.append(np.repeat(arrays[-1][:1], padding, axis=0))
        merged[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return merged


def _same_shape(arrays: Sequence[Array]) -> list[Array]:
    if len({array.ndim for array in arrays}) > 1:
        raise invalid_argument("Batching session Run() input tensors must have the same rank to be padded")
    largest = [max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True)]
    padded = []
    for array in arrays:
        whole = np.full((len(array), *largest), b"" if array.dtype == object else 0, array.dtype)
        whole[tuple(slice(size) for size in array.shape)] = array
        padded.append(whole)
    return padded


def split(outputs: Sequence[Array], sizes: Sequence[int], padding: int) -> list[list[Array]]:
    """The outputs of each request, by their sizes; what comes from padding is dropped."""
    total = sum(sizes) + padding
    for array in outputs:
        if array.ndim == 0:
            raise StatusError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if len(array) != total:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                "input tensors",
            )
    ends = np.cumsum(sizes).tolist()
    return [[array[end - size : end] for array in outputs] for size, end in zip(sizes, ends, strict=True)]
