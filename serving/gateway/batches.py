"""Batches of rows: how many there are, cut to pieces, put together again. Knows arrays, and no model server."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np

from serving.errors import ModelServerFault
from serving.gateway.model_server import Tensor, Tensors


def count_rows(inputs: Tensors) -> int | None:
    """The first dimension of all inputs, None where they do not share one."""
    sizes = {array.shape[:1] for array in inputs.values()}
    return sizes.pop()[0] if len(sizes) == 1 and () not in sizes else None


def pieces(inputs: Tensors, rows: int, most: int) -> Iterator[dict[str, Tensor]]:
    """The same rows in the same order, at most so many at a time."""
    for start in range(0, rows, most):
        yield {name: array[start : start + most] for name, array in inputs.items()}


def join(batches: Sequence[Tensors]) -> dict[str, Tensor]:
    """One batch of all rows, in order; every batch has the same tensors."""
    if len(batches) == 1:
        return dict(batches[0])
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def cut(outputs: Tensors, sizes: Sequence[int]) -> list[dict[str, Tensor]]:
    """The outputs of each of the batches that were joined, by their numbers of rows.

    Raises:
        ModelServerFault: an output does not have a row for each of theirs.
    """
    total = sum(sizes)
    for name, tensor in outputs.items():
        if tensor.shape[:1] != (total,):
            raise ModelServerFault(f"expected {total} rows of the output {name!r}, got the shape {tensor.shape}")
    return [
        {name: tensor[end - size : end] for name, tensor in outputs.items()}
        for size, end in zip(sizes, accumulate(sizes), strict=True)
    ]
