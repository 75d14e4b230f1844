"""Answers as JSON text: what orjson makes of `to_answers`, but without a Python object a number.

The text around what differs is the same in all answers of one contract: an example shows it. So the answers of a batch
are this text as often as there are instances, with a column of the batch in each of its gaps.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.contract import ClassOutput, ModelContract, ValueOutput
from serving.gateway.answers import to_answers, to_verdicts
from serving.gateway.outputs import Outputs, output_widths

_GAP = b"\0"  # which is in no JSON
# The members that verdicts decide. All others with a gap are numbers of the model's.
_DECIDED = frozenset({"class_name", "class_id", "class_names", "in_domain"})
_BOOLEANS = (b"false", b"true")


def answer_texts(contract: ModelContract, outputs: Outputs, sizes: Sequence[int]) -> list[orjson.Fragment]:
    """The answers to requests of so many instances, without top_k, from checked outputs: an array a request."""
    return _writer(contract).write(outputs, sizes)


class _Writer:
    """Writes the answers of one contract."""

    def __init__(self, contract: ModelContract) -> None:
        self._contract = contract
        zeros = {name: np.zeros((1, width), np.float32) for name, width in output_widths(contract).items()}
        [example] = to_answers(contract, zeros, None)
        opening, *between, closing = orjson.dumps(_with_gaps(example)).split(_GAP)
        # Each piece, but for the very first, comes after a gap; the last one leads to the next answer.
        self._opening, self._closing = b"[" + opening, closing + b"]"
        self._pieces = [piece for text in (*between, closing + b"," + opening) for piece in (_GAP, text)]
        names = contract.output.class_names if isinstance(contract.output, ClassOutput) else ()
        self._names = [orjson.dumps(name) for name in names]
        self._lists = [b"[" + name + b"]" for name in self._names]
        self._ids = [b"%d" % class_id for class_id in range(len(names))]

    def write(self, outputs: Outputs, sizes: Sequence[int]) -> list[orjson.Fragment]:
        """One array a request."""
        length = len(self._pieces)
        pieces = self._pieces * sum(sizes)
        for index, column in enumerate(self._columns(outputs)):
            pieces[2 * index :: length] = column
        return [
            self._array(b"".join(pieces[(end - size) * length : end * length - 1]))
            for size, end in zip(sizes, accumulate(sizes), strict=True)
        ]

    def _array(self, text: bytes) -> orjson.Fragment:
        return orjson.Fragment(self._opening + text + self._closing)

    def _list(self, ids: Sequence[int]) -> bytes:
        return self._lists[ids[0]] if len(ids) == 1 else b"[" + b",".join([self._names[i] for i in ids]) + b"]"

    def _columns(self, outputs: Outputs) -> Iterator[list[bytes]]:
        """What is in each gap, an item an instance."""
        output, domain = self._contract.output, self._contract.domain
        verdicts = to_verdicts(self._contract, outputs)
        if isinstance(output, ValueOutput):
            interval = output.interval
            for name in (output.tensor, *((interval.low, interval.high) if interval else ())):
                yield from _number_columns(outputs[name])
        else:
            probabilities = _number_columns(outputs[output.tensor])
            yield [self._names[best] for best in verdicts.class_ids]
            yield [self._ids[best] for best in verdicts.class_ids]
            yield [probabilities[best][row] for row, best in enumerate(verdicts.class_ids)]
            yield from probabilities
            if output.prediction_set:
                yield list(map(self._list, verdicts.class_sets))
        if domain:
            yield [_BOOLEANS[is_in] for is_in in verdicts.in_domain]
            yield from _number_columns(outputs[domain.tensor])


_writer = lru_cache(maxsize=64)(_Writer)


def _with_gaps(value: Any, name: str = "") -> Any:
    if name in _DECIDED or isinstance(value, np.float32):
        return orjson.Fragment(_GAP)
    return {key: _with_gaps(member, key) for key, member in value.items()} if isinstance(value, dict) else value


def _number_columns(tensor: NDArray[np.float32]) -> list[list[bytes]]:
    """(instances, width) -> each column's numbers, as orjson writes them."""
    text = orjson.dumps(tensor.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)
    numbers, width = text[1:-1].split(b","), tensor.shape[1]
    return [numbers[start::width] for start in range(width)]
